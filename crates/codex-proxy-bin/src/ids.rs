//! Random ids for requests and replies.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use codex_translate::{Dialect, ReplyId};
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

/// Returns the id and time of a reply in `dialect`.
pub(crate) fn reply(dialect: &Dialect, now: SystemTime) -> ReplyId {
    ReplyId { id: format!("{}{}", dialect.id_prefix, random_hex()), created: unix_millis(now) / 1000 }
}

/// Returns the milliseconds from 1970 to `at`.
pub(crate) fn unix_millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns 128 random bits in hexadecimal. Many are drawn at once, since one system call costs as much for many as for
/// one.
fn random_hex() -> String {
    const MANY: usize = 64;
    thread_local! {
        static DRAWN: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.is_empty() {
            drawn.resize(MANY, [0; 16]);
            if getrandom::fill(drawn.as_flattened_mut()).is_err() {
                // Without a source of randomness the seed of a hash map tells requests apart; these ids are not
                // secrets.
                drawn.truncate(1);
                drawn[0][..8].copy_from_slice(&RandomState::new().build_hasher().finish().to_be_bytes());
            }
        }
        format!("{:032x}", u128::from_be_bytes(drawn.pop().unwrap_or_default()))
    })
}

/// Returns bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
