//! Any reply that is not a success becomes a failure: one line of text, and a wait that is at least `Retry-After`. The
//! input is three digits of a status, headers, a blank line, and the body.
#![no_main]

mod common;

use std::time::{Duration, UNIX_EPOCH};

use codex_upstream::Failure;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((status, rest)) = bytes.split_first_chunk::<3>() else { return };
    let Ok(status) = StatusCode::from_bytes(status) else { return };
    let (headers, body) = common::headers(rest);
    let now = UNIX_EPOCH + Duration::from_secs(1_786_000_000);
    let failure = Failure::parse(status, &headers, body, now);
    assert_eq!(failure.status, status.as_u16());
    let message = failure.error.message();
    assert!(!message.is_empty());
    assert!(!message.contains(|letter: char| letter.is_control() && letter != '\t'), "{message:?}");
    let _ = failure.verdict();
    let seconds = headers.get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
    if let Some(seconds) = seconds {
        assert!(failure.error.retry_after().is_some_and(|wait| wait >= Duration::from_secs(seconds)), "{failure:?}");
    }
});
