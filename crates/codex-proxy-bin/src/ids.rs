//! Random ids of requests.

use std::fmt::Write as _;

use codex_client::ids::random_hex;
use http::{HeaderMap, HeaderValue};

/// The longest request id that is accepted from a client.
const MAX_REQUEST_ID_BYTES: usize = 128;

/// Returns the id of a request: the client's `x-request-id` if it is valid in a header and a log line, else a random
/// one.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    headers
        .get("x-request-id")
        .filter(|id| {
            id.len() <= MAX_REQUEST_ID_BYTES && !id.is_empty() && id.as_bytes().iter().all(u8::is_ascii_graphic)
        })
        .cloned()
        .or_else(|| HeaderValue::from_str(&format!("req_{}", random_hex())).ok())
        .unwrap_or_else(|| HeaderValue::from_static("req_0"))
}

/// Returns bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
