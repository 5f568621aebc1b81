//! One piece of work at a time, however many wait for it.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

/// Runs at most one task at a time and gives its outcome to everybody who waits.
///
/// The task is detached: it runs to its end when all who wait have gone away.
#[derive(Debug)]
pub(crate) struct SingleFlight<T> {
    current: Mutex<Option<InFlight<T>>>,
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    pub(crate) fn new() -> Self {
        Self { current: Mutex::new(None) }
    }

    /// Joins the task that is under way, or starts `task`. Must be called within a tokio runtime.
    pub(crate) fn join<F>(&self, task: impl FnOnce() -> F) -> InFlight<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(landing) = current.as_ref().filter(|landing| landing.is_awaited()) {
            return landing.clone();
        }
        let (sender, outcome) = watch::channel(None);
        let task = task();
        tokio::spawn(async move {
            let outcome = task.await;
            sender.send_replace(Some(outcome));
        });
        let landing = InFlight { outcome, began: Instant::now() };
        *current = Some(landing.clone());
        landing
    }

    /// Returns the task under way.
    pub(crate) fn under_way(&self) -> Option<InFlight<T>> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|landing| landing.is_awaited()).cloned()
    }
}

/// The end of a task that somebody waits for.
#[derive(Clone, Debug)]
pub(crate) struct InFlight<T> {
    outcome: watch::Receiver<Option<T>>,
    began: Instant,
}

impl<T: Clone> InFlight<T> {
    /// Waits for the outcome; `None` when the task panicked.
    pub(crate) async fn wait(mut self) -> Option<T> {
        self.outcome.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Returns when the task was started, which may be before this caller joined it.
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// A task that panicked has closed the channel without a value.
    fn is_awaited(&self) -> bool {
        self.outcome.borrow().is_none() && self.outcome.has_changed().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn those_who_come_meanwhile_share_one_task() {
        let flight = SingleFlight::new();
        let (land, landed) = oneshot::channel();
        let first = flight.join(|| async { landed.await.unwrap() });
        let second = flight.join(|| async { panic!("a second task") });
        land.send(7).unwrap();
        assert_eq!((first.wait().await, second.wait().await), (Some(7), Some(7)));
        assert!(flight.under_way().is_none());
        assert_eq!(flight.join(|| async { 8 }).wait().await, Some(8));
    }

    #[tokio::test]
    async fn the_task_outlives_those_who_wait() {
        let flight = SingleFlight::new();
        let (land, landed) = oneshot::channel();
        drop(flight.join(|| async { landed.await.unwrap() }));
        let later = flight.under_way().unwrap();
        land.send(7).unwrap();
        assert_eq!(later.wait().await, Some(7));
    }

    #[tokio::test]
    async fn a_panic_ends_the_wait_and_the_next_may_try() {
        let flight: SingleFlight<u8> = SingleFlight::new();
        assert_eq!(flight.join(|| async { panic!("on purpose") }).wait().await, None);
        assert_eq!(flight.join(|| async { 8 }).wait().await, Some(8));
    }
}
