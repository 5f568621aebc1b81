//! Any WebSocket message is read, and means the same however its JSON is written.
#![no_main]

mod common;

use codex_upstream::fuzzing::read_message;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &[u8]| {
    let message = read_message(text);
    if let Some((status, headers)) = &message.response {
        assert!((100..1000).contains(status), "{status}");
        assert_eq!(headers["content-type"], "application/json");
    }
    // Which of two equal keys counts is not defined.
    if common::has_duplicate_keys(text) {
        return;
    }
    if let Ok(value @ Value::Object(_)) = serde_json::from_slice::<Value>(text) {
        assert_eq!(read_message(value.to_string().as_bytes()), message, "compact");
        let pretty = serde_json::to_string_pretty(&value).expect("JSON");
        assert_eq!(read_message(pretty.as_bytes()), message, "pretty");
    }
});
