//! The table in the documentation of `ErrorKind` against the code that it describes.

use codex_translate::{Error, ErrorKind};
use serde_json::Value;

#[test]
fn the_table_lists_every_kind_with_its_status_type_and_code() {
    let source = include_str!("../../src/error.rs");
    let rows: Vec<_> = source.lines().filter_map(|line| line.strip_prefix("/// | `")).collect();
    assert_eq!(rows.len(), ErrorKind::ALL.len());
    for (row, kind) in rows.iter().zip(ErrorKind::ALL) {
        let error = Error::new(kind, "m");
        let body: Value = serde_json::from_slice(&error.to_json()).unwrap();
        let code = error.code().map_or_else(String::new, |code| format!("`{code}` "));
        let wire_type = body["error"]["type"].as_str().unwrap();
        let start = format!("{kind:?}` | {} | `{wire_type}` | {code}| ", error.status_hint());
        assert!(row.starts_with(&start), "{row} does not start with {start}");
        assert!(!error.is_retryable() || row.contains("try again"), "{row}");
    }
}
