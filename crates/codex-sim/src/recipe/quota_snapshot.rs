//! The quota as the events of a reply report it.

use crate::protocol::quota::Quota;
use crate::recipe::event::Event;

/// The account's quota and plan at the start of the reply, for the events that report them.
#[derive(Debug, Clone)]
pub(crate) struct QuotaSnapshot {
    pub(crate) quota: Quota,
    pub(crate) plan_type: String,
    pub(crate) now: u64,
}

impl QuotaSnapshot {
    /// Returns the event that reports this used percentage.
    pub(crate) fn limits_event(&self, percent: f64) -> Event {
        let quota = Quota::both(percent, percent, self.now);
        Event::unnumbered("codex.rate_limits", quota.event(&self.plan_type))
    }
}
