//! Reading a request's body: bounded in size and time, and decoded.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use codex_translate::{Error, ErrorKind};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

use crate::decode::{Encoding, too_large};

/// The largest request body, before and after decoding, unless the settings say otherwise.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// How long a body may take, beside what its size takes at the slowest speed that is waited for.
pub const BODY_GRACE: Duration = Duration::from_secs(30);

/// A body that comes more slowly is given up.
const SLOWEST_BYTES_PER_SEC: usize = 16 * 1024;

/// How long a body that is too large is read on and thrown away, so that its sender gets to see the reply.
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// The most that is thrown away for the same reason.
const DISCARD_BYTES: usize = 4 * MAX_BODY_BYTES;

/// A body whose size is announced is given this much room at most before any of it has come.
const ROOM_BYTES: u64 = 1024 * 1024;

/// Reads a request body, at most `limit_bytes` of it, and undoes its `content-encoding`. `grace` is the time that a body has
/// beside what its size takes.
///
/// # Errors
/// The body is too large (413) or too slow (408), broke off, or is encoded in a way that is not understood (400).
pub async fn read(
    headers: &HeaderMap,
    mut body: Incoming,
    limit_bytes: usize,
    grace: Duration,
) -> Result<Bytes, Error> {
    let encoding = Encoding::of(headers)?;
    // A body without an end is caught below; one that announces its size need not be read to be refused.
    if body.size_hint().lower() > limit_bytes as u64 {
        discard(body).await;
        return Err(too_large(limit_bytes));
    }
    let graced = Instant::now() + grace;
    let mut read = BytesMut::with_capacity(usize::try_from(body.size_hint().lower().min(ROOM_BYTES)).unwrap_or(0));
    while let Some(frame) = timeout_at(deadline(graced, read.len()), body.frame()).await.map_err(|_| too_slow())? {
        let frame = frame.map_err(|error| broken_off(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > limit_bytes {
            discard(body).await;
            return Err(too_large(limit_bytes));
        }
        if read.len() + data.len() > read.capacity() && read.len() as u64 >= ROOM_BYTES {
            // It is coming: what was announced gets its room at once, and is not copied again and again.
            let announced = usize::try_from(body.size_hint().lower()).unwrap_or(0).min(limit_bytes);
            read.reserve(data.len() + announced);
        }
        read.extend_from_slice(&data);
    }
    match encoding {
        None => Ok(read.freeze()),
        Some(encoding) => decode(encoding, read.freeze(), limit_bytes).await,
    }
}

/// When a body of which `read` bytes have come must have brought its next piece; with none, it is `graced`.
fn deadline(graced: Instant, read: usize) -> Instant {
    graced + Duration::from_secs((read / SLOWEST_BYTES_PER_SEC) as u64)
}

/// A small body can become a large one, which takes a while: no other request is to wait for it.
async fn decode(encoding: Encoding, body: Bytes, limit_bytes: usize) -> Result<Bytes, Error> {
    let decoding = tokio::task::spawn_blocking(move || encoding.decode(&body, limit_bytes)).await;
    decoding.unwrap_or_else(|error| Err(Error::new(ErrorKind::Internal, format!("cannot decode the body: {error}"))))
}

/// Reads on for a while and keeps nothing. Closing at once would reset the connection, and the sender, still writing, would
/// see the reset instead of the reply.
async fn discard(mut body: Incoming) {
    let drain = async {
        let mut dropped = 0;
        while let Some(Ok(frame)) = body.frame().await {
            dropped += frame.data_ref().map_or(0, Bytes::len);
            if dropped > DISCARD_BYTES {
                break;
            }
        }
    };
    // Whether the time or the body ended first does not matter: the reply follows either way.
    let _ = tokio::time::timeout(DISCARD_TIME, drain).await;
}

fn too_slow() -> Error {
    Error::new(ErrorKind::SlowRequest, "the request body came too slowly; send it again, faster")
}

fn broken_off(error: &hyper::Error) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("the request body broke off: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_comes_has_time() {
        let graced = Instant::now();
        assert_eq!(deadline(graced, 0), graced);
        assert_eq!(deadline(graced, MAX_BODY_BYTES), graced + Duration::from_secs(4096));
    }
}
