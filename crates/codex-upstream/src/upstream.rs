//! The interface between the code that talks to the backend and the connections that carry its requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use codex_translate::Chunk;
use futures_core::Stream;
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, Response, StatusCode};

use crate::error::UpstreamError;
use crate::socket::WebSocket;

/// The body of a reply, in the chunks in which it arrived: bytes over HTTP, messages over a WebSocket.
///
/// Dropping it cancels the request at the backend. An item that is an error ends the stream.
pub type ChunkStream = Pin<Box<dyn Stream<Item = Result<Chunk<Bytes>, UpstreamError>> + Send>>;

/// Sends requests and returns replies as soon as their heads have arrived.
///
/// # Example
/// An upstream that counts requests:
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use bytes::Bytes;
/// use codex_upstream::{ChunkStream, Upgrade, Upstream, UpstreamError};
/// use http::{Request, Response};
///
/// struct Counting<U> {
///     upstream: U,
///     count: AtomicUsize,
/// }
///
/// impl<U: Upstream> Upstream for Counting<U> {
///     async fn send(&self, request: Request<Bytes>) -> Result<Response<ChunkStream>, UpstreamError> {
///         self.count.fetch_add(1, Ordering::Relaxed);
///         self.upstream.send(request).await
///     }
///
///     // The default has no WebSockets.
///     async fn connect(&self, request: Request<()>) -> Result<Upgrade, UpstreamError> {
///         self.upstream.connect(request).await
///     }
///
///     fn forget_cookies(&self) {
///         self.upstream.forget_cookies();
///     }
/// }
/// ```
pub trait Upstream: Send + Sync + 'static {
    /// Sends one request, once, without following redirects or retrying failures.
    ///
    /// Dropping the returned future cancels the request.
    ///
    /// # Errors
    /// [`UpstreamError`] if no reply head arrived. The caller may send the same request again if
    /// [`UpstreamError::before_dispatch`] returns true, and must otherwise assume that the backend has seen it.
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<ChunkStream>, UpstreamError>> + Send;

    /// Opens a WebSocket on a new connection; `request` is a GET with the caller's headers, to which those of the
    /// handshake are added (RFC 6455 section 4.1).
    ///
    /// The default refuses as a backend without WebSockets does, with 426.
    ///
    /// # Errors
    /// As [`send`](Self::send). Whatever the error, no turn has been sent.
    fn connect(&self, request: Request<()>) -> impl Future<Output = Result<Upgrade, UpstreamError>> + Send {
        drop(request);
        std::future::ready(Ok(Upgrade::unavailable()))
    }

    /// Deletes all cookies: after a challenge, a bad one can lock a client out permanently (`docs/backend.md §7`).
    ///
    /// The default does nothing, for upstreams without cookies.
    fn forget_cookies(&self) {}
}

impl<U: Upstream> Upstream for Arc<U> {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<ChunkStream>, UpstreamError>> + Send {
        U::send(self, request)
    }

    fn connect(&self, request: Request<()>) -> impl Future<Output = Result<Upgrade, UpstreamError>> + Send {
        U::connect(self, request)
    }

    fn forget_cookies(&self) {
        U::forget_cookies(self);
    }
}

/// The backend's answer to a request for a WebSocket.
pub enum Upgrade {
    /// The WebSocket is open.
    Opened {
        /// The headers of the answer, without those of the handshake.
        headers: HeaderMap,
        /// The connection.
        socket: Pin<Box<dyn WebSocket>>,
    },
    /// The backend answered with an HTTP reply instead.
    Refused(Response<ChunkStream>),
}

impl Upgrade {
    /// Returns the answer of a backend that has no WebSockets.
    #[must_use]
    pub fn unavailable() -> Self {
        let mut response = Response::new(Box::pin(futures_util::stream::empty()) as ChunkStream);
        *response.status_mut() = StatusCode::UPGRADE_REQUIRED;
        Self::Refused(response)
    }
}

impl std::fmt::Debug for Upgrade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Opened { .. } => f.debug_struct("Opened").finish_non_exhaustive(),
            Self::Refused(response) => f.debug_tuple("Refused").field(&response.status()).finish(),
        }
    }
}

/// Collects a body that is known to be small.
///
/// ```
/// use bytes::Bytes;
/// use codex_upstream::{ScriptedUpstream, Upstream as _, read_to_end};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), codex_upstream::UpstreamError> {
/// let upstream = ScriptedUpstream::new().reply(200, "hello");
/// let reply = upstream.send(http::Request::new(Bytes::new())).await?;
/// assert_eq!(read_to_end(reply.into_body(), 1024).await?, "hello");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`UpstreamError::TooLarge`] as soon as more than `limit_bytes` have arrived, or the error of the stream. The data
/// read so far is dropped in both cases.
pub async fn read_to_end(mut body: ChunkStream, limit_bytes: usize) -> Result<Bytes, UpstreamError> {
    let mut collected = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let bytes = chunk?.into_inner();
        if collected.len() + bytes.len() > limit_bytes {
            return Err(UpstreamError::TooLarge { limit_bytes });
        }
        collected.extend_from_slice(&bytes);
    }
    Ok(collected.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(pieces: &[&'static str]) -> ChunkStream {
        let items: Vec<_> = pieces.iter().map(|piece| Ok(Chunk::Bytes(Bytes::from_static(piece.as_bytes())))).collect();
        Box::pin(futures_util::stream::iter(items))
    }

    #[tokio::test]
    async fn read_to_end_counts_bytes_across_pieces() {
        assert_eq!(read_to_end(body(&["ab", "", "cd"]), 4).await.unwrap(), "abcd");
        assert_eq!(
            read_to_end(body(&["ab", "cd", "e"]), 4).await.unwrap_err(),
            UpstreamError::TooLarge { limit_bytes: 4 }
        );
    }
}
