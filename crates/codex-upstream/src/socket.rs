//! Open WebSockets as an interface.

use bytes::Bytes;
use futures_core::Stream;
use futures_util::Sink;

use crate::error::UpstreamError;

/// An open WebSocket: messages in both directions. Dropping it closes the connection.
///
/// Pings are answered while it is read, and are not returned. An item that is an error ends the stream.
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
    /// Text, which is valid UTF-8.
    Text(Bytes),
    /// The answer to an [`OutgoingMessage::Ping`].
    Pong,
    /// The close message, which is the last one.
    Closed {
        /// The status code (RFC 6455 section 7.4.1); 1005 if there was none.
        code: u16,
        /// The explanation; often empty.
        reason: String,
    },
}

/// A message to the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutgoingMessage {
    /// Text, which must be valid UTF-8.
    Text(Bytes),
    /// A ping, to check the connection.
    Ping,
}
