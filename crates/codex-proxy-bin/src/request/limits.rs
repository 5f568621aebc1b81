//! The limits: those that users can set, and fixed ones.

use std::time::Duration;

use codex_translate::{Error, ErrorKind};
use http::HeaderMap;

/// The maximum size of a request body, before and after decoding, unless the settings override it.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// How long a body may take in addition to the time that its size takes at the slowest accepted speed.
pub(crate) const BODY_GRACE: Duration = Duration::from_secs(30);

/// The limits that a user can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum size of a request body in bytes, before and after decoding.
    pub body_bytes: usize,
    /// The maximum number of requests that run at the same time.
    pub turns: usize,
    /// The maximum number of requests that wait for a slot.
    pub queue: usize,
    /// The maximum number of open connections.
    pub connections: usize,
    /// How long things may take. Only tests change these.
    pub timeouts: Timeouts,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To receive a request's head, from its first byte.
    pub head: Duration,
    /// To receive a request's body, in addition to the time that its size takes.
    pub body: Duration,
    /// Without any activity on a connection; longer than clients keep theirs open, so they close first.
    pub idle: Duration,
    /// Without the client reading, while bytes are ready for it.
    pub stall: Duration,
    /// Without the client reading one stream, while it reads others.
    pub stream_stall: Duration,
    /// In the queue.
    pub queue: Duration,
    /// Without a turn on a WebSocket.
    pub socket_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: MAX_BODY_BYTES,
            turns: 10_000,
            queue: 1024,
            connections: 20_000,
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            head: Duration::from_secs(30),
            body: BODY_GRACE,
            idle: Duration::from_secs(120),
            stall: Duration::from_secs(60),
            stream_stall: Duration::from_secs(600),
            queue: Duration::from_secs(30),
            socket_idle: Duration::from_secs(30 * 60),
        }
    }
}

/// When to retry after the proxy was full.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The maximum size of a request's head: the target, and the names and values of the headers.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The maximum number of headers.
pub const MAX_HEADERS: usize = 128;

/// Checks that a request's head is small enough.
///
/// # Errors
/// It is not; the caller gets 431.
pub(crate) fn check_head(target: &http::Uri, headers: &HeaderMap) -> Result<(), Error> {
    let target = target.path_and_query().map_or(0, |target| target.as_str().len());
    let bytes = headers.iter().fold(target, |sum, (name, value)| sum + name.as_str().len() + value.len());
    if bytes <= MAX_HEAD_BYTES && headers.len() <= MAX_HEADERS {
        return Ok(());
    }
    let message = format!(
        "the request head is too large: {} headers, {bytes} bytes (at most {MAX_HEADERS} headers, {MAX_HEAD_BYTES} bytes)",
        headers.len()
    );
    Err(Error::new(ErrorKind::HeadTooLarge, message))
}

/// Returns the error for one request, or one connection, too many.
pub(crate) fn full(what: &str) -> Error {
    Error::new(ErrorKind::Overloaded, format!("codex-proxy is overloaded: {what}; try again later"))
        .with_code("proxy_overloaded")
        .with_retry_after(RETRY_AFTER)
}
