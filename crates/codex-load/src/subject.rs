//! The measured program: a process on its own core, and the resources it uses (proc(5)).

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::Outcome;
use crate::tls::Tls;

/// The core of the subjects. The load uses the other one.
const CORE: &str = "0";
const LOAD_CORE: &str = "1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The program.
    Proxy,
    /// The limit.
    Limit,
    Nginx,
    /// The program over TLS and HTTP/2.
    ProxyTls,
    /// The byte proxy, over the program's own client.
    BytesTls,
}

impl fmt::Display for Kind {
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

/// The addresses of the upstreams and the path of the program.
pub(crate) struct Surroundings {
    pub(crate) program: PathBuf,
    pub(crate) plain: u16,
    pub(crate) tls: Tls,
}

/// A running process. Dropping it kills it.
pub(crate) struct Subject {
    child: Child,
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    /// When it was started.
    pub(crate) started: Instant,
    _home: TempDir,
}

impl Subject {
    /// Starts it and waits until it accepts connections.
    pub(crate) fn start(kind: Kind, surroundings: &Surroundings) -> Outcome<Self> {
        let home = tempfile::tempdir()?;
        let ca = home.path().join("ca.pem");
        std::fs::write(&ca, &surroundings.tls.ca_pem)?;
        let plain = format!("http://127.0.0.1:{}", surroundings.plain);
        let tls = format!("https://127.0.0.1:{}", surroundings.tls.port);
        // The port is free now, and probably still is when the subject listens.
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let said = port.to_string();
        let mut command = match kind {
            Kind::Proxy => program(surroundings, home.path(), &plain, &ca)?,
            Kind::ProxyTls => program(surroundings, home.path(), &tls, &ca)?,
            Kind::Limit | Kind::BytesTls => pinned(&std::env::current_exe()?),
            Kind::Nginx => pinned(Path::new("nginx")),
        };
        match kind {
            Kind::Proxy | Kind::ProxyTls => command.args(["-p", &said]),
            Kind::Limit => command.args(["limit", "--port", &said, "--upstream", &surroundings.plain.to_string()]),
            Kind::BytesTls => command.args(["bytes", "--port", &said, "--upstream", &tls, "--ca"]).arg(&ca),
            Kind::Nginx => command.arg("-c").arg(nginx(surroundings, home.path(), port)?),
        };
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut subject = Self { child, kind, port, started, _home: home };
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = subject.child.try_wait()? {
                return Err(format!("{kind} does not start: {status}").into());
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
            // A thread may have ended meanwhile.
            let Ok(text) = std::fs::read_to_string(task?.path().join("schedstat")) else { continue };
            total += text.split_whitespace().next().ok_or("no schedstat")?.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(total))
    }

    /// Returns its resident memory in KiB.
    pub(crate) fn rss_kib(&self) -> Outcome<u64> {
        self.status("VmRSS:")
    }

    /// Returns the peak of its resident memory since the last [`forget_peak`](Self::forget_peak), in KiB.
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
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns a command for the program with a login that is not checked.
fn program(surroundings: &Surroundings, home: &Path, upstream: &str, ca: &Path) -> Outcome<Command> {
    let login =
        json!({"access_token": "header.payload.signature", "refresh_token": "r", "expires_at": 4_102_444_800_u64});
    std::fs::write(home.join("credentials.json"), login.to_string())?;
    let mut command = pinned(&surroundings.program);
    command
        .args(["serve", "--host", "127.0.0.1"])
        // A proxy from the environment would get between the program and its upstream.
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

/// Writes the configuration of an nginx that forwards every byte immediately.
fn nginx(surroundings: &Surroundings, home: &Path, port: u16) -> Outcome<PathBuf> {
    let config = home.join("nginx.conf");
    let (path, upstream) = (home.display(), surroundings.plain);
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
