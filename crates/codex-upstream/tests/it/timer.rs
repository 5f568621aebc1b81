use std::future::Future;
use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_upstream::Timer;

/// A clock that does not move. Sleeps below a limit end at once; longer ones, which bound other waits, never do.
#[derive(Debug)]
pub(crate) struct TestTimer {
    limit: Duration,
    slept: Mutex<Vec<Duration>>,
    passed: Mutex<Duration>,
}

impl TestTimer {
    pub(crate) fn new() -> Self {
        Self::with_limit(Duration::from_secs(10))
    }

    pub(crate) fn with_limit(limit: Duration) -> Self {
        Self { limit, slept: Mutex::default(), passed: Mutex::default() }
    }

    pub(crate) fn slept(&self) -> Vec<Duration> {
        self.slept.lock().unwrap().clone()
    }

    pub(crate) fn advance(&self, duration: Duration) {
        *self.passed.lock().unwrap() += duration;
    }
}

impl Timer for TestTimer {
    fn now(&self) -> SystemTime {
        start() + *self.passed.lock().unwrap()
    }

    fn jitter(&self) -> f64 {
        0.5
    }

    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send {
        let ends = duration < self.limit;
        if ends {
            self.slept.lock().unwrap().push(duration);
        }
        async move {
            if !ends {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// The time at which every test starts.
pub(crate) fn start() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_775_000_000)
}
