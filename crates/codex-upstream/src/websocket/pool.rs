//! Connections between turns: which one serves a request, how they are kept alive, and when they are let go.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use futures_util::future::select;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use http::request::Parts;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::UpstreamError;
use crate::lock::lock;
use crate::socket::{IncomingMessage, OutgoingMessage, WebSocket};
use crate::timer::Timer;
use crate::websocket::connection::{PING_EVERY, SocketConnection};
use crate::websocket::frames::{MessageKind, SocketMessage};
use crate::websocket::increment::CreateMessage;

/// The backend ends connections after 60 minutes, in the middle of a turn if need be (docs/backend.md §4).
const LIFE: Duration = Duration::from_secs(55 * 60);

/// How long a connection waits for the next turn of its conversation.
const IDLE: Duration = Duration::from_secs(5 * 60);

/// How many connections wait for a turn; the one that has waited longest goes first.
const MAX_IDLE: usize = 32;

/// How many connections there are, those with a turn in flight included. Further turns wait for one of them to end.
pub(crate) const MAX_CONNECTIONS: usize = 256;

/// What a connection was opened for: its address and all its headers, as a digest, in which no token can be read.
///
/// A connection serves the requests for which it would have been opened alike: those of one conversation, one account,
/// one token, one workspace and one model.
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

/// The connections of one [`WebSocketUpstream`](crate::WebSocketUpstream).
pub(crate) struct SocketPool {
    idle: Mutex<IdleConnections>,
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct IdleConnections {
    /// Those that have waited longest come first.
    connections: VecDeque<IdleConnection>,
    keeper: Option<Waker>,
}

struct IdleConnection {
    connection: SocketConnection,
    since: SystemTime,
    /// Whether a ping is unanswered.
    is_asked: bool,
}

impl SocketPool {
    pub(crate) fn new() -> Self {
        Self { idle: Mutex::default(), permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }

    /// Takes a connection for a request: one that it goes on from, if there is one, else any that was opened for such
    /// requests.
    pub(crate) fn take(
        &self,
        key: ConnectionKey,
        create: Option<&CreateMessage>,
        now: SystemTime,
    ) -> Option<SocketConnection> {
        let mut idle = self.idle();
        loop {
            let fits = |waiting: &IdleConnection| waiting.connection.key == key;
            let extends = |waiting: &IdleConnection| {
                let previous = waiting.connection.previous.as_ref();
                previous.zip(create).is_some_and(|(previous, create)| previous.extended_by(create).is_some())
            };
            let best = idle.connections.iter().position(|waiting| fits(waiting) && extends(waiting));
            let best = best.or_else(|| idle.connections.iter().position(fits))?;
            let mut waiting = idle.connections.remove(best)?;
            if !waiting.is_over(now) && waiting.is_alive(&mut Context::from_waker(Waker::noop())) {
                return Some(waiting.connection);
            }
        }
    }

    /// Lets a connection wait for its next turn.
    pub(crate) fn put(&self, connection: SocketConnection, now: SystemTime) {
        let mut idle = self.idle();
        idle.connections.push_back(IdleConnection { connection, since: now, is_asked: false });
        // One that waits for a turn must not keep a turn waiting for one.
        if idle.connections.len() > MAX_IDLE || self.permits.available_permits() == 0 {
            idle.connections.pop_front();
        }
        if let Some(keeper) = idle.keeper.take() {
            keeper.wake();
        }
    }

    /// The right to open a connection; waits for it while there are too many, after letting go of one that waits.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, UpstreamError> {
        if self.permits.available_permits() == 0 {
            self.idle().connections.pop_front();
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|_| UpstreamError::InvalidRequest { reason: "no connections are opened any more".to_owned() })
    }

    /// Tends the waiting connections: answers pings, sends some, and lets go of those that are gone or have waited long
    /// enough. Never completes.
    pub(crate) async fn keep(&self, timer: &impl Timer) {
        loop {
            poll_fn(|cx| if self.attend(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
            let attending = poll_fn(|cx| {
                self.attend(cx);
                Poll::<()>::Pending
            });
            select(pin!(timer.sleep(PING_EVERY)), attending).await;
            self.sweep(timer.now());
        }
    }

    /// Reads what has come for those that wait; tells whether any are left.
    fn attend(&self, cx: &mut Context<'_>) -> bool {
        let mut idle = self.idle();
        idle.keeper = Some(cx.waker().clone());
        idle.connections.retain_mut(|waiting| waiting.is_alive(cx));
        !idle.connections.is_empty()
    }

    fn sweep(&self, now: SystemTime) {
        self.idle().connections.retain_mut(|waiting| !waiting.is_over(now) && !waiting.is_asked && waiting.ask());
    }

    fn idle(&self) -> MutexGuard<'_, IdleConnections> {
        lock(&self.idle)
    }
}

impl IdleConnection {
    fn is_over(&self, now: SystemTime) -> bool {
        let has_passed = |since: SystemTime, time| now.duration_since(since).is_ok_and(|passed| passed >= time);
        has_passed(self.since, IDLE) || has_passed(self.connection.opened, LIFE)
    }

    /// Reads what has come. Between two turns a backend may say how things stand; anything of a response would be taken
    /// for a part of the next, so that it ends the connection, as does its close.
    fn is_alive(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.socket().poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(IncomingMessage::Text(text))))
                    if SocketMessage::new(text.clone()).kind == MessageKind::Notification => {}
                Poll::Ready(Some(Ok(IncomingMessage::Pong))) => self.is_asked = false,
                Poll::Ready(_) => return false,
                // What is left of a ping goes out.
                Poll::Pending => return !matches!(self.socket().poll_flush_unpin(cx), Poll::Ready(Err(_))),
            }
        }
    }

    /// Sends a ping as far as that goes at once.
    fn ask(&mut self) -> bool {
        self.is_asked = true;
        !matches!(self.socket().send(OutgoingMessage::Ping).now_or_never(), Some(Err(_)))
    }

    fn socket(&mut self) -> &mut Pin<Box<dyn WebSocket>> {
        &mut self.connection.socket
    }
}
