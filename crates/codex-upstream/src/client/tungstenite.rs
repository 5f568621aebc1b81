//! The WebSocket protocol over a connection (RFC 6455).

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::{Sink, SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::error::UpstreamError;
use crate::socket::{IncomingMessage, OutgoingMessage, WebSocket};

/// The largest message that is accepted, the same as the official client's (`docs/backend.md §4`).
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// The size of the read and write buffers. Many connections may be open, so it is less than the library's 128 KiB.
const BUFFER_BYTES: usize = 16 * 1024;

/// Creates a client WebSocket over a connection to `host` whose handshake is done.
pub(crate) async fn connect<S>(connection: S, host: String) -> Pin<Box<dyn WebSocket>>
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
                // The library sends the pong with the next read.
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
                    let reason = "it sent a message that is not text".to_owned();
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
                    UpstreamError::InvalidRequest { reason: "the message is not valid UTF-8".to_owned() }
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
