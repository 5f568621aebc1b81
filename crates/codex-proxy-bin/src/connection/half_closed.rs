//! When to probe a client that has ended its side of the connection.
//!
//! A client that has shut down its writing half (`nc -N`) waits for its reply; one that has closed the connection does
//! not. Both look the same until something is written: a client that has closed answers with a reset, and the next
//! write fails. So what has to be written anyway is written early and in small parts. Before a reply's head, these are
//! the first bytes of its status line (`MonitoredIo`); in a stream of events, comments (`ReplyBody`).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long after the first probe the second one is due: the reset of a client on this machine has arrived by then.
const FIRST_DELAY: Duration = Duration::from_millis(20);

/// By how much the delay grows with each probe, for clients that are further away.
const GROWTH: u32 = 4;

/// The longest delay.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// When the next probe is due.
#[derive(Debug)]
pub(crate) struct ProbeTimer {
    /// `None` before the first probe.
    next: Option<Pin<Box<Sleep>>>,
    delay: Duration,
}

impl Default for ProbeTimer {
    fn default() -> Self {
        Self { next: None, delay: FIRST_DELAY }
    }
}

impl ProbeTimer {
    /// Waits until the next probe is due: the first one is at once.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(next) = &mut self.next {
            ready!(next.as_mut().poll(cx));
        }
        self.next = Some(Box::pin(sleep_until(Instant::now() + self.delay)));
        self.delay = (self.delay * GROWTH).min(LONGEST_DELAY);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn probes_follow_each_other_ever_more_slowly() {
        let (mut timer, started) = (ProbeTimer::default(), Instant::now());
        let mut due = Vec::new();
        for _ in 0..9 {
            poll_fn(|cx| timer.poll_due(cx)).await;
            due.push(started.elapsed().as_millis());
        }
        assert_eq!(due, [0, 20, 100, 420, 1700, 6820, 27_300, 87_300, 147_300]);
    }
}
