//! The state of the token manager, and the next step from there, without I/O.
//!
//! ```text
//!          ┌─ fresh, or usable while a refresh is not possible ─▶ Serve
//! caller ─▶ step ─ no token available ─────────────────────────▶ Fail
//!          ├─ the store has changed ──▶ Read ─▶ adopt ─▶ step
//!          └─ due ─▶ Refresh ─▶ lock ─▶ read, adopt ─▶ step ─ still due ─▶ send ─┬─▶ write ─▶ publish
//!                                                                               └─▶ fail ─▶ step
//! ```

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::clock::later;
use crate::error::{AuthError, LoginReason};
use crate::refresh::freshness::{Freshness, RefreshPolicy, RefreshReason, decide};
use crate::response::EndpointError;
use crate::secret::{Secret, same};
use crate::store::{StoreError, StoreVersion};
use crate::tokens::{Bearer, Tokens};

/// How many refreshes rejected tokens may cause within [`REJECTION_WINDOW`].
const MAX_REJECTIONS: usize = 4;
/// Beyond that limit, no refreshes are made for this long for a backend that rejects every token.
const REJECTION_WINDOW: Duration = Duration::from_secs(60);

/// The current time on both clocks: wall time for token expiry, monotonic time for pauses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) wall: SystemTime,
    pub(crate) instant: Instant,
}

/// The tokens in memory, and what the manager knows about them.
#[derive(Debug)]
pub(crate) struct TokenState {
    /// The command that logs in, for messages.
    login: String,
    held: Option<HeldTokens>,
    /// The store's version when it was last read; `None` before the first time.
    read: Option<StoreVersion>,
    /// How many reads of the store have begun.
    begun: u64,
    /// The read that `held` is from. Tokens issued to this process count as a read that began when they were published.
    current: u64,
    /// Why the store could not be read the last time.
    store_error: Option<StoreError>,
    /// When refreshes were caused by a rejected token, oldest first.
    rejections: Vec<Instant>,
}

/// A read of the store that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreRead(u64);

#[derive(Debug)]
struct HeldTokens {
    tokens: Tokens,
    bearer: Bearer,
    /// How many attempts to renew the tokens have failed in a row.
    failures: u32,
    /// Why `tokens.refresh_token` should not be sent now.
    obstacle: Option<RefreshObstacle>,
    unsaved: Option<UnsavedTokens>,
}

/// Why a refresh token should not be sent now.
#[derive(Debug)]
enum RefreshObstacle {
    /// The auth server refused the refresh token permanently.
    Refused(LoginReason),
    /// The last attempt failed.
    Pause {
        until: Instant,
        reason: String,
        /// The refresh token may be used up: it is only sent again when there is nothing to lose.
        spent: bool,
    },
    /// Nothing was sent, because the store could not save the next tokens. Ignored once the access token has expired.
    Postponed { until: Instant, reason: String },
}

/// Tokens that the store could not save.
#[derive(Debug)]
struct UnsavedTokens {
    /// The used refresh token that is still in the store.
    stored: Option<Secret>,
    retry_at: Instant,
}

/// The next step for a caller that needs a bearer.
#[derive(Debug)]
pub(crate) enum NextStep {
    /// There is a bearer.
    Serve(Bearer),
    /// There is no bearer.
    Fail(AuthError),
    /// The store has changed: read it and decide again.
    Read,
    /// A refresh is due: send the refresh token.
    Refresh {
        tokens: Tokens,
        reason: RefreshReason,
        /// The bearer to use if the refresh takes too long or fails.
        fallback: Option<Bearer>,
    },
}

impl TokenState {
    /// Creates the state before the first read of the store; `login` is the command that messages name.
    pub(crate) fn new(login: String) -> Self {
        Self { login, held: None, read: None, begun: 0, current: 0, store_error: None, rejections: Vec::new() }
    }

    /// Returns the next step for a caller whose bearer `rejected` the backend rejected, or that has none yet.
    ///
    /// `seen` is the store's current version; `None` if the store has just been read.
    pub(crate) fn step(
        &self,
        seen: Option<StoreVersion>,
        rejected: Option<&Bearer>,
        at: Moment,
        policy: &RefreshPolicy,
        location: impl FnOnce() -> String,
    ) -> NextStep {
        if seen.is_some() && seen != self.read {
            return NextStep::Read;
        }
        let Some(held) = &self.held else {
            return NextStep::Fail(AuthError::NotLoggedIn { location: location(), login: self.login.clone() });
        };
        let reason = match rejected {
            Some(rejected) if held.bearer.token.matches(&rejected.token) => RefreshReason::Rejected,
            Some(rejected) if differ(&rejected.account_id, &held.bearer.account_id) => {
                return NextStep::Fail(AuthError::AccountChanged);
            }
            Some(_) | None => match decide(&held.tokens, at.wall, policy) {
                Freshness::Fresh { .. } => return NextStep::Serve(held.bearer.clone()),
                Freshness::Login(reason) => return NextStep::Fail(self.expired(reason)),
                Freshness::Refresh(reason) => reason,
            },
        };
        self.step_to_refresh(held, reason, at)
    }

