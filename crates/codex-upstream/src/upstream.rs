//! The seam between everything that talks to the backend and the one client that can.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use codex_translate::Chunk;
use futures_core::Stream;
use futures_util::StreamExt as _;

use crate::socket::Upgrade;

/// The body of a reply, in the chunks in which it arrived: bytes over HTTP, messages over a WebSocket.
///
/// Dropping it cancels the request at the backend. An item that is an error ends the stream.
pub type ChunkStream = Pin<Box<dyn Stream<Item = Result<Chunk<Bytes>, UpstreamError>> + Send>>;

/// Something that sends a request and hands back the reply as soon as its head is there.
pub trait Upstream: Send + Sync + 'static {
    /// Sends one request, once: no redirect is followed and no failure is retried.
    ///
    /// Dropping the returned future gives the request up.
    ///
    /// # Errors
    ///
    /// Fails when no reply head arrived. The caller may send the same request again if
    /// [`UpstreamError::before_dispatch`] says so, and must otherwise assume that the backend has seen it.
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<ChunkStream>, UpstreamError>> + Send;

    /// Asks the backend to make a WebSocket of a connection of its own; `request` is a GET with the caller's headers, to which
    /// those of the handshake are added (RFC 6455 section 4.1).
    ///
    /// An upstream without WebSockets refuses as a backend without them does, with 426.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). No request for a turn has been sent then, whatever the error.
    fn connect(&self, request: http::Request<()>) -> impl Future<Output = Result<Upgrade, UpstreamError>> + Send {
        drop(request);
        std::future::ready(Ok(Upgrade::unavailable()))
    }

    /// Forgets all cookies: after a challenge, a poisoned one can keep a client out for ever (docs/backend.md §7).
    ///
    /// Does nothing where none are kept.
    fn forget_cookies(&self) {}
}

impl<U: Upstream> Upstream for Arc<U> {
    fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> impl Future<Output = Result<http::Response<ChunkStream>, UpstreamError>> + Send {
        U::send(self, request)
    }

    fn connect(&self, request: http::Request<()>) -> impl Future<Output = Result<Upgrade, UpstreamError>> + Send {
        U::connect(self, request)
    }

    fn forget_cookies(&self) {
        U::forget_cookies(self);
    }
}

/// What the client was waiting for when it ran out of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// The connection: name lookup, TCP, proxy and TLS handshake.
    Connect,
    /// The head of the reply.
    Head,
    /// The next piece of the reply's body.
    Body,
}

/// A reply that did not arrive, or not completely.
///
/// Messages name the peer and the next step. They hold no credentials: neither the bearer nor a proxy's password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No connection to the backend; nothing was sent.
    #[error("cannot connect to {host}: {reason}; check the network and the proxy settings")]
    Connect {
        /// The backend's host.
        host: String,
        /// What the operating system or the resolver said.
        reason: String,
    },
    /// The TLS handshake failed; nothing was sent.
    #[error(
        "no trusted TLS connection to {host}: {reason}; behind a TLS-inspecting proxy, add its root certificate to the extra roots"
    )]
    Tls {
        /// The backend's host.
        host: String,
        /// What the TLS library said.
        reason: String,
    },
    /// The configured proxy refused or failed; nothing was sent.
    #[error("the proxy did not open a connection to {host}: {reason}; check its address and credentials")]
    Proxy {
        /// The backend's host.
        host: String,
        /// What the proxy answered.
        reason: String,
    },
    /// The backend, or something before it, opens no WebSocket, or none for this turn; the turn was not begun.
    #[error("{host} takes no WebSocket: {reason}; use the transport auto or http")]
    WebSocketUnavailable {
        /// The backend's host.
        host: String,
        /// What was answered.
        reason: String,
        /// Whether it may be another time.
        is_transient: bool,
    },
    /// Nothing arrived for the configured time.
    #[error("{host} was silent for too long {}; try again, or raise the timeout", phase_words(*phase))]
    Timeout {
        /// The backend's host.
        host: String,
        /// What was being waited for.
        phase: TimeoutPhase,
    },
    /// The connection ended before the head of the reply; the backend may have seen the request.
    #[error("{host} closed the connection before it answered: {reason}; try again")]
    Closed {
        /// The backend's host.
        host: String,
        /// What the connection reported.
        reason: String,
    },
    /// The connection broke within the reply's body.
    #[error("the reply of {host} broke off: {reason}; try again")]
    Body {
        /// The backend's host.
        host: String,
        /// What the connection reported.
        reason: String,
    },
    /// The reply is larger than its reader allows.
    #[error("the reply is larger than {limit_bytes} bytes; raise the limit if it is legitimate")]
    TooLarge {
        /// The limit that was exceeded.
        limit_bytes: usize,
    },
    /// The request cannot be sent as it is; nothing was sent.
    #[error("the request cannot be sent: {reason}")]
    InvalidRequest {
        /// What is wrong with it, and what to change.
        reason: String,
    },
}

