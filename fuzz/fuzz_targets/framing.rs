//! The SSE decoder yields the same events as eventsource-stream, however the bytes are split.
#![no_main]

mod common;

use common::feeding::{decode, oracle};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = decode(1 << 20, [bytes]);
    assert_eq!(decode(1 << 20, common::pieces(bytes)), whole);
    assert_eq!(decode(1 << 20, bytes.chunks(1)), whole);
    let limit = usize::from(bytes.first().copied().unwrap_or(1)) + 1;
    assert_eq!(decode(limit, bytes.chunks(1)), decode(limit, [bytes]));
    // The oracle ignores bytes that are not UTF-8.
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(whole, (oracle(text), None));
    }
});
