//! Reads a request's body: bounded in size and time, and decoded.

use std::error::Error as StdError;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use codex_translate::{Error, ErrorKind};
use http::HeaderMap;
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError};
use tokio::time::{Instant, timeout_at};

use crate::request::budget::{BodyMemoryBudget, BudgetPermit, SMALL_BYTES};
use crate::request::decode::{Encoding, too_large};
use crate::request::limits::{Limits, MAX_BODY_BYTES};

/// A body that arrives more slowly is abandoned.
const SLOWEST_BYTES_PER_SEC: usize = 16 * 1024;

/// How long to wait for the rest of a body that is too large and is discarded, so its sender gets to read the reply. A
/// rest that keeps arriving has more time, as any body has.
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// How much to read and discard for the same reason.
const DISCARD_BYTES: usize = 4 * MAX_BODY_BYTES;

/// The error of a body that somebody else made.
type BoxError = Box<dyn StdError + Send + Sync>;

/// A request's body.
pub(crate) struct ReceivedBody {
    pub(crate) bytes: Bytes,
    /// The memory reserved for a large body, to be held until the request is sent.
    pub(crate) permit: Option<BudgetPermit>,
}

impl ReceivedBody {
    /// Returns the memory that the body did not need.
    fn sized(mut self) -> Self {
        if let Some(permit) = &mut self.permit {
            permit.shrink_to(self.bytes.len());
        }
        self
    }
}

/// Reads a request body and undoes its `content-encoding`. Before it grows large, it waits for its share of `budget`.
///
/// # Errors
/// The body is too large (413) or too slow (408), was cut off or has an unsupported encoding (400), or there was no
/// memory for it (503).
pub(crate) async fn read<B: Body<Error: Into<BoxError>>>(
    headers: &HeaderMap,
    body: B,
    limits: &Limits,
    budget: &BodyMemoryBudget,
) -> Result<ReceivedBody, Error> {
    let body = pin!(body);
    let encoding = Encoding::from_headers(headers)?;
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    // A body of unknown length is checked below; one that announces its size can be rejected unread.
    if announced > limits.body_bytes {
        discard(body).await;
        return Err(too_large(limits.body_bytes));
    }
    let most_bytes = if encoding.is_none() && announced > 0 { announced } else { limits.body_bytes };
    let received = gather(body, announced, most_bytes, limits, budget).await?;
    match encoding {
        None => Ok(received.sized()),
        Some(encoding) => decode(received, encoding, limits, budget).await,
    }
}

/// Reads a body of `announced` bytes, if that is known, and of at most `most_bytes`.
async fn gather<B: Body<Error: Into<BoxError>>>(
    mut body: Pin<&mut B>,
    announced: usize,
    most_bytes: usize,
    limits: &Limits,
    budget: &BodyMemoryBudget,
) -> Result<ReceivedBody, Error> {
    let mut permit = None;
    let mut graced = Instant::now() + limits.timeouts.body;
    let mut read = BytesMut::with_capacity(announced.min(SMALL_BYTES));
    while let Some(data) = next_data(body.as_mut(), deadline(graced, read.len())).await? {
        let len = data.remaining();
        if read.len() + len > limits.body_bytes {
            discard(body).await;
            return Err(too_large(limits.body_bytes));
        }
        if permit.is_none() && read.len() + len > SMALL_BYTES {
            let waiting = Instant::now();
            match budget.acquire(most_bytes, limits.timeouts.queue).await {
                Ok(taken) => permit = Some(taken),
                Err(full) => {
                    discard(body).await;
                    return Err(full);
                }
            }
            graced += waiting.elapsed();
            // Reserves what was announced at once, so the buffer is not copied again and again.
            read.reserve(announced.saturating_sub(read.len()).max(len));
        }
        // Without room of its own, the buffer would take over that of the data, which may be much larger.
        read.reserve(len);
        read.put(data);
    }
    Ok(ReceivedBody { bytes: read.freeze(), permit })
}

