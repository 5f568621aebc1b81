//! The issued tokens and their states.

use std::time::{Duration, SystemTime};

use serde::Serialize;

use crate::bounded::Bounded;
use crate::clock::{MAX_DURATION, unix_secs};
use crate::config::SimConfig;
use crate::ids::Rng;
use crate::tokens::grant::Grant;
use crate::tokens::jwt;

/// The tokens to issue; a field that is not set comes from [`SimConfig`].
#[derive(Debug, Clone, Default)]
pub struct Mint {
    /// Account of the tokens.
    pub account_id: Option<String>,
    /// Lifetime of the access token and of the tokens refreshed from it.
    pub lifetime: Option<Duration>,
    /// E-mail claim.
    pub email: Option<String>,
    /// Plan claim.
    pub plan_type: Option<String>,
    /// Marks the account as FedRAMP.
    pub fedramp: bool,
}

/// A set of issued tokens, valid only at the simulator that issued them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// The bearer token, a JWT.
    pub access_token: String,
    /// The refresh token: opaque, for a single use.
    pub refresh_token: String,
    /// The id token, a JWT.
    pub id_token: String,
    /// The account that the tokens are for.
    pub account_id: String,
    /// Seconds until the access token expires.
    pub expires_in: u64,
    /// Expiry of the access token in Unix seconds.
    pub expires_at: u64,
}

/// How often one refresh token was presented.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RefreshUse {
    /// The token, as presented.
    pub refresh_token: String,
    /// The number of times it was presented; more than 1 is reuse.
    pub uses: u64,
}

/// Why an access token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccessRefusal {
    Unknown,
    Expired,
    Revoked,
}

/// Why a refresh token is refused (`docs/backend.md` §1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefreshRefusal {
    Unknown,
    Expired,
    Reused,
    Invalidated,
}

#[derive(Debug, Default)]
pub(crate) struct TokenLedger {
    grants: u64,
    access: Bounded<String, Access>,
    refresh: Bounded<String, Refresh>,
    pub(crate) refreshes: u64,
    uses: Bounded<String, u64>,
}

#[derive(Debug)]
struct Access {
    grant: Grant,
    expires: SystemTime,
    revoked: bool,
}

#[derive(Debug)]
struct Refresh {
    grant: Grant,
    expires: SystemTime,
    state: RefreshState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RefreshState {
    Live,
    Spent,
    Revoked,
}

impl TokenLedger {
    /// Issues tokens under a new grant.
    pub(crate) fn mint(
        &mut self,
        mint: Mint,
        config: &SimConfig,
        issuer: &str,
        now: SystemTime,
        rng: &mut Rng,
    ) -> Tokens {
        self.grants += 1;
        let grant = Grant {
            id: self.grants,
            account_id: mint.account_id.unwrap_or_else(|| config.account_id.clone()),
            email: mint.email.unwrap_or_else(|| config.email.clone()),
            plan_type: mint.plan_type.unwrap_or_else(|| config.plan_type.clone()),
            fedramp: mint.fedramp,
            lifetime: mint.lifetime.unwrap_or(config.token_lifetime).min(MAX_DURATION),
        };
        self.issue(&grant, issuer, now, now + config.refresh_lifetime.min(MAX_DURATION), rng)
    }

    /// Returns the grant of a bearer token.
    pub(crate) fn authenticate(&self, access_token: &str, now: SystemTime) -> Result<&Grant, AccessRefusal> {
        let access = self.access.find(&access_token.to_owned()).ok_or(AccessRefusal::Unknown)?;
        if access.revoked {
            Err(AccessRefusal::Revoked)
        } else if access.expires <= now {
            Err(AccessRefusal::Expired)
        } else {
            Ok(&access.grant)
        }
    }

    /// Exchanges a refresh token. With `rotate`, the presented one is no longer valid.
    pub(crate) fn refresh(
        &mut self,
        token: &str,
        rotate: bool,
        issuer: &str,
        now: SystemTime,
        rng: &mut Rng,
    ) -> Result<Tokens, RefreshRefusal> {
        let known = self.refresh.find_mut(&token.to_owned()).ok_or(RefreshRefusal::Unknown)?;
        match known.state {
            RefreshState::Live => {}
            RefreshState::Spent => return Err(RefreshRefusal::Reused),
            RefreshState::Revoked => return Err(RefreshRefusal::Invalidated),
        }
        if known.expires <= now {
            return Err(RefreshRefusal::Expired);
        }
        let (grant, expires) = (known.grant.clone(), known.expires);
        if rotate {
            known.state = RefreshState::Spent;
        }
        self.refreshes += 1;
        Ok(self.issue(&grant, issuer, now, expires, rng))
    }

    /// Counts a use of a refresh token, whatever the answer.
    pub(crate) fn count_use(&mut self, token: &str) {
        let uses = self.uses.find(&token.to_owned()).copied().unwrap_or(0);
        self.uses.insert(token.to_owned(), uses + 1);
    }

    pub(crate) fn refresh_uses(&self) -> Vec<RefreshUse> {
        let line = |(token, uses): (&String, &u64)| RefreshUse { refresh_token: token.clone(), uses: *uses };
        self.uses.iter().map(line).collect()
    }

    /// Revokes the whole grant of `token`, an access or a refresh token. An unknown token is not an error (RFC 7009
    /// §2.2).
    pub(crate) fn revoke(&mut self, token: &str) {
        let key = token.to_owned();
        let grant = self.refresh.find(&key).map(|known| known.grant.id);
        let Some(id) = grant.or_else(|| self.access.find(&key).map(|known| known.grant.id)) else {
            return;
        };
        self.access.values_mut().filter(|a| a.grant.id == id).for_each(|a| a.revoked = true);
        self.refresh.values_mut().filter(|r| r.grant.id == id).for_each(|r| r.state = RefreshState::Revoked);
    }

    /// Invalidates every access token; refresh tokens stay valid.
    pub(crate) fn invalidate_access(&mut self) {
        self.access.values_mut().for_each(|access| access.revoked = true);
    }

    fn issue(
        &mut self,
        grant: &Grant,
        issuer: &str,
        now: SystemTime,
        refresh_expires: SystemTime,
        rng: &mut Rng,
    ) -> Tokens {
        let expires = now + grant.lifetime;
        let tokens = Tokens {
            access_token: jwt::access_token(grant, issuer, now, rng),
            refresh_token: format!("rt_{}", rng.token(48)),
            id_token: jwt::id_token(grant, issuer, now, rng),
            account_id: grant.account_id.clone(),
            expires_in: grant.lifetime.as_secs(),
            expires_at: unix_secs(expires),
        };
        let access = Access { grant: grant.clone(), expires, revoked: false };
        self.access.insert(tokens.access_token.clone(), access);
        let refresh = Refresh { grant: grant.clone(), expires: refresh_expires, state: RefreshState::Live };
        self.refresh.insert(tokens.refresh_token.clone(), refresh);
        tokens
    }
}
