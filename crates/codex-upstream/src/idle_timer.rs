//! A timer for silence.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Elapses when something has not happened for a while.
///
/// Each time it happens costs a look at the clock, and not a change in the runtime's list of timers: the timer is set anew when it
/// goes off too early.
#[derive(Debug)]
pub struct IdleTimer {
    timer: Pin<Box<Sleep>>,
    after: Duration,
    last: Instant,
}

impl IdleTimer {
    /// Starts a timer that elapses `after` this time, or after the last [`reset`](Self::reset). Needs tokio's clock.
    pub fn new(after: Duration) -> Self {
        Self { timer: Box::pin(tokio::time::sleep(after)), after, last: Instant::now() }
    }

    /// Notes that it has happened.
    pub fn reset(&mut self) {
        self.last = Instant::now();
    }

    /// Ready when it has not happened for long enough, and until the next [`reset`](Self::reset).
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
    async fn it_elapses_that_long_after_the_last_time() {
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
