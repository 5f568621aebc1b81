//! The program as a process: its output and exit codes.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

fn run(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_codex-proxy"))
        .args(args)
        .env_clear()
        .env("CODEX_PROXY_HOME", home)
        .output()
        .unwrap()
}

#[track_caller]
fn check(output: &Output, code: i32, says: &[&str]) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    for text in says {
        assert!(stdout.contains(text) || stderr.contains(text), "{text:?} in: {stdout}{stderr}");
    }
}

#[test]
fn status_without_a_login_names_the_next_step() {
    let home = tempfile::tempdir().unwrap();
    check(&run(home.path(), &["status"]), 1, &["not logged in", "codex-proxy login"]);
}

#[test]
fn credentials_of_the_earlier_program_are_accepted() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("credentials.json");
    let text = r#"{"access_token": "a.b.c", "refresh_token": "r", "account_id": "acct-1", "expires_at": 4102444800}"#;
    std::fs::write(&path, text).unwrap();
    let output = run(home.path(), &["status"]);
    check(&output, 0, &["acct-1", "2100"]);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("a.b.c"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text, "reading changes nothing");
}

#[test]
fn damaged_credentials_are_reported_and_not_deleted() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("credentials.json");
    std::fs::write(&path, "{\"access_token\": ").unwrap();
    for command in ["status", "serve"] {
        let output = run(home.path(), &[command, "-p", "0"][..if command == "serve" { 3 } else { 1 }]);
        check(&output, 1, &["credentials.json", "codex-proxy login"]);
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"access_token\": ");
}

#[test]
fn the_error_names_a_port_in_use() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(home.path(), &["serve", "--host", "127.0.0.1", "-p", &port]);
    check(&output, 1, &["in use", &port, "-p"]);
}

#[test]
fn invalid_settings_and_arguments_fail_before_anything_starts() {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex-proxy"));
    command.arg("serve").env_clear().env("CODEX_PROXY_HOME", home.path());
    let output = command.env("CODEX_PROXY_UPSTREAM_URL", "http://example.com").output().unwrap();
    check(&output, 64, &["CODEX_PROXY_UPSTREAM_URL", "https"]);
    check(&run(home.path(), &["serve", "--nonsense"]), 64, &["--nonsense"]);
    for words in ["version", "--version", "-V"] {
        check(&run(home.path(), &[words]), 0, &[env!("CARGO_PKG_VERSION")]);
    }
    check(&run(home.path(), &["--help"]), 0, &["login", "serve", "status"]);
}

#[test]
fn the_demonstration_works_from_an_empty_home() {
    let home = tempfile::tempdir().unwrap();
    check(
        &run(home.path(), &["demo"]),
        0,
        &["finish_reason \"stop\"", "the model calls get_weather", "response.completed"],
    );
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "the demonstration creates no files");
}

#[test]
fn the_systemd_unit_sets_the_key() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/codex-proxy.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    assert!(unit.lines().any(|line| line == "Environment=CODEX_PROXY_API_KEY=codex-proxy"), "{unit}");
    assert!(unit.lines().any(|line| line.starts_with("ExecStart=") && line.ends_with("codex-proxy serve")), "{unit}");
}