    fn step_to_refresh(&self, held: &HeldTokens, reason: RefreshReason, at: Moment) -> NextStep {
        let fallback = reason.still_usable().then(|| held.bearer.clone());
        if held.tokens.refresh_token.is_none() {
            return NextStep::Fail(self.expired(LoginReason::NoRefreshToken));
        }
        let (until, why) = match &held.obstacle {
            Some(RefreshObstacle::Refused(refused)) => {
                return fallback.map_or_else(|| NextStep::Fail(self.expired(refused.clone())), NextStep::Serve);
            }
            Some(RefreshObstacle::Pause { spent: true, .. }) if fallback.is_some() => (None, ""),
            Some(RefreshObstacle::Pause { until, reason, .. }) if at.instant < *until => {
                (Some(*until), reason.as_str())
            }
            Some(RefreshObstacle::Postponed { until, .. }) if fallback.is_some() && at.instant < *until => (None, ""),
            Some(RefreshObstacle::Pause { .. } | RefreshObstacle::Postponed { .. }) | None => {
                match self.rejections_end(reason, at) {
                    Some(end) => (Some(end), "the backend keeps rejecting new access tokens"),
                    None => return NextStep::Refresh { tokens: held.tokens.clone(), reason, fallback },
                }
            }
        };
        let retry_after = until.map_or(Duration::ZERO, |until| until - at.instant);
        fallback.map_or_else(
            || NextStep::Fail(AuthError::Temporary { retry_after, reason: why.to_owned() }),
            NextStep::Serve,
        )
    }

    /// Returns the token in memory if it can still be sent, whatever is in the store.
    pub(crate) fn usable(&self, rejected: Option<&Bearer>, at: Moment, policy: &RefreshPolicy) -> Option<Bearer> {
        let held = self.held.as_ref()?;
        let is_rejected = rejected.is_some_and(|rejected| {
            held.bearer.token.matches(&rejected.token) || differ(&rejected.account_id, &held.bearer.account_id)
        });
        let usable = match decide(&held.tokens, at.wall, policy) {
            Freshness::Fresh { .. } => true,
            Freshness::Refresh(reason) => reason.still_usable(),
            Freshness::Login(_) => false,
        };
        (usable && !is_rejected).then(|| held.bearer.clone())
    }

    /// Records that a read of the store begins.
    pub(crate) fn begin_read(&mut self) -> StoreRead {
        self.begun += 1;
        StoreRead(self.begun)
    }

    /// Adopts the tokens that were in the store at `version`. Returns whether they differ from the ones before.
    ///
    /// Reads may end in a different order than they began. The result of an older one is ignored: it could bring back a
    /// used token and replace one that exists only in memory.
    pub(crate) fn adopt(&mut self, read: StoreRead, stored: Option<Tokens>, version: StoreVersion) -> bool {
        if read.0 < self.current {
            return false;
        }
        self.current = read.0;
        self.read = Some(version);
        self.store_error = None;
        let Some(stored) = stored else {
            return self.held.take().is_some();
        };
        let Some(held) = &mut self.held else {
            self.held = Some(HeldTokens::new(stored));
            return false;
        };
        let superseded = |unsaved: &UnsavedTokens| {
            unsaved.stored.is_some() && same(stored.refresh_token.as_ref(), unsaved.stored.as_ref())
        };
        if held.unsaved.as_ref().is_some_and(superseded) {
            return false;
        }
        let changed = !same(held.tokens.refresh_token.as_ref(), stored.refresh_token.as_ref())
            || !held.tokens.access_token.matches(&stored.access_token);
        let mut adopted = HeldTokens::new(stored);
        if !changed {
            adopted.failures = held.failures;
            adopted.obstacle = held.obstacle.take();
        }
        *held = adopted;
        changed
    }