/// Returns the next piece of a body, if it arrives by `deadline`; `None` at the end.
async fn next_data<B: Body<Error: Into<BoxError>>>(
    mut body: Pin<&mut B>,
    deadline: Instant,
) -> Result<Option<B::Data>, Error> {
    loop {
        let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(|_| too_slow())? else { return Ok(None) };
        // Trailers are of no use here.
        if let Ok(data) = frame.map_err(|error| broken_off(&*error.into()))?.into_data() {
            return Ok(Some(data));
        }
    }
}

/// Decodes a body, which may become a large one.
async fn decode(
    ReceivedBody { bytes, mut permit }: ReceivedBody,
    encoding: Encoding,
    limits: &Limits,
    budget: &BodyMemoryBudget,
) -> Result<ReceivedBody, Error> {
    if permit.is_none() {
        // Most bodies stay small.
        match unpacked(encoding, bytes.clone(), limits.body_bytes.min(SMALL_BYTES)).await {
            Err(error) if error.kind() == ErrorKind::TooLarge && limits.body_bytes > SMALL_BYTES => {}
            decoded => return Ok(ReceivedBody { bytes: decoded?, permit }),
        }
        permit = Some(budget.acquire(limits.body_bytes, limits.timeouts.queue).await?);
    }
    let bytes = unpacked(encoding, bytes, limits.body_bytes).await?;
    Ok(ReceivedBody { bytes, permit }.sized())
}

/// Decodes a body on another thread: that takes a while, and must not block other requests.
async fn unpacked(encoding: Encoding, body: Bytes, limit_bytes: usize) -> Result<Bytes, Error> {
    let decoding = tokio::task::spawn_blocking(move || encoding.decode(&body, limit_bytes)).await;
    decoding.unwrap_or_else(|error| Err(Error::new(ErrorKind::Internal, format!("cannot decode the body: {error}"))))
}

/// Returns when the next piece of a body must have arrived after `read` bytes; the first one, at `graced`.
fn deadline(graced: Instant, read: usize) -> Instant {
    graced + Duration::from_secs((read / SLOWEST_BYTES_PER_SEC) as u64)
}

/// Reads on for a while and discards what arrives. Closing at once would reset the connection, and the sender, still
/// writing, would see the reset instead of the reply.
async fn discard<B: Body>(mut body: Pin<&mut B>) {
    let graced = Instant::now() + DISCARD_TIME;
    let mut dropped = 0;
    // Whether the time or the body ends first does not matter: the reply follows either way.
    while dropped <= DISCARD_BYTES
        && let Ok(Some(Ok(frame))) = timeout_at(deadline(graced, dropped), body.frame()).await
    {
        dropped += frame.data_ref().map_or(0, Buf::remaining);
    }
}

fn too_slow() -> Error {
    Error::new(ErrorKind::SlowRequest, "timed out reading the request body; send it again")
}

/// Returns the error for a body that ended before its time: its sender was cut off, or a layer of the server around the
/// app has a limit of its own.
fn broken_off(error: &(dyn StdError + 'static)) -> Error {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    if causes.any(<dyn StdError>::is::<LengthLimitError>) {
        let message = "the request body is larger than this server accepts; send less, such as smaller images";
        return Error::new(ErrorKind::TooLarge, message);
    }
    Error::new(ErrorKind::InvalidRequest, format!("cannot read the request body: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_keeps_arriving_has_time() {
        let graced = Instant::now();
        let after = |secs: usize| graced + Duration::from_secs(secs as u64);
        // A body at twice the slowest speed is in time, one at half of it is not.
        for secs in [1, 60, 2048] {
            assert!(deadline(graced, 32 * 1024 * secs) > after(secs), "{secs}");
            assert!(deadline(graced, 8 * 1024 * secs) < after(secs), "{secs}");
        }
    }
}
