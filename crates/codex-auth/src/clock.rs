//! The wall clock as a parameter, and points in time that cannot overflow.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The wall clock by which tokens expire.
///
/// Implemented for every `Fn() -> SystemTime`, so a test can pass a closure. If it panics, the operating system's time
/// is used: it is read while the only copy of a new token is in memory.
pub trait Clock: Send + Sync + 'static {
    /// Returns the current time.
    fn now(&self) -> SystemTime;
}

impl<F: Fn() -> SystemTime + Send + Sync + 'static> Clock for F {
    fn now(&self) -> SystemTime {
        self()
    }
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Returns the clock's time, or the operating system's if the clock panics.
pub(crate) fn read_clock<C: Clock + ?Sized>(clock: &C) -> SystemTime {
    catch_unwind(AssertUnwindSafe(|| clock.now())).unwrap_or_else(|_| SystemTime::now())
}

/// Returns the time `wait` after `start`. A wait that is too long to add, such as [`Duration::MAX`], ends in 30 years.
pub(crate) fn later(start: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    start.checked_add(wait).unwrap_or_else(|| start + FAR)
}
