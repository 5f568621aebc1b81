//! One task at a time, shared by all callers that wait for it.

use std::future::Future;
use std::sync::Mutex;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::lock::lock;

/// Runs at most one task at a time and gives its outcome to every caller that waits.
///
/// The task is detached: it runs to its end even if all callers have gone away.
#[derive(Debug)]
pub(crate) struct SingleFlight<T> {
    current: Mutex<Option<InFlight<T>>>,
}

impl<T: Clone + Send + Sync + 'static> SingleFlight<T> {
    pub(crate) fn new() -> Self {
        Self { current: Mutex::new(None) }
    }

    /// Joins the running task, or starts `task`. Must be called within a tokio runtime.
    pub(crate) fn join<F>(&self, task: impl FnOnce() -> F) -> InFlight<T>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut current = lock(&self.current);
        if let Some(in_flight) = current.as_ref().filter(|in_flight| in_flight.is_running()) {
            return in_flight.clone();
        }
        let (sender, outcome) = watch::channel(None);
        let task = task();
        tokio::spawn(async move {
            let outcome = task.await;
            sender.send_replace(Some(outcome));
        });
        let in_flight = InFlight { outcome, started: Instant::now() };
        *current = Some(in_flight.clone());
        in_flight
    }

    /// Returns the running task, if any.
    pub(crate) fn running(&self) -> Option<InFlight<T>> {
        lock(&self.current).as_ref().filter(|in_flight| in_flight.is_running()).cloned()
    }
}

/// A task that was started, and its outcome.
#[derive(Clone, Debug)]
pub(crate) struct InFlight<T> {
    outcome: watch::Receiver<Option<T>>,
    started: Instant,
}

impl<T: Clone> InFlight<T> {
    /// Waits for the outcome; `None` if the task panicked.
    pub(crate) async fn wait(mut self) -> Option<T> {
        self.outcome.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Returns when the task was started, which may be before this caller joined it.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Returns whether the task runs. One that panicked has closed the channel without a value.
    fn is_running(&self) -> bool {
        self.outcome.borrow().is_none() && self.outcome.has_changed().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn concurrent_callers_share_one_task() {
        let flight = SingleFlight::new();
        let (finish, finished) = oneshot::channel();
        let first = flight.join(|| async { finished.await.unwrap() });
        let second = flight.join(|| async { panic!("a second task") });
        finish.send(7).unwrap();
        assert_eq!((first.wait().await, second.wait().await), (Some(7), Some(7)));
        assert!(flight.running().is_none());
        assert_eq!(flight.join(|| async { 8 }).wait().await, Some(8));
    }

    #[tokio::test]
    async fn the_task_outlives_its_callers() {
        let flight = SingleFlight::new();
        let (finish, finished) = oneshot::channel();
        drop(flight.join(|| async { finished.await.unwrap() }));
        let later = flight.running().unwrap();
        finish.send(7).unwrap();
        assert_eq!(later.wait().await, Some(7));
    }

    #[tokio::test]
    async fn a_panic_ends_the_wait_and_the_next_caller_starts_again() {
        let flight: SingleFlight<u8> = SingleFlight::new();
        assert_eq!(flight.join(|| async { panic!("on purpose") }).wait().await, None);
        assert_eq!(flight.join(|| async { 8 }).wait().await, Some(8));
    }
}
