//! Replaces lone surrogates in a JSON document before anything else reads it.
//!
//! A program that cuts text inside an emoji writes `\ud83d` without its other half. RFC 8259 §8.2 allows that in JSON,
//! but it is not a character, and strict readers such as the official CLI reject the whole document. U+FFFD replaces
//! it, as is usual when text is encoded.

use std::borrow::Cow;

use memchr::{memchr, memmem};

/// U+FFFD as an escape, which is as long as the escape that it replaces.
const REPLACEMENT: &str = "\\ufffd";

/// Returns the document `json` with lone surrogates replaced, borrowed if there are none. No length changes.
pub fn replace_lone_surrogates(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    // Surrogates are rare, and most events have no escapes.
    if memchr(b'\\', bytes).is_none() {
        return Cow::Borrowed(json);
    }
    if memmem::find(bytes, b"\\ud").is_none() && memmem::find(bytes, b"\\uD").is_none() {
        return Cow::Borrowed(json);
    }
    let (mut whole, mut copied) = (String::new(), 0);
    while let Some(at) = next_half(bytes, copied) {
        whole.push_str(&json[copied..at]);
        whole.push_str(REPLACEMENT);
        copied = at + REPLACEMENT.len();
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    whole.push_str(&json[copied..]);
    Cow::Owned(whole)
}

/// Returns the position of the next escaped lone surrogate. `at` is not inside an escape.
fn next_half(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr(b'\\', bytes.get(at..)?)?;
        at += match unit(bytes, at) {
            Some(0xd800..=0xdbff) if matches!(unit(bytes, at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => return Some(at),
            Some(_) => 6,
            // An escape of one character, which may be a backslash.
            None => 2,
        };
    }
}

/// Returns the UTF-16 unit of the escape `\uXXXX` at `at`, if there is one.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_replaced_and_nothing_else() {
        for (json, expected) in [
            (r#"{"a":"x"}"#, None),
            (r#"["\ud83d\udc4b","\uD83D\uDC4B"]"#, None),
            (r#"["\\ud83d","\\\\uDC4B"]"#, None),
            (r#"["\ud7ff\ue000\udbff\udfff"]"#, None),
            (r#"["\ud83d"]"#, Some(r#"["\ufffd"]"#)),
            (r#"["\uDC4b!"]"#, Some(r#"["\ufffd!"]"#)),
            (r#"{"\ud66d\udc4b":"\\\ud83d"}"#, Some(r#"{"\ud66d\ufffd":"\\\ufffd"}"#)),
            (r#"["\ud83d\ud83d\udc4b\udc4b"]"#, Some(r#"["\ufffd\ud83d\udc4b\ufffd"]"#)),
            // Not JSON, which the next reader reports.
            (r"\ud83", None),
            (r"\ud83d\u", Some(r"\ufffd\u")),
            (r"\ud83d\", Some(r"\ufffd\")),
        ] {
            assert_eq!(replace_lone_surrogates(json), expected.unwrap_or(json), "{json}");
            assert_eq!(matches!(replace_lone_surrogates(json), Cow::Owned(_)), expected.is_some(), "{json}");
        }
    }
}
