//! The readers of WebSocket messages, for the fuzz targets.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::frames::{ErrorMessage, SocketMessage};
use super::increment::CreateMessage;

/// A message as it was read.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadMessage {
    /// The name of its kind.
    pub kind: String,
    /// The headers of a metadata message.
    pub headers: HeaderMap,
    /// The status and the headers of the HTTP reply that an error stands for.
    pub response: Option<(u16, HeaderMap)>,
    /// Whether it says that the previous response is unknown.
    pub is_about_the_previous_response: bool,
    /// Whether it says that the connection has reached its limit.
    pub is_connection_limit: bool,
}

/// Reads a message from the backend, as an event and as an error.
pub fn read_message(text: &[u8]) -> ReadMessage {
    let message = SocketMessage::new(Bytes::copy_from_slice(text));
    let error = ErrorMessage::read(&message);
    ReadMessage {
        kind: format!("{:?}", message.kind),
        headers: message.headers(),
        is_about_the_previous_response: error.is_about_the_previous_response(),
        is_connection_limit: error.is_connection_limit(),
        response: error
            .into_response(HeaderMap::new())
            .map(|response| (response.status().as_u16(), response.headers().clone())),
    }
}

/// Finds where in the input of `next` the new items begin, after a turn with the message `previous` that produced the
/// items `output`, and returns the message with only these. Returns `None` if `next` does not continue that turn.
pub fn continued(previous: &[u8], output: &[Value], next: &[u8]) -> Option<(usize, Bytes)> {
    let mut turn = CreateMessage::parse(previous)?.begin();
    for item in output {
        turn.opened();
        turn.answered(item);
    }
    let previous = turn.completed("resp_1")?;
    let next = CreateMessage::parse(next)?;
    let start = previous.extended_by(&next)?;
    Some((start, next.after(&previous, start)))
}
