//! Idle connections: which one serves a request, how they are kept alive, and when they are closed.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use futures_util::future::select;
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::UpstreamError;
use crate::lock::lock;
use crate::socket::{IncomingMessage, OutgoingMessage, WebSocket};
use crate::timer::Timer;
use crate::websocket::connection::{ConnectionKey, PING_INTERVAL, SocketConnection};
use crate::websocket::frames::{MessageKind, SocketMessage};
use crate::websocket::increment::CreateMessage;

/// The longest life of a connection. The backend closes connections after 60 minutes, even during a turn
/// (`docs/backend.md §4`).
const MAX_AGE: Duration = Duration::from_secs(55 * 60);

/// How long a connection stays open without a turn.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// The maximum number of idle connections; beyond that, the longest idle one is closed.
const MAX_IDLE: usize = 32;

/// The maximum number of connections, including those with a turn in flight. Further turns wait for one to end.
pub(crate) const MAX_CONNECTIONS: usize = 256;

/// The connections of one [`WebSocketUpstream`](crate::WebSocketUpstream).
pub(crate) struct SocketPool {
    idle: Mutex<IdleConnections>,
    permits: Arc<Semaphore>,
}

#[derive(Default)]
struct IdleConnections {
    /// The longest idle come first.
    connections: VecDeque<IdleConnection>,
    keeper: Option<Waker>,
}

struct IdleConnection {
    connection: SocketConnection,
    since: SystemTime,
    /// Whether a ping is unanswered.
    awaits_pong: bool,
}

impl SocketPool {
    pub(crate) fn new() -> Self {
        Self { idle: Mutex::default(), permits: Arc::new(Semaphore::new(MAX_CONNECTIONS)) }
    }

    /// Takes a connection for a request: one whose last response it continues, else any with the same key.
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
            if !waiting.is_expired(now) && waiting.is_alive(&mut Context::from_waker(Waker::noop())) {
                return Some(waiting.connection);
            }
        }
    }

    /// Returns a connection after its turn.
    pub(crate) fn put(&self, connection: SocketConnection, now: SystemTime) {
        let mut idle = self.idle();
        idle.connections.push_back(IdleConnection { connection, since: now, awaits_pong: false });
        // An idle connection must not delay a turn that waits for a permit.
        if idle.connections.len() > MAX_IDLE || self.permits.available_permits() == 0 {
            idle.connections.pop_front();
        }
        if let Some(keeper) = idle.keeper.take() {
            keeper.wake();
        }
    }

    /// Returns a permit to open a connection. If there are too many, closes an idle one, then waits.
    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, UpstreamError> {
        if self.permits.available_permits() == 0 {
            self.idle().connections.pop_front();
        }
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|_| UpstreamError::InvalidRequest { reason: "the connection pool is closed".to_owned() })
    }

    /// Keeps idle connections alive: answers pings, sends pings, and drops connections that are closed or idle for too
    /// long. Never completes.
    pub(crate) async fn keep_alive(&self, timer: &impl Timer) {
        loop {
            poll_fn(|cx| if self.poll_idle(cx) { Poll::Ready(()) } else { Poll::Pending }).await;
            let reading = poll_fn(|cx| {
                self.poll_idle(cx);
                Poll::<()>::Pending
            });
            select(pin!(timer.sleep(PING_INTERVAL)), reading).await;
            self.sweep(timer.now());
        }
    }

    /// Reads the messages of idle connections, drops closed ones, and returns whether any are left.
    fn poll_idle(&self, cx: &mut Context<'_>) -> bool {
        let mut idle = self.idle();
        idle.keeper = Some(cx.waker().clone());
        idle.connections.retain_mut(|waiting| waiting.is_alive(cx));
        !idle.connections.is_empty()
    }

    fn sweep(&self, now: SystemTime) {
        self.idle()
            .connections
            .retain_mut(|waiting| !waiting.is_expired(now) && !waiting.awaits_pong && waiting.ping());
    }

    fn idle(&self) -> MutexGuard<'_, IdleConnections> {
        lock(&self.idle)
    }
}

impl IdleConnection {
    fn is_expired(&self, now: SystemTime) -> bool {
        let has_passed = |since: SystemTime, time| now.duration_since(since).is_ok_and(|passed| passed >= time);
        has_passed(self.since, IDLE_TIMEOUT) || has_passed(self.connection.opened, MAX_AGE)
    }

    /// Reads the pending messages, and returns whether the connection is still usable. Between turns, only
    /// notifications are accepted: part of a response would be mistaken for part of the next one.
    fn is_alive(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.socket().poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(IncomingMessage::Text(text))))
                    if SocketMessage::new(text.clone()).kind == MessageKind::Notification => {}
                Poll::Ready(Some(Ok(IncomingMessage::Pong))) => self.awaits_pong = false,
                Poll::Ready(_) => return false,
                // Sends the rest of a ping.
                Poll::Pending => return !matches!(self.socket().poll_flush_unpin(cx), Poll::Ready(Err(_))),
            }
        }
    }

    /// Sends a ping, as far as possible without waiting.
    fn ping(&mut self) -> bool {
        self.awaits_pong = true;
        !matches!(self.socket().send(OutgoingMessage::Ping).now_or_never(), Some(Err(_)))
    }

    fn socket(&mut self) -> &mut Pin<Box<dyn WebSocket>> {
        &mut self.connection.socket
    }
}
