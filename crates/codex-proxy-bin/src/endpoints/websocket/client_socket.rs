//! The client's side of a WebSocket: its messages, pings and close frames.

use std::future::Future;
use std::time::Duration;

use codex_translate::{Error, EventBuffer, Notice};
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error as SocketError, Message, Utf8Bytes};

use crate::endpoints::websocket::lanes::{ClientMessage, Lane};
use crate::endpoints::websocket::metered::MeteredIo;
use crate::reply;
use crate::request::budget::BodyMemoryBudget;
use crate::request::limits::Limits;

/// How many consecutive pings may go unanswered.
const UNANSWERED: u32 = 3;

/// How long a client may take to acknowledge that its connection is closed.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// The size of each buffer of a quiet connection, in bytes.
const BUFFER: usize = 16 * 1024;

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum SessionEnd {
    /// The client is gone, or does not read.
    Gone,
    /// The client gets this close code and reason.
    Close(CloseCode, &'static str),
}

/// The connection.
pub(super) struct ClientSocket {
    socket: WebSocketStream<MeteredIo<TokioIo<Upgraded>>>,
    stall: Duration,
    unanswered: u32,
}

impl ClientSocket {
    /// Takes over a connection whose handshake is done.
    pub(super) async fn open(upgraded: Upgraded, limits: &Limits, budget: BodyMemoryBudget) -> Self {
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits.body_bytes))
            .max_frame_size(Some(limits.body_bytes))
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER);
        let io = MeteredIo::new(TokioIo::new(upgraded), budget);
        Self {
            socket: WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await,
            stall: limits.timeouts.stall,
            unanswered: 0,
        }
    }

    /// Closes the connection, and waits until the client acknowledges it; the client may be gone.
    pub(super) async fn close(&mut self, code: CloseCode, reason: &'static str) {
        let frame = CloseFrame { code, reason: reason.into() };
        let closing = async {
            self.socket.close(Some(frame)).await?;
            while self.socket.next().await.transpose()?.is_some() {}
            Ok::<_, SocketError>(())
        };
        let _ = timeout(CLOSE_TIME, closing).await;
    }

    /// Waits for the next message. Dropping the future loses none.
    pub(super) async fn receive(&mut self) -> Result<ClientMessage, SessionEnd> {
        loop {
            let received = self.socket.next().await;
            self.unanswered = 0;
            match received {
                Some(Ok(Message::Text(text))) => {
                    let permit = self.socket.get_mut().finish_message(text.len());
                    return Ok(ClientMessage { text: without_mark(text), permit });
                }
                // The library answers pings.
                Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
                    self.socket.get_mut().finish_control(payload.len());
                }
                Some(Ok(Message::Frame(_))) => {}
                Some(Ok(Message::Binary(_))) => {
                    return Err(SessionEnd::Close(CloseCode::Unsupported, "only text frames are supported"));
                }
                Some(Ok(Message::Close(_))) | None => return Err(SessionEnd::Gone),
                Some(Err(SocketError::Capacity(_))) => {
                    return Err(SessionEnd::Close(CloseCode::Size, "the frame is too large"));
                }
                Some(Err(SocketError::Utf8(_))) => {
                    return Err(SessionEnd::Close(CloseCode::Invalid, "the frame is not valid UTF-8"));
                }
                Some(Err(_)) if self.socket.get_ref().is_full() => {
                    return Err(SessionEnd::Close(CloseCode::Again, "too many large requests"));
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "the WebSocket connection failed");
                    return Err(SessionEnd::Gone);
                }
            }
        }
    }

    /// Pings a quiet connection, which has to answer one of a few pings.
    pub(super) async fn check(&mut self) -> Result<(), SessionEnd> {
        if self.unanswered >= UNANSWERED {
            return Err(SessionEnd::Gone);
        }
        self.unanswered += 1;
        self.ping().await
    }

    /// Sends a ping.
    pub(super) async fn ping(&mut self) -> Result<(), SessionEnd> {
        self.send(Message::Ping(Bytes::new())).await
    }

    /// Sends each event of a lane as a message. All events share one buffer, and as many as fit are sent in one write.
    pub(super) async fn send_events(&mut self, lane: &Lane, events: EventBuffer) -> Result<(), SessionEnd> {
        let (json, ends) = events.into_parts();
        let (mut json, ends) = named(lane, json, ends);
        let mut start = 0;
        for end in ends {
            let text = Utf8Bytes::try_from(json.split_to(end - start)).map_err(|_| SessionEnd::Gone)?;
            start = end;
            in_time(self.stall, self.socket.feed(Message::Text(text))).await?;
        }
        in_time(self.stall, self.socket.flush()).await
    }

    /// Sends an error (docs/backend.md §4).
    pub(super) async fn send_error(&mut self, lane: &Lane, error: &Error) -> Result<(), SessionEnd> {
        let response = reply::from_error(error);
        let frame = json!({"type": "error", "status": response.status().as_u16(), "error": error.body().object(),
            "headers": as_json(response.headers())});
        self.send_frame(lane, &frame).await
    }

    /// Sends the headers that an HTTP reply would have.
    pub(super) async fn send_metadata(
        &mut self,
        lane: &Lane,
        request_id: &str,
        notices: &[Notice],
    ) -> Result<(), SessionEnd> {
        let mut headers = HeaderMap::new();
        reply::add_notices(&mut headers, notices);
        if headers.is_empty() {
            return Ok(());
        }
        let mut headers = as_json(&headers);
        headers.insert("x-request-id".to_owned(), request_id.into());
        self.send_frame(lane, &json!({"type": "response.metadata", "headers": headers})).await
    }

    /// Sends one frame of a lane, an object that is not empty.
    pub(super) async fn send_frame(&mut self, lane: &Lane, frame: &serde_json::Value) -> Result<(), SessionEnd> {
        let text = frame.to_string();
        self.send(Message::text(lane.frame_start() + text.strip_prefix('{').unwrap_or_default())).await
    }

    /// Sends a message, if the client reads it in time.
    async fn send(&mut self, message: Message) -> Result<(), SessionEnd> {
        in_time(self.stall, self.socket.send(message)).await
    }
}

