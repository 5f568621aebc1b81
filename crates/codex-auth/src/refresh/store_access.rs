//! The manager's calls to the store, each within its time limit and with its panics contained.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::refresh::freshness::RefreshPolicy;
use crate::store::{StoreError, StoreVersion, TokenStore, wait_for_lock};
use crate::tokens::Tokens;

/// The store of a manager. A panic of the store is an error like any other.
///
/// Calls run in tasks of their own, to their end, unless the time limit ends them.
pub(crate) struct StoreAccess<S> {
    store: Arc<S>,
    /// The store's name for messages.
    location: Arc<str>,
    /// The time limit of each call, except to acquire the lock and to save.
    call_limit: Duration,
    lock_limit: Duration,
}

impl<S: TokenStore> StoreAccess<S> {
    pub(crate) fn new(store: S, policy: &RefreshPolicy) -> Self {
        Self {
            location: store.location().into(),
            store: Arc::new(store),
            call_limit: policy.store_wait,
            lock_limit: policy.lock_wait,
        }
    }

    pub(crate) fn location(&self) -> &str {
        &self.location
    }

    /// Asks for the store's version in the caller's task, because this is done before every request. Continues with the
    /// rest of the call if the store does not have the version at hand.
    pub(crate) fn ask_version(
        &self,
    ) -> ControlFlow<
        Result<StoreVersion, StoreError>,
        impl Future<Output = Result<StoreVersion, StoreError>> + Send + use<S>,
    > {
        let store = Arc::clone(&self.store);
        let mut version = Box::pin(async move { store.version().await });
        // The task that awaits the rest polls it again with a waker of its own.
        let mut context = Context::from_waker(Waker::noop());
        match catch_unwind(AssertUnwindSafe(|| version.as_mut().poll(&mut context))) {
            Ok(Poll::Ready(version)) => ControlFlow::Break(Ok(version)),
            Ok(Poll::Pending) => ControlFlow::Continue(self.limited(async move { Ok(version.await) })),
            Err(_) => ControlFlow::Break(Err(self.panicked())),
        }
    }

    /// Returns the store's version.
    pub(crate) async fn version(&self) -> Result<StoreVersion, StoreError> {
        let store = Arc::clone(&self.store);
        self.contained(self.limited(async move { Ok(store.version().await) })).await
    }

    /// Returns the stored tokens, and a version that is no newer than they are.
    pub(crate) async fn read(&self) -> Result<(Option<Tokens>, StoreVersion), StoreError> {
        let store = Arc::clone(&self.store);
        let read = self.limited(async move {
            // The version first: a change in between is then noticed the next time.
            let version = store.version().await;
            store.load().await.map(|tokens| (tokens, version))
        });
        self.contained(read).await
    }

    /// Waits for the store's lock. It is released when the last clone is dropped, so not by a call that panics.
    pub(crate) async fn lock(&self) -> Result<Arc<S::Lock>, StoreError> {
        let (store, wait) = (Arc::clone(&self.store), self.lock_limit);
        self.contained(async move { wait_for_lock(&*store, wait).await.map(Arc::new) }).await
    }

    /// Checks that tokens can be saved. The outer error: the store has panicked, or has not answered in time.
    pub(crate) async fn probe(&self, lock: &Arc<S::Lock>) -> Result<Result<(), StoreError>, StoreError> {
        let (store, lock) = (Arc::clone(&self.store), Arc::clone(lock));
        self.contained(self.limited(async move { Ok(store.probe(&lock).await) })).await
    }

    /// Writes tokens, and returns the store's version with them in it. Waits as long as the store takes: a token that
    /// is not stored must not be used.
    pub(crate) async fn save(&self, lock: &Arc<S::Lock>, tokens: Tokens) -> Result<StoreVersion, StoreError> {
        let (store, lock) = (Arc::clone(&self.store), Arc::clone(lock));
        self.contained(async move { store.save(&lock, &tokens).await }).await?;
        // Without a version, the store is read again.
        Ok(self.version().await.unwrap_or_default())
    }

    /// Returns the error of a store whose code has a defect.
    pub(crate) fn panicked(&self) -> StoreError {
        StoreError::panicked(self.location.to_string())
    }

    /// Returns the error of a store that has not answered within `wait`.
    pub(crate) fn unanswered(&self, wait: Duration) -> StoreError {
        StoreError::unanswered(self.location.to_string(), wait)
    }

    /// Limits the time of a call.
    fn limited<T, F>(&self, call: F) -> impl Future<Output = Result<T, StoreError>> + Send + 'static + use<T, F, S>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let (location, limit) = (Arc::clone(&self.location), self.call_limit);
        async move {
            let answer = tokio::time::timeout(limit, call).await;
            answer.unwrap_or_else(|_| Err(StoreError::unanswered(location.to_string(), limit)))
        }
    }

    /// Runs a call in a task of its own, to its end.
    async fn contained<T, F>(&self, call: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        tokio::spawn(call).await.unwrap_or_else(|_| Err(self.panicked()))
    }
}
