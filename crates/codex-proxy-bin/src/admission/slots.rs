//! Concurrency: a bounded number of requests run at the same time, and a bounded queue waits, first come, first served.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use codex_translate::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::request::limits::full;
use crate::sync::lock;

/// A number of slots. Everything that is served holds one: a request from its body to its reply's last byte, a
/// connection until it is closed.
///
/// Invariant: free permits + slots held − `SlotCounts::owed` = `SlotCounts::slots`.
#[derive(Clone, Debug)]
pub struct Slots(Arc<SlotsInner>);

#[derive(Debug)]
struct SlotsInner {
    semaphore: Arc<Semaphore>,
    state: Mutex<SlotCounts>,
}

#[derive(Debug)]
struct SlotCounts {
    slots: usize,
    queue: usize,
    waiting: usize,
    /// Slots still held beyond the current number: the next ones returned are not given out again.
    owed: usize,
}

/// One of the slots. Dropping it frees it for the next.
#[derive(Debug)]
pub struct Slot {
    shared: Arc<SlotsInner>,
    permit: Option<OwnedSemaphorePermit>,
}

/// A place in the queue.
struct QueuePlace<'a>(&'a SlotsInner);

impl Slots {
    /// Makes `slots` slots, for which at most `queue` callers wait.
    pub fn new(slots: usize, queue: usize) -> Self {
        let slots = slots.min(Semaphore::MAX_PERMITS);
        let state = SlotCounts { slots, queue, waiting: 0, owed: 0 };
        Self(Arc::new(SlotsInner { semaphore: Arc::new(Semaphore::new(slots)), state: Mutex::new(state) }))
    }

    /// Takes a slot if one is free.
    pub fn try_take(&self) -> Option<Slot> {
        let permit = Arc::clone(&self.0.semaphore).try_acquire_owned().ok();
        permit.map(|permit| Slot { shared: Arc::clone(&self.0), permit: Some(permit) })
    }

    /// Waits for a slot, for at most `max_wait`.
    ///
    /// # Errors
    /// The queue is full, or no slot became free in time; the caller gets 503.
    pub async fn take(&self, max_wait: Duration) -> Result<Slot, Error> {
        if let Some(slot) = self.try_take() {
            return Ok(slot);
        }
        let _waiting = self.0.queue()?;
        let permit = tokio::time::timeout(max_wait, Arc::clone(&self.0.semaphore).acquire_owned()).await;
        // The semaphore is never closed.
        let permit = permit.ok().and_then(Result::ok).ok_or_else(|| full("no running request ended in time"))?;
        Ok(Slot { shared: Arc::clone(&self.0), permit: Some(permit) })
    }

    /// Changes the number of slots and of places in the queue; running requests are not interrupted.
    pub fn resize(&self, slots: usize, queue: usize) {
        let slots = slots.min(Semaphore::MAX_PERMITS);
        let mut state = self.0.state();
        let more = slots.saturating_sub(state.slots);
        let repaid = more.min(state.owed);
        state.owed -= repaid;
        self.0.semaphore.add_permits(more - repaid);
        let fewer = state.slots.saturating_sub(slots);
        state.owed += fewer - self.0.semaphore.forget_permits(fewer);
        state.slots = slots;
        state.queue = queue;
    }

    /// Returns how many callers wait for a slot.
    pub fn waiting(&self) -> usize {
        self.0.state().waiting
    }

    /// Returns how many slots are taken.
    pub fn taken(&self) -> usize {
        let state = self.0.state();
        (state.slots + state.owed).saturating_sub(self.0.semaphore.available_permits())
    }
}

impl SlotsInner {
    fn state(&self) -> MutexGuard<'_, SlotCounts> {
        lock(&self.state)
    }

    fn queue(&self) -> Result<QueuePlace<'_>, Error> {
        let mut state = self.state();
        if state.waiting >= state.queue {
            return Err(full("too many concurrent requests"));
        }
        state.waiting += 1;
        Ok(QueuePlace(self))
    }
}

impl Drop for QueuePlace<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let Some(permit) = self.permit.take() else { return };
        if state.owed > 0 {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn waiting_callers_are_served_in_order_and_further_ones_are_rejected() {
        let slots = Slots::new(1, 2);
        let first = slots.take(LONG).await.unwrap();
        let (mut second, mut third) = (Box::pin(slots.take(LONG)), Box::pin(slots.take(LONG)));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        assert_eq!((slots.taken(), slots.waiting()), (1, 2));
        let error = slots.take(LONG).await.unwrap_err();
        assert_eq!((error.status_hint(), error.retry_after().is_some()), (503, true));
        drop(first);
        assert!(third.as_mut().now_or_never().is_none());
        let second = second.await.unwrap();
        // A caller that gives up frees its place in the queue.
        drop(third);
        let mut fourth = Box::pin(slots.take(LONG));
        assert!(fourth.as_mut().now_or_never().is_none());
        drop(second);
        drop(fourth.await.unwrap());
        assert_eq!(slots.taken(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_is_bounded() {
        let slots = Slots::new(1, 1);
        let _first = slots.take(LONG).await.unwrap();
        assert_eq!(slots.take(LONG).await.unwrap_err().status_hint(), 503);
        assert_eq!(slots.waiting(), 0);
    }

    #[tokio::test]
    async fn reducing_the_slots_does_not_interrupt_what_runs() {
        let slots = Slots::new(3, 0);
        let mut held = vec![slots.take(LONG).await.unwrap(), slots.take(LONG).await.unwrap()];
        slots.resize(1, 0);
        assert_eq!(slots.taken(), 2);
        held.pop();
        assert!(slots.take(LONG).await.is_err(), "the only slot is taken");
        slots.resize(2, 0);
        held.push(slots.take(LONG).await.unwrap());
        assert!(slots.take(LONG).await.is_err());
        slots.resize(1, 0);
        slots.resize(4, 0);
        held.push(slots.take(LONG).await.unwrap());
        held.push(slots.take(LONG).await.unwrap());
        assert!(slots.take(LONG).await.is_err());
        held.clear();
        assert_eq!(slots.taken(), 0);
    }
}
