//! The HTTP/1.1 reader of the cleartext client: a reply does not depend on how its bytes are split, no byte is lost or
//! invented, and a chunked body is what a simpler decoder makes of it.
#![no_main]

mod common;

use codex_upstream::fuzzing::{CleartextReply, read_cleartext_reply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let whole = read_cleartext_reply([bytes]);
    assert_eq!(read_cleartext_reply(common::pieces(bytes)), whole);
    assert_eq!(read_cleartext_reply(bytes.chunks(1)), whole);
    let Ok(Some(reply)) = whole else { return };
    assert!((200..1000).contains(&reply.status) || reply.status == 101, "{}", reply.status);
    assert!(bytes.ends_with(&reply.unread), "the rest is as it was sent");
    assert!(is_chunked(&reply) || reply.unread.is_empty() || reply.is_complete, "all that can be read is read");
    if is_chunked(&reply) {
        if let Some((data, rest)) = chunks(body(bytes)) {
            assert_eq!((&reply.data, &reply.unread[..]), (&data, rest));
            assert!(reply.is_complete);
        }
    } else {
        let sent = &body(bytes)[..reply.data.len()];
        assert_eq!(reply.data, sent);
    }
});

fn is_chunked(reply: &CleartextReply) -> bool {
    let values = reply.headers.iter().filter(|(name, _)| name == "transfer-encoding");
    let has_body = !matches!(reply.status, 204 | 304);
    // The last of the codings decides (RFC 9112 section 6.3).
    let last = values.last().and_then(|(_, value)| value.rsplit(|byte| *byte == b',').next());
    has_body && last.is_some_and(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// Returns everything after the head of the final reply.
fn body(mut bytes: &[u8]) -> &[u8] {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 256];
        let mut head = httparse::Response::new(&mut headers);
        let length = head.parse(bytes).expect("a valid head").unwrap();
        bytes = &bytes[length..];
        if !matches!(head.code, Some(100 | 102..=199)) {
            return bytes;
        }
    }
}

/// Decodes a complete chunked body in the plainest form: no extensions, no trailers, sizes of up to eight digits.
fn chunks(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut data = Vec::new();
    loop {
        let digits = bytes.iter().take(8).position(|byte| *byte == b'\r')?;
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..digits]).ok()?, 16).ok()?;
        if !bytes[..digits].iter().all(u8::is_ascii_hexdigit) || !bytes[digits..].starts_with(b"\r\n") {
            return None;
        }
        let length = digits + 2;
        let chunk = bytes.get(length..length.checked_add(size)?)?;
        data.extend_from_slice(chunk);
        bytes = bytes[length + size..].strip_prefix(b"\r\n")?;
        if size == 0 {
            return Some((data, bytes));
        }
    }
}
