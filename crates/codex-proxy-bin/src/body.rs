//! Reading a request's body: bounded, and decoded.

use std::io::Read;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use codex_translate::{Error, ErrorKind};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

/// The largest request body, before and after decoding.
pub const MAX_BODY_BYTES: usize = 64 * 1024 * 1024;

/// How long a body that is too large is read on and thrown away, so that its sender gets to see the reply.
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// The most that is thrown away for the same reason.
const DISCARD_BYTES: usize = 4 * MAX_BODY_BYTES;

/// Reads a request body, at most `limit_bytes` of it, and undoes its `content-encoding`.
///
/// # Errors
/// The body is too large (413), broke off, or is encoded in a way that is not understood (400).
pub async fn read(headers: &HeaderMap, mut body: Incoming, limit_bytes: usize) -> Result<Bytes, Error> {
    // A body without an end is caught below; one that announces its size need not be read to be refused.
    if body.size_hint().lower() > limit_bytes as u64 {
        discard(body).await;
        return Err(too_large(limit_bytes));
    }
    let mut read = BytesMut::with_capacity(usize::try_from(body.size_hint().lower()).unwrap_or(0));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken_off(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if read.len() + data.len() > limit_bytes {
            discard(body).await;
            return Err(too_large(limit_bytes));
        }
        read.extend_from_slice(&data);
    }
    decode(headers, read.freeze(), limit_bytes)
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

/// The Codex CLI compresses its bodies with zstd (wire.md §2.3).
fn decode(headers: &HeaderMap, body: Bytes, limit_bytes: usize) -> Result<Bytes, Error> {
    let encoding = headers.get(CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?")).trim();
    match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(body),
        "zstd" => {
            let bad = |error: std::io::Error| {
                Error::new(ErrorKind::InvalidRequest, format!("the request body is not valid zstd: {error}"))
            };
            let decoder = zstd::Decoder::new(&body[..]).map_err(bad)?;
            let mut decoded = Vec::new();
            decoder.take(limit_bytes as u64 + 1).read_to_end(&mut decoded).map_err(bad)?;
            if decoded.len() > limit_bytes { Err(too_large(limit_bytes)) } else { Ok(decoded.into()) }
        }
        other => Err(Error::new(
            ErrorKind::InvalidRequest,
            format!("content-encoding `{other}` is not supported; send the body plain or as zstd"),
        )),
    }
}

fn too_large(limit_bytes: usize) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("the request body is larger than {} MiB; send less, for example smaller images", limit_bytes >> 20),
    )
}

fn broken_off(error: &hyper::Error) -> Error {
    Error::new(ErrorKind::InvalidRequest, format!("the request body broke off: {error}"))
}
