//! Handing a connection over once it is no longer HTTP.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

type SessionFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Carries a session from the request that upgraded the connection to the task that serves the connection.
#[derive(Clone, Default)]
pub(crate) struct SocketHandoff(Arc<Mutex<Option<SessionFuture>>>);

impl SocketHandoff {
    pub(crate) fn put(&self, session: impl Future<Output = ()> + Send + 'static) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::pin(session));
    }

    pub(crate) fn take(&self) -> Option<SessionFuture> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for SocketHandoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketHandoff").finish_non_exhaustive()
    }
}