    /// Replaces the tokens with those that the auth server has just issued.
    ///
    /// `saved` is the store's version with them in it, or `None` if they could not be saved.
    pub(crate) fn publish(&mut self, renewed: Tokens, saved: Option<StoreVersion>, retry_at: Instant) {
        self.current = self.begin_read().0;
        let previous = self.held.take();
        let mut held = HeldTokens::new(renewed);
        if let Some(previous) = &previous
            && previous.tokens.access_token.matches(&held.tokens.access_token)
        {
            // A response without an access token is not a success: the pauses keep growing.
            held.failures = previous.failures;
        }
        match saved {
            Some(version) => self.read = Some(version),
            None => {
                let stored = previous.and_then(|previous| match previous.unsaved {
                    Some(unsaved) => unsaved.stored,
                    None => previous.tokens.refresh_token,
                });
                held.unsaved = Some(UnsavedTokens { stored, retry_at });
            }
        }
        self.held = Some(held);
    }

    /// Records a failed attempt and returns how many have failed in a row.
    pub(crate) fn fail(&mut self, error: &EndpointError, at: Moment, policy: &RefreshPolicy) -> u32 {
        let Some(held) = &mut self.held else { return 0 };
        held.failures = held.failures.saturating_add(1);
        let was_spent = matches!(held.obstacle, Some(RefreshObstacle::Pause { spent: true, .. }));
        held.obstacle = Some(match error {
            EndpointError::Refused { refusal } if was_spent => {
                RefreshObstacle::Refused(LoginReason::ResponseLost(refusal.clone()))
            }
            EndpointError::Refused { refusal } => RefreshObstacle::Refused(LoginReason::Refused(refusal.clone())),
            EndpointError::Unavailable { .. }
            | EndpointError::WebPage { .. }
            | EndpointError::Unreachable(_)
            | EndpointError::Interrupted(_) => RefreshObstacle::Pause {
                until: later(at.instant, pause_after(error, held.failures, policy)),
                reason: error.to_string(),
                spent: was_spent || matches!(error, EndpointError::Interrupted(_)),
            },
        });
        held.failures
    }

    /// Records that the store cannot save the next tokens, and returns how many attempts have failed in a row.
    pub(crate) fn postpone(&mut self, error: &StoreError, at: Moment, policy: &RefreshPolicy) -> u32 {
        let Some(held) = &mut self.held else { return 0 };
        held.failures = held.failures.saturating_add(1);
        let until = later(at.instant, pause(held.failures, policy));
        held.obstacle = Some(RefreshObstacle::Postponed { until, reason: error.to_string() });
        held.failures
    }

    /// Records that a rejected token causes a refresh.
    pub(crate) fn count_rejection(&mut self, at: Moment) {
        self.rejections.retain(|instant| at.instant - *instant < REJECTION_WINDOW);
        self.rejections.push(at.instant);
    }

    /// Records that the store could not be read, and returns whether the error is a new one.
    pub(crate) fn note_store_error(&mut self, error: &StoreError) -> bool {
        let is_new = self.store_error.as_ref() != Some(error);
        self.store_error = Some(error.clone());
        is_new
    }

    pub(crate) fn login_command(&self) -> &str {
        &self.login
    }

    pub(crate) fn store_error(&self) -> Option<&StoreError> {
        self.store_error.as_ref()
    }

    pub(crate) fn tokens(&self) -> Option<&Tokens> {
        self.held.as_ref().map(|held| &held.tokens)
    }

    pub(crate) fn account_id(&self) -> Option<String> {
        self.held.as_ref()?.bearer.account_id.clone()
    }

    pub(crate) fn read_version(&self) -> Option<StoreVersion> {
        self.read
    }

    /// Makes the next caller read the store again, because it did not answer.
    pub(crate) fn forget_version(&mut self) {
        self.read = None;
    }

