//! Sending once more, where that can do no harm.

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

/// How much of an error body is read. The rest is dropped with the connection.
const ERROR_BODY_BYTES: usize = 64 * 1024;

/// How long an error body is waited for. Its status already says most of it.
const ERROR_BODY_TIME: Duration = Duration::from_secs(10);

/// How often and how long to wait before a request is sent again.
///
/// The defaults are the official client's (docs/backend.md §3.6).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// How many times a request is sent again at most.
    pub retries: u32,
    /// The first delay; each further one is twice as long.
    pub base: Duration,
    /// The most that one request may spend waiting, over all its retries.
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

    /// Says how long to wait before retry number `retry`, counted from 0, or `None` to give up.
    ///
    /// `jitter`, from 0 to 1, spreads the delay from 0.9 to 1.1 times its length. `after` is what the backend asked
    /// for: it is never undercut, and one that does not fit what is left of the budget ends the attempts. `waited` is
    /// what earlier retries of this request have spent.
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
    /// The backend refused; [`Failure::verdict`] says what to do.
    #[error("the backend refused: {}", failure.error.message())]
    Refused {
        /// Why.
        failure: Box<Failure>,
        /// The reply's headers, which carry the quota even then (docs/backend.md §3.5).
        headers: Box<HeaderMap>,
    },
}

impl SendError {
    /// Whether [`send_with_retry`] sends again after this, so that it returns the error only once it has done so as
    /// often as its policy allows.
    #[must_use]
    pub fn is_tried_again(&self) -> bool {
        again_after(self).is_some()
    }
}

/// Sends a request, again where it is proven not to have reached the backend or the backend asks for patience.
///
/// Sent again are connections that failed before dispatch and transient refusals (5xx, overload); after a challenge of
/// Cloudflare's the cookies are forgotten and the request is sent once more (docs/backend.md §7). Never sent again is a
/// 429, and nothing is once a reply has begun. The reply that is returned is a success whose body is whole, as
/// [`error_for_status`] leaves it.
///
/// # Errors
/// The last attempt's. The caller acts on [`Failure::verdict`]: on [`Verdict::Reauth`] it refreshes the token, builds
/// the request anew and calls this once more.
pub async fn send_with_retry(
    upstream: &impl Upstream,
    request: &Request<Bytes>,
    policy: &RetryPolicy,
    clock: &impl Timer,
) -> Result<Response<ChunkStream>, SendError> {
    let mut waited = Duration::ZERO;
    let mut retry = 0;
    let mut challenged = false;
    loop {
        let outcome = match upstream.send(request.clone()).await {
            Ok(reply) => error_for_status(reply, clock).await,
            Err(error) => Err(error.into()),
        };
        let error = match outcome {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        let Some(after) = again_after(&error) else {
            return Err(error);
        };
        let Some(delay) = policy.delay(retry, clock.jitter(), after, waited) else {
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
        clock.sleep(delay).await;
        waited += delay;
        retry += 1;
    }
}

/// Turns a reply that is not a success into the [`Failure`] it stands for, reading up to 64 KiB of its body for up to
/// ten seconds.
///
/// A success passes through with its body whole, unless it is a web page. What is not declared to be anything, as the
/// backend's own event streams are not (docs/backend.md §3.1), is told from one by its start: then this waits for that,
/// as long as the stream itself allows.
///
/// # Errors
/// [`SendError::Refused`]. A body that breaks off is judged by what arrived of it.
pub async fn error_for_status(
    reply: Response<ChunkStream>,
    clock: &impl Timer,
) -> Result<Response<ChunkStream>, SendError> {
    let (head, mut body) = reply.into_parts();
    if head.status.is_success() && !is_html(&head.headers, b"") {
        if head.headers.contains_key(CONTENT_TYPE) {
            return Ok(Response::from_parts(head, body));
        }
        let (start, rest) = peeked(body).await;
        body = rest;
        if !is_html(&head.headers, &start) {
            return Ok(Response::from_parts(head, body));
        }
    }
    let body = prefix(body, clock).await;
    let failure = Failure::parse(head.status, &head.headers, &body, clock.now());
    Err(SendError::Refused { failure: Box::new(failure), headers: Box::new(head.headers) })
}

/// Says whether to send again, and the least to wait.
fn again_after(error: &SendError) -> Option<Option<Duration>> {
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

/// Leaves the backend's own words out: they may quote the prompt.
fn log_retry(retry: u32, delay: Duration, error: &SendError) {
    match error {
        SendError::Transport(error) => tracing::debug!(retry, ?delay, %error, "sending again"),
        SendError::Refused { failure, .. } => {
            tracing::debug!(retry, ?delay, status = failure.status, kind = ?failure.error.kind(), "sending again");
        }
    }
}

/// Reads as far as the first byte that is not white space, and hands it out with the body, which is still whole.
async fn peeked(mut body: ChunkStream) -> (Bytes, ChunkStream) {
    let mut read = Vec::new();
    let mut start = BytesMut::new();
    while start.trim_ascii().is_empty() && start.len() < ERROR_BODY_BYTES {
        match body.next().await {
            Some(Ok(chunk)) => {
                start.extend_from_slice(chunk.as_ref());
                read.push(Ok(chunk));
            }
            // After an error, as after the end, nothing more is asked of a stream.
            last => {
                read.extend(last);
                return (start.freeze(), Box::pin(stream::iter(read)));
            }
        }
    }
    (start.freeze(), Box::pin(stream::iter(read).chain(body)))
}

/// Collects an error body as far as it is of use.
async fn prefix(mut body: ChunkStream, clock: &impl Timer) -> Bytes {
    let mut collected = BytesMut::new();
    let mut deadline = pin!(clock.sleep(ERROR_BODY_TIME));
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
