//! The known quota, from every reply and from the backend's answers to queries.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use codex_translate::Error;
use codex_upstream::Quota;
use serde_json::Value;

/// How long to wait before querying the backend again after an answer.
const FRESH: Duration = Duration::from_secs(60);

/// The same after a query without an answer.
const PAUSE: Duration = Duration::from_secs(15);

/// The quota as the last replies report it.
#[derive(Debug, Default)]
pub(crate) struct KnownQuota {
    report: Mutex<QuotaReport>,
    /// Held during a query: callers that arrive meanwhile use its answer.
    pub(crate) last_query: tokio::sync::Mutex<QuotaQuery>,
}

/// A quota, and when it was reported.
#[derive(Clone, Debug, Default)]
pub struct QuotaReport {
    /// The quota; empty until a reply reports one.
    pub quota: Quota,
    /// When the newest part of it was reported.
    pub at: Option<SystemTime>,
    /// Why the backend did not answer the last query.
    pub problem: Option<String>,
}

/// When the backend was last queried, its last reply, and why it did not answer the last query.
#[derive(Debug, Default)]
pub(crate) struct QuotaQuery {
    pub(crate) at: Option<SystemTime>,
    /// The reply as the backend sent it, without the members that identify the user.
    pub(crate) reply: Option<Value>,
    pub(crate) failure: Option<Error>,
}

impl KnownQuota {
    /// Merges what a reply reports at `now`. An empty report changes nothing.
    pub(crate) fn observe(&self, quota: Quota, now: SystemTime) {
        if quota != Quota::default() {
            let mut report = self.lock();
            report.quota.update(quota);
            report.at = Some(now);
        }
    }

    /// Returns what is known.
    pub(crate) fn report(&self) -> QuotaReport {
        self.lock().clone()
    }

    /// Replaces everything with a complete report.
    pub(crate) fn replace(&self, quota: Quota, now: SystemTime) {
        *self.lock() = QuotaReport { quota, at: Some(now), problem: None };
    }

    fn lock(&self) -> MutexGuard<'_, QuotaReport> {
        // Nothing panics while it holds the lock.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QuotaQuery {
    /// Returns whether the backend has to be queried. If the clock was set back, the last answer counts as old.
    pub(crate) fn is_due(&self, now: SystemTime) -> bool {
        let rest = if self.failure.is_none() { FRESH } else { PAUSE };
        !self.at.is_some_and(|at| now.duration_since(at).is_ok_and(|age| age < rest))
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use codex_translate::ErrorKind;

    use super::*;

    #[test]
    fn an_empty_report_changes_nothing() {
        let (known, at) = (KnownQuota::default(), UNIX_EPOCH + Duration::from_secs(900));
        known.observe(Quota { plan: Some("plus".to_owned()), ..Quota::default() }, at);
        known.observe(Quota::default(), at + Duration::from_secs(99));
        let report = known.report();
        assert_eq!((report.quota.plan.as_deref(), report.at), (Some("plus"), Some(at)));
    }

    #[test]
    fn an_answer_is_good_for_a_minute_and_a_failure_for_less() {
        let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        assert!(QuotaQuery::default().is_due(at(0)));
        let answered = QuotaQuery { at: Some(at(100)), ..QuotaQuery::default() };
        assert!(!answered.is_due(at(159)) && answered.is_due(at(160)) && answered.is_due(at(99)));
        let failed = QuotaQuery { failure: Some(Error::new(ErrorKind::Server, "down")), ..answered };
        assert!(!failed.is_due(at(114)) && failed.is_due(at(115)));
    }
}
