//! The time: a source that tests can replace, and the simulator's clock, which tests can move forward.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest lifetime and clock advance. Longer ones are cut to it, so adding times cannot overflow.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 86_400);

/// A source of the current time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl Clock {
    /// Returns the machine's clock.
    pub fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// Returns a clock that calls `now` each time.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> SystemTime {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// A [`Clock`] that can be moved forward.
#[derive(Debug)]
pub(crate) struct SimClock {
    source: Clock,
    advanced: Mutex<Duration>,
}

impl SimClock {
    pub(crate) fn new(source: Clock) -> Self {
        Self { source, advanced: Mutex::default() }
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.source.now() + *self.advanced.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn unix_now(&self) -> u64 {
        unix_secs(self.now())
    }

    pub(crate) fn advance(&self, by: Duration) {
        let mut advanced = self.advanced.lock().unwrap_or_else(PoisonError::into_inner);
        *advanced = advanced.saturating_add(by).min(MAX_DURATION);
    }
}

pub(crate) fn unix_secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