impl UpstreamError {
    /// Tells whether it is proven that no byte of the request reached the backend, so that sending it again cannot do
    /// anything twice.
    #[must_use]
    pub fn before_dispatch(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Proxy { .. }
            | Self::WebSocketUnavailable { .. }
            | Self::InvalidRequest { .. } => true,
            Self::Timeout { phase, .. } => *phase == TimeoutPhase::Connect,
            Self::Closed { .. } | Self::Body { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// Tells whether a later attempt can succeed with nothing changed: the network may have been at fault.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::WebSocketUnavailable { is_transient, .. } => *is_transient,
            Self::Connect { .. }
            | Self::Proxy { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Body { .. } => true,
            Self::Tls { .. } | Self::TooLarge { .. } | Self::InvalidRequest { .. } => false,
        }
    }
}

/// Collects a body that is known to be small.
///
/// # Errors
///
/// [`UpstreamError::TooLarge`] as soon as more than `limit_bytes` have arrived, and whatever the stream reports. What
/// was read is dropped in both cases.
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

fn phase_words(phase: TimeoutPhase) -> &'static str {
    match phase {
        TimeoutPhase::Connect => "while connecting",
        TimeoutPhase::Head => "before it answered",
        TimeoutPhase::Body => "in the middle of its reply",
    }
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

    #[test]
    fn only_failures_ahead_of_the_request_count_as_before_dispatch() {
        let host = || "chatgpt.com".to_owned();
        let reason = || "why".to_owned();
        let rows = [
            (UpstreamError::Connect { host: host(), reason: reason() }, true, true),
            (UpstreamError::Tls { host: host(), reason: reason() }, true, false),
            (UpstreamError::Proxy { host: host(), reason: reason() }, true, true),
            (UpstreamError::WebSocketUnavailable { host: host(), reason: reason(), is_transient: true }, true, true),
            (UpstreamError::WebSocketUnavailable { host: host(), reason: reason(), is_transient: false }, true, false),
            (UpstreamError::Timeout { host: host(), phase: TimeoutPhase::Connect }, true, true),
            (UpstreamError::Timeout { host: host(), phase: TimeoutPhase::Head }, false, true),
            (UpstreamError::Timeout { host: host(), phase: TimeoutPhase::Body }, false, true),
            (UpstreamError::Closed { host: host(), reason: reason() }, false, true),
            (UpstreamError::Body { host: host(), reason: reason() }, false, true),
            (UpstreamError::TooLarge { limit_bytes: 1 }, false, false),
            (UpstreamError::InvalidRequest { reason: reason() }, true, false),
        ];
        for (error, before_dispatch, transient) in rows {
            assert_eq!(error.before_dispatch(), before_dispatch, "{error}");
            assert_eq!(error.is_transient(), transient, "{error}");
        }
    }
}
