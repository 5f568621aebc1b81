//! One connection with a turn in flight: sending its request and receiving its messages, with a ping now and then.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;

use crate::clock::Clock;
use crate::socket::{Received, Sent, WebSocket};
use crate::upstream::{TimeoutPhase, UpstreamError};
use crate::websocket::frames::Message;
use crate::websocket::increment::Memory;
use crate::websocket::pool::Key;

/// How often the backend is asked whether it is there (docs/backend.md §4).
pub(crate) const PING_EVERY: Duration = Duration::from_secs(25);

/// An open connection. Dropping it ends it, and the turn on it.
pub(crate) struct Connection {
    pub(crate) socket: Pin<Box<dyn WebSocket>>,
    pub(crate) key: Key,
    pub(crate) host: String,
    pub(crate) opened: SystemTime,
    /// How long the backend may send nothing in a turn.
    pub(crate) silence: Duration,
    /// The response that a request may go on from.
    pub(crate) memory: Option<Memory>,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// Why there is no further message.
#[derive(Debug)]
pub(crate) enum Over {
    /// The backend closed the connection.
    Closed { code: u16, reason: String },
    /// It broke, or was silent for too long.
    Failed(UpstreamError),
}

impl Connection {
    /// Sends one message.
    ///
    /// # Errors
    ///
    /// The backend may have received it, or a part.
    pub(crate) async fn send(&mut self, message: Sent, clock: &impl Clock) -> Result<(), UpstreamError> {
        let host = self.host.clone();
        let sent = pin!(self.socket.send(message));
        match within(clock, self.silence, sent).await {
            Some(sent) => sent,
            None => Err(UpstreamError::Timeout { host, phase: TimeoutPhase::Head }),
        }
    }

    /// Waits for the next message of the turn, for as long as the backend may be silent.
    pub(crate) async fn receive(&mut self, phase: TimeoutPhase, clock: &impl Clock) -> Result<Message, Over> {
        let mut left = self.silence;
        loop {
            let step = left.min(PING_EVERY);
            match within(clock, step, self.socket.next()).await {
                Some(Some(Ok(Received::Text(text)))) => return Ok(Message::new(text)),
                Some(Some(Ok(Received::Pong))) => {}
                Some(Some(Ok(Received::Closed { code, reason }))) => return Err(Over::Closed { code, reason }),
                Some(Some(Err(error))) => return Err(Over::Failed(error)),
                // No closing message: the connection is gone (RFC 6455 section 7.1.5).
                Some(None) => return Err(Over::Closed { code: 1006, reason: String::new() }),
                None if step == left => {
                    return Err(Over::Failed(UpstreamError::Timeout { host: self.host.clone(), phase }));
                }
                None => {
                    left -= step;
                    self.send(Sent::Ping, clock).await.map_err(Over::Failed)?;
                }
            }
        }
    }
}

impl Over {
    /// The error of a reply that this broke off: a turn that ends without its last event is not whole, however the connection
    /// was closed.
    pub(crate) fn into_cut(self, host: &str) -> UpstreamError {
        match self {
            Self::Failed(error) => error,
            Self::Closed { code, reason } => {
                UpstreamError::Body { host: host.to_owned(), reason: closing(code, &reason) }
            }
        }
    }
}

/// Says how a connection was closed.
pub(crate) fn closing(code: u16, reason: &str) -> String {
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(120).collect();
    let colon = if reason.is_empty() { "" } else { ": " };
    format!("the WebSocket was closed with code {code}{colon}{reason}")
}

/// Waits for `future`, but no longer than `time`.
pub(crate) async fn within<T>(
    clock: &impl Clock,
    time: Duration,
    future: impl Future<Output = T> + Unpin,
) -> Option<T> {
    match select(future, pin!(clock.sleep(time))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
