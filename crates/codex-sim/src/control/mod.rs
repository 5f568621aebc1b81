//! Changing how a running simulator behaves: [`Control`], and the same over HTTP.
//!
//! It changes and reads the state; it never answers for one of the two services.

pub(crate) mod http;

use std::sync::Arc;
use std::time::Duration;

use crate::bounded::MAX_ENTRIES;
use crate::protocol::quota::Quota;
use crate::request_log::Recorded;
use crate::scenario::Scenario;
use crate::scenario::word::ScenarioError;
use crate::state::SimState;
use crate::state::logins::Decision;
use crate::state::overrides::RefreshFault;
use crate::state::overrides::Workspace;
use crate::tokens::ledger::{Mint, RefreshUse, Tokens};

/// A handle on a running simulator; clones act on the same one. The same calls exist over HTTP under `/__sim/`.
#[derive(Debug, Clone)]
pub struct Control {
    state: Arc<SimState>,
}

/// Why an order was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The scenario names something the simulator does not know: correct the word.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Too many orders wait: send the requests they are for first.
    #[error("too many overrides are waiting; send the requests they are for first")]
    QueueFull,
    /// No device login waits under this user code: start one first.
    #[error("no device login waits under this user code; start one first")]
    UnknownUserCode,
}

impl Control {
    pub(crate) fn new(state: Arc<SimState>) -> Self {
        Self { state }
    }

    /// Overrides `scenario` (e.g. `tool,crlf` or `[sim:tool][sim:crlf]`) for the next responses request that brings no
    /// `x-sim-scenario` header; several wait in line.
    ///
    /// # Errors
    ///
    /// [`ControlError::Scenario`] names the word to correct; [`ControlError::QueueFull`] asks to use up the line first.
    pub fn queue(&self, scenario: &str) -> Result<(), ControlError> {
        let scenario = Scenario::parse(scenario)?;
        let mut overrides = self.state.overrides();
        if overrides.scenarios.len() >= MAX_ENTRIES {
            return Err(ControlError::QueueFull);
        }
        overrides.scenarios.push_back(scenario);
        Ok(())
    }

    /// Overrides a fault for the next refresh; several wait in line.
    ///
    /// # Errors
    ///
    /// [`ControlError::QueueFull`] asks to use up the line first.
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

    /// Sets the used percentages of the five-hour and the weekly rate-limit window. Both reset when their time is over.
    pub fn use_quota(&self, primary_percent: f64, secondary_percent: f64) {
        let now = self.state.clock.unix_now();
        self.state.overrides().quota = Quota::both(primary_percent, secondary_percent, now);
    }

    /// Gives the account a weekly window only, in the primary slot as some plans have it, used to `percent`.
    pub fn use_weekly_quota(&self, percent: f64) {
        let now = self.state.clock.unix_now();
        self.state.overrides().quota = Quota::weekly(percent, now);
    }

    /// Sets the workspaces that every login may choose beside its own account.
    pub fn workspaces(&self, workspaces: Vec<Workspace>) {
        self.state.overrides().workspaces = workspaces;
    }

    /// Binds every workspace to a region, e.g. `us`; `None` lifts that.
    pub fn region(&self, region: Option<String>) {
        self.state.overrides().region = region;
    }

    /// Refuses upgrades to WebSocket with `status` (426, 403, 429, 404 or one of a gateway's); `None` accepts them again.
    pub fn refuse_upgrades(&self, status: Option<u16>) {
        self.state.overrides().upgrade_status = status;
    }

    /// Makes every WebSocket connection forget its responses, so that `previous_response_id` names none.
    pub fn forget_responses(&self) {
        self.state.overrides().forget_count += 1;
    }

    /// Lets every reply that stalls or hangs at this moment go on.
    pub fn release(&self) {
        self.state.stalls.release();
    }

    /// Moves the simulator's clock forward.
    pub fn advance(&self, by: Duration) {
        self.state.clock.advance(by);
    }

    /// Makes every access token issued so far invalid; refresh tokens stay good.
    pub fn invalidate_access_tokens(&self) {
        self.state.tokens().invalidate_access();
    }

    /// Issues tokens as a login would.
    pub fn mint_tokens(&self, mint: Mint) -> Tokens {
        self.state.mint(mint)
    }

    /// Approves the device login that shows `user_code`, as its page would.
    ///
    /// # Errors
    ///
    /// [`ControlError::UnknownUserCode`] if none waits under that code.
    pub fn approve_device(&self, user_code: &str) -> Result<(), ControlError> {
        self.settle_device(user_code, Decision::Approved)
    }

    /// Denies the device login that shows `user_code`, as its page would.
    ///
    /// # Errors
    ///
    /// [`ControlError::UnknownUserCode`] if none waits under that code.
    pub fn deny_device(&self, user_code: &str) -> Result<(), ControlError> {
        self.settle_device(user_code, Decision::Denied)
    }

    /// Refreshes granted so far.
    pub fn refreshes(&self) -> u64 {
        self.state.tokens().refreshes
    }

    /// Every refresh token that was presented, and how often, in the order of first use.
    pub fn refresh_uses(&self) -> Vec<RefreshUse> {
        self.state.tokens().refresh_uses()
    }

    /// The recorded requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.log.snapshot()
    }

    /// Forgets requests, orders and tokens. The clock stays where it is.
    pub fn reset(&self) {
        self.state.reset();
    }

    fn settle_device(&self, user_code: &str, decision: Decision) -> Result<(), ControlError> {
        let now = self.state.clock.now();
        let settled = self.state.logins().decide_device(user_code, decision, now);
        if settled { Ok(()) } else { Err(ControlError::UnknownUserCode) }
    }
}
