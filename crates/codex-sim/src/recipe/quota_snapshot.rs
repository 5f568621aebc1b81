//! The quota as the events of a reply report it.

use crate::protocol::quota::Quota;
use crate::recipe::event::Event;

/// The account's quota and plan when the reply began, for the events that tell of them.
#[derive(Debug, Clone)]
pub(crate) struct QuotaSnapshot {
    pub(crate) quota: Quota,
    pub(crate) plan_type: String,
    pub(crate) now: u64,
}

impl QuotaSnapshot {
    /// The event that tells that this much of the first window is used.
    pub(crate) fn limits_event(&self, percent: f64) -> Event {
        let quota = Quota::both(percent, percent, self.now);
        Event::unnumbered("codex.rate_limits", quota.event(&self.plan_type))
    }
}
