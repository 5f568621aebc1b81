//! The reply to a turn on a WebSocket: one event per message, the same events as over HTTP.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use codex_translate::Chunk;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use serde_json::Value;

use crate::error::{TimeoutPhase, UpstreamError};
use crate::timer::Timer;
use crate::upstream::ChunkStream;
use crate::websocket::connection::SocketConnection;
use crate::websocket::frames::{MessageKind, SocketMessage};
use crate::websocket::increment::TurnRecord;
use crate::websocket::pool::SocketPool;

/// A turn whose first messages have arrived.
pub(crate) struct SocketReply<C> {
    /// `None` after the end of the turn or of the connection.
    pub(crate) connection: Option<SocketConnection>,
    /// The record of the turn; `None` if its request could not be parsed.
    pub(crate) exchange: Option<TurnRecord>,
    /// Messages that were received and not returned yet.
    pub(crate) read: VecDeque<SocketMessage>,
    pub(crate) pool: Arc<SocketPool>,
    pub(crate) timer: C,
}

impl<C: Timer + 'static> SocketReply<C> {
    /// Converts the turn to its reply. Dropping the reply drops the connection, which cancels the turn at the backend.
    /// A connection returns to the pool before the last event is returned.
    pub(crate) fn into_response(self, mut headers: HeaderMap) -> Response<ChunkStream> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        let events = stream::unfold(self, |mut reply| async move {
            let event = reply.next().await?;
            Some((event, reply))
        });
        let mut response = Response::new(Box::pin(events) as ChunkStream);
        *response.headers_mut() = headers;
        response
    }

    async fn next(&mut self) -> Option<Result<Chunk<Bytes>, UpstreamError>> {
        let message = match self.read.pop_front() {
            Some(message) => message,
            None => match self.connection.as_mut()?.receive(TimeoutPhase::Body, &self.timer).await {
                Ok(message) => message,
                Err(over) => {
                    let connection = self.connection.take()?;
                    return Some(Err(over.into_cut(&connection.host)));
                }
            },
        };
        self.observe(&message);
        Some(Ok(Chunk::Message(message.text)))
    }

    /// Updates the connection and the record for a message.
    fn observe(&mut self, message: &SocketMessage) {
        match message.kind {
            MessageKind::Notification | MessageKind::Event => {}
            MessageKind::ItemAdded => self.exchange.iter_mut().for_each(TurnRecord::opened),
            MessageKind::ItemDone => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.answered(message.json().get("item").unwrap_or(&Value::Null));
                }
            }
            MessageKind::Completed => {
                let json = message.json();
                let id = json.pointer("/response/id").and_then(Value::as_str).unwrap_or_default();
                let previous = self.exchange.take().and_then(|exchange| exchange.completed(id));
                self.give_back(|connection| connection.previous = previous);
            }
            // The response can no longer be continued.
            MessageKind::Ended => self.give_back(|connection| connection.previous = None),
            MessageKind::Error => self.connection = None,
        }
    }

    fn give_back(&mut self, change: impl FnOnce(&mut SocketConnection)) {
        if let Some(mut connection) = self.connection.take() {
            change(&mut connection);
            self.pool.put(connection, self.timer.now());
        }
    }
}