    pub(crate) fn is_unsaved(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.unsaved.is_some())
    }

    /// Returns whether it is time to try again to save tokens that are only in memory.
    pub(crate) fn save_is_due(&self, at: Moment) -> bool {
        let unsaved = self.held.as_ref().and_then(|held| held.unsaved.as_ref());
        unsaved.is_some_and(|unsaved| unsaved.retry_at <= at.instant)
    }

    /// Records the outcome of another attempt to save tokens that are only in memory.
    pub(crate) fn note_saved(&mut self, saved: Option<StoreVersion>, retry_at: Instant) {
        let now = self.begin_read().0;
        let Some(held) = &mut self.held else { return };
        match (saved, &mut held.unsaved) {
            (Some(version), unsaved) => {
                *unsaved = None;
                self.read = Some(version);
                self.current = now;
            }
            (None, Some(unsaved)) => unsaved.retry_at = retry_at,
            (None, None) => {}
        }
    }

    /// Returns why the refresh token is not sent now, as a message.
    pub(crate) fn problem(&self) -> Option<String> {
        match self.held.as_ref()?.obstacle.as_ref()? {
            RefreshObstacle::Refused(reason) => Some(reason.to_string()),
            RefreshObstacle::Pause { reason, .. } | RefreshObstacle::Postponed { reason, .. } => Some(reason.clone()),
        }
    }

    /// Returns why the refresh token was refused permanently.
    pub(crate) fn refused(&self) -> Option<&LoginReason> {
        match self.held.as_ref()?.obstacle.as_ref()? {
            RefreshObstacle::Refused(reason) => Some(reason),
            RefreshObstacle::Pause { .. } | RefreshObstacle::Postponed { .. } => None,
        }
    }

    fn expired(&self, reason: LoginReason) -> AuthError {
        AuthError::LoginExpired { reason, login: self.login.clone() }
    }

    fn rejections_end(&self, reason: RefreshReason, at: Moment) -> Option<Instant> {
        let nth_last = self.rejections.len().checked_sub(MAX_REJECTIONS)?;
        let end = *self.rejections.get(nth_last)? + REJECTION_WINDOW;
        (reason == RefreshReason::Rejected && at.instant < end).then_some(end)
    }
}

impl HeldTokens {
    fn new(mut tokens: Tokens) -> Self {
        // Read from the token once, not for every request.
        tokens.expires_at = tokens.ends_at();
        Self { bearer: tokens.bearer(), tokens, failures: 0, obstacle: None, unsaved: None }
    }
}

/// Returns whether two accounts differ; an unknown account differs from none.
pub(crate) fn differ(left: &Option<String>, right: &Option<String>) -> bool {
    left.is_some() && right.is_some() && left != right
}

/// Returns the pause, which doubles with every failure in a row.
fn pause(failures: u32, policy: &RefreshPolicy) -> Duration {
    let doubled = policy.backoff.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(policy.max_backoff)
}

fn pause_after(error: &EndpointError, failures: u32, policy: &RefreshPolicy) -> Duration {
    /// The longest pause that the auth server can ask for.
    const MAX_ASKED: Duration = Duration::from_secs(3600);
    let own = pause(failures, policy);
    match error {
        EndpointError::Unavailable { retry_after: Some(asked), .. } => own.max((*asked).min(MAX_ASKED)),
        EndpointError::Unavailable { retry_after: None, .. }
        | EndpointError::Refused { .. }
        | EndpointError::WebPage { .. }
        | EndpointError::Unreachable(_)
        | EndpointError::Interrupted(_) => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSIONS: [StoreVersion; 2] = [StoreVersion::of_file([1; 5]), StoreVersion::of_file([2; 5])];

    fn tokens(generation: u8) -> Tokens {
        let mut tokens = Tokens::new(format!("access-{generation}").into());
        tokens.refresh_token = Some(format!("refresh-{generation}").into());
        tokens
    }

    fn held(state: &TokenState) -> &str {
        state.tokens().map_or("", |tokens| tokens.access_token.expose())
    }

    #[test]
    fn a_read_that_ends_late_brings_back_nothing() {
        let mut state = TokenState::new("log in".to_owned());
        let (early, late) = (state.begin_read(), state.begin_read());
        assert!(!state.adopt(late, Some(tokens(1)), VERSIONS[1]));
        assert!(!state.adopt(early, Some(tokens(0)), VERSIONS[0]));
        assert_eq!((held(&state), state.read_version()), ("access-1", Some(VERSIONS[1])));
    }

    #[test]
    fn tokens_that_are_only_in_memory_survive_earlier_reads() {
        let mut state = TokenState::new("log in".to_owned());
        let read = state.begin_read();
        state.adopt(read, Some(tokens(1)), VERSIONS[0]);
        let reads = [state.begin_read(), state.begin_read()];
        state.publish(tokens(2), None, Instant::now());
        state.adopt(reads[0], Some(tokens(0)), VERSIONS[1]);
        state.adopt(reads[1], None, StoreVersion::ABSENT);
        assert!(held(&state) == "access-2" && state.is_unsaved());
        // A read that began later finds a logout.
        let read = state.begin_read();
        assert!(state.adopt(read, None, StoreVersion::ABSENT));
        assert_eq!(held(&state), "");
    }
}
