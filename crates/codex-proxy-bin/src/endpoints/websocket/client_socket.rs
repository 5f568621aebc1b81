//! The client's side of a WebSocket: its messages, pings and close frames.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use codex_translate::{Error, EventBuffer, Notice, ReplyId};
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderMap;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error as SocketError, Message, Utf8Bytes};

use crate::endpoints::websocket::last_response::LastResponse;
use crate::endpoints::websocket::metered::MeteredIo;
use crate::reply;
use crate::request::budget::{BodyMemoryBudget, BudgetPermit};
use crate::request::limits::{Limits, Timeouts};

/// How often a quiet connection is pinged.
const PING: Duration = Duration::from_secs(30);

/// How many consecutive pings may go unanswered.
const UNANSWERED: u32 = 3;

/// How many requests may wait for the running turn.
const MAX_WAITING: usize = 16;

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

/// The connection, and requests that arrived during a turn.
pub(super) struct ClientSocket {
    socket: WebSocketStream<MeteredIo<TokioIo<Upgraded>>>,
    waiting: VecDeque<ClientMessage>,
    /// The maximum total size of waiting requests, in bytes.
    waiting_limit: usize,
    stall: Duration,
    unanswered: u32,
}

/// A message of the client, with its part of the memory budget.
pub(super) struct ClientMessage {
    pub(super) text: Utf8Bytes,
    pub(super) permit: Option<BudgetPermit>,
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
            waiting: VecDeque::new(),
            waiting_limit: limits.body_bytes,
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

    /// Waits for the next request between turns.
    pub(super) async fn request(
        &mut self,
        stopping: &mut watch::Receiver<bool>,
        timeouts: &Timeouts,
    ) -> Result<ClientMessage, SessionEnd> {
        let idle = tokio::time::sleep(timeouts.socket_idle);
        let mut idle = std::pin::pin!(idle);
        let mut pings = interval_at(Instant::now() + PING, PING);
        loop {
            if *stopping.borrow() {
                return Err(SessionEnd::Close(CloseCode::Away, "codex-proxy is stopping"));
            }
            if let Some(next) = self.waiting.pop_front() {
                return Ok(next);
            }
            tokio::select! {
                received = self.socket.next() => self.take(received)?,
                _ = pings.tick() => {
                    if self.unanswered >= UNANSWERED {
                        return Err(SessionEnd::Gone);
                    }
                    self.unanswered += 1;
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                () = &mut idle => return Err(SessionEnd::Close(CloseCode::Normal, "idle for too long")),
                // The sender is gone only if the server is: then nothing can stop this connection.
                _ = stopping.changed() => {}
            }
        }
    }

    /// Runs a part of a turn; ends it at once if the client disconnects.
    pub(super) async fn meanwhile<F: Future>(&mut self, part: F) -> Result<F::Output, SessionEnd> {
        let mut part = std::pin::pin!(part);
        loop {
            tokio::select! {
                output = &mut part => return Ok(output),
                received = self.socket.next() => self.take(received)?,
            }
        }
    }

    /// Handles a received message.
    fn take(&mut self, received: Option<Result<Message, SocketError>>) -> Result<(), SessionEnd> {
        self.unanswered = 0;
        match received {
            Some(Ok(Message::Text(text))) => {
                let permit = self.socket.get_mut().finish_message(text.len());
                self.waiting.push_back(ClientMessage { text, permit });
                let bytes: usize = self.waiting.iter().map(|request| request.text.len()).sum();
                if self.waiting.len() > MAX_WAITING || bytes > self.waiting_limit {
                    return Err(SessionEnd::Close(CloseCode::Policy, "too many waiting requests"));
                }
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
        Ok(())
    }

    /// Sends each event as a message. All events share one buffer, and as many as fit are sent in one write.
    pub(super) async fn send_events(&mut self, events: EventBuffer) -> Result<(), SessionEnd> {
        let (json, ends) = events.into_parts();
        let (mut json, mut start) = (Bytes::from(json), 0);
        for end in ends {
            let text = Utf8Bytes::try_from(json.split_to(end - start)).map_err(|_| SessionEnd::Gone)?;
            start = end;
            in_time(self.stall, self.socket.feed(Message::Text(text))).await?;
        }
        in_time(self.stall, self.socket.flush()).await
    }

    /// Sends a message, if the client reads it in time.
    pub(super) async fn send(&mut self, message: Message) -> Result<(), SessionEnd> {
        in_time(self.stall, self.socket.send(message)).await
    }

    pub(super) async fn send_json(&mut self, value: &impl Serialize) -> Result<(), SessionEnd> {
        // A map with string keys can always be written.
        let text = serde_json::to_string(value).unwrap_or_default();
        self.send(Message::text(text)).await
    }

    /// Sends an error (docs/backend.md §4).
    pub(super) async fn send_error(&mut self, error: &Error) -> Result<(), SessionEnd> {
        let response = reply::from_error(error);
        let frame = json!({"type": "error", "status": response.status().as_u16(), "error": error.body().object(),
            "headers": as_json(response.headers())});
        self.send_json(&frame).await
    }

    /// Sends the headers that an HTTP reply would have.
    pub(super) async fn send_metadata(&mut self, request_id: &str, notices: &[Notice]) -> Result<(), SessionEnd> {
        let mut headers = HeaderMap::new();
        reply::add_notices(&mut headers, notices);
        if headers.is_empty() {
            return Ok(());
        }
        let mut headers = as_json(&headers);
        headers.insert("x-request-id".to_owned(), request_id.into());
        self.send_json(&json!({"type": "response.metadata", "headers": headers})).await
    }

    /// Answers a request that wants no reply: it is remembered, so the next one need not repeat it.
    pub(super) async fn send_prewarmed(
        &mut self,
        last: &mut LastResponse,
        input: Vec<Box<RawValue>>,
        identity: ReplyId,
    ) -> Result<(), SessionEnd> {
        if let Some(input) = last.retain(input) {
            last.remember(&identity.id, input, &[]);
        }
        let usage = json!({"input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0});
        let mut response = json!({"id": identity.id, "object": "response", "created_at": identity.created,
            "status": "in_progress", "output": [], "usage": null});
        self.send_json(&json!({"type": "response.created", "sequence_number": 0, "response": response})).await?;
        response["status"] = "completed".into();
        response["usage"] = usage;
        self.send_json(&json!({"type": "response.completed", "sequence_number": 1, "response": response})).await
    }
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
