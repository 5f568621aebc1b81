//! What is known of the quota: told by every reply, and by the backend when it is asked.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use codex_auth::TokenStore;
use codex_translate::{Error, ErrorKind};
use codex_upstream::{Quota, Upstream};
use serde_json::{Value, json};

use crate::app::App;
use crate::turn::send::authorized;

/// How long the backend is not asked again after it has answered.
const FRESH: Duration = Duration::from_secs(60);

/// The same after it has not.
const PAUSE: Duration = Duration::from_secs(15);

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The quota as the last replies tell it.
#[derive(Debug, Default)]
pub struct KnownQuota {
    told: Mutex<Told>,
    /// Held while the backend is asked: those who come meanwhile find its answer.
    asked: tokio::sync::Mutex<Asked>,
}

/// A quota and when it was told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The quota; empty as long as nobody has told it.
    pub quota: Quota,
    /// When the newest part of it was told.
    pub at: Option<SystemTime>,
    /// Why the backend did not answer the last time it was asked.
    pub problem: Option<String>,
}

/// When the backend was last asked, and why it did not answer.
#[derive(Debug, Default)]
struct Asked {
    at: Option<SystemTime>,
    failure: Option<Error>,
}

impl KnownQuota {
    /// Takes over what a reply tells at `now`. Silence is no news.
    pub fn observe(&self, quota: Quota, now: SystemTime) {
        if quota != Quota::default() {
            let mut told = self.lock();
            told.quota.update(quota);
            told.at = Some(now);
        }
    }

    /// Hands out what is known.
    pub fn told(&self) -> Told {
        self.lock().clone()
    }

    /// Takes over a whole report.
    fn replace(&self, quota: Quota, now: SystemTime) {
        *self.lock() = Told { quota, at: Some(now), problem: None };
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Asked {
    /// Whether the backend is to be asked. A clock that was set back makes an answer old, not eternal.
    fn is_due(&self, now: SystemTime) -> bool {
        let rest = if self.failure.is_none() { FRESH } else { PAUSE };
        !self.at.is_some_and(|at| now.duration_since(at).is_ok_and(|age| age < rest))
    }
}

impl Told {
    /// Writes it as `GET /v1/usage` and the status page have it. Times are RFC 3339 in UTC; what is not known is null.
    ///
    /// Windows that have started anew since they were told are left out: nothing is known of them.
    pub fn to_json(&self, now: SystemTime) -> Value {
        let mut told = quota_json(&self.quota, now);
        told["as_of"] = self.at.map(rfc3339).into();
        told["age_seconds"] = self.at.map(|at| now.duration_since(at).unwrap_or_default().as_secs()).into();
        told["is_stale"] = self.problem.is_some().into();
        told["problem"] = self.problem.clone().into();
        told
    }
}

/// Writes a quota for programs: here, on the status page and in `codex-proxy status --json`.
pub(crate) fn quota_json(quota: &Quota, now: SystemTime) -> Value {
    let windows = quota.windows.iter().filter(|window| window.is_current(now)).map(|window| {
        json!({
            "name": window.name,
            "limit": window.limit,
            "minutes": window.minutes,
            "used_percent": window.used_percent,
            "remaining_percent": (100.0 - window.used_percent).clamp(0.0, 100.0),
            "resets_at": window.resets_at.map(rfc3339),
            "resets_in_seconds": window.left(now).map(|left| left.as_secs()),
        })
    });
    json!({
        "plan": quota.plan,
        "windows": windows.collect::<Vec<_>>(),
        "credits": quota.credits.as_ref().map(|credits| json!({
            "has_credits": credits.has_credits,
            "unlimited": credits.unlimited,
            "balance": credits.balance,
        })),
        "reached": quota.reached,
    })
}

impl<U: Upstream, S: TokenStore> App<U, S> {
    /// Asks what is left of the plan, unless that was done within the last minute. If the backend does not answer, what is known
    /// is handed out, with its age and the reason.
    ///
    /// # Errors
    /// Nothing is known, and the backend does not answer: the caller is told why.
    pub(crate) async fn usage(&self) -> Result<Told, Error> {
        let mut asked = self.known_quota.asked.lock().await;
        if asked.is_due(SystemTime::now()) {
            let answered = tokio::time::timeout(PATIENCE, self.ask_for_quota()).await;
            let late = || Error::new(ErrorKind::Timeout, format!("no answer within {} s", PATIENCE.as_secs()));
            asked.failure = answered.unwrap_or_else(|_| Err(late())).err();
            asked.at = Some(SystemTime::now());
        }
        let told = self.known_quota.told();
        match &asked.failure {
            Some(failure) if told.at.is_none() => Err(failure.clone()),
            failure => Ok(Told { problem: failure.as_ref().map(ToString::to_string), ..told }),
        }
    }

    async fn ask_for_quota(&self) -> Result<(), Error> {
        let quota = authorized(self, |bearer| async move { self.quota(&bearer).await }).await?;
        self.known_quota.replace(quota, SystemTime::now());
        Ok(())
    }
}

pub(crate) fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use codex_upstream::QuotaWindow;

    use super::*;

    fn window(name: &str, limit: Option<&str>, resets_at: u64) -> QuotaWindow {
        QuotaWindow {
            name: name.to_owned(),
            limit: limit.map(str::to_owned),
            minutes: 300,
            used_percent: 27.5,
            resets_at: Some(UNIX_EPOCH + Duration::from_secs(resets_at)),
        }
    }

    #[test]
    fn an_answer_is_good_for_a_minute_and_a_failure_for_less() {
        let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        assert!(Asked::default().is_due(at(0)));
        let answered = Asked { at: Some(at(100)), failure: None };
        assert!(!answered.is_due(at(159)) && answered.is_due(at(160)) && answered.is_due(at(99)));
        let failed = Asked { failure: Some(Error::new(ErrorKind::Server, "down")), ..answered };
        assert!(!failed.is_due(at(114)) && failed.is_due(at(115)));
    }

    #[test]
    fn a_window_that_has_started_anew_is_left_out() {
        let known = KnownQuota::default();
        let windows = vec![window("5h", None, 1_000), window("Spark weekly", Some("Spark"), 2_000)];
        known.observe(Quota { windows, ..Quota::default() }, UNIX_EPOCH + Duration::from_secs(900));
        known.observe(Quota::default(), UNIX_EPOCH + Duration::from_secs(999));
        let told = known.told();
        let shown = told.to_json(UNIX_EPOCH + Duration::from_secs(960));
        assert_eq!((&shown["age_seconds"], shown["windows"].as_array().unwrap().len()), (&json!(60), 2));
        assert_eq!(
            shown["windows"][0],
            json!({"name": "5h", "limit": null, "minutes": 300, "used_percent": 27.5, "remaining_percent": 72.5,
                   "resets_at": "1970-01-01T00:16:40Z", "resets_in_seconds": 40})
        );
        let later = told.to_json(UNIX_EPOCH + Duration::from_secs(1_000));
        assert_eq!(later["windows"].as_array().unwrap().len(), 1);
        assert_eq!(later["windows"][0]["name"], "Spark weekly");
    }
}
