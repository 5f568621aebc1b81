//! One connection with a turn in flight: sending its request and receiving its messages, with a ping now and then.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::{TimeoutPhase, UpstreamError};
use crate::socket::{IncomingMessage, OutgoingMessage, WebSocket};
use crate::timer::Timer;
use crate::websocket::frames::SocketMessage;
use crate::websocket::increment::PreviousResponse;
use crate::websocket::pool::ConnectionKey;

/// How often the backend is asked whether it is there (docs/backend.md §4).
pub(crate) const PING_EVERY: Duration = Duration::from_secs(25);

/// An open connection. Dropping it ends it, and the turn on it.
pub(crate) struct SocketConnection {
    pub(crate) socket: Pin<Box<dyn WebSocket>>,
    pub(crate) key: ConnectionKey,
    pub(crate) host: String,
    pub(crate) opened: SystemTime,
    /// How long the backend may send nothing in a turn.
    pub(crate) silence: Duration,
    /// The response that a request may go on from.
    pub(crate) previous: Option<PreviousResponse>,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// Why there is no further message.
#[derive(Debug)]
pub(crate) enum Closed {
    /// The backend closed the connection.
    ByPeer { code: u16, reason: String },
    /// It broke, or was silent for too long.
    Failed(UpstreamError),
}

impl SocketConnection {
    /// Sends one message.
    ///
    /// # Errors
    /// The backend may have received it, or a part.
    pub(crate) async fn send(&mut self, message: OutgoingMessage, timer: &impl Timer) -> Result<(), UpstreamError> {
        let host = self.host.clone();
        let sent = pin!(self.socket.send(message));
        match within(timer, self.silence, sent).await {
            Some(sent) => sent,
            None => Err(UpstreamError::Timeout { host, phase: TimeoutPhase::Head }),
        }
    }

    /// Waits for the next message of the turn, for as long as the backend may be silent.
    pub(crate) async fn receive(&mut self, phase: TimeoutPhase, timer: &impl Timer) -> Result<SocketMessage, Closed> {
        let mut left = self.silence;
        loop {
            let step = left.min(PING_EVERY);
            match within(timer, step, self.socket.next()).await {
                Some(Some(Ok(IncomingMessage::Text(text)))) => return Ok(SocketMessage::new(text)),
                Some(Some(Ok(IncomingMessage::Pong))) => {}
                Some(Some(Ok(IncomingMessage::Closed { code, reason }))) => {
                    return Err(Closed::ByPeer { code, reason });
                }
                Some(Some(Err(error))) => return Err(Closed::Failed(error)),
                // No closing message: the connection is gone (RFC 6455 section 7.1.5).
                Some(None) => return Err(Closed::ByPeer { code: 1006, reason: String::new() }),
                None if step == left => {
                    return Err(Closed::Failed(UpstreamError::Timeout { host: self.host.clone(), phase }));
                }
                None => {
                    left -= step;
                    self.send(OutgoingMessage::Ping, timer).await.map_err(Closed::Failed)?;
                }
            }
        }
    }
}

impl Closed {
    /// The error of a reply that this broke off: a turn that ends without its last event is not whole, however the
    /// connection was closed.
    pub(crate) fn into_cut(self, host: &str) -> UpstreamError {
        match self {
            Self::Failed(error) => error,
            Self::ByPeer { code, reason } => {
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
    timer: &impl Timer,
    time: Duration,
    future: impl Future<Output = T> + Unpin,
) -> Option<T> {
    match select(future, pin!(timer.sleep(time))).await {
        Either::Left((done, _)) => Some(done),
        Either::Right(_) => None,
    }
}
