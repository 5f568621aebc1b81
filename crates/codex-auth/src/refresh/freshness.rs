//! Whether tokens need renewal, decided without I/O.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::error::LoginReason;
use crate::tokens::Tokens;

/// When tokens are renewed, and how long callers and retries wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshPolicy {
    /// How long before it expires an access token is renewed: 5 minutes (`docs/backend.md §1.5`).
    pub margin: Duration,
    /// Added to `margin`, so several proxies do not refresh in the same second.
    pub jitter: Duration,
    /// The age at which tokens whose end is unknown are renewed: 8 days (`docs/backend.md §1.5`).
    pub max_age: Duration,
    /// How long callers with a valid access token wait for a refresh or for the store, counted from the start of the
    /// refresh or call.
    pub max_wait: Duration,
    /// How long a refresh waits for another process that holds the store's lock.
    pub lock_wait: Duration,
    /// How long the store may take to answer, except to [`crate::TokenStore::save`].
    pub store_wait: Duration,
    /// The pause after the first temporary failure; it doubles with each further one.
    pub backoff: Duration,
    /// The longest pause between attempts.
    pub max_backoff: Duration,
    /// How often [`crate::TokenManager::keep_fresh`] checks the tokens.
    pub check_interval: Duration,
}

impl Default for RefreshPolicy {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(5 * 60),
            jitter: Duration::ZERO,
            max_age: Duration::from_secs(8 * 24 * 3600),
            max_wait: Duration::from_secs(5),
            lock_wait: Duration::from_secs(60),
            store_wait: Duration::from_secs(30),
            backoff: Duration::from_secs(5),
            max_backoff: Duration::from_secs(5 * 60),
            check_interval: Duration::from_secs(60),
        }
    }
}

/// The outcome of [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// The access token can be sent.
    Fresh {
        /// When to decide again; `None` if the end is unknown.
        until: Option<SystemTime>,
    },
    /// The tokens should be renewed first.
    Refresh(RefreshReason),
    /// Only a new login helps.
    Login(LoginReason),
}

/// Why tokens are renewed; contains no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefreshReason {
    /// The access token has expired.
    Expired,
    /// The access token expires within the margin.
    ExpiresSoon,
    /// The end is unknown and the tokens are older than `max_age`.
    TooOld,
    /// The backend answered 401 to the access token.
    Rejected,
}

impl RefreshReason {
    /// Returns whether the access token can still be sent if no other is available.
    #[must_use]
    pub fn still_usable(self) -> bool {
        match self {
            Self::ExpiresSoon | Self::TooOld => true,
            Self::Expired | Self::Rejected => false,
        }
    }
}

impl fmt::Display for RefreshReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the access token has expired",
            Self::ExpiresSoon => "the access token expires soon",
            Self::TooOld => "the tokens are old",
            Self::Rejected => "the backend rejected the access token",
        })
    }
}

/// Decides what to do with the tokens at `now`, by the end of the access token ([`Tokens::ends_at`]).
///
/// Total, and monotonic in `now`: as time passes the answer moves from `Fresh` through `Refresh` (with a refresh token)
/// to `Refresh(Expired)` or `Login`, and never back. Tokens without a refresh token stay fresh until they expire. The
/// margin never exceeds half of a token's lifetime, so tokens that have just been issued are fresh.
#[must_use]
pub fn decide(tokens: &Tokens, now: SystemTime, policy: &RefreshPolicy) -> Freshness {
    let renewable = tokens.refresh_token.is_some();
    match (tokens.ends_at(), tokens.last_refresh) {
        (Some(end), _) if end <= now && renewable => Freshness::Refresh(RefreshReason::Expired),
        (Some(end), _) if end <= now => Freshness::Login(LoginReason::NoRefreshToken),
        (Some(end), _) if !renewable => Freshness::Fresh { until: Some(end) },
        (Some(end), issued) => match end.checked_sub(margin(end, issued, policy)) {
            Some(due) if now < due => Freshness::Fresh { until: Some(due) },
            Some(_) | None => Freshness::Refresh(RefreshReason::ExpiresSoon),
        },
        (None, Some(issued)) if renewable => match issued.checked_add(policy.max_age) {
            Some(due) if due <= now => Freshness::Refresh(RefreshReason::TooOld),
            until => Freshness::Fresh { until },
        },
        (None, Some(_) | None) => Freshness::Fresh { until: None },
    }
}

