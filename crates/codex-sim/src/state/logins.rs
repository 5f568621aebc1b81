//! Logins in progress: authorize requests, authorization codes and device logins.

use std::time::{Duration, SystemTime};

use crate::bounded::Bounded;
use crate::ids::Rng;

/// How long an authorization code is valid (RFC 6749 §4.1.2 recommends ten minutes at most).
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// The parameters that an authorization code is bound to, compared on exchange.
#[derive(Debug, Clone)]
pub(crate) struct CodeBinding {
    pub(crate) redirect_uri: String,
    pub(crate) challenge: String,
}

/// An authorize request that is waiting for the user's decision.
#[derive(Debug, Clone)]
pub(crate) struct PendingAuthorize {
    pub(crate) binding: CodeBinding,
    pub(crate) state: String,
}

/// A device login between `usercode` and `token`.
#[derive(Debug, Clone)]
pub(crate) struct DeviceLogin {
    pub(crate) device_auth_id: String,
    pub(crate) decision: Decision,
    pub(crate) expires: SystemTime,
    /// How often the client has polled.
    pub(crate) polls: u64,
}

/// The user's decision on a device login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Pending,
    Approved,
    Denied,
}

/// The logins that have no tokens yet.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    /// Authorize requests, by transaction.
    pub(crate) pending: Bounded<String, PendingAuthorize>,
    /// Device logins, by user code.
    pub(crate) devices: Bounded<String, DeviceLogin>,
    codes: Bounded<String, Code>,
}

#[derive(Debug)]
struct Code {
    binding: CodeBinding,
    expires: SystemTime,
    used: bool,
}

impl Logins {
    pub(crate) fn issue_code(&mut self, binding: CodeBinding, now: SystemTime, rng: &mut Rng) -> String {
        let code = format!("ac_{}", rng.token(32));
        self.codes.insert(code.clone(), Code { binding, expires: now + CODE_LIFETIME, used: false });
        code
    }

    /// Returns what a known, fresh and unused code is bound to. The code counts as used from now on, even if the
    /// exchange fails.
    pub(crate) fn redeem_code(&mut self, code: &str, now: SystemTime) -> Option<CodeBinding> {
        let known = self.codes.find_mut(&code.to_owned())?;
        let valid = !known.used && known.expires > now;
        known.used = true;
        valid.then(|| known.binding.clone())
    }

    /// Records the user's decision on a device login. Returns `false` if no login is waiting with this code.
    pub(crate) fn decide_device(&mut self, user_code: &str, decision: Decision, now: SystemTime) -> bool {
        let key = user_code.trim().to_ascii_uppercase();
        let Some(device) = self.devices.find_mut(&key).filter(|device| device.expires > now) else {
            return false;
        };
        device.decision = decision;
        true
    }
}
