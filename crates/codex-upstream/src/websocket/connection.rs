//! A connection with a turn in flight: sends its request, receives its messages, and pings the backend.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use futures_util::{SinkExt as _, StreamExt as _};
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use crate::error::{TimeoutPhase, UpstreamError};
use crate::socket::{IncomingMessage, OutgoingMessage, WebSocket};
use crate::timer::Timer;
use crate::websocket::frames::SocketMessage;
use crate::websocket::increment::PreviousResponse;

/// The interval of pings (`docs/backend.md §4`).
pub(crate) const PING_INTERVAL: Duration = Duration::from_secs(25);

/// The purpose of a connection: a digest of its URL and all its headers, which reveals no token.
///
/// A connection serves requests with the same key: those of one conversation, account, token, workspace and model.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionKey([u8; 32]);

impl ConnectionKey {
    pub(crate) fn of(head: &Parts) -> Self {
        let mut digest = Sha256::new();
        let mut feed = |bytes: &[u8]| {
            digest.update(bytes.len().to_le_bytes());
            digest.update(bytes);
        };
        feed(head.uri.to_string().as_bytes());
        for (name, value) in &head.headers {
            feed(name.as_str().as_bytes());
            feed(value.as_bytes());
        }
        Self(digest.finalize().into())
    }
}

/// An open connection. Dropping it closes it, and cancels the turn on it.
pub(crate) struct SocketConnection {
    pub(crate) socket: Pin<Box<dyn WebSocket>>,
    pub(crate) key: ConnectionKey,
    pub(crate) host: String,
    pub(crate) opened: SystemTime,
    /// The longest time without a message during a turn.
    pub(crate) read_timeout: Duration,
    /// The response that a request can continue.
    pub(crate) previous: Option<PreviousResponse>,
    pub(crate) _permit: OwnedSemaphorePermit,
}

/// Why there is no further message.
#[derive(Debug)]
pub(crate) enum Closed {
    /// The backend closed the connection.
    ByPeer { code: u16, reason: String },
    /// It failed or timed out.
    Failed(UpstreamError),
}

impl SocketConnection {
    /// Sends one message.
    ///
    /// # Errors
    /// The backend may have received the message or part of it.
    pub(crate) async fn send(&mut self, message: OutgoingMessage, timer: &impl Timer) -> Result<(), UpstreamError> {
        let host = self.host.clone();
        let sent = pin!(self.socket.send(message));
        match within(timer, self.read_timeout, sent).await {
            Some(sent) => sent,
            None => Err(UpstreamError::Timeout { host, phase: TimeoutPhase::Head }),
        }
    }

    /// Waits for the next message of the turn, until the read timeout.
    pub(crate) async fn receive(&mut self, phase: TimeoutPhase, timer: &impl Timer) -> Result<SocketMessage, Closed> {
        let mut left = self.read_timeout;
        loop {
            let step = left.min(PING_INTERVAL);
            match within(timer, step, self.socket.next()).await {
                Some(Some(Ok(IncomingMessage::Text(text)))) => return Ok(SocketMessage::new(text)),
                Some(Some(Ok(IncomingMessage::Pong))) => {}
                Some(Some(Ok(IncomingMessage::Closed { code, reason }))) => {
                    return Err(Closed::ByPeer { code, reason });
                }
                Some(Some(Err(error))) => return Err(Closed::Failed(error)),
                // The connection ended without a close message (RFC 6455 section 7.1.5).
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
    /// Returns the error of a reply that this cut off: a turn without its last event is incomplete, however the
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

/// Describes how a connection was closed.
pub(crate) fn closing(code: u16, reason: &str) -> String {
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(120).collect();
    let colon = if reason.is_empty() { "" } else { ": " };
    format!("the WebSocket was closed with code {code}{colon}{reason}")
}

/// Waits for `future` for at most `time`.
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
