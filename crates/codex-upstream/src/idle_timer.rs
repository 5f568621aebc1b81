//! A timer for inactivity.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Elapses after a time without events.
///
/// An event costs only a look at the clock, and not a change to the runtime's timers: the timer is reset when it fires
/// too early.
///
/// ```
/// use std::future::poll_fn;
/// use std::time::Duration;
///
/// use codex_upstream::IdleTimer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut keepalive = IdleTimer::new(Duration::from_millis(1));
/// poll_fn(|cx| keepalive.poll_elapsed(cx)).await; // nothing has happened for a while
/// keepalive.reset(); // something has
/// # }
/// ```
#[derive(Debug)]
pub struct IdleTimer {
    timer: Pin<Box<Sleep>>,
    after: Duration,
    last: Instant,
}

impl IdleTimer {
    /// Starts a timer that elapses `after` this time, counted from the last [`reset`](Self::reset). Uses tokio's clock.
    pub fn new(after: Duration) -> Self {
        Self::since(Instant::now(), after)
    }

    /// Starts a timer as if the last event was at `start`.
    pub fn since(start: Instant, after: Duration) -> Self {
        Self { timer: Box::pin(tokio::time::sleep_until(start + after)), after, last: start }
    }

    /// Records an event.
    pub fn reset(&mut self) {
        self.last = Instant::now();
    }

    /// Returns ready once the time has passed without an event, and until the next [`reset`](Self::reset).
    pub fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let due = self.last + self.after;
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_elapses_after_the_time_since_the_last_event() {
        let started = Instant::now();
        let mut timer = IdleTimer::new(Duration::from_secs(10));
        for _ in 0..3 {
            tokio::time::advance(Duration::from_secs(7)).await;
            timer.reset();
        }
        poll_fn(|cx| timer.poll_elapsed(cx)).await;
        assert_eq!(started.elapsed().as_secs(), 31);
        poll_fn(|cx| timer.poll_elapsed(cx)).await;
        assert_eq!(started.elapsed().as_secs(), 31, "it stays elapsed");
        timer.reset();
        poll_fn(|cx| timer.poll_elapsed(cx)).await;
        assert_eq!(started.elapsed().as_secs(), 41);
    }
}
