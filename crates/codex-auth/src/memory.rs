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
    AuthError, Bearer, EndpointError, Freshness, LoginReason, Policy, RefreshReason, Secret, StoreError, Tokens,
    Version, decide,
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
pub(crate) struct Memory {
    /// The command that logs in, for messages.
    login: &'static str,
    held: Option<Held>,
    /// The store's mark when it was read last; `None` before the first time.
    read: Option<Version>,
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
pub(crate) struct Reading(u64);

#[derive(Debug)]
struct Held {
    tokens: Tokens,
    bearer: Bearer,
    /// How many attempts to renew the tokens have failed in a row.
    failures: u32,
    /// What stands in the way of spending `tokens.refresh_token`.
    trouble: Option<Trouble>,
    unsaved: Option<Unsaved>,
}

#[derive(Debug)]
enum Trouble {
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
struct Unsaved {
    /// The spent refresh token that the store still holds.
    stored: Option<Secret>,
    retry_at: Instant,
}

/// What to do next for a caller that wants a bearer.
#[derive(Debug)]
pub(crate) enum Step {
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

impl Memory {
    /// Knows nothing yet; `login` is the command that messages name.
    pub(crate) fn new(login: &'static str) -> Self {
        Self { login, held: None, read: None, begun: 0, current: 0, store_error: None, rejections: Vec::new() }
    }

    /// Decides the next step for a caller whose bearer `rejected` the backend refused, or who has none yet.
    ///
    /// `seen` is the store's mark now; `None` when the store has just been read.
    pub(crate) fn step(
        &self,
        seen: Option<Version>,
        rejected: Option<&Bearer>,
        at: Moment,
        policy: &Policy,
        location: impl FnOnce() -> String,
    ) -> Step {
        if seen.is_some() && seen != self.read {
            return Step::Read;
        }
        let Some(held) = &self.held else {
            return Step::Fail(AuthError::NotLoggedIn { path: location(), login: self.login });
        };
        let reason = match rejected {
            Some(rejected) if held.bearer.token.matches(&rejected.token) => RefreshReason::Rejected,
            Some(rejected) if differ(&rejected.account_id, &held.bearer.account_id) => {
                return Step::Fail(AuthError::AccountChanged);
            }
            Some(_) | None => match decide(&held.tokens, at.wall, policy) {
                Freshness::Fresh { .. } => return Step::Serve(held.bearer.clone()),
                Freshness::Login(reason) => return Step::Fail(self.expired(reason)),
                Freshness::Refresh(reason) => reason,
            },
        };
        self.step_to_refresh(held, reason, at)
    }

    fn step_to_refresh(&self, held: &Held, reason: RefreshReason, at: Moment) -> Step {
        let fallback = reason.still_usable().then(|| held.bearer.clone());
        if held.tokens.refresh_token.is_none() {
            return Step::Fail(self.expired(LoginReason::NoRefreshToken));
        }
        let (until, why) = match &held.trouble {
            Some(Trouble::Refused(refused)) => {
                return fallback.map_or_else(|| Step::Fail(self.expired(refused.clone())), Step::Serve);
            }
            Some(Trouble::Pause { spent: true, .. }) if fallback.is_some() => (None, ""),
            Some(Trouble::Pause { until, reason, .. }) if at.instant < *until => (Some(*until), reason.as_str()),
            Some(Trouble::Postponed { until, .. }) if fallback.is_some() && at.instant < *until => (None, ""),
            Some(Trouble::Pause { .. } | Trouble::Postponed { .. }) | None => match self.rejections_end(reason, at) {
                Some(end) => (Some(end), "the backend keeps rejecting new access tokens"),
                None => return Step::Refresh { tokens: held.tokens.clone(), reason, fallback },
            },
        };
        let retry_after = until.map_or(Duration::ZERO, |until| until - at.instant);
        fallback.map_or_else(|| Step::Fail(AuthError::Temporary { retry_after, reason: why.to_owned() }), Step::Serve)
    }

    /// Returns the token in memory if it can still be sent, whatever the store says.
    pub(crate) fn usable(&self, rejected: Option<&Bearer>, at: Moment, policy: &Policy) -> Option<Bearer> {
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
    pub(crate) fn begin_reading(&mut self) -> Reading {
        self.begun += 1;
        Reading(self.begun)
    }

    /// Takes over what the store held when its mark was `version`. Returns whether these are other tokens than before.
    ///
    /// Readings may end in another order than they began. What an older one has read is not taken over: it could bring
    /// back a token that has been spent since, in place of one that exists only here.
    pub(crate) fn adopt(&mut self, reading: Reading, stored: Option<Tokens>, version: Version) -> bool {
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
            self.held = Some(Held::new(stored));
            return false;
        };
        let superseded = |unsaved: &Unsaved| {
            unsaved.stored.is_some() && same(stored.refresh_token.as_ref(), unsaved.stored.as_ref())
        };
        if held.unsaved.as_ref().is_some_and(superseded) {
            return false;
        }
        let changed = !same(held.tokens.refresh_token.as_ref(), stored.refresh_token.as_ref())
            || !held.tokens.access_token.matches(&stored.access_token);
        let mut adopted = Held::new(stored);
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
    pub(crate) fn publish(&mut self, renewed: Tokens, saved: Option<Version>, retry_at: Instant) {
        self.current = self.begin_reading().0;
        let previous = self.held.take();
        let mut held = Held::new(renewed);
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
                held.unsaved = Some(Unsaved { stored, retry_at });
            }
        }
        self.held = Some(held);
    }

