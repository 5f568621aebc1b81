//! What is shipped beside the program, and made from it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn contrib() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib")
}

#[test]
fn what_the_program_prints_is_shipped() {
    for (file, arguments) in [
        ("codex-proxy.1", &["man"][..]),
        ("completions/codex-proxy.bash", &["completions", "bash"]),
        ("completions/_codex-proxy", &["completions", "zsh"]),
        ("completions/codex-proxy.fish", &["completions", "fish"]),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_codex-proxy")).args(arguments).env_clear().output().unwrap();
        let shipped = std::fs::read(contrib().join(file)).unwrap_or_default();
        let command = arguments.join(" ");
        assert!(output.stdout == shipped, "run: cargo run -p codex-proxy-bin -- {command} > contrib/{file}");
    }
}

#[test]
fn a_wrong_setting_does_not_keep_a_shell_from_completing() {
    let output = Command::new(env!("CARGO_BIN_EXE_codex-proxy"))
        .args(["completions", "next", "--", "service", "inst"])
        .env_clear()
        .env("CODEX_PROXY_PORT", "many")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.starts_with("install\t"), "{printed}");
}

#[test]
fn both_units_set_the_key_and_let_replies_finish() {
    for unit in ["codex-proxy.service", "codex-proxy-system.service"] {
        let text = std::fs::read_to_string(contrib().join(unit)).unwrap();
        for line in ["Environment=CODEX_PROXY_API_KEY=codex-proxy", "TimeoutStopSec=40", "NoNewPrivileges=true"] {
            assert!(text.lines().any(|found| found == line), "{line} in {unit}");
        }
    }
}
