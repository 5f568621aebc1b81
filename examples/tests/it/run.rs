//! Runs every example.

use std::path::Path;
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
fn one_prompt() {
    check(env!("CARGO_BIN_EXE_one_prompt"), &["What is new?"], Stdio::null(), &["What is new?", "(finish: stop)"]);
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
    let fixture =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/codex-translate/tests/fixtures/text/events.sse");
    let events = std::fs::File::open(fixture).unwrap();
    check(env!("CARGO_BIN_EXE_translate_stdin"), &[], events.into(), &["data: [DONE]", "finished: stop"]);
}

#[test]
fn own_store() {
    let expected = ["20 callers, 1 refresh, stored: access-1", "2 rejections, 2 refreshes in all"];
    check(env!("CARGO_BIN_EXE_own_store"), &[], Stdio::null(), &expected);
}
