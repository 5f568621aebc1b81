//! Compressed replies: `zstd` or `gzip`, as the request accepts them.

use std::io::{self, Write};

use async_stream::try_stream;
use bytes::Bytes;
use flate2::write::GzEncoder;
use futures_core::Stream;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;

use crate::exchange::reply::{self, Body};

/// Marks a response, as an extension, that is to be compressed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compressed;

/// A content coding, in the order of the official client's `accept-encoding`.
#[derive(Debug, Clone, Copy)]
enum Coding {
    Zstd,
    Gzip,
}

/// Returns the response in the first coding that `request` accepts, or as it is if it accepts none or the response has
/// no body. Each frame of the body can be decompressed once it has arrived.
pub(crate) fn compress(response: Response<Body>, request: &HeaderMap) -> Response<Body> {
    let Some(coding) = accepted(request) else {
        return response;
    };
    if response.body().is_end_stream() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    Response::from_parts(parts, reply::stream(encoded(body, coding)).into_body())
}

/// Returns the first coding of `accept-encoding` that is known and not refused by `q=0`.
fn accepted(request: &HeaderMap) -> Option<Coding> {
    let values = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).find_map(|member| {
        let (name, weight) = member.split_once(';').unwrap_or((member, ""));
        let refused = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>() == Ok(0.0));
        match name.trim().to_ascii_lowercase().as_str() {
            "zstd" if !refused => Some(Coding::Zstd),
            "gzip" if !refused => Some(Coding::Gzip),
            _ => None,
        }
    })
}

fn encoded(mut body: Body, coding: Coding) -> impl Stream<Item = io::Result<Bytes>> + Send {
    try_stream! {
        let mut encoder = Encoder::new(coding)?;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                yield encoder.push(&data)?;
            }
        }
        yield encoder.finish()?;
    }
}

impl Coding {
    fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }
}

enum Encoder {
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    Gzip(GzEncoder<Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Self> {
        Ok(match coding {
            Coding::Zstd => Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 0)?),
            Coding::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default())),
        })
    }

    /// Returns the bytes with which a reader can decompress `data`.
    fn push(&mut self, data: &[u8]) -> io::Result<Bytes> {
        let out = match self {
            Self::Zstd(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
            Self::Gzip(encoder) => {
                encoder.write_all(data)?;
                encoder.flush()?;
                std::mem::take(encoder.get_mut())
            }
        };
        Ok(out.into())
    }

    fn finish(self) -> io::Result<Bytes> {
        let out = match self {
            Self::Zstd(encoder) => encoder.finish()?,
            Self::Gzip(encoder) => encoder.finish()?,
        };
        Ok(out.into())
    }
}
