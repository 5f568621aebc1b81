//! Tells JSON from what clients send instead by mistake, so that the error names the mistake and not a syntax error.

use bytes::{Buf as _, Bytes};
use codex_translate::{Error, ErrorKind};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::request::decode::{Encoding, is_json};

/// The mark at the beginning of a text in UTF-8, which parsers may skip (RFC 8259 §8.1).
const BOM: &[u8] = b"\xef\xbb\xbf";

/// Returns a body that may be JSON, without a byte order mark; its parser judges the JSON itself. If `takes_forms` is
/// set, a multipart form is returned, too.
///
/// # Errors
/// The body is compressed and no header says so, is not UTF-8, or is a form (400).
pub(crate) fn json_text(mut body: Bytes, headers: &HeaderMap, takes_forms: bool) -> Result<Bytes, Error> {
    if body.starts_with(BOM) {
        body.advance(BOM.len());
    }
    if body.starts_with(b"{") && body.get(1) != Some(&0) {
        return Ok(body);
    }
    if let Some(name) = wide_encoding(&body) {
        return Err(refused(format!("the request body is {name}; send it as UTF-8")));
    }
    if let Some(encoding) = Encoding::recognised(&body) {
        let (name, token) = (encoding.name(), encoding.token());
        let message =
            format!("the request body is compressed with {name}; send the header `content-encoding: {token}`");
        return Err(refused(message));
    }
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // curl labels any data as a form; what is sent as JSON is read as JSON.
    let is_form = match &*media_type {
        "multipart/form-data" => !takes_forms,
        "application/x-www-form-urlencoded" => !is_json(&body),
        _ => false,
    };
    if is_form && !body.is_empty() {
        let accepted = if takes_forms { "JSON or a multipart form" } else { "JSON" };
        return Err(refused(format!("the request body is a form (`{media_type}`); send {accepted}")));
    }
    Ok(body)
}

/// Returns the name of an encoding with more than one byte per character in which the body is, with or without a byte
/// order mark. In UTF-8, no JSON has a zero byte.
fn wide_encoding(body: &[u8]) -> Option<&'static str> {
    match body {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] | [_, 0, 0, 0, ..] | [0, 0, 0, _, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, _, 0, ..] | [0, _, 0, _, ..] => Some("UTF-16"),
        _ => None,
    }
}

fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::decode::tests::{ALL, encoded};

    const TEXT: &str = "{\"model\": \"gpt-5.5\", \"input\": \"hello hello hello\"}";

    fn read(body: impl Into<Bytes>, content_type: &str, takes_forms: bool) -> Result<Bytes, String> {
        let headers =
            content_type.parse().map(|value| HeaderMap::from_iter([(CONTENT_TYPE, value)])).unwrap_or_default();
        json_text(body.into(), &headers, takes_forms).map_err(|error| {
            assert_eq!(error.status_hint(), 400);
            error.message().to_owned()
        })
    }

    #[test]
    fn json_is_read_whatever_its_type_is_said_to_be() {
        for content_type in
            ["application/json", "text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data"]
        {
            for body in ["{}", "\n {\"a\": 1}", "\u{feff}{}"] {
                let read = read(body, content_type, false);
                // A form never begins with a blank or a brace.
                assert!(
                    read.is_ok_and(|read| read == body.trim_start_matches('\u{feff}'))
                        || content_type.starts_with("multi") && body.starts_with('\n'),
                    "{content_type} {body:?}"
                );
            }
        }
        // The parser says what is wrong with these.
        for body in ["", "[]", "hello", "\u{feff}", "7"] {
            assert!(read(body, "application/json", false).is_ok(), "{body:?}");
        }
    }

    #[test]
    fn a_body_in_another_encoding_is_named() {
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}{TEXT}");
            for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
                let body: Vec<u8> = text.encode_utf16().flat_map(to_bytes).collect();
                assert!(read(body, "application/json", false).unwrap_err().contains("UTF-16"));
            }
            for to_bytes in [u32::to_le_bytes, u32::to_be_bytes] {
                let body: Vec<u8> = text.chars().flat_map(|c| to_bytes(u32::from(c))).collect();
                assert!(read(body, "application/json", false).unwrap_err().contains("UTF-32"));
            }
        }
    }

    #[test]
    fn a_compressed_body_is_named() {
        for encoding in ALL {
            for takes_forms in [false, true] {
                let message = read(encoded(encoding, TEXT.as_bytes()), "application/json", takes_forms).unwrap_err();
                assert!(message.contains(&format!("content-encoding: {}", encoding.token())), "{message}");
            }
        }
    }

    #[test]
    fn a_form_is_named_unless_it_is_expected() {
        let (multipart, urlencoded) =
            ("multipart/form-data; boundary=b", "Application/X-WWW-Form-Urlencoded; charset=utf-8");
        for (content_type, body) in [(multipart, "--b\r\n"), (urlencoded, "model=gpt-5.5"), (urlencoded, "true=1")] {
            assert!(read(body, content_type, false).unwrap_err().contains("form"), "{body}");
        }
        assert!(read("--b\r\n", multipart, true).is_ok());
        assert!(read("model=x", urlencoded, true).unwrap_err().contains("form"));
    }
}
