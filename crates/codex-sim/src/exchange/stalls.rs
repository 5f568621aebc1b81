//! Replies that wait until a test releases them.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::request_log::Ticket;

/// Stalls replies. A release continues the replies that are waiting at that moment.
#[derive(Debug)]
pub(crate) struct Stalls {
    /// Counts the releases.
    releases: watch::Sender<u64>,
}

impl Stalls {
    pub(crate) fn new() -> Self {
        Self { releases: watch::Sender::new(0) }
    }

    /// Resolves at the next [`Stalls::release`], or after `limit`; until then the request of `ticket` is recorded as
    /// waiting.
    pub(crate) async fn released(&self, ticket: &Ticket, limit: Option<Duration>) {
        // Subscribed first: a test that sees the request wait can then release it.
        let mut releases = self.releases.subscribe();
        ticket.waiting(true);
        // The sender lives in `self`, so this cannot fail.
        let released = releases.changed();
        match limit {
            Some(limit) => drop(timeout(limit, released).await),
            None => drop(released.await),
        }
        ticket.waiting(false);
    }

    pub(crate) fn release(&self) {
        self.releases.send_modify(|count| *count = count.wrapping_add(1));
    }
}