fn margin(end: SystemTime, issued: Option<SystemTime>, policy: &RefreshPolicy) -> Duration {
    let margin = policy.margin.saturating_add(policy.jitter);
    match issued.map(|issued| end.duration_since(issued)) {
        Some(Ok(lifetime)) => margin.min(lifetime / 2),
        Some(Err(_)) | None => margin,
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn tokens(refresh: bool, expires_at: Option<u64>, last_refresh: Option<u64>) -> Tokens {
        let mut tokens = Tokens::new("a".into());
        tokens.refresh_token = refresh.then(|| "r".into());
        tokens.expires_at = expires_at.map(at);
        tokens.last_refresh = last_refresh.map(at);
        tokens
    }

    #[test]
    fn the_margin_is_five_minutes_plus_jitter() {
        let policy = RefreshPolicy { jitter: Duration::from_secs(10), ..RefreshPolicy::default() };
        let tokens = tokens(true, Some(10_000), None);
        assert_eq!(decide(&tokens, at(9_689), &policy), Freshness::Fresh { until: Some(at(9_690)) });
        assert_eq!(decide(&tokens, at(9_690), &policy), Freshness::Refresh(RefreshReason::ExpiresSoon));
        assert_eq!(decide(&tokens, at(10_000), &policy), Freshness::Refresh(RefreshReason::Expired));
    }

    #[test]
    fn tokens_with_an_unknown_end_are_renewed_after_eight_days() {
        let policy = RefreshPolicy::default();
        let tokens = tokens(true, None, Some(1000));
        let due = at(1000 + 8 * 24 * 3600);
        assert_eq!(decide(&tokens, due - Duration::from_secs(1), &policy), Freshness::Fresh { until: Some(due) });
        assert_eq!(decide(&tokens, due, &policy), Freshness::Refresh(RefreshReason::TooOld));
    }

    #[test]
    fn without_a_refresh_token_the_token_is_used_to_its_end() {
        let policy = RefreshPolicy::default();
        let tokens = tokens(false, Some(1000), None);
        assert_eq!(decide(&tokens, at(999), &policy), Freshness::Fresh { until: Some(at(1000)) });
        assert_eq!(decide(&tokens, at(1000), &policy), Freshness::Login(LoginReason::NoRefreshToken));
    }

    #[test]
    fn a_short_lived_token_is_fresh_when_issued() {
        let tokens = tokens(true, Some(1060), Some(1000));
        let decided = decide(&tokens, at(1000), &RefreshPolicy::default());
        assert_eq!(decided, Freshness::Fresh { until: Some(at(1030)) });
    }

    #[test]
    fn an_end_edited_to_before_the_last_refresh_counts_as_expired() {
        let tokens = tokens(true, Some(1), Some(1000));
        assert_eq!(decide(&tokens, at(1001), &RefreshPolicy::default()), Freshness::Refresh(RefreshReason::Expired));
    }

    fn rank(freshness: &Freshness) -> u8 {
        match freshness {
            Freshness::Fresh { .. } => 0,
            Freshness::Refresh(RefreshReason::Expired) | Freshness::Login(_) => 2,
            Freshness::Refresh(_) => 1,
        }
    }

    proptest! {
        #[test]
        fn decide_is_total_and_monotonic(
            refresh in any::<bool>(),
            expires_at in option::of(0..4_000_000_000_u64),
            last_refresh in option::of(0..4_000_000_000_u64),
            jitter in 0..600_u64,
            (first, later) in (0..4_000_000_000_u64, 0..4_000_000_000_u64),
        ) {
            let policy = RefreshPolicy { jitter: Duration::from_secs(jitter), ..RefreshPolicy::default() };
            let tokens = tokens(refresh, expires_at, last_refresh);
            let before = decide(&tokens, at(first), &policy);
            let after = decide(&tokens, at(first.saturating_add(later)), &policy);
            prop_assert!(rank(&before) <= rank(&after), "{:?} then {:?}", before, after);
            if let Freshness::Fresh { until: Some(until) } = before {
                prop_assert!(until > at(first));
                prop_assert!(rank(&decide(&tokens, until, &policy)) > 0);
            }
        }
    }
}
