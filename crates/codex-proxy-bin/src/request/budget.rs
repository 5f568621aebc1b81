//! Memory for large request bodies, bounded over all requests: one body may have 64 MiB, and a few KiB can decode to
//! that, so some dozens at once would exhaust the memory and end every reply.

use std::sync::Arc;
use std::time::Duration;

use codex_translate::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::request::limits::full;

/// A body up to this size is small and is not counted.
pub(crate) const SMALL_BYTES: usize = 1024 * 1024;

/// The total size of large bodies at the same time. A request takes about twice its body's size.
const ALL_BYTES: usize = 512 * 1024 * 1024;

/// The budget is counted in KiB.
const UNIT_BYTES: usize = 1024;

/// The memory that is left.
#[derive(Debug)]
pub(crate) struct BodyMemoryBudget(Arc<Semaphore>);

/// One body's share. Dropping it returns it.
#[derive(Debug)]
pub(crate) struct BudgetPermit(OwnedSemaphorePermit);

impl Default for BodyMemoryBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BYTES / UNIT_BYTES)))
    }
}

impl BodyMemoryBudget {
    /// Waits, for at most `max_wait`, for a share for a body of at most `bytes`. A body larger than the whole budget
    /// gets all of it.
    ///
    /// Acquire once per body: acquiring again while holding a share can deadlock.
    ///
    /// # Errors
    /// No memory became free in time; the caller gets 503.
    pub(crate) async fn acquire(&self, bytes: usize, max_wait: Duration) -> Result<BudgetPermit, Error> {
        let permit = tokio::time::timeout(max_wait, Arc::clone(&self.0).acquire_many_owned(units(bytes))).await;
        // The semaphore is never closed.
        permit.ok().and_then(Result::ok).map(BudgetPermit).ok_or_else(|| full("too many large requests"))
    }
}

impl BudgetPermit {
    /// Returns what a body of `bytes` does not need.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let spare = self.0.num_permits().saturating_sub(units(bytes) as usize);
        drop(self.0.split(spare));
    }
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.min(ALL_BYTES).div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const MAX_WAIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_each_other_but_not_forever() {
        let bodies = BodyMemoryBudget::default();
        let mut first = bodies.acquire(ALL_BYTES - SMALL_BYTES, MAX_WAIT).await.unwrap();
        let error = bodies.acquire(2 * SMALL_BYTES, MAX_WAIT).await.unwrap_err();
        assert_eq!((error.status_hint(), error.retry_after().is_some()), (503, true));
        let mut second = Box::pin(bodies.acquire(2 * SMALL_BYTES, MAX_WAIT));
        assert!(second.as_mut().now_or_never().is_none());
        first.shrink_to(ALL_BYTES / 2);
        let second = second.await.unwrap();
        drop((first, second));
        assert_eq!(bodies.0.available_permits(), ALL_BYTES / UNIT_BYTES);
    }

    #[tokio::test]
    async fn a_body_larger_than_the_budget_gets_all_of_it() {
        let bodies = BodyMemoryBudget::default();
        let _all = bodies.acquire(2 * ALL_BYTES, MAX_WAIT).await.unwrap();
        assert!(bodies.acquire(1, MAX_WAIT).now_or_never().is_none());
    }
}
