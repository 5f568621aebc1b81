//! Idle connections.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::net::TcpStream;

use crate::lock::lock;

/// How long a connection stays open without a request. Servers commonly close idle ones after a minute or more.
const IDLE: Duration = Duration::from_secs(90);

/// The maximum number of idle connections to one server.
const MAX_IDLE: usize = 1024;

/// A connection, and the data that was read from it and not consumed yet.
#[derive(Debug)]
pub(super) struct CleartextConnection {
    authority: Arc<str>,
    pub(super) stream: TcpStream,
    pub(super) buffer: BytesMut,
}

impl CleartextConnection {
    pub(super) fn new(authority: String, stream: TcpStream) -> Self {
        Self { authority: authority.into(), stream, buffer: BytesMut::new() }
    }

    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns whether the server has neither closed it nor sent anything unexpected.
    fn is_usable(&self) -> bool {
        matches!(self.stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
    }
}

/// The idle connections, by server. Clones are the same pool.
#[derive(Clone, Debug, Default)]
pub(super) struct CleartextPool(Arc<Mutex<IdleByAuthority>>);

/// For each authority, its connections; the longest idle first.
type IdleByAuthority = HashMap<Arc<str>, Vec<(Instant, CleartextConnection)>>;

impl CleartextPool {
    /// Takes the connection that was used last.
    pub(super) fn take(&self, authority: &str) -> Option<CleartextConnection> {
        let mut waiting = self.lock();
        let connections = waiting.get_mut(authority)?;
        std::iter::from_fn(|| connections.pop())
            .find(|(since, connection)| since.elapsed() < IDLE && connection.is_usable())
            .map(|(_, connection)| connection)
    }

    /// Returns a connection whose reply was read to its end.
    pub(super) fn put(&self, connection: CleartextConnection) {
        if !connection.buffer.is_empty() {
            return;
        }
        let mut waiting = self.lock();
        let connections = waiting.entry(Arc::clone(&connection.authority)).or_default();
        let old = connections.partition_point(|(since, _)| since.elapsed() >= IDLE);
        connections.drain(..old);
        if connections.len() < MAX_IDLE {
            connections.push((Instant::now(), CleartextConnection { buffer: BytesMut::new(), ..connection }));
        }
    }

    fn lock(&self) -> MutexGuard<'_, IdleByAuthority> {
        lock(&self.0)
    }
}
