//! How much of everything: what the settings bound, and what nobody needs to set.

use std::time::Duration;

use codex_translate::{Error, ErrorKind};
use http::HeaderMap;

/// The largest request body, before and after decoding, unless the settings say otherwise.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// How long a body may take, beside what its size takes at the slowest speed that is waited for.
pub const BODY_GRACE: Duration = Duration::from_secs(30);

/// The bounds that a user may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest request body in bytes, before and after decoding.
    pub body_bytes: usize,
    /// How many requests are answered at the same time.
    pub turns: usize,
    /// How many more wait for one of these to end.
    pub queue: usize,
    /// How many connections are open at the same time.
    pub connections: usize,
    /// How long things may take. Nobody needs to set these but tests.
    pub times: Times,
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// A request's head, from its first byte.
    pub head: Duration,
    /// A request's body, beside what its size takes.
    pub body: Duration,
    /// Nothing at all on a connection; longer than clients keep theirs, so that they close first.
    pub idle: Duration,
    /// A client that takes none of the bytes that are ready for it.
    pub stall: Duration,
    /// A client that takes none of one stream's bytes while it takes those of others.
    pub stream_stall: Duration,
    /// A request in the queue.
    pub queue: Duration,
    /// A WebSocket without a turn.
    pub socket_idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: MAX_BODY_BYTES, turns: 10_000, queue: 1024, connections: 20_000, times: Times::default() }
    }
}

impl Default for Times {
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

/// When to try again after the proxy was found full.
pub const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The longest head of a request: the target, and names and values of the headers.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// The most headers.
pub const MAX_HEADERS: usize = 128;

/// Whether a request's head is small enough.
///
/// # Errors
/// It is not, and the caller gets 431.
pub(crate) fn check_head(target: &http::Uri, headers: &HeaderMap) -> Result<(), Error> {
    let target = target.path_and_query().map_or(0, |target| target.as_str().len());
    let bytes = headers.iter().fold(target, |sum, (name, value)| sum + name.as_str().len() + value.len());
    if bytes <= MAX_HEAD_BYTES && headers.len() <= MAX_HEADERS {
        return Ok(());
    }
    let message = format!(
        "the request's head is too large: {} headers, {bytes} bytes; at most {MAX_HEADERS} and {MAX_HEAD_BYTES} are taken",
        headers.len()
    );
    Err(Error::new(ErrorKind::HeadTooLarge, message))
}

/// The error for one request, or one connection, too many.
pub(crate) fn full(what: &str) -> Error {
    Error::new(ErrorKind::Overloaded, format!("codex-proxy is full: {what}; try again later"))
        .with_code("proxy_overloaded")
        .with_retry_after(RETRY_AFTER)
}
