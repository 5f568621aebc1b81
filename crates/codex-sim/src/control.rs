//! Changing how a running simulator behaves.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::auth::device;
use crate::auth::ledger::{Decision, Mint, RefreshUse, Tokens};
use crate::backend::account::Workspace;
use crate::backend::quota::Quota;
use crate::log::Recorded;
use crate::scenario::{Scenario, ScenarioError};
use crate::world::{MAX_ENTRIES, World};

/// A handle on a running simulator; clones act on the same one. The same calls exist over HTTP under `/__sim/`.
#[derive(Debug, Clone)]
pub struct Control {
    world: Arc<World>,
}

/// Why an order was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// The scenario names something the simulator does not know: correct the word.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Too many orders wait: send the requests they are for first.
    #[error("too many orders are waiting; send the requests they are for first")]
    QueueFull,
    /// No device login waits under this user code: start one first.
    #[error("no device login waits under this user code; start one first")]
    UnknownUserCode,
}

/// What happens to the next refresh (`docs/backend.md` §1.5, §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RefreshFault {
    /// 500; the token stays good.
    ServerError,
    /// No answer until [`Control::release`]; the token stays good.
    Hang,
    /// 403 with Cloudflare's challenge page; the token stays good.
    Cloudflare,
    /// Answers without a `refresh_token`; the presented one stays good.
    OmitRefreshToken,
    /// Rotates the token, then breaks the connection off without an answer.
    ConsumeThenDrop,
    /// Rotates the token, then answers only after [`Control::release`].
    ConsumeThenHang,
    /// 401 `refresh_token_invalidated`.
    Invalidated,
    /// 401 `refresh_token_expired`.
    Expired,
    /// 400 `refresh_token_reused`: permanent in spite of its status.
    ReusedBadRequest,
}

impl Control {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// Orders `scenario` (e.g. `tool,crlf` or `[sim:tool][sim:crlf]`) for the next responses request that brings no
    /// `x-sim-scenario` header; several wait in line.
    ///
    /// # Errors
    ///
    /// [`ControlError::Scenario`] names the word to correct; [`ControlError::QueueFull`] asks to use up the line first.
    pub fn queue(&self, scenario: &str) -> Result<(), ControlError> {
        let scenario = Scenario::parse(scenario)?;
        let mut orders = self.world.orders();
        if orders.scenarios.len() >= MAX_ENTRIES {
            return Err(ControlError::QueueFull);
        }
        orders.scenarios.push_back(scenario);
        Ok(())
    }

    /// Orders a fault for the next refresh; several wait in line.
    ///
    /// # Errors
    ///
    /// [`ControlError::QueueFull`] asks to use up the line first.
    pub fn fault_refresh(&self, fault: RefreshFault) -> Result<(), ControlError> {
        let mut orders = self.world.orders();
        if orders.refresh_faults.len() >= MAX_ENTRIES {
            return Err(ControlError::QueueFull);
        }
        orders.refresh_faults.push_back(fault);
        Ok(())
    }

    /// Answers every backend request with Cloudflare's challenge page while `on`.
    pub fn cloudflare(&self, on: bool) {
        self.world.orders().cloudflare = on;
    }

    /// Sets the used percentages of the five-hour and the weekly rate-limit window. Both reset when their time is over.
    pub fn use_quota(&self, primary_percent: f64, secondary_percent: f64) {
        let now = self.world.unix_now();
        self.world.orders().quota = Quota::both(primary_percent, secondary_percent, now);
    }

    /// Gives the account a weekly window only, in the primary slot as some plans have it, used to `percent`.
    pub fn use_weekly_quota(&self, percent: f64) {
        let now = self.world.unix_now();
        self.world.orders().quota = Quota::weekly(percent, now);
    }

    /// Sets the workspaces that every login may choose beside its own account.
    pub fn workspaces(&self, workspaces: Vec<Workspace>) {
        self.world.orders().workspaces = workspaces;
    }

    /// Binds every workspace to a region, e.g. `us`; `None` lifts that.
    pub fn region(&self, region: Option<String>) {
        self.world.orders().region = region;
    }

    /// Refuses upgrades to WebSocket with `status` (426, 403, 429, 404 or one of a gateway's); `None` accepts them again.
    pub fn refuse_upgrades(&self, status: Option<u16>) {
        self.world.orders().upgrades = status;
    }

    /// Makes every WebSocket connection forget its responses, so that `previous_response_id` names none.
    pub fn forget_responses(&self) {
        self.world.orders().forgettings += 1;
    }

    /// Lets every reply that stalls or hangs at this moment go on.
    pub fn release(&self) {
        self.world.release();
    }

    /// Moves the simulator's clock forward.
    pub fn advance(&self, by: Duration) {
        self.world.advance(by);
    }

    /// Makes every access token issued so far invalid; refresh tokens stay good.
    pub fn invalidate_access_tokens(&self) {
        self.world.ledger().invalidate_access();
    }

    /// Issues tokens as a login would.
    pub fn mint_tokens(&self, mint: Mint) -> Tokens {
        self.world.mint(mint)
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
        self.world.ledger().refreshes
    }

    /// Every refresh token that was presented, and how often, in the order of first use.
    pub fn refresh_uses(&self) -> Vec<RefreshUse> {
        self.world.ledger().refresh_uses()
    }

    /// The recorded requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.world.log.snapshot()
    }

    /// Forgets requests, orders and tokens. The clock stays where it is.
    pub fn reset(&self) {
        self.world.reset();
    }

    fn settle_device(&self, user_code: &str, decision: Decision) -> Result<(), ControlError> {
        let settled = device::settle(&self.world, user_code, decision);
        if settled { Ok(()) } else { Err(ControlError::UnknownUserCode) }
    }
}
