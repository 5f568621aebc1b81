//! The verdict on a reply, from its head and the start of its body alone.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use crate::failure::{Failure, is_html};

/// What the caller should do after a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// A success: read the body.
    Ok,
    /// A transient refusal: send the same request again after a delay, if the client has received nothing yet.
    Retry {
        /// The least delay, if the backend asks for one.
        after: Option<Duration>,
    },
    /// A rejected access token: refresh it and send the request once more.
    Reauth,
    /// An exhausted quota: tell the client when it resets, and do not retry.
    Limit,
    /// A block by Cloudflare: delete the cookies and retry once, as [`send_with_retry`](crate::send_with_retry) does.
    /// The account is not the cause.
    Challenge,
    /// The same request will fail again.
    Fail,
}

/// Returns the verdict on a reply.
///
/// `body_prefix` is the available part of the body. It may be empty for a success, whose body is then trusted; for any
/// other status it should be the whole body, or its first 64 KiB.
#[must_use]
pub fn verdict(status: StatusCode, headers: &HeaderMap, body_prefix: &[u8], now: SystemTime) -> Verdict {
    if status.is_success() && !is_html(headers, body_prefix) {
        Verdict::Ok
    } else {
        Failure::parse(status, headers, body_prefix, now).verdict()
    }
}