/// Adds the lane's name to each of the events in `json`, which end at `ends`; returns the same with the events of the
/// lane.
fn named(lane: &Lane, json: String, ends: Vec<usize>) -> (Bytes, Vec<usize>) {
    if lane.is_unnamed() {
        return (Bytes::from(json), ends);
    }
    let frame_start = lane.frame_start();
    let mut named = String::with_capacity(json.len() + ends.len() * frame_start.len());
    let mut start = 0;
    let ends = ends
        .into_iter()
        .map(|end| {
            named.push_str(&frame_start);
            // An event is an object that has at least a type.
            named.push_str(json[start..end].trim_start().strip_prefix('{').unwrap_or_default());
            start = end;
            named.len()
        })
        .collect();
    (Bytes::from(named), ends)
}

/// Waits until the client has read enough to send more; one that does not read counts as gone.
async fn in_time(stall: Duration, sent: impl Future<Output = Result<(), SocketError>>) -> Result<(), SessionEnd> {
    match timeout(stall, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(SessionEnd::Gone),
    }
}

fn as_json(headers: &HeaderMap) -> serde_json::Map<String, serde_json::Value> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value).into())).collect()
}

/// Returns a frame's text without a byte order mark, which is skipped in bodies, too.
fn without_mark(text: Utf8Bytes) -> Utf8Bytes {
    match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.into(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use codex_translate::EventSink as _;
    use serde_json::value::RawValue;

    use super::*;

    #[test]
    fn every_event_of_a_named_lane_begins_with_its_name() {
        let mut events = EventBuffer::default();
        events.event("a", &["{\"type\":\"a\"}"]);
        events.event("b", &[" { \"type\":\"b\"}"]);
        let raw = RawValue::from_string("\"x\"".to_owned()).unwrap();
        let lane = Lane::read(Some(&raw)).unwrap();
        let (json, ends) = events.clone().into_parts();
        let (text, ends) = named(&lane, json, ends);
        let expected = [r#"{"stream_id":"x","type":"a"}"#, r#"{"stream_id":"x", "type":"b"}"#];
        assert_eq!(text, expected.concat());
        assert_eq!(ends, [expected[0].len(), text.len()]);
        let (json, ends) = events.into_parts();
        assert_eq!(named(&Lane::default(), json.clone(), ends.clone()), (Bytes::from(json), ends));
    }
}
