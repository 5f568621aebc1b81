//! The measured subject: a process pinned to a core, and the resources it uses (proc(5)).

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::Outcome;
use crate::tls::Tls;

/// The core of the subjects; the other one is for the load.
const CORE: &str = "0";
const LOAD_CORE: &str = "1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SubjectKind {
    /// The program.
    Proxy,
    /// The minimal converter to chat chunks.
    Limit,
    Nginx,
    /// The program over TLS and HTTP/2.
    ProxyTls,
    /// The byte proxy over the program's own client.
    BytesTls,
}

impl fmt::Display for SubjectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Proxy => "proxy",
            Self::Limit => "limit",
            Self::Nginx => "nginx",
            Self::ProxyTls => "proxy/tls",
            Self::BytesTls => "bytes/tls",
        })
    }
}

/// The program and the upstreams.
pub(crate) struct Environment {
    pub(crate) program: PathBuf,
    pub(crate) plain: u16,
    pub(crate) tls: Tls,
}

/// A running process. Dropping it kills it.
pub(crate) struct Subject {
    child: Child,
    pub(crate) kind: SubjectKind,
    pub(crate) port: u16,
    /// When it was started.
    pub(crate) started: Instant,
    _home: TempDir,
}

impl Subject {
    /// Starts a subject, which accepts connections when this returns.
    pub(crate) fn start(kind: SubjectKind, environment: &Environment) -> Outcome<Self> {
        let home = tempfile::tempdir()?;
        let ca = home.path().join("ca.pem");
        std::fs::write(&ca, &environment.tls.ca_pem)?;
        let plain = format!("http://127.0.0.1:{}", environment.plain);
        let tls = format!("https://127.0.0.1:{}", environment.tls.port);
        // Free now, and still free in a moment on a machine that runs a benchmark.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let port_text = port.to_string();
        let mut command = match kind {
            SubjectKind::Proxy => program(environment, home.path(), &plain, &ca)?,
            SubjectKind::ProxyTls => program(environment, home.path(), &tls, &ca)?,
            SubjectKind::Limit | SubjectKind::BytesTls => pinned(&std::env::current_exe()?),
            SubjectKind::Nginx => pinned(Path::new("nginx")),
        };
        match kind {
            SubjectKind::Proxy | SubjectKind::ProxyTls => command.args(["-p", &port_text]),
            SubjectKind::Limit => {
                command.args(["limit", "--port", &port_text, "--upstream", &environment.plain.to_string()])
            }
            SubjectKind::BytesTls => command.args(["bytes", "--port", &port_text, "--upstream", &tls, "--ca"]).arg(&ca),
            SubjectKind::Nginx => command.arg("-c").arg(nginx(environment, home.path(), port)?),
        };
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut subject = Self { child, kind, port, started, _home: home };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = subject.child.try_wait()? {
                return Err(format!("{kind} failed to start: {status}").into());
            }
            std::thread::yield_now();
        }
        Ok(subject)
    }

    /// Returns whether nginx is installed.
    pub(crate) fn has_nginx() -> bool {
        Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }

    /// Returns the CPU time of all its live threads.
    pub(crate) fn cpu(&self) -> Outcome<Duration> {
        let mut total = 0;
        for task in std::fs::read_dir(self.proc("task"))? {
            // The thread may have ended.
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            total += text.split_whitespace().next().ok_or("no schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// Returns the resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> Outcome<u64> {
        self.status("VmRSS:")
    }

    /// Returns the peak resident memory since the last [`forget_peak`](Self::forget_peak), in KiB.
    pub(crate) fn peak_kib(&self) -> Outcome<u64> {
        self.status("VmHWM:")
    }

    pub(crate) fn forget_peak(&self) -> Outcome<()> {
        Ok(std::fs::write(self.proc("clear_refs"), "5")?)
    }

    fn status(&self, name: &str) -> Outcome<u64> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in status")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It may have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the command of the program, with a login that is not checked.
fn program(environment: &Environment, home: &Path, upstream: &str, ca: &Path) -> Outcome<Command> {
    let login =
        json!({"access_token": "header.payload.signature", "refresh_token": "r", "expires_at": 4_102_444_800_u64});
    std::fs::write(home.join("credentials.json"), login.to_string())?;
    let mut command = pinned(&environment.program);
    command
        .args(["serve", "--host", "127.0.0.1"])
        // Otherwise a proxy from the environment would be used for the upstream.
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .env("CODEX_PROXY_HOME", home)
        .env("CODEX_PROXY_UPSTREAM_URL", upstream)
        .env("CODEX_PROXY_AUTH_URL", "http://127.0.0.1:9")
        .env("CODEX_PROXY_CA", ca)
        .env("CODEX_PROXY_MAX_REQUESTS", "20000")
        .env("CODEX_PROXY_LOG", "info");
    Ok(command)
}

/// Writes the configuration of an nginx that forwards every byte at once.
fn nginx(environment: &Environment, home: &Path, port: u16) -> Outcome<PathBuf> {
    let config = home.join("nginx.conf");
    let (path, upstream) = (home.display(), environment.plain);
    std::fs::write(
        &config,
        format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; client_max_body_size 64m; keepalive_requests 1000000;\n\
             client_body_temp_path {path}/body; proxy_temp_path {path}/proxy; fastcgi_temp_path {path}/f;\n\
             uwsgi_temp_path {path}/u; scgi_temp_path {path}/s;\n\
             upstream backend {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000; }}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://backend; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_buffering off; }} }} }}\n"
        ),
    )?;
    Ok(config)
}

/// Returns a command pinned to the subjects' core, if there are two cores and `taskset`.
fn pinned(program: &Path) -> Command {
    if !can_pin() {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", CORE]).arg(program);
    command
}

/// Pins this process to the core of the load. Call it before starting threads.
pub(crate) fn pin_self() -> bool {
    can_pin()
        && Command::new("taskset")
            .args(["-a", "-c", "-p", LOAD_CORE, &std::process::id().to_string()])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
}

fn can_pin() -> bool {
    let is_there = Command::new("taskset").arg("--version").stdout(Stdio::null()).status();
    is_there.is_ok_and(|status| status.success()) && Path::new("/sys/devices/system/cpu/cpu1").exists()
}
