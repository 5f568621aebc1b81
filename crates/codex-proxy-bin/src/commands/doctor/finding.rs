//! What a check finds.

use std::time::Duration;

use serde::Serialize;

/// How long a server may take to connect, and then to answer.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(10);

/// The result of one check.
#[derive(Debug, Serialize)]
pub(super) struct Finding {
    pub(super) check: &'static str,
    pub(super) verdict: CheckResult,
    pub(super) found: String,
    /// The next step, unless `found` already says it.
    pub(super) advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckResult {
    Ok,
    /// It works, but not as it should; or the check was not possible.
    Warn,
    Fail,
}

impl Finding {
    fn new(check: &'static str, verdict: CheckResult, found: impl Into<String>) -> Self {
        Self { check, verdict, found: found.into(), advice: None }
    }

    pub(super) fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, CheckResult::Ok, found)
    }

    pub(super) fn warn(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, CheckResult::Warn, found)
    }

    pub(super) fn fail(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, CheckResult::Fail, found)
    }

    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}
