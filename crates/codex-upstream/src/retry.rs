//! Retries, where they can do no harm.

use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use futures_util::{StreamExt as _, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request, Response};

use crate::error::UpstreamError;
use crate::failure::{Failure, is_html};
use crate::timer::Timer;
use crate::upstream::{ChunkStream, Upstream};
use crate::verdict::Verdict;

/// How much of an error body is read. The rest is discarded with the connection.
const ERROR_BODY_BYTES: usize = 64 * 1024;

/// The time limit for reading an error body. The status already says most of it.
const ERROR_BODY_TIME: Duration = Duration::from_secs(10);

/// How often a request is sent again, and the delays between.
///
/// The defaults are the official client's (`docs/backend.md §3.6`).
///
/// ```
/// use std::time::Duration;
///
/// use codex_upstream::RetryPolicy;
///
/// let policy = RetryPolicy { retries: 1, base: Duration::from_secs(1), budget: Duration::from_secs(5) };
/// let (now, middle) = (Duration::ZERO, 0.5);
/// assert_eq!(policy.delay(0, middle, None, now), Some(Duration::from_secs(1)));
/// assert_eq!(policy.delay(0, middle, Some(Duration::from_secs(60)), now), None); // more than the budget
/// assert_eq!(policy.delay(1, middle, None, Duration::from_secs(1)), None); // the last retry was the only one
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// The maximum number of retries of one request.
    pub retries: u32,
    /// The first delay; each further one is twice as long.
    pub base: Duration,
    /// The longest total delay of one request, over all its retries.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 4, base: Duration::from_millis(200), budget: Duration::from_secs(20) }
    }
}

impl RetryPolicy {
    /// Sends nothing again.
    pub const NEVER: Self = Self { retries: 0, base: Duration::ZERO, budget: Duration::ZERO };

    /// Returns the delay before retry number `retry`, counted from 0, or `None` to give up.
    ///
    /// `jitter`, from 0 to 1, spreads the delay from 0.9 to 1.1 times its length. `after` is the delay that the backend
    /// asked for: the result is never shorter, and if it exceeds the rest of the budget, there are no more retries.
    /// `waited` is the total delay of earlier retries of this request.
    #[must_use]
    pub fn delay(&self, retry: u32, jitter: f64, after: Option<Duration>, waited: Duration) -> Option<Duration> {
        if retry >= self.retries {
            return None;
        }
        let doubled = self.base.saturating_mul(2u32.saturating_pow(retry));
        let spread = 0.9 + 0.2 * jitter.clamp(0.0, 1.0);
        let delay = Duration::try_from_secs_f64(doubled.as_secs_f64() * spread).unwrap_or(Duration::MAX);
        let delay = delay.max(after.unwrap_or_default());
        (waited.saturating_add(delay) <= self.budget).then_some(delay)
    }
}

/// A request that brought no usable reply.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// No reply arrived.
    #[error(transparent)]
    Transport(#[from] UpstreamError),
    /// The backend refused the request; [`Failure::verdict`] says what to do.
    #[error("the backend refused: {}", failure.error.message())]
    Refused {
        /// Why.
        failure: Box<Failure>,
        /// The reply's headers, which contain the quota (`docs/backend.md §3.5`).
        headers: Box<HeaderMap>,
    },
}

impl SendError {
    /// Returns whether [`send_with_retry`] retries after this error, and so returns it only when its policy allows no
    /// more retries.
    #[must_use]
    pub fn is_retried(&self) -> bool {
        retry_after(self).is_some()
    }
}

