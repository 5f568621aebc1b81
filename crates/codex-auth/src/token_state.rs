//! What the manager knows, and the next step from there, without I/O.
//!
//! ```text
//!          ┌─ fresh, or usable while a refresh is not possible ─▶ Serve
//! caller ─▶ step ─ no way to a token ──────────────────────────▶ Fail
//!          ├─ the store has changed ──▶ Read ─▶ adopt ─▶ step
//!          └─ due ─▶ Refresh ─▶ lock ─▶ read, adopt ─▶ step ─ still due ─▶ send ─┬─▶ write ─▶ publish
//!                                                                               └─▶ fail ─▶ step
//! ```

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::secret::same;
use crate::{
    AuthError, Bearer, EndpointError, Freshness, LoginReason, RefreshPolicy, RefreshReason, Secret, StoreError,
    StoreVersion, Tokens, decide,
};

/// How many refreshes rejected tokens may cause within [`REJECTION_WINDOW`].
const MAX_REJECTIONS: usize = 4;
/// Beyond the limit, a backend that rejects every token gets no new ones for this long.
const REJECTION_WINDOW: Duration = Duration::from_secs(60);

/// The present, on both clocks: wall time for token expiry, monotonic time for pauses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) wall: SystemTime,
    pub(crate) instant: Instant,
}

/// The tokens in memory and what is known about them.
#[derive(Debug)]
pub(crate) struct TokenState {
    /// The command that logs in, for messages.
    login: &'static str,
    held: Option<HeldTokens>,
    /// The store's mark when it was read last; `None` before the first time.
    read: Option<StoreVersion>,
    /// How many readings of the store have begun.
    begun: u64,
    /// The reading that `held` is from. Tokens that were issued here count as a reading that began when they were kept.
    current: u64,
    /// Why the store could not be read the last time.
    store_error: Option<StoreError>,
    /// When refreshes were caused by a rejected token, oldest first.
    rejections: Vec<Instant>,
}

/// A reading of the store that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoreRead(u64);

#[derive(Debug)]
struct HeldTokens {
    tokens: Tokens,
    bearer: Bearer,
    /// How many attempts to renew the tokens have failed in a row.
    failures: u32,
    /// What stands in the way of spending `tokens.refresh_token`.
    trouble: Option<RefreshObstacle>,
    unsaved: Option<UnsavedTokens>,
}

#[derive(Debug)]
enum RefreshObstacle {
    /// The refresh token will never work.
    Refused(LoginReason),
    /// The last attempt failed.
    Pause {
        until: Instant,
        reason: String,
        /// The refresh token may be spent: it is only tried again when there is nothing to lose.
        spent: bool,
    },
    /// Nothing was sent, for the store could not take the next tokens. There is no waiting for that once the access
    /// token has ended.
    Postponed { until: Instant, reason: String },
}

/// Tokens that the store could not take.
#[derive(Debug)]
struct UnsavedTokens {
    /// The spent refresh token that the store still holds.
    stored: Option<Secret>,
    retry_at: Instant,
}

/// What to do next for a caller that wants a bearer.
#[derive(Debug)]
pub(crate) enum NextStep {
    /// Hand it out.
    Serve(Bearer),
    /// There is none to be had.
    Fail(AuthError),
    /// Read the store, which has changed, and decide again.
    Read,
    /// Spend the refresh token.
    Refresh {
        tokens: Tokens,
        reason: RefreshReason,
        /// What can be sent if that takes too long or fails.
        fallback: Option<Bearer>,
    },
}

impl TokenState {
    /// Knows nothing yet; `login` is the command that messages name.
    pub(crate) fn new(login: &'static str) -> Self {
        Self { login, held: None, read: None, begun: 0, current: 0, store_error: None, rejections: Vec::new() }
    }

