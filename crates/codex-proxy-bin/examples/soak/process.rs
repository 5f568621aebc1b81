//! The program as a process, and the resources it uses (proc(5)).

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use codex_sim::{Mint, Sim};
use serde_json::json;
use tempfile::TempDir;

type Failure = Box<dyn Error + Send + Sync>;

/// The program with its own home directory. Dropping it kills the process.
pub(crate) struct Proxy {
    child: Child,
    pub(crate) url: String,
    port: u16,
    _home: TempDir,
}

/// The resources that the program uses.
#[derive(Debug)]
pub(crate) struct Usage {
    pub(crate) rss_mib: u64,
    pub(crate) fds: usize,
    /// Connections to its clients.
    pub(crate) clients: usize,
}

impl Proxy {
    /// Starts the program with a login at `sim` and with a slot for each stream.
    pub(crate) fn start(sim: &Sim, streams: usize) -> Result<Self, Failure> {
        let home = tempfile::tempdir()?;
        let minted = sim.mint_tokens(Mint::default());
        let login = json!({"access_token": minted.access_token, "refresh_token": minted.refresh_token,
            "account_id": minted.account_id, "expires_at": minted.expires_at});
        std::fs::write(home.path().join("credentials.json"), login.to_string())?;
        let ca = home.path().join("ca.pem");
        std::fs::write(&ca, sim.ca_pem().ok_or("the simulator has no certificate")?)?;
        let mut child = Command::new(program()?)
            .args(["serve", "--host", "127.0.0.1", "-p", "0"])
            .env_clear()
            .env("CODEX_PROXY_HOME", home.path())
            .env("CODEX_PROXY_UPSTREAM_URL", sim.upstream_url())
            .env("CODEX_PROXY_AUTH_URL", sim.auth_url())
            .env("CODEX_PROXY_CA", ca)
            .env("CODEX_PROXY_MAX_REQUESTS", streams.to_string())
            .env("CODEX_PROXY_MAX_QUEUE", "0")
            .env("CODEX_PROXY_LOG", "info")
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let line = lines.by_ref().map_while(Result::ok).find(|line| line.contains("listening on http://"));
        let line = line.ok_or("the program did not start")?;
        // An unread pipe would block the program in the end.
        std::thread::spawn(move || lines.for_each(drop));
        let url = line[line.find("http://").ok_or("no address")?..].trim().to_owned();
        let port = url.rsplit(':').next().ok_or("no port")?.parse()?;
        Ok(Self { child, url, port, _home: home })
    }

    pub(crate) fn is_running(&mut self) -> Result<bool, Failure> {
        Ok(self.child.try_wait()?.is_none())
    }

    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        let proc = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = std::fs::read_to_string(proc.join("status"))?;
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        let kib: u64 = rss.trim().trim_end_matches(" kB").parse()?;
        let fds = std::fs::read_dir(proc.join("fd"))?.count();
        // Established connections (01) on the program's local port.
        let local = format!(":{:04X}", self.port);
        let table = std::fs::read_to_string(proc.join("net/tcp"))?;
        let is_client = |line: &&str| {
            let mut fields = line.split_whitespace().skip(1);
            fields.next().is_some_and(|address| address.ends_with(&local)) && fields.nth(1) == Some("01")
        };
        Ok(Usage { rss_mib: kib / 1024, fds, clients: table.lines().filter(is_client).count() })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the program, which is next to the directory of the examples.
fn program() -> Result<PathBuf, Failure> {
    let own = std::env::current_exe()?;
    let directory = own.parent().and_then(|examples| examples.parent()).ok_or("no target directory")?;
    let program = directory.join(format!("codex-proxy{}", std::env::consts::EXE_SUFFIX));
    if program.exists() { Ok(program) } else { Err("build the program first: cargo build -p codex-proxy-bin".into()) }
}
