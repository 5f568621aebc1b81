//! What the caller should do after a reply.

use std::time::Duration;

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
