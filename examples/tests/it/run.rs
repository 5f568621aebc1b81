//! Runs every example.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[track_caller]
fn check(program: &str, args: &[&str], stdin: Stdio, expected: &[&str]) {
    let output = Command::new(program).args(args).stdin(stdin).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{stdout}{stderr}");
    for text in expected {
        assert!(stdout.contains(text) || stderr.contains(text), "{text:?} in: {stdout}{stderr}");
    }
}

#[test]
fn login_and_refresh() {
    check(
        env!("CARGO_BIN_EXE_login_and_refresh"),
        &[],
        Stdio::null(),
        &["logged in as user@example.com", "refreshed: true"],
    );
}

#[test]
fn ask() {
    check(env!("CARGO_BIN_EXE_ask"), &["What is new?"], Stdio::null(), &["What is new?"]);
}

#[test]
fn own_chat() {
    let expected = [
        "stream: 200 OK (notice seed dropped",
        "\"finish_reason\":\"stop\"",
        "refreshed on disk: true",
        "\"finish_reason\":\"tool_calls\"",
        "rejected token: 200 OK",
        "refreshes: 2",
        "\"code\":\"stream_truncated\"}}\n\ndata: [DONE]",
        "full context: 400 Bad Request",
        "bad body: 400 Bad Request",
        "\"param\":\"messages\"",
        "unknown model: 404 Not Found",
        "\"code\":\"model_not_found\"",
        "used up: 429 Too Many Requests (notice -, should retry false)",
        "hung up: the turn at the backend is over",
        "models: {\"object\":\"list\",\"data\":[{\"id\":",
    ];
    check(env!("CARGO_BIN_EXE_own_chat"), &[], Stdio::null(), &expected);
}

#[test]
fn embed_proxy() {
    let expected = ["a server with the proxy embedded", "\"finish_reason\":\"stop\""];
    check(env!("CARGO_BIN_EXE_embed_proxy"), &[], Stdio::null(), &expected);
}

#[test]
fn embed_axum() {
    let expected = [
        "0000: GET /about: 401",
        "1111: GET /about: 200 OK a server with the proxy at /ai",
        "1111: POST /ai/v1/responses: 200",
        "2222: GET /ai/v1/responses/resp_",
        ": 404 Not Found",
        "draining",
    ];
    check(env!("CARGO_BIN_EXE_embed_axum"), &[], Stdio::null(), &expected);
}

#[test]
fn translate_stdin() {
    let events = events_of(&fixtures().join("text"));
    check(env!("CARGO_BIN_EXE_translate_stdin"), &[], events, &["data: [DONE]", "finished: stop"]);
}

#[test]
fn tui_stream() {
    for (fixture, expected) in [
        ("web_search", vec!["(searching the web ...)", "(searched the web for \"", "-- stop"]),
        ("reasoning", vec!["\u{1b}[2m", "\u{1b}[0m", "-- stop"]),
        ("parallel_calls", vec!["-> ", "-- tool_calls"]),
        ("incomplete_max_output_tokens", vec!["-- length"]),
    ] {
        check(env!("CARGO_BIN_EXE_tui_stream"), &[], events_of(&fixtures().join(fixture)), &expected);
    }
}

#[test]
fn tui_stream_shows_an_error_for_each_reply_that_fails() {
    for fixture in std::fs::read_dir(fixtures()).unwrap() {
        let fixture = fixture.unwrap().path();
        if fixture.join("events.sse").exists() {
            let output = Command::new(env!("CARGO_BIN_EXE_tui_stream")).stdin(events_of(&fixture)).output().unwrap();
            let shown = String::from_utf8(output.stdout).unwrap();
            let has_failed = ["error.json", "stream_error.json"].iter().any(|file| fixture.join(file).exists());
            assert_eq!(output.status.success(), !has_failed, "{}: {shown}", fixture.display());
            assert_eq!(shown.contains("-- error: "), has_failed, "{}: {shown}", fixture.display());
        }
    }
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/codex-translate/tests/fixtures")
}

fn events_of(fixture: &Path) -> Stdio {
    File::open(fixture.join("events.sse")).unwrap().into()
}

#[test]
fn own_store() {
    let expected = ["20 callers, 1 refresh, stored: access-1", "2 rejections, 2 refreshes in all"];
    check(env!("CARGO_BIN_EXE_own_store"), &[], Stdio::null(), &expected);
}
