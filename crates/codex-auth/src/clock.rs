//! The wall clock as a parameter.

use std::time::SystemTime;

/// Tells the wall-clock time against which token expiry is judged.
///
/// Implemented for every `Fn() -> SystemTime`, so a test passes a closure.
pub trait Clock: Send + Sync + 'static {
    /// Returns the present time.
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
