//! WebSockets as everything above the client sees them, and the protocol over a connection that is open (RFC 6455).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use http::{HeaderMap, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::upstream::{ChunkStream, UpstreamError};

/// The largest message taken, as the official client has it (docs/backend.md §4).
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// What is read and written at once; many connections may be open, so less than the library's 128 KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// An open WebSocket: messages in both directions. Dropping it ends the connection.
///
/// Pings are answered while it is read, and not handed out. An item that is an error ends the stream.
pub trait WebSocket:
    Stream<Item = Result<IncomingMessage, UpstreamError>> + Sink<OutgoingMessage, Error = UpstreamError> + Send
{
}

impl<S> WebSocket for S where
    S: Stream<Item = Result<IncomingMessage, UpstreamError>> + Sink<OutgoingMessage, Error = UpstreamError> + Send
{
}

/// A message from the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IncomingMessage {
    /// A text, which is UTF-8.
    Text(Bytes),
    /// The answer to a [`OutgoingMessage::Ping`].
    Pong,
    /// The last message.
    Closed {
        /// Why (RFC 6455 section 7.4.1); 1005 if that was not said.
        code: u16,
        /// The same in words; often empty.
        reason: String,
    },
}

/// A message to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingMessage {
    /// A text, which must be UTF-8.
    Text(Bytes),
    /// A question whether anybody is there.
    Ping,
}

/// What a backend makes of the wish for a WebSocket.
pub enum Upgrade {
    /// It is open.
    Opened {
        /// The headers of the answer, without those of the handshake.
        headers: HeaderMap,
        /// The connection.
        socket: Pin<Box<dyn WebSocket>>,
    },
    /// An answer as over HTTP.
    Refused(Response<ChunkStream>),
}

impl Upgrade {
    /// The answer of a backend that has no WebSockets.
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

/// Speaks the protocol, as a client, over a connection to `host` whose handshake is done.
pub(crate) async fn over<S>(connection: S, host: String) -> Pin<Box<dyn WebSocket>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = WebSocketConfig::default()
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES));
    let inner = WebSocketStream::from_raw_socket(connection, Role::Client, Some(limits)).await;
    Box::pin(TungsteniteSocket { inner, host })
}

struct TungsteniteSocket<S> {
    inner: WebSocketStream<S>,
    host: String,
}

impl<S> TungsteniteSocket<S> {
    fn broken(&self, error: &Error) -> UpstreamError {
        UpstreamError::Body { host: self.host.clone(), reason: error.to_string() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for TungsteniteSocket<S> {
    type Item = Result<IncomingMessage, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let message = match ready!(self.inner.poll_next_unpin(cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(self.broken(&error)))),
                Some(Ok(message)) => message,
            };
            return Poll::Ready(Some(match message {
                Message::Text(text) => Ok(IncomingMessage::Text(text.into())),
                // Its answer leaves with the next read.
                Message::Ping(_) => continue,
                Message::Pong(_) => Ok(IncomingMessage::Pong),
                Message::Close(frame) => Ok(frame.map_or_else(
                    || IncomingMessage::Closed { code: 1005, reason: String::new() },
                    |frame| IncomingMessage::Closed {
                        code: frame.code.into(),
                        reason: frame.reason.as_str().to_owned(),
                    },
                )),
                Message::Binary(_) | Message::Frame(_) => {
                    let reason = "a message that is no text".to_owned();
                    Err(UpstreamError::Body { host: self.host.clone(), reason })
                }
            }));
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<OutgoingMessage> for TungsteniteSocket<S> {
    type Error = UpstreamError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        let done = ready!(self.inner.poll_ready_unpin(cx));
        Poll::Ready(done.map_err(|error| self.broken(&error)))
    }

    fn start_send(mut self: Pin<&mut Self>, message: OutgoingMessage) -> Result<(), UpstreamError> {
        let message =
            match message {
                OutgoingMessage::Ping => Message::Ping(Bytes::new()),
                OutgoingMessage::Text(text) => Message::Text(Utf8Bytes::try_from(text).map_err(|_| {
                    UpstreamError::InvalidRequest { reason: "a WebSocket carries UTF-8 only".to_owned() }
                })?),
            };
        let done = self.inner.start_send_unpin(message);
        done.map_err(|error| self.broken(&error))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        let done = ready!(self.inner.poll_flush_unpin(cx));
        Poll::Ready(done.map_err(|error| self.broken(&error)))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), UpstreamError>> {
        let done = ready!(self.inner.poll_close_unpin(cx));
        Poll::Ready(done.map_err(|error| self.broken(&error)))
    }
}
