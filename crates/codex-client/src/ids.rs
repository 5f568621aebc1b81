//! Random ids, and the time in them.

use std::cell::RefCell;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::{SystemTime, UNIX_EPOCH};

use codex_translate::{Dialect, ReplyId};

/// Makes the id of a reply in `dialect` that is created at `now`.
pub fn reply_id(dialect: &Dialect, now: SystemTime) -> ReplyId {
    ReplyId { id: format!("{}{}", dialect.id_prefix, random_hex()), created: unix_millis(now) / 1000 }
}

/// Returns 128 random bits in hexadecimal, for ids that are not secrets. Many are drawn at once, since one system call
/// costs as much for many as for one.
pub fn random_hex() -> String {
    const MANY: usize = 64;
    thread_local! {
        static DRAWN: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
    }
    DRAWN.with_borrow_mut(|drawn| {
        if drawn.is_empty() {
            drawn.resize(MANY, [0; 16]);
            if getrandom::fill(drawn.as_flattened_mut()).is_err() {
                // Without a source of randomness the seed of a hash map tells requests apart.
                drawn.truncate(1);
                drawn[0][..8].copy_from_slice(&RandomState::new().build_hasher().finish().to_be_bytes());
            }
        }
        format!("{:032x}", u128::from_be_bytes(drawn.pop().unwrap_or_default()))
    })
}

/// Returns the milliseconds from 1970 to `at`.
pub(crate) fn unix_millis(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
