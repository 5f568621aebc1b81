//! What to do about a reply, decided from its head and the start of its body alone.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use crate::failure::{Failure, is_html};

/// What a reply asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Read the body.
    Ok,
    /// Send the same request again after a while, if the client has seen nothing yet.
    Retry {
        /// The least to wait, if the backend said so.
        after: Option<Duration>,
    },
    /// Refresh the access token and send the request once more.
    Reauth,
    /// A quota is used up: tell the client when it resets, and do not retry.
    Limit,
    /// Cloudflare stands in the way: forget the cookies and try once more, as
    /// [`send_with_retry`](crate::send_with_retry) does; the account is not to blame.
    Challenge,
    /// The same request will fail again.
    Fail,
}

/// Judges a reply.
///
/// `body_prefix` is as much of the body as is at hand. It may be empty for a success, whose body is then taken on
/// trust; for anything else it should be the whole body, or its first 64 KiB.
#[must_use]
pub fn verdict(status: StatusCode, headers: &HeaderMap, body_prefix: &[u8], now: SystemTime) -> Verdict {
    if status.is_success() && !is_html(headers, body_prefix) {
        Verdict::Ok
    } else {
        Failure::parse(status, headers, body_prefix, now).verdict()
    }
}