    /// Notes a failed attempt and returns how many there were in a row.
    pub(crate) fn fail(&mut self, error: &EndpointError, at: Moment, policy: &Policy) -> u32 {
        let Some(held) = &mut self.held else { return 0 };
        held.failures = held.failures.saturating_add(1);
        let was_spent = matches!(held.trouble, Some(Trouble::Pause { spent: true, .. }));
        held.trouble = Some(match error {
            EndpointError::Refused { refusal } if was_spent => {
                Trouble::Refused(LoginReason::ReplyLost(refusal.clone()))
            }
            EndpointError::Refused { refusal } => Trouble::Refused(LoginReason::Refused(refusal.clone())),
            EndpointError::Unavailable { .. }
            | EndpointError::WebPage { .. }
            | EndpointError::Unreachable(_)
            | EndpointError::Interrupted(_) => Trouble::Pause {
                until: at.instant + pause_after(error, held.failures, policy),
                reason: error.to_string(),
                spent: was_spent || matches!(error, EndpointError::Interrupted(_)),
            },
        });
        held.failures
    }

    /// Notes that the store cannot take the next tokens and returns how many attempts have failed in a row.
    pub(crate) fn postpone(&mut self, error: &StoreError, at: Moment, policy: &Policy) -> u32 {
        let Some(held) = &mut self.held else { return 0 };
        held.failures = held.failures.saturating_add(1);
        let until = at.instant + pause(held.failures, policy);
        held.trouble = Some(Trouble::Postponed { until, reason: error.to_string() });
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

    pub(crate) fn read_version(&self) -> Option<Version> {
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
    pub(crate) fn note_saved(&mut self, saved: Option<Version>, retry_at: Instant) {
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
            Trouble::Refused(reason) => Some(reason.to_string()),
            Trouble::Pause { reason, .. } | Trouble::Postponed { reason, .. } => Some(reason.clone()),
        }
    }

    /// Returns why the refresh token will never work.
    pub(crate) fn refused(&self) -> Option<&LoginReason> {
        match self.held.as_ref()?.trouble.as_ref()? {
            Trouble::Refused(reason) => Some(reason),
            Trouble::Pause { .. } | Trouble::Postponed { .. } => None,
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

impl Held {
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
fn pause(failures: u32, policy: &Policy) -> Duration {
    let doubled = policy.backoff.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(policy.max_backoff)
}

fn pause_after(error: &EndpointError, failures: u32, policy: &Policy) -> Duration {
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

    const VERSIONS: [Version; 2] = [Version::new([1; 5]), Version::new([2; 5])];

    fn tokens(generation: u8) -> Tokens {
        let mut tokens = Tokens::new(format!("access-{generation}").into());
        tokens.refresh_token = Some(format!("refresh-{generation}").into());
        tokens
    }

    fn held(memory: &Memory) -> &str {
        memory.tokens().map_or("", |tokens| tokens.access_token.expose())
    }

    #[test]
    fn a_reading_that_ends_late_brings_nothing_back() {
        let mut memory = Memory::new("log in");
        let (early, late) = (memory.begin_reading(), memory.begin_reading());
        assert!(!memory.adopt(late, Some(tokens(1)), VERSIONS[1]));
        assert!(!memory.adopt(early, Some(tokens(0)), VERSIONS[0]));
        assert_eq!((held(&memory), memory.read_version()), ("access-1", Some(VERSIONS[1])));
    }

    #[test]
    fn tokens_that_exist_only_here_outlive_readings_from_before() {
        let mut memory = Memory::new("log in");
        let reading = memory.begin_reading();
        memory.adopt(reading, Some(tokens(1)), VERSIONS[0]);
        let readings = [memory.begin_reading(), memory.begin_reading()];
        memory.publish(tokens(2), None, Instant::now());
        memory.adopt(readings[0], Some(tokens(0)), VERSIONS[1]);
        memory.adopt(readings[1], None, Version::ABSENT);
        assert!(held(&memory) == "access-2" && memory.is_unsaved());
        // A reading that began later tells of a logout.
        let reading = memory.begin_reading();
        assert!(memory.adopt(reading, None, Version::ABSENT));
        assert_eq!(held(&memory), "");
    }
}
