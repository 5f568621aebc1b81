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
pub(crate) struct LargeBodies(Arc<Semaphore>);

/// One body's share. Dropping it returns it.
#[derive(Debug)]
pub(crate) struct Share(OwnedSemaphorePermit);

impl Default for LargeBodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_BYTES / UNIT_BYTES)))
    }
}

impl LargeBodies {
    /// Waits, for at most `patience`, for a share for a body of at most `bytes`. A body larger than the whole budget
    /// gets all of it.
    ///
    /// Acquire once per body: acquiring again while holding a share can deadlock.
    ///
    /// # Errors
    /// No memory became free in time; the caller gets 503.
    pub(crate) async fn share(&self, bytes: usize, patience: Duration) -> Result<Share, Error> {
        let permit = tokio::time::timeout(patience, Arc::clone(&self.0).acquire_many_owned(units(bytes))).await;
        // The semaphore is never closed.
        permit.ok().and_then(Result::ok).map(Share).ok_or_else(|| full("too many large requests"))
    }
}

impl Share {
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

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn large_bodies_wait_for_each_other_but_not_forever() {
        let bodies = LargeBodies::default();
        let mut first = bodies.share(ALL_BYTES - SMALL_BYTES, PATIENCE).await.unwrap();
        let error = bodies.share(2 * SMALL_BYTES, PATIENCE).await.unwrap_err();
        assert_eq!((error.status_hint(), error.retry_after().is_some()), (503, true));
        let mut second = Box::pin(bodies.share(2 * SMALL_BYTES, PATIENCE));
        assert!(second.as_mut().now_or_never().is_none());
        first.shrink_to(ALL_BYTES / 2);
        let second = second.await.unwrap();
        drop((first, second));
        assert_eq!(bodies.0.available_permits(), ALL_BYTES / UNIT_BYTES);
    }

    #[tokio::test]
    async fn a_body_larger_than_the_budget_gets_all_of_it() {
        let bodies = LargeBodies::default();
        let _all = bodies.share(2 * ALL_BYTES, PATIENCE).await.unwrap();
        assert!(bodies.share(1, PATIENCE).now_or_never().is_none());
    }
}
