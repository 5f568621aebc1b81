//! Waiting, the time of day and jitter as a parameter.

use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _};
use std::time::{Duration, SystemTime};

/// The source of waiting, the time of day and jitter. Tests provide their own.
///
/// # Example
/// A timer whose time stands still, for tests:
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use codex_upstream::Timer;
///
/// struct FixedTimer(SystemTime);
///
/// impl Timer for FixedTimer {
///     fn now(&self) -> SystemTime {
///         self.0
///     }
///
///     fn jitter(&self) -> f64 {
///         0.5
///     }
///
///     async fn sleep(&self, _duration: Duration) {}
/// }
/// ```
pub trait Timer: Send + Sync {
    /// Returns the time of day.
    fn now(&self) -> SystemTime;

    /// Returns a random number that is at least 0 and less than 1.
    fn jitter(&self) -> f64;

    /// Waits for `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// The system's clock and tokio's timer.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn jitter(&self) -> f64 {
        // Each RandomState has a new seed, which is random enough to spread retries.
        let bits = std::hash::RandomState::new().build_hasher().finish() >> 32;
        f64::from(u32::try_from(bits).unwrap_or_default()) / (f64::from(u32::MAX) + 1.0)
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_in_range_and_varies() {
        let draws: Vec<f64> = (0..64).map(|_| TokioTimer.jitter()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)), "{draws:?}");
        assert!(draws.iter().any(|draw| *draw != draws[0]), "{draws:?}");
    }
}