/// Sends a request, and retries if it provably did not reach the backend or the backend asks for a retry.
///
/// Connections that failed before dispatch and transient refusals (5xx, overload) are retried. After a Cloudflare
/// challenge, the cookies are deleted and the request is sent once more (`docs/backend.md §7`). A 429 is never retried,
/// and neither is anything after a reply has begun. The returned reply is a success with an unread body, as from
/// [`error_for_status`].
///
/// ```
/// use std::time::Duration;
///
/// use bytes::Bytes;
/// use codex_upstream::{RetryPolicy, ScriptedUpstream, TokioTimer, send_with_retry};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_upstream::SendError> {
/// let upstream = ScriptedUpstream::new().reply(503, "").reply(200, "data: {}\n\n");
/// let policy = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
/// let request = http::Request::new(Bytes::from_static(b"{}"));
/// let reply = send_with_retry(&upstream, &request, &policy, &TokioTimer).await?;
/// assert_eq!((reply.status().as_u16(), upstream.requests().len()), (200, 2));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The error of the last attempt. The caller acts on [`Failure::verdict`]: on [`Verdict::Reauth`] it refreshes the
/// token, builds the request again and calls this once more.
pub async fn send_with_retry(
    upstream: &impl Upstream,
    request: &Request<Bytes>,
    policy: &RetryPolicy,
    timer: &impl Timer,
) -> Result<Response<ChunkStream>, SendError> {
    let mut waited = Duration::ZERO;
    let mut retry = 0;
    let mut challenged = false;
    loop {
        let outcome = match upstream.send(request.clone()).await {
            Ok(reply) => error_for_status(reply, timer).await,
            Err(error) => Err(error.into()),
        };
        let error = match outcome {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        let Some(after) = retry_after(&error) else {
            return Err(error);
        };
        let Some(delay) = policy.delay(retry, timer.jitter(), after, waited) else {
            return Err(error);
        };
        if is_challenge(&error) {
            if challenged {
                return Err(error);
            }
            challenged = true;
            upstream.forget_cookies();
        }
        log_retry(retry + 1, delay, &error);
        timer.sleep(delay).await;
        waited += delay;
        retry += 1;
    }
}

/// Converts a reply that is not a success to its [`Failure`], after reading up to 64 KiB of its body for up to ten
/// seconds.
///
/// A success is returned with its whole body, unless it is a web page. If it has no content type, like the backend's
/// own event streams (`docs/backend.md §3.1`), the start of the body decides: this waits for it, for as long as the
/// stream's timeout allows.
///
/// ```
/// use bytes::Bytes;
/// use codex_upstream::{ScriptedUpstream, SendError, TokioTimer, Upstream as _, error_for_status};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_upstream::UpstreamError> {
/// let upstream = ScriptedUpstream::new().reply(401, r#"{"detail":"Unauthorized"}"#);
/// let reply = upstream.send(http::Request::new(Bytes::new())).await?;
/// let refused = error_for_status(reply, &TokioTimer).await.err();
/// assert!(matches!(refused, Some(SendError::Refused { failure, .. }) if failure.status == 401));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`SendError::Refused`]. A body that is cut off is judged by the part that arrived.
pub async fn error_for_status(
    reply: Response<ChunkStream>,
    timer: &impl Timer,
) -> Result<Response<ChunkStream>, SendError> {
    let (head, mut body) = reply.into_parts();
    if head.status.is_success() && !is_html(&head.headers, b"") {
        if head.headers.contains_key(CONTENT_TYPE) {
            return Ok(Response::from_parts(head, body));
        }
        let (start, rest) = peek(body).await;
        body = rest;
        if !is_html(&head.headers, &start) {
            return Ok(Response::from_parts(head, body));
        }
    }
    let body = read_prefix(body, timer).await;
    let failure = Failure::parse(head.status, &head.headers, &body, timer.now());
    Err(SendError::Refused { failure: Box::new(failure), headers: Box::new(head.headers) })
}

/// Returns the minimum delay before a retry, if any; `None` if there must be no retry.
fn retry_after(error: &SendError) -> Option<Option<Duration>> {
    match error {
        SendError::Transport(error) => (error.before_dispatch() && error.is_transient()).then_some(None),
        SendError::Refused { failure, .. } => match failure.verdict() {
            Verdict::Retry { after } => Some(after),
            Verdict::Challenge => Some(None),
            Verdict::Ok | Verdict::Reauth | Verdict::Limit | Verdict::Fail => None,
        },
    }
}

fn is_challenge(error: &SendError) -> bool {
    matches!(error, SendError::Refused { failure, .. } if failure.verdict() == Verdict::Challenge)
}

/// Logs a retry without the backend's message, which may quote the prompt.
fn log_retry(retry: u32, delay: Duration, error: &SendError) {
    match error {
        SendError::Transport(error) => tracing::debug!(retry, ?delay, %error, "retrying"),
        SendError::Refused { failure, .. } => {
            tracing::debug!(retry, ?delay, status = failure.status, kind = ?failure.error.kind(), "retrying");
        }
    }
}

/// Reads up to the first byte that is not white space, and returns the start with the still complete body.
async fn peek(mut body: ChunkStream) -> (Bytes, ChunkStream) {
    let mut read = Vec::new();
    let mut start = BytesMut::new();
    while start.trim_ascii().is_empty() && start.len() < ERROR_BODY_BYTES {
        match body.next().await {
            Some(Ok(chunk)) => {
                start.extend_from_slice(chunk.as_ref());
                read.push(Ok(chunk));
            }
            // A stream is not read after an error, as after its end.
            last => {
                read.extend(last);
                return (start.freeze(), Box::pin(stream::iter(read)));
            }
        }
    }
    (start.freeze(), Box::pin(stream::iter(read).chain(body)))
}

/// Reads the useful part of an error body.
async fn read_prefix(mut body: ChunkStream, timer: &impl Timer) -> Bytes {
    let mut collected = BytesMut::new();
    let mut deadline = pin!(timer.sleep(ERROR_BODY_TIME));
    while collected.len() < ERROR_BODY_BYTES {
        match select(body.next(), deadline.as_mut()).await {
            Either::Left((Some(Ok(chunk)), _)) => {
                let room = ERROR_BODY_BYTES - collected.len();
                collected.extend_from_slice(&chunk.as_ref()[..chunk.len().min(room)]);
            }
            Either::Left((Some(Err(_)) | None, _)) | Either::Right(_) => break,
        }
    }
    collected.freeze()
}
