//! Checks of this machine: files and their modes, the proxy setting, the port.

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use bytes::Bytes;
use codex_auth::{StoreVersion, TokenStore};
use codex_upstream::{ProxyConfig, Upstream, read_to_end};
use http::Request;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::commands::doctor::finding::{Finding, MAX_WAIT};
use crate::credentials::store::OwnStore;

pub(super) fn home(path: &Path) -> Finding {
    let shown = path.display();
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::ok("home", format!("{shown} does not exist yet; the login creates it"))
        }
        Err(error) => Finding::fail("home", format!("cannot read {shown} ({error})"))
            .advise("make it readable, or set CODEX_PROXY_HOME to another directory"),
        Ok(metadata) if !metadata.is_dir() => Finding::fail("home", format!("{shown} is not a directory"))
            .advise("move it away, or set CODEX_PROXY_HOME to another directory"),
        Ok(metadata) => match open_to_others(&metadata) {
            Some(mode) => Finding::warn("home", format!("other users can list {shown} (mode {mode:o})"))
                .advise(format!("chmod 700 {shown}")),
            None => Finding::ok("home", shown.to_string()),
        },
    }
}

/// Checks the program's own credentials, which must be writable, too.
pub(super) async fn own_credentials(store: &OwnStore) -> Finding {
    let finding = credentials(store).await;
    // The check must not create anything.
    if store.version().await == StoreVersion::ABSENT {
        return finding;
    }
    match codex_auth::check_writable(store).await {
        Ok(()) => finding,
        Err(error) => Finding::fail("credentials", error.to_string()),
    }
}

pub(super) async fn credentials(store: &impl TokenStore) -> Finding {
    let location = store.location();
    // Checked before the credentials are read, which corrects the mode.
    let mode = std::fs::metadata(&location).ok().and_then(|metadata| open_to_others(&metadata));
    match (store.load().await, mode) {
        (Err(error), _) => Finding::fail("credentials", error.to_string()),
        (Ok(None), _) => Finding::ok("credentials", format!("no credentials in {location} yet")),
        (Ok(Some(_)), Some(mode)) => {
            Finding::warn("credentials", format!("other users can read {location} (mode {mode:o})"))
                .advise(format!("chmod 600 {location}, and log in again if others use this machine"))
        }
        (Ok(Some(_)), None) => Finding::ok("credentials", location),
    }
}

/// Returns the mode, if it gives any permission to other users.
#[cfg(unix)]
fn open_to_others(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;

    let mode = metadata.permissions().mode() & 0o777;
    (mode & 0o077 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_to_others(_: &std::fs::Metadata) -> Option<u32> {
    None
}

pub(super) fn proxy(proxy: &ProxyConfig) -> Finding {
    match proxy.redacted_url() {
        Err(error) => Finding::fail("proxy", error.to_string()),
        Ok(None) => Finding::ok("proxy", "none; connections are direct"),
        Ok(Some(address)) => {
            let exceptions = proxy.no_proxy.as_deref().filter(|hosts| !hosts.trim().is_empty());
            let except = exceptions.map(|hosts| format!(", except for {hosts}")).unwrap_or_default();
            Finding::ok("proxy", format!("{address}{except}"))
        }
    }
}

/// Checks whether `serve` could listen. A codex-proxy that already listens is fine.
pub(super) async fn port(upstream: &impl Upstream, host: &str, port: u16) -> Finding {
    match TcpListener::bind((host, port)).await {
        Ok(_) => Finding::ok("port", format!("{port} on {host} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => match served(upstream, port).await {
            Some(version) => Finding::ok("port", format!("{port} is served by codex-proxy {version}")),
            None => Finding::fail("port", format!("{port} on {host} is in use by another program"))
                .advise(format!("stop that program, or choose another port: codex-proxy serve -p {}", other(port))),
        },
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Finding::fail("port", format!("not allowed to listen on {port}"))
                .advise("choose a port above 1023: codex-proxy serve -p 8787")
        }
        Err(error) => Finding::fail("port", format!("cannot listen on {host}:{port} ({error})")).advise("check --host"),
    }
}

/// Returns the version of the codex-proxy that answers at the port, if one does.
async fn served(upstream: &impl Upstream, port: u16) -> Option<String> {
    let uri = format!("http://{}:{port}/health", Ipv4Addr::LOCALHOST);
    let request = Request::get(uri).body(Bytes::new()).ok()?;
    let answered = tokio::time::timeout(MAX_WAIT, upstream.send(request)).await.ok()?.ok()?;
    let body = read_to_end(answered.into_body(), 4096).await.ok()?;
    let health: Value = serde_json::from_slice(&body).ok()?;
    health.get("logged_in")?;
    Some(health.get("version")?.as_str()?.to_owned())
}

fn other(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(8787)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::CheckResult;

    #[cfg(unix)]
    #[test]
    fn a_home_that_others_can_read_is_a_warning_with_the_fix() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        let mode = |mode| std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        mode(0o755);
        let finding = home(directory.path());
        assert_eq!(finding.verdict, CheckResult::Warn);
        assert!(finding.found.contains("755") && finding.advice.unwrap().starts_with("chmod 700 "));
        mode(0o700);
        assert_eq!(home(directory.path()).verdict, CheckResult::Ok);
    }

    #[test]
    fn a_missing_home_is_fine_and_a_file_is_a_failure() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("home");
        assert_eq!(home(&path).verdict, CheckResult::Ok);
        std::fs::write(&path, "").unwrap();
        let finding = home(&path);
        assert_eq!(finding.verdict, CheckResult::Fail);
        assert!(finding.advice.unwrap().contains("CODEX_PROXY_HOME"));
    }

    #[test]
    fn a_proxy_is_shown_without_its_password() {
        let set = |https: &str| {
            let no_proxy = Some("intranet.example".to_owned());
            proxy(&ProxyConfig { https: Some(https.to_owned()), no_proxy, ..ProxyConfig::default() })
        };
        let finding = set("http://u:s3cret@proxy:3128");
        assert_eq!(finding.verdict, CheckResult::Ok);
        assert!(finding.found.contains("@proxy:3128/, except for intranet.example"), "{}", finding.found);
        assert!(!finding.found.contains("s3cret"));
        assert_eq!(set("gopher://u:s3cret@proxy").verdict, CheckResult::Fail);
    }
}