    /// Decides the next step for a caller whose bearer `rejected` the backend refused, or who has none yet.
    ///
    /// `seen` is the store's mark now; `None` when the store has just been read.
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
            return NextStep::Fail(AuthError::NotLoggedIn { path: location(), login: self.login });
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
        let (until, why) = match &held.trouble {
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

    /// Returns the token in memory if it can still be sent, whatever the store says.
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

    /// Notes that a reading of the store begins.
    pub(crate) fn begin_reading(&mut self) -> StoreRead {
        self.begun += 1;
        StoreRead(self.begun)
    }

    /// Takes over what the store held when its mark was `version`. Returns whether these are other tokens than before.
    ///
    /// Readings may end in another order than they began. What an older one has read is not taken over: it could bring
    /// back a token that has been spent since, in place of one that exists only here.
    pub(crate) fn adopt(&mut self, reading: StoreRead, stored: Option<Tokens>, version: StoreVersion) -> bool {
        if reading.0 < self.current {
            return false;
        }
        self.current = reading.0;
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
            adopted.trouble = held.trouble.take();
        }
        *held = adopted;
        changed
    }

    /// Takes over tokens that the authority has just issued in place of those held.
    ///
    /// `saved` is the store's mark with them in it, or `None` when it could not take them.
    pub(crate) fn publish(&mut self, renewed: Tokens, saved: Option<StoreVersion>, retry_at: Instant) {
        self.current = self.begin_reading().0;
        let previous = self.held.take();
        let mut held = HeldTokens::new(renewed);
        if let Some(previous) = &previous
            && previous.tokens.access_token.matches(&held.tokens.access_token)
        {
            // A reply without an access token is no success: the pauses go on growing.
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

    /// Notes a failed attempt and returns how many there were in a row.
    pub(crate) fn fail(&mut self, error: &EndpointError, at: Moment, policy: &RefreshPolicy) -> u32 {
        let Some(held) = &mut self.held else { return 0 };
        held.failures = held.failures.saturating_add(1);
        let was_spent = matches!(held.trouble, Some(RefreshObstacle::Pause { spent: true, .. }));
        held.trouble = Some(match error {
            EndpointError::Refused { refusal } if was_spent => {
                RefreshObstacle::Refused(LoginReason::ReplyLost(refusal.clone()))
            }
            EndpointError::Refused { refusal } => RefreshObstacle::Refused(LoginReason::Refused(refusal.clone())),
            EndpointError::Unavailable { .. }
            | EndpointError::WebPage { .. }
            | EndpointError::Unreachable(_)
            | EndpointError::Interrupted(_) => RefreshObstacle::Pause {
                until: at.instant + pause_after(error, held.failures, policy),
                reason: error.to_string(),
                spent: was_spent || matches!(error, EndpointError::Interrupted(_)),
            },
        });
        held.failures
    }

    /// Notes that the store cannot take the next tokens and returns how many attempts have failed in a row.
    pub(crate) fn postpone(&mut self, error: &StoreError, at: Moment, policy: &RefreshPolicy) -> u32 {
        let Some(held) = &mut self.held else { return 0 };
        held.failures = held.failures.saturating_add(1);
        let until = at.instant + pause(held.failures, policy);
        held.trouble = Some(RefreshObstacle::Postponed { until, reason: error.to_string() });
        held.failures
    }

    /// Notes that a rejected token causes a refresh.
    pub(crate) fn count_rejection(&mut self, at: Moment) {
        self.rejections.retain(|instant| at.instant - *instant < REJECTION_WINDOW);
        self.rejections.push(at.instant);
    }

    /// Notes that the store could not be read and returns whether that is news.
    pub(crate) fn note_store_error(&mut self, error: &StoreError) -> bool {
        let news = self.store_error.as_ref() != Some(error);
        self.store_error = Some(error.clone());
        news
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

    pub(crate) fn is_unsaved(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.unsaved.is_some())
    }

    /// Returns whether it is time to offer the store again what it could not take.
    pub(crate) fn save_is_due(&self, at: Moment) -> bool {
        let unsaved = self.held.as_ref().and_then(|held| held.unsaved.as_ref());
        unsaved.is_some_and(|unsaved| unsaved.retry_at <= at.instant)
    }

    /// Notes the outcome of offering the store again what it could not take.
    pub(crate) fn note_saved(&mut self, saved: Option<StoreVersion>, retry_at: Instant) {
        let now = self.begin_reading().0;
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

    /// Describes what stands in the way of a refresh.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self.held.as_ref()?.trouble.as_ref()? {
            RefreshObstacle::Refused(reason) => Some(reason.to_string()),
            RefreshObstacle::Pause { reason, .. } | RefreshObstacle::Postponed { reason, .. } => Some(reason.clone()),
        }
    }

    /// Returns why the refresh token will never work.
    pub(crate) fn refused(&self) -> Option<&LoginReason> {
        match self.held.as_ref()?.trouble.as_ref()? {
            RefreshObstacle::Refused(reason) => Some(reason),
            RefreshObstacle::Pause { .. } | RefreshObstacle::Postponed { .. } => None,
        }
    }

    fn expired(&self, reason: LoginReason) -> AuthError {
        AuthError::LoginExpired { reason, login: self.login }
    }

    fn rejections_end(&self, reason: RefreshReason, at: Moment) -> Option<Instant> {
        let nth_last = self.rejections.len().checked_sub(MAX_REJECTIONS)?;
        let end = *self.rejections.get(nth_last)? + REJECTION_WINDOW;
        (reason == RefreshReason::Rejected && at.instant < end).then_some(end)
    }
}

impl HeldTokens {
    fn new(mut tokens: Tokens) -> Self {
        // Found out once, and not for every request.
        tokens.expires_at = tokens.ends_at();
        Self { bearer: tokens.bearer(), tokens, failures: 0, trouble: None, unsaved: None }
    }
}

/// Two accounts differ only when both are known.
pub(crate) fn differ(left: &Option<String>, right: &Option<String>) -> bool {
    left.is_some() && right.is_some() && left != right
}

/// The pause doubles with every failure in a row.
fn pause(failures: u32, policy: &RefreshPolicy) -> Duration {
    let doubled = policy.backoff.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(policy.max_backoff)
}

fn pause_after(error: &EndpointError, failures: u32, policy: &RefreshPolicy) -> Duration {
    /// The authority cannot silence the proxy for longer than this.
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

    const VERSIONS: [StoreVersion; 2] = [StoreVersion::new([1; 5]), StoreVersion::new([2; 5])];

    fn tokens(generation: u8) -> Tokens {
        let mut tokens = Tokens::new(format!("access-{generation}").into());
        tokens.refresh_token = Some(format!("refresh-{generation}").into());
        tokens
    }

    fn held(state: &TokenState) -> &str {
        state.tokens().map_or("", |tokens| tokens.access_token.expose())
    }

    #[test]
    fn a_reading_that_ends_late_brings_nothing_back() {
        let mut state = TokenState::new("log in");
        let (early, late) = (state.begin_reading(), state.begin_reading());
        assert!(!state.adopt(late, Some(tokens(1)), VERSIONS[1]));
        assert!(!state.adopt(early, Some(tokens(0)), VERSIONS[0]));
        assert_eq!((held(&state), state.read_version()), ("access-1", Some(VERSIONS[1])));
    }

    #[test]
    fn tokens_that_exist_only_here_outlive_readings_from_before() {
        let mut state = TokenState::new("log in");
        let reading = state.begin_reading();
        state.adopt(reading, Some(tokens(1)), VERSIONS[0]);
        let readings = [state.begin_reading(), state.begin_reading()];
        state.publish(tokens(2), None, Instant::now());
        state.adopt(readings[0], Some(tokens(0)), VERSIONS[1]);
        state.adopt(readings[1], None, StoreVersion::ABSENT);
        assert!(held(&state) == "access-2" && state.is_unsaved());
        // A reading that began later tells of a logout.
        let reading = state.begin_reading();
        assert!(state.adopt(reading, None, StoreVersion::ABSENT));
        assert_eq!(held(&state), "");
    }
}
