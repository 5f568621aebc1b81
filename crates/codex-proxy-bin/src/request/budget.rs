//! The memory for large request bodies, bounded over all requests: one body may have 64 MiB, and a few KiB can decode
//! to that, so a few dozen at once would exhaust the memory and end every reply.
//!
//! There are two budgets, and what is above 1 MiB counts towards one of them for as long as it is in memory. The first
//! is for requests that are not sent yet: bodies while they are read and decoded, messages on clients' WebSockets while
//! they arrive, and what stored conversations add to a request. The second is for what is retained after that: requests
//! that are to be stored with their responses, and conversations that WebSockets remember. Retaining is optional, so it
//! never takes memory from requests.
//!
//! Only a request that holds no permit yet waits for memory; all others get it at once or not at all. So nothing waits
//! for memory while it holds memory or a slot.

use std::sync::Arc;
use std::time::Duration;

use codex_translate::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::request::limits::full;

/// A body up to this size is small and is not counted.
pub(crate) const SMALL_BYTES: usize = 1024 * 1024;

/// The total size of large bodies that are not sent yet. A request takes about twice its body's size.
const ALL_BYTES: usize = 512 * 1024 * 1024;

/// The total size of what is retained of large requests.
const RETAINED_BYTES: usize = 256 * 1024 * 1024;

/// The budget is counted in KiB.
const UNIT_BYTES: usize = 1024;

/// The memory that is left.
#[derive(Clone, Debug)]
pub(crate) struct BodyMemoryBudget(Arc<Semaphore>);

/// One body's part of the budget. Dropping it returns it.
#[derive(Debug)]
pub(crate) struct BudgetPermit(OwnedSemaphorePermit);

impl Default for BodyMemoryBudget {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BYTES / UNIT_BYTES)))
    }
}

impl BodyMemoryBudget {
    /// Makes the budget for what is retained of requests.
    pub(crate) fn retained() -> Self {
        Self(Arc::new(Semaphore::new(RETAINED_BYTES / UNIT_BYTES)))
    }

    /// Waits, for at most `max_wait`, for the memory for a body of at most `bytes`. A body larger than the whole budget
    /// gets all of it.
    ///
    /// Call it only while holding neither a permit nor a slot: otherwise callers can wait for each other.
    ///
    /// # Errors
    /// No memory became free in time; the caller gets 503.
    pub(crate) async fn acquire(&self, bytes: usize, max_wait: Duration) -> Result<BudgetPermit, Error> {
        let permit = tokio::time::timeout(max_wait, Arc::clone(&self.0).acquire_many_owned(units(bytes))).await;
        // The semaphore is never closed.
        permit.ok().and_then(Result::ok).map(BudgetPermit).ok_or_else(too_many)
    }

    /// Returns the memory for `bytes` if it is free.
    ///
    /// # Errors
    /// It is not free.
    pub(crate) fn try_acquire(&self, bytes: usize) -> Result<BudgetPermit, Error> {
        Arc::clone(&self.0).try_acquire_many_owned(units(bytes)).map(BudgetPermit).map_err(|_| too_many())
    }

    /// Returns the memory for what a request grows by, if it is free. Half of the budget is enough for any growth: the
    /// request has its own part of the other half.
    ///
    /// # Errors
    /// It is not free.
    pub(crate) fn try_grow(&self, from_bytes: usize, to_bytes: usize) -> Result<BudgetPermit, Error> {
        self.try_acquire(to_bytes.saturating_sub(from_bytes).min(ALL_BYTES / 2))
    }

    /// Extends `permit` to the memory for `bytes`, if that is free.
    ///
    /// # Errors
    /// It is not free; `permit` stays as it is.
    pub(crate) fn try_extend(&self, permit: &mut Option<BudgetPermit>, bytes: usize) -> Result<(), Error> {
        let held = permit.as_ref().map_or(0, |permit| permit.0.num_permits());
        let missing = units(bytes).saturating_sub(u32::try_from(held).unwrap_or(u32::MAX));
        let more = Arc::clone(&self.0).try_acquire_many_owned(missing).map_err(|_| too_many())?;
        match permit {
            Some(permit) => permit.0.merge(more),
            None => *permit = Some(BudgetPermit(more)),
        }
        Ok(())
    }
}

impl BudgetPermit {
    /// Returns what a body of `bytes` does not need.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let spare = self.0.num_permits().saturating_sub(units(bytes) as usize);
        drop(self.0.split(spare));
    }
}

fn too_many() -> Error {
    full("too many large requests")
}

/// Small bodies need none.
fn units(bytes: usize) -> u32 {
    if bytes <= SMALL_BYTES {
        return 0;
    }
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
        assert!(bodies.acquire(SMALL_BYTES + 1, MAX_WAIT).now_or_never().is_none());
        assert!(bodies.try_acquire(SMALL_BYTES + 1).is_err());
        // Small bodies are not counted.
        assert!(bodies.try_acquire(SMALL_BYTES).is_ok());
    }

    #[test]
    fn a_request_can_grow_beside_its_own_body() {
        let bodies = BodyMemoryBudget::default();
        let _own = bodies.try_acquire(2 * SMALL_BYTES).unwrap();
        assert!(bodies.try_grow(2 * SMALL_BYTES, 2 * ALL_BYTES).is_ok());
    }

    #[test]
    fn a_permit_is_extended_by_what_is_missing() {
        let bodies = BodyMemoryBudget::default();
        let mut permit = None;
        bodies.try_extend(&mut permit, 2 * SMALL_BYTES).unwrap();
        bodies.try_extend(&mut permit, 3 * SMALL_BYTES).unwrap();
        bodies.try_extend(&mut permit, 2 * SMALL_BYTES).unwrap();
        assert_eq!(bodies.0.available_permits(), (ALL_BYTES - 3 * SMALL_BYTES) / UNIT_BYTES);
        let _rest = bodies.try_acquire(ALL_BYTES - 3 * SMALL_BYTES).unwrap();
        assert_eq!(bodies.try_extend(&mut permit, 4 * SMALL_BYTES).unwrap_err().status_hint(), 503);
        drop(permit);
        assert_eq!(bodies.0.available_permits(), 3 * SMALL_BYTES / UNIT_BYTES);
    }
}
