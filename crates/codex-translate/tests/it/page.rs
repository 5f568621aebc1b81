//! The tables of the crate's page against the code that they describe.

use codex_translate::chat::MAX_COMPLETION_BYTES;
use codex_translate::params::{CHAT, EXTRA, IMAGES, Parameter, RESPONSES};
use codex_translate::{
    Error, ErrorKind, MAX_COMMENTARY_BYTES, MAX_EARLY_BYTES, MAX_EVENT_BYTES, MAX_NOTICES, MAX_OUTPUT_BYTES,
    MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS,
};
use serde_json::Value;

const PAGE: &str = include_str!("../../src/lib.rs");

/// The rows of the table below the line `above`.
fn rows(above: &str) -> Vec<&'static str> {
    let (_, below) = PAGE.split_once(&format!("//! {above}\n")).unwrap_or_else(|| panic!("no table below {above}"));
    let lines = below.lines().filter_map(|line| line.strip_prefix("//! "));
    lines.skip_while(|line| !line.starts_with("|---")).skip(1).take_while(|line| line.starts_with('|')).collect()
}

#[test]
fn the_parameters_are_those_of_the_tables() {
    for (above, table) in [
        ("Chat Completions:", CHAT),
        ("Responses:", RESPONSES),
        ("Understood on both:", EXTRA),
        ("Pictures ([`images`]):", IMAGES),
    ] {
        let row = |parameter: &Parameter| {
            format!("| `{}` | {} | {} |", parameter.name, parameter.treatment.as_str(), parameter.note)
        };
        // A table ends where its comment has an empty line.
        let page = PAGE.split_once(&format!("//! {above}\n")).unwrap().1;
        let page: Vec<_> = page.lines().skip(3).take_while(|line| *line != "//!").collect();
        let expected: Vec<_> = table.iter().map(|parameter| format!("//! {}", row(parameter))).collect();
        assert_eq!(page, expected, "below {above}");
    }
}

#[test]
fn the_limits_are_those_of_the_constants() {
    let values: Vec<usize> =
        rows("# Limits").iter().map(|row| row.split('|').nth(2).unwrap().trim().parse().unwrap()).collect();
    let expected = [
        MAX_EVENT_BYTES,
        MAX_OUTPUT_ITEMS,
        MAX_OUTPUT_TEXTS,
        MAX_OUTPUT_BYTES,
        MAX_COMPLETION_BYTES,
        MAX_COMMENTARY_BYTES,
        MAX_EARLY_BYTES,
        MAX_NOTICES,
    ];
    assert_eq!(values, expected);
}

#[test]
fn the_errors_are_those_of_the_code() {
    let kinds = [
        ErrorKind::InvalidRequest,
        ErrorKind::TooLarge,
        ErrorKind::ModelNotFound,
        ErrorKind::ContextLengthExceeded,
        ErrorKind::PolicyRefused,
        ErrorKind::Authentication,
        ErrorKind::Permission,
        ErrorKind::RateLimited,
        ErrorKind::UsageLimit,
        ErrorKind::QuotaExceeded,
        ErrorKind::Overloaded,
        ErrorKind::Server,
        ErrorKind::Truncated,
        ErrorKind::Protocol,
        ErrorKind::Timeout,
        ErrorKind::Internal,
    ];
    let rows = rows("# Errors");
    assert_eq!(rows.len(), kinds.len());
    for (row, kind) in rows.iter().zip(kinds) {
        let error = Error::new(kind, "m");
        let body: Value = serde_json::to_value(error.body()).unwrap();
        let code = error.code().map_or_else(String::new, |code| format!("`{code}` "));
        let wire_type = body["error"]["type"].as_str().unwrap();
        let start = format!("| `{kind:?}` | {} | `{wire_type}` | {code}|", error.status_hint());
        assert!(row.starts_with(&start), "{row} is not {start}");
        // Who may try again unchanged is told so.
        assert!(!error.is_retryable() || row.contains("try again"), "{row}");
    }
}
