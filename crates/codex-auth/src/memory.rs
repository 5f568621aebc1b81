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

use crate::{
    AuthError, Bearer, EndpointError, Freshness, LoginReason, Policy, RefreshReason, Secret, StoreError, Tokens,
    Version, decide, secret::same,
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
#[derive(Debug, Default)]
pub(crate) struct Memory {
    held: Option<Held>,
    /// The store's mark when it was read last; `None` before the first time.
    read: Option<Version>,
    /// Why the store could not be read the last time.
    store_error: Option<StoreError>,
    /// When refreshes were caused by a rejected token, oldest first.
    rejections: Vec<Instant>,
}

#[derive(Debug)]
struct Held {
    tokens: Tokens,
    bearer: Bearer,
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
        failures: u32,
        reason: String,
        /// The refresh token may be spent: it is only tried again when there is nothing to lose.
        spent: bool,
    },
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
            return Step::Fail(AuthError::NotLoggedIn { path: location() });
        };
        let reason = match rejected {
            Some(rejected) if held.bearer.token.matches(&rejected.token) => RefreshReason::Rejected,
            Some(rejected) if differ(&rejected.account_id, &held.bearer.account_id) => {
                return Step::Fail(AuthError::AccountChanged);
            }
            Some(_) | None => match decide(&held.tokens, at.wall, policy) {
                Freshness::Fresh { .. } => return Step::Serve(held.bearer.clone()),
                Freshness::Login(reason) => return Step::Fail(AuthError::LoginExpired { reason }),
                Freshness::Refresh(reason) => reason,
            },
        };
        self.step_to_refresh(held, reason, at)
    }

    fn step_to_refresh(&self, held: &Held, reason: RefreshReason, at: Moment) -> Step {
        let fallback = reason.still_usable().then(|| held.bearer.clone());
        if held.tokens.refresh_token.is_none() {
            return Step::Fail(AuthError::LoginExpired { reason: LoginReason::NoRefreshToken });
        }
        let (until, why) = match &held.trouble {
            Some(Trouble::Refused(refused)) => {
                let expired = AuthError::LoginExpired { reason: refused.clone() };
                return fallback.map_or(Step::Fail(expired), Step::Serve);
            }
            Some(Trouble::Pause { spent: true, .. }) if fallback.is_some() => (None, ""),
            Some(Trouble::Pause { until, reason, .. }) if at.instant < *until => (Some(*until), reason.as_str()),
            Some(Trouble::Pause { .. }) | None => match self.rejections_end(reason, at) {
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

    /// Takes over what the store held when its mark was `version`. Returns whether these are other tokens than before.
    pub(crate) fn adopt(&mut self, stored: Option<Tokens>, version: Version) -> bool {
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
        let same_grant = same(held.tokens.refresh_token.as_ref(), stored.refresh_token.as_ref());
        let changed = !same_grant || !held.tokens.access_token.matches(&stored.access_token);
        let trouble = held.trouble.take().filter(|_| same_grant);
        *held = Held { trouble, ..Held::new(stored) };
        changed
    }

    /// Takes over tokens that the authority has just issued in place of those held.
    ///
    /// `saved` is the store's mark with them in it, or `None` when it could not take them.
    pub(crate) fn publish(&mut self, renewed: Tokens, saved: Option<Version>, retry_at: Instant) {
        let previous = self.held.take();
        let mut held = Held::new(renewed);
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
        let (failures, was_spent) = match &held.trouble {
            Some(Trouble::Pause { failures, spent, .. }) => (failures.saturating_add(1), *spent),
            Some(Trouble::Refused(_)) | None => (1, false),
        };
        held.trouble = Some(match error {
            EndpointError::Refused { refusal } if was_spent => {
                Trouble::Refused(LoginReason::ReplyLost(refusal.clone()))
            }
            EndpointError::Refused { refusal } => Trouble::Refused(LoginReason::Refused(refusal.clone())),
            EndpointError::Unavailable { .. }
            | EndpointError::WebPage { .. }
            | EndpointError::Unreachable(_)
            | EndpointError::Interrupted(_) => Trouble::Pause {
                until: at.instant + pause(error, failures, policy),
                failures,
                reason: error.to_string(),
                spent: was_spent || matches!(error, EndpointError::Interrupted(_)),
            },
        });
        failures
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
        let Some(held) = &mut self.held else { return };
        match (saved, &mut held.unsaved) {
            (Some(version), unsaved) => {
                *unsaved = None;
                self.read = Some(version);
            }
            (None, Some(unsaved)) => unsaved.retry_at = retry_at,
            (None, None) => {}
        }
    }

    /// Describes what stands in the way of a refresh.
    pub(crate) fn trouble(&self) -> Option<String> {
        match self.held.as_ref()?.trouble.as_ref()? {
            Trouble::Refused(reason) => Some(reason.to_string()),
            Trouble::Pause { reason, .. } => Some(reason.clone()),
        }
    }

    /// Returns why the refresh token will never work.
    pub(crate) fn refused(&self) -> Option<&LoginReason> {
        match self.held.as_ref()?.trouble.as_ref()? {
            Trouble::Refused(reason) => Some(reason),
            Trouble::Pause { .. } => None,
        }
    }

    fn rejections_end(&self, reason: RefreshReason, at: Moment) -> Option<Instant> {
        let nth_last = self.rejections.len().checked_sub(MAX_REJECTIONS)?;
        let end = *self.rejections.get(nth_last)? + REJECTION_WINDOW;
        (reason == RefreshReason::Rejected && at.instant < end).then_some(end)
    }
}

impl Held {
    fn new(tokens: Tokens) -> Self {
        Self { bearer: tokens.bearer(), tokens, trouble: None, unsaved: None }
    }
}

/// Two accounts differ only when both are known.
pub(crate) fn differ(left: &Option<String>, right: &Option<String>) -> bool {
    left.is_some() && right.is_some() && left != right
}

fn pause(error: &EndpointError, failures: u32, policy: &Policy) -> Duration {
    /// The authority cannot silence the proxy for longer than this.
    const MAX_ASKED: Duration = Duration::from_secs(3600);
    let doubled = policy.backoff.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let own = doubled.min(policy.max_backoff);
    match error {
        EndpointError::Unavailable { retry_after: Some(asked), .. } => own.max((*asked).min(MAX_ASKED)),
        EndpointError::Unavailable { retry_after: None, .. }
        | EndpointError::Refused { .. }
        | EndpointError::WebPage { .. }
        | EndpointError::Unreachable(_)
        | EndpointError::Interrupted(_) => own,
    }
}
