//! Logins on their way: authorize requests, authorization codes and device logins.

use std::time::{Duration, SystemTime};

use crate::bounded::Bounded;
use crate::ids::Rng;

/// How long an authorization code may be exchanged (RFC 6749 §4.1.2 recommends ten minutes at most).
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// What an authorization code was issued against, to be compared on exchange.
#[derive(Debug, Clone)]
pub(crate) struct CodeTerms {
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
}

/// An authorize request that waits for the user's decision.
#[derive(Debug, Clone)]
pub(crate) struct Pending {
    pub(crate) terms: CodeTerms,
    pub(crate) state: String,
}

/// A device login between `usercode` and `token`.
#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) device_auth_id: String,
    pub(crate) decision: Decision,
    pub(crate) expires: SystemTime,
    /// How often it was asked whether the user has decided.
    pub(crate) polls: u64,
}

/// What the user said to a device login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Pending,
    Approved,
    Denied,
}

/// Every login that has not come to its tokens yet.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    /// Authorize requests, by transaction.
    pub(crate) pending: Bounded<String, Pending>,
    /// Device logins, by user code.
    pub(crate) devices: Bounded<String, Device>,
    codes: Bounded<String, Code>,
}

#[derive(Debug)]
struct Code {
    terms: CodeTerms,
    expires: SystemTime,
    used: bool,
}

impl Logins {
    pub(crate) fn issue_code(&mut self, terms: CodeTerms, now: SystemTime, rng: &mut Rng) -> String {
        let code = format!("ac_{}", rng.token(32));
        self.codes.insert(code.clone(), Code { terms, expires: now + CODE_LIFETIME, used: false });
        code
    }

    /// The terms of a code that is known, fresh and unused; it is used up by this, whatever the exchange comes to.
    pub(crate) fn redeem_code(&mut self, code: &str, now: SystemTime) -> Option<CodeTerms> {
        let known = self.codes.find_mut(&code.to_owned())?;
        let valid = !known.used && known.expires > now;
        known.used = true;
        valid.then(|| known.terms.clone())
    }

    /// Records the user's decision on a device login; returns `false` if no such code is waiting.
    pub(crate) fn decide_device(&mut self, user_code: &str, decision: Decision, now: SystemTime) -> bool {
        let key = user_code.trim().to_ascii_uppercase();
        let Some(device) = self.devices.find_mut(&key).filter(|device| device.expires > now) else {
            return false;
        };
        device.decision = decision;
        true
    }
}
