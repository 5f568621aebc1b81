//! `doctor`: it finds each possible problem, and names the fix.

use std::time::Duration;

use codex_auth::BlockingStore;
use codex_sim::{Mint, RefreshFault};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::process::{Home, Ran, Running};

/// Port 0 is always free.
const DOCTOR: [&str; 5] = ["doctor", "--host", "127.0.0.1", "-p", "0"];

async fn doctor(home: &Home, more: &[&str]) -> Ran {
    home.run(&[&DOCTOR, more].concat()).await
}

/// Returns the results, by check.
fn verdict<'a>(report: &'a Value, check: &str) -> &'a str {
    let checks = report["checks"].as_array().unwrap();
    let found = checks.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} in {report}"))["verdict"].as_str().unwrap()
}

#[tokio::test]
async fn a_working_setup_has_no_problems() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    let ran = doctor(&home, &[]).await;
    ran.expect(
        0,
        &[
            "No problems found.",
            "user@example.com",
            "31 % of the weekly",
            "the backend lists",
            "is free",
            "connections are direct",
        ],
    );
    let ran = doctor(&home, &["--json"]).await;
    ran.expect(0, &[]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["ok"], true);
    for check in ["home", "credentials", "proxy", "auth server", "clock", "backend", "login", "models", "port"] {
        assert_eq!(verdict(&report, check), "ok", "{report}");
    }
    assert!(home.sim.control().refresh_uses().is_empty());
}

#[tokio::test]
async fn without_a_login_the_next_step_is_named_and_no_file_created() {
    let home = Home::new().await;
    let ran = doctor(&home, &[]).await;
    ran.expect(1, &["does not exist yet", "FAIL  login", "run `codex-proxy login`", "Failures: 1; warnings: 1."]);
    assert!(!home.path().exists());
}

#[tokio::test]
async fn an_expired_access_token_is_refreshed_and_stored() {
    let home = Home::new().await;
    home.log_in(Mint { lifetime: Some(Duration::ZERO), ..Mint::default() });
    // The next token expires at once, too, so the backend rejects it; but it is stored.
    let before = home.store().load().unwrap().unwrap().refresh_token.unwrap();
    doctor(&home, &[]).await.expect(1, &["FAIL  login"]);
    let after = home.store().load().unwrap().unwrap().refresh_token.unwrap();
    assert!(before.expose() != after.expose() && home.sim.control().refreshes() == 1);
}

#[tokio::test]
async fn an_ended_login_is_a_failure() {
    let home = Home::new().await;
    home.log_in(Mint { lifetime: Some(Duration::ZERO), ..Mint::default() });
    home.sim.control().fault_refresh(RefreshFault::Expired).unwrap();
    doctor(&home, &[]).await.expect(1, &["FAIL  login", "the login has ended", "run `codex-proxy login`"]);
}

#[tokio::test]
async fn damaged_credentials_are_a_failure_and_not_deleted() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    std::fs::write(home.credentials(), "{").unwrap();
    doctor(&home, &[]).await.expect(1, &["FAIL  credentials", "damaged"]);
    assert_eq!(std::fs::read(home.credentials()).unwrap(), b"{");
}

#[cfg(unix)]
#[tokio::test]
async fn credentials_that_others_can_read_are_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;

    let home = Home::new().await;
    home.log_in(Mint::default());
    std::fs::set_permissions(home.credentials(), std::fs::Permissions::from_mode(0o644)).unwrap();
    doctor(&home, &[]).await.expect(0, &["warn  credentials", "mode 644", "chmod 600"]);
}

#[tokio::test]
async fn unreachable_servers_are_failures() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    let unreachable = |command: &mut Command| -> Running {
        // No process listens on the discard port; no name ends in `invalid` (RFC 2606).
        let command = command.env("CODEX_PROXY_AUTH_URL", "https://auth.invalid");
        Running::of(command.env("CODEX_PROXY_UPSTREAM_URL", "http://127.0.0.1:9/backend-api"))
    };
    let mut program = unreachable(&mut home.command(&DOCTOR));
    assert_eq!(program.end().await, Some(1), "{}", program.output);
    for text in
        ["FAIL  DNS", "auth.invalid", "warn  TLS", "FAIL  auth server", "FAIL  backend", "FAIL  models", "warn  clock"]
    {
        assert!(program.output.contains(text), "{text:?} in: {}", program.output);
    }
}

#[tokio::test]
async fn a_challenge_is_a_failure() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    home.sim.control().cloudflare(true);
    doctor(&home, &[]).await.expect(1, &["FAIL  backend", "bot challenge", "another network"]);
}

#[tokio::test]
async fn a_used_up_window_is_a_warning() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    home.sim.control().use_quota(100.0, 3.0);
    doctor(&home, &[]).await.expect(0, &["warn  login", "100 % of the 5h window", "codex-proxy status"]);
}

#[tokio::test]
async fn an_invalid_proxy_is_a_failure() {
    let home = Home::new().await;
    let mut command = home.command(&["doctor"]);
    let mut program = Running::of(command.env("HTTPS_PROXY", "gopher://u:s3cret@proxy.example"));
    assert_eq!(program.end().await, Some(1), "{}", program.output);
    assert!(program.output.contains("FAIL  proxy") && program.output.contains("HTTPS_PROXY"), "{}", program.output);
    assert!(!program.output.contains("s3cret"));
}

#[tokio::test]
async fn a_port_in_use_is_a_failure_unless_codex_proxy_uses_it() {
    let home = Home::new().await;
    home.log_in(Mint::default());
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    // No process answers there.
    tokio::spawn(async move { while taken.accept().await.is_ok() {} });
    let ran = home.run(&["doctor", "--host", "127.0.0.1", "-p", &port]).await;
    ran.expect(1, &["FAIL  port", "in use by another program", "-p"]);

    let proxy = home.serve(&[]).await;
    let port = proxy.url.rsplit(':').next().unwrap();
    let ran = home.run(&["doctor", "--host", "127.0.0.1", "-p", port]).await;
    ran.expect(0, &["is served by codex-proxy", "No problems found."]);
}

#[tokio::test]
async fn the_codex_login_is_checked_and_not_changed() {
    let home = Home::new().await;
    let file = home.log_in_to_codex(Mint::default());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let before = std::fs::read(&file).unwrap();
    doctor(&home, &["--from-codex"]).await.expect(0, &["auth.json", "user@example.com", "No problems found."]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
    assert!(!home.path().exists());
}
