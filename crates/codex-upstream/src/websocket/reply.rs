//! The reply to a turn on a WebSocket: the events that it has over HTTP, one a message.

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

/// A turn whose first messages have come.
pub(crate) struct SocketReply<C> {
    /// `None` once the turn is over, or the connection.
    pub(crate) connection: Option<SocketConnection>,
    /// What is remembered of the turn; `None` if its request could not be read.
    pub(crate) exchange: Option<TurnRecord>,
    /// Messages that are read and not yet handed out.
    pub(crate) read: VecDeque<SocketMessage>,
    pub(crate) pool: Arc<SocketPool>,
    pub(crate) timer: C,
}

impl<C: Timer + 'static> SocketReply<C> {
    /// Makes the reply of it. Dropping the reply drops the connection, and so ends the turn at the backend; one that
    /// was read to its last event has gone back to the pool before that is handed out.
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

    /// Takes in what a message means for the connection.
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
            // What there was cannot be gone on from.
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
