//! Changing how a running simulator behaves: [`Control`], and the same over HTTP.
//!
//! It reads and changes the state; it never answers requests to the two services.

pub(crate) mod http;

use std::sync::Arc;
use std::time::Duration;

use crate::bounded::MAX_ENTRIES;
use crate::protocol::quota::Quota;
use crate::request_log::RecordedRequest;
use crate::scenario::Scenario;
use crate::scenario::word::ScenarioError;
use crate::state::SimState;
use crate::state::logins::Decision;
use crate::state::overrides::RefreshFault;
use crate::state::overrides::Workspace;
use crate::tokens::ledger::{Mint, RefreshUse, Tokens};

/// A handle on a running simulator; clones control the same one. The same calls exist over HTTP under `/__sim/`.
#[derive(Debug, Clone)]
pub struct Control {
    state: Arc<SimState>,
}

/// Why a control call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The scenario contains a word that does not exist, or one with a wrong argument: correct it.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Too many scenarios or faults are queued: send the requests they are for first.
    #[error("too many scenarios or faults are queued; send the requests they are for first")]
    QueueFull,
    /// No device login is waiting with this user code: start one first.
    #[error("no device login is waiting with this user code; start one first")]
    UnknownUserCode,
}

impl Control {
    pub(crate) fn new(state: Arc<SimState>) -> Self {
        Self { state }
    }

    /// Queues `scenario` (e.g. `tool,crlf` or `[sim:tool][sim:crlf]`) for the next responses request without an
    /// `x-sim-scenario` header.
    ///
    /// # Errors
    /// [`ControlError::Scenario`] names the word to correct; [`ControlError::QueueFull`] if too many are queued.
    pub fn queue(&self, scenario: &str) -> Result<(), ControlError> {
        let scenario = Scenario::parse(scenario)?;
        let mut overrides = self.state.overrides();
        if overrides.scenarios.len() >= MAX_ENTRIES {
            return Err(ControlError::QueueFull);
        }
        overrides.scenarios.push_back(scenario);
        Ok(())
    }

    /// Queues a fault for the next refresh.
    ///
    /// # Errors
    /// [`ControlError::QueueFull`] if too many are queued.
    pub fn fault_refresh(&self, fault: RefreshFault) -> Result<(), ControlError> {
        let mut overrides = self.state.overrides();
        if overrides.refresh_faults.len() >= MAX_ENTRIES {
            return Err(ControlError::QueueFull);
        }
        overrides.refresh_faults.push_back(fault);
        Ok(())
    }

    /// Answers every backend request with Cloudflare's challenge page while `on`.
    pub fn cloudflare(&self, on: bool) {
        self.state.overrides().cloudflare = on;
    }

    /// Compresses every reply while `on`, in the first coding that the request's `accept-encoding` names.
    pub fn compress_replies(&self, on: bool) {
        self.state.overrides().compress = on;
    }

    /// Sets the used percentages of the five-hour and the weekly rate-limit window. Both reset at the end of the
    /// window.
    pub fn use_quota(&self, primary_percent: f64, secondary_percent: f64) {
        let now = self.state.clock.unix_now();
        self.state.overrides().set_quota(Quota::both(primary_percent, secondary_percent, now));
    }

    /// Gives the account only a weekly window, `percent` of it used. It takes the primary slot, as it does for some
    /// plans.
    pub fn use_weekly_quota(&self, percent: f64) {
        let now = self.state.clock.unix_now();
        self.state.overrides().set_quota(Quota::weekly(percent, now));
    }

    /// Sets the workspaces that every login may choose in addition to its own account.
    pub fn workspaces(&self, workspaces: Vec<Workspace>) {
        self.state.overrides().workspaces = workspaces;
    }

    /// Binds every workspace to a region, e.g. `us`; `None` unbinds them.
    pub fn region(&self, region: Option<String>) {
        self.state.overrides().region = region;
    }

    /// Refuses WebSocket upgrades with `status` (426, 403, 429, 404 or a gateway's status); `None` accepts them
    /// again.
    pub fn refuse_upgrades(&self, status: Option<u16>) {
        self.state.overrides().upgrade_status = status;
    }

    /// Makes every WebSocket connection forget its responses: any `previous_response_id` is then unknown.
    pub fn forget_responses(&self) {
        self.state.overrides().forget_count += 1;
    }

    /// Continues every reply that stalls or hangs at this moment.
    pub fn release(&self) {
        self.state.stalls.release();
    }

    /// Moves the simulator's clock forward.
    pub fn advance(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// Invalidates every access token issued so far; refresh tokens stay valid.
    pub fn invalidate_access_tokens(&self) {
        self.state.tokens().invalidate_access();
    }

    /// Issues tokens, as a login would.
    pub fn mint_tokens(&self, mint: Mint) -> Tokens {
        self.state.mint(mint)
    }

    /// Approves the device login with this user code, as the page would.
    ///
    /// # Errors
    /// [`ControlError::UnknownUserCode`] if no login is waiting with this code.
    pub fn approve_device(&self, user_code: &str) -> Result<(), ControlError> {
        self.settle_device(user_code, Decision::Approved)
    }

    /// Denies the device login with this user code, as the page would.
    ///
    /// # Errors
    /// [`ControlError::UnknownUserCode`] if no login is waiting with this code.
    pub fn deny_device(&self, user_code: &str) -> Result<(), ControlError> {
        self.settle_device(user_code, Decision::Denied)
    }

    /// Returns the number of refreshes granted so far.
    pub fn refreshes(&self) -> u64 {
        self.state.tokens().refreshes
    }

    /// Returns every refresh token that was presented, and how often, in the order of first use.
    pub fn refresh_uses(&self) -> Vec<RefreshUse> {
        self.state.tokens().refresh_uses()
    }

    /// Returns the recorded requests, oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.log.snapshot()
    }

    /// Forgets requests, overrides, logins and tokens. The clock is not set back.
    pub fn reset(&self) {
        self.state.reset();
    }

    fn settle_device(&self, user_code: &str, decision: Decision) -> Result<(), ControlError> {
        let now = self.state.clock.now();
        let settled = self.state.logins().decide_device(user_code, decision, now);
        if settled { Ok(()) } else { Err(ControlError::UnknownUserCode) }
    }
}
