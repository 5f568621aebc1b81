//! What is known of the quota: told by every reply, and by the backend when it is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use codex_translate::Error;
use codex_upstream::Quota;

/// How long the backend is not asked again after it has answered.
const FRESH: Duration = Duration::from_secs(60);

/// The same after it has not.
const PAUSE: Duration = Duration::from_secs(15);

/// The quota as the last replies tell it.
#[derive(Debug, Default)]
pub struct KnownQuota {
    report: Mutex<QuotaReport>,
    /// Held while the backend is asked: those who come meanwhile find its answer.
    pub(super) last_query: tokio::sync::Mutex<QuotaQuery>,
}

/// A quota and when it was told.
#[derive(Clone, Debug, Default)]
pub struct QuotaReport {
    /// The quota; empty as long as nobody has told it.
    pub quota: Quota,
    /// When the newest part of it was told.
    pub at: Option<SystemTime>,
    /// Why the backend did not answer the last time it was asked.
    pub problem: Option<String>,
}

/// When the backend was last asked, and why it did not answer.
#[derive(Debug, Default)]
pub(super) struct QuotaQuery {
    pub(super) at: Option<SystemTime>,
    pub(super) failure: Option<Error>,
}

impl KnownQuota {
    /// Takes over what a reply tells at `now`. Silence is no news.
    pub fn observe(&self, quota: Quota, now: SystemTime) {
        if quota != Quota::default() {
            let mut report = self.lock();
            report.quota.update(quota);
            report.at = Some(now);
        }
    }

    /// Hands out what is known.
    pub fn report(&self) -> QuotaReport {
        self.lock().clone()
    }

    /// Takes over a whole report.
    pub(super) fn replace(&self, quota: Quota, now: SystemTime) {
        *self.lock() = QuotaReport { quota, at: Some(now), problem: None };
    }

    fn lock(&self) -> MutexGuard<'_, QuotaReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QuotaQuery {
    /// Whether the backend is to be asked. A clock that was set back makes an answer old, not eternal.
    pub(super) fn is_due(&self, now: SystemTime) -> bool {
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
    fn an_answer_is_good_for_a_minute_and_a_failure_for_less() {
        let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        assert!(QuotaQuery::default().is_due(at(0)));
        let answered = QuotaQuery { at: Some(at(100)), failure: None };
        assert!(!answered.is_due(at(159)) && answered.is_due(at(160)) && answered.is_due(at(99)));
        let failed = QuotaQuery { failure: Some(Error::new(ErrorKind::Server, "down")), ..answered };
        assert!(!failed.is_due(at(114)) && failed.is_due(at(115)));
    }
}
