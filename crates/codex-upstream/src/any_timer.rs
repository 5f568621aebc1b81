//! A timer whose kind is chosen at run time.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use codex_auth::Clock;

use crate::timer::{Timer, TokioTimer};

/// A timer whose kind is chosen while the program runs. Clones are the same timer.
///
/// It tells the time of day; durations are measured with tokio's clock, which tests can pause.
///
/// ```
/// use codex_upstream::{AnyTimer, TokioTimer};
///
/// let timer = AnyTimer::new(TokioTimer); // or `AnyTimer::default()`, or a timer of your own
/// # drop(timer);
/// ```
#[derive(Clone, Default)]
pub struct AnyTimer(Kind);

#[derive(Clone, Default)]
enum Kind {
    /// The machine's clock and tokio's timer. Sleeping allocates nothing: it happens for each message of a WebSocket.
    #[default]
    Tokio,
    Other(Arc<dyn ErasedTimer>),
}

impl AnyTimer {
    /// Wraps a timer of any kind.
    pub fn new<T: Timer + 'static>(timer: T) -> Self {
        Self(Kind::Other(Arc::new(timer)))
    }

    /// Returns the time of day.
    pub fn now(&self) -> SystemTime {
        match &self.0 {
            Kind::Tokio => Timer::now(&TokioTimer),
            Kind::Other(timer) => timer.now(),
        }
    }
}

impl fmt::Debug for AnyTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyTimer").finish_non_exhaustive()
    }
}

impl Timer for AnyTimer {
    fn now(&self) -> SystemTime {
        Self::now(self)
    }

    fn jitter(&self) -> f64 {
        match &self.0 {
            Kind::Tokio => Timer::jitter(&TokioTimer),
            Kind::Other(timer) => timer.jitter(),
        }
    }

    async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Kind::Tokio => Timer::sleep(&TokioTimer, duration).await,
            Kind::Other(timer) => timer.sleep(duration).await,
        }
    }
}

impl Clock for AnyTimer {
    fn now(&self) -> SystemTime {
        Self::now(self)
    }
}

/// [`Timer`] with futures of one type.
trait ErasedTimer: Send + Sync {
    fn now(&self) -> SystemTime;
    fn jitter(&self) -> f64;
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

impl<T: Timer> ErasedTimer for T {
    fn now(&self) -> SystemTime {
        Timer::now(self)
    }

    fn jitter(&self) -> f64 {
        Timer::jitter(self)
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(Timer::sleep(self, duration))
    }
}
