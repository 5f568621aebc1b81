//! The reply to a turn on a WebSocket: one event per message, the same events as over HTTP.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_translate::Chunk;
use futures_util::future::{Either, select};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response};
use serde_json::{Value, json};

use crate::error::{TimeoutPhase, UpstreamError};
use crate::socket::OutgoingMessage;
use crate::timer::Timer;
use crate::upstream::ChunkStream;
use crate::websocket::connection::{Closed, SocketConnection, within};
use crate::websocket::frames::{MessageKind, SocketMessage};
use crate::websocket::increment::TurnRecord;
use crate::websocket::interrupt::TurnInterrupt;
use crate::websocket::pool::SocketPool;

/// How long the backend may take to accept an interrupt, and again to end the turn.
const INTERRUPT_WAIT: Duration = Duration::from_secs(2);

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
    /// Whether to interrupt the turn.
    pub(crate) interrupt: TurnInterrupt,
    /// The id of the response, once the backend has named it.
    pub(crate) response_id: Option<String>,
    /// Completes when an interrupted turn has not ended in time; `None` if the turn is not interrupted.
    pub(crate) deadline: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<C: Timer + Clone + 'static> SocketReply<C> {
    /// Converts the turn to its reply. Dropping the reply drops the connection, which cancels the turn at the backend.
    /// A connection returns to the pool before the last event is returned.
    pub(crate) fn into_response(self, mut headers: HeaderMap) -> Response<ChunkStream> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        let interrupt = self.interrupt.clone();
        let events = stream::unfold(self, |mut reply| async move {
            let event = reply.next().await?;
            Some((event, reply))
        });
        let mut response = Response::new(Box::pin(events) as ChunkStream);
        *response.headers_mut() = headers;
        response.extensions_mut().insert(interrupt);
        response
    }

    async fn next(&mut self) -> Option<Result<Chunk<Bytes>, UpstreamError>> {
        let message = match self.read.pop_front() {
            Some(message) => message,
            None => match self.receive().await? {
                Ok(message) => message,
                Err(over) => {
                    let connection = self.connection.take()?;
                    return Some(Err(over.into_cut(&connection.host)));
                }
            },
        };
        if message.kind == MessageKind::NotInterrupted && self.deadline.is_some() {
            self.connection = None;
            return None;
        }
        self.observe(&message);
        Some(Ok(Chunk::Message(message.text)))
    }

    /// Waits for the next message; `None` if there is none because an interrupted turn was dropped.
    async fn receive(&mut self) -> Option<Result<SocketMessage, Closed>> {
        let mut connection = self.connection.take()?;
        if self.deadline.is_none() {
            let received = {
                let receiving = pin!(connection.receive(TimeoutPhase::Body, &self.timer));
                match select(receiving, pin!(self.interrupt.requested())).await {
                    Either::Left((received, _)) => Some(received),
                    Either::Right(_) => None,
                }
            };
            if received.is_some() {
                self.connection = Some(connection);
                return received;
            }
            send_interrupt(self.response_id.as_deref()?, &mut connection, &self.timer).await?;
            let timer = self.timer.clone();
            self.deadline = Some(Box::pin(async move { timer.sleep(INTERRUPT_WAIT).await }));
        }
        let received = {
            let receiving = pin!(connection.receive(TimeoutPhase::Body, &self.timer));
            match select(receiving, self.deadline.as_mut()?.as_mut()).await {
                Either::Left((received, _)) => received,
                Either::Right(_) => return None,
            }
        };
        self.connection = Some(connection);
        Some(received)
    }

    /// Updates the connection and the record for a message.
    fn observe(&mut self, message: &SocketMessage) {
        match message.kind {
            MessageKind::Notification | MessageKind::Event | MessageKind::NotInterrupted => {}
            MessageKind::Created => self.response_id = response_id(&message.json()),
            MessageKind::ItemAdded => self.exchange.iter_mut().for_each(TurnRecord::opened),
            MessageKind::ItemDone => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.answered(message.json().get("item").unwrap_or(&Value::Null));
                }
            }
            MessageKind::Completed => {
                let id = response_id(&message.json()).unwrap_or_default();
                let previous = self.exchange.take().and_then(|exchange| exchange.completed(&id));
                self.give_back(|connection| connection.previous = previous);
            }
            MessageKind::Ended => {
                let json = message.json();
                // Any other response that is incomplete can no longer be continued.
                let exchange = self.exchange.take().filter(|_| {
                    json.pointer("/response/incomplete_details/reason").is_some_and(|reason| reason == "interrupted")
                });
                let previous = exchange.and_then(|exchange| exchange.interrupted(&response_id(&json)?));
                self.give_back(|connection| connection.previous = previous);
            }
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

/// Asks the backend to end the turn (`docs/backend.md §4`); `None` if that is not possible.
async fn send_interrupt(id: &str, connection: &mut SocketConnection, timer: &impl Timer) -> Option<()> {
    let message = json!({"type": "response.interrupt", "response_id": id, "mode": "discard_partial_items"});
    let sending = pin!(connection.send(OutgoingMessage::Text(message.to_string().into()), timer));
    within(timer, INTERRUPT_WAIT, sending).await?.ok()
}

fn response_id(event: &Value) -> Option<String> {
    event.pointer("/response/id").and_then(Value::as_str).map(str::to_owned)
}
