//! Connections that wait for their next request.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::net::TcpStream;

/// How long a connection is kept without a request. Servers commonly close theirs after a minute or more.
const IDLE: Duration = Duration::from_secs(90);

/// The most connections to one backend that are kept.
const MAX_IDLE: usize = 1024;

/// A connection, and what has come on it that nobody has taken yet.
#[derive(Debug)]
pub(super) struct PlainConnection {
    authority: Arc<str>,
    pub(super) stream: TcpStream,
    pub(super) buffer: BytesMut,
}

impl PlainConnection {
    pub(super) fn new(authority: String, stream: TcpStream) -> Self {
        Self { authority: authority.into(), stream, buffer: BytesMut::new() }
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Whether the backend has neither closed it nor said something unasked.
    fn is_usable(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// The connections by the backend that they lead to. Clones are the same pool.
#[derive(Clone, Debug, Default)]
pub(super) struct PlainPool(Arc<Mutex<IdleConnections>>);

/// The longest waiting first.
type IdleConnections = HashMap<Arc<str>, Vec<(Instant, PlainConnection)>>;

impl PlainPool {
    /// The connection that was used last.
    pub(super) fn take(&self, authority: &str) -> Option<PlainConnection> {
        let mut waiting = self.lock();
        let connections = waiting.get_mut(authority)?;
        std::iter::from_fn(|| connections.pop())
            .find(|(since, connection)| since.elapsed() < IDLE && connection.is_usable())
            .map(|(_, connection)| connection)
    }

    /// Keeps a connection whose reply was read to its end.
    pub(super) fn put(&self, connection: PlainConnection) {
        if !connection.buffer.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        let connections = waiting.entry(Arc::clone(&connection.authority)).or_default();
        let old = connections.partition_point(|(since, _)| since.elapsed() >= IDLE);
        connections.drain(..old);
        if connections.len() < MAX_IDLE {
            connections.push((Instant::now(), PlainConnection { buffer: BytesMut::new(), ..connection }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, IdleConnections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
