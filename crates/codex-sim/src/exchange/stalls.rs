//! Replies that stand still until a test releases them.

use tokio::sync::watch;

use crate::request_log::Ticket;

/// Holds replies back. A release lets go of those that wait at that moment, and of no later one.
#[derive(Debug)]
pub(crate) struct Stalls {
    /// Counts the releases.
    releases: watch::Sender<u64>,
}

impl Stalls {
    pub(crate) fn new() -> Self {
        Self { releases: watch::Sender::new(0) }
    }

    /// Resolves when [`Stalls::release`] is next called; until then the request of `ticket` is shown as waiting.
    pub(crate) async fn released(&self, ticket: &Ticket) {
        // Subscribed first, so that a test that sees the request wait can release it.
        let mut releases = self.releases.subscribe();
        ticket.waiting(true);
        // The sender lives in `self`, so this cannot fail.
        let _ = releases.changed().await;
        ticket.waiting(false);
    }

    pub(crate) fn release(&self) {
        self.releases.send_modify(|count| *count = count.wrapping_add(1));
    }
}
