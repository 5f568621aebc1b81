//! The state of the login, for `status` and `/health`.

use std::time::SystemTime;

use crate::claims::Plan;
use crate::error::LoginReason;
use crate::refresh::freshness::{Freshness, RefreshPolicy, decide};
use crate::tokens::Tokens;

/// A snapshot of the login without secrets.
///
/// ```
/// use std::time::SystemTime;
///
/// use codex_auth::{LoginState, LoginStatus, Secret, Tokens};
///
/// let tokens = Tokens::new(Secret::new("access"));
/// let status = LoginStatus::of(Some(&tokens), "memory".to_owned(), SystemTime::now());
/// assert_eq!(status.state, LoginState::Valid);
/// assert!(status.is_usable() && !status.renewable);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginStatus {
    /// Whether requests can be authenticated.
    pub state: LoginState,
    /// Where the credentials are.
    pub location: String,
    /// The account's e-mail address.
    pub email: Option<String>,
    /// The subscription plan.
    pub plan: Option<Plan>,
    /// The account (workspace) id.
    pub account_id: Option<String>,
    /// The workspace's name, if the id token contains it.
    pub workspace: Option<String>,
    /// When the access token expires.
    pub expires_at: Option<SystemTime>,
    /// When the tokens were last issued.
    pub last_refresh: Option<SystemTime>,
    /// Whether the access token can be renewed without a login.
    pub renewable: bool,
    /// Whether the newest tokens are in the store; `false` after a save failed.
    pub saved: bool,
    /// The last problem, in one line.
    pub problem: Option<String>,
}

/// Whether requests can be authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoginState {
    /// There are no credentials.
    LoggedOut,
    /// The credentials cannot be read.
    Unreadable,
    /// The access token is valid.
    Valid,
    /// The access token has expired; the next request renews it.
    Renewable,
    /// Only a new login helps.
    Expired(LoginReason),
}

impl LoginStatus {
    /// Returns the status of tokens that were read from `location`.
    #[must_use]
    pub fn of(tokens: Option<&Tokens>, location: String, now: SystemTime) -> Self {
        let claims = tokens.map(Tokens::claims).unwrap_or_default();
        let state =
            tokens.map_or(LoginState::LoggedOut, |tokens| match decide(tokens, now, &RefreshPolicy::default()) {
                Freshness::Fresh { .. } => LoginState::Valid,
                Freshness::Refresh(reason) if reason.still_usable() => LoginState::Valid,
                Freshness::Refresh(_) => LoginState::Renewable,
                Freshness::Login(reason) => LoginState::Expired(reason),
            });
        Self {
            state,
            location,
            email: claims.email,
            plan: claims.plan,
            account_id: tokens.and_then(|tokens| tokens.account_id().map(str::to_owned)).or(claims.account_id),
            workspace: claims.workspace_label,
            expires_at: tokens.and_then(Tokens::ends_at),
            last_refresh: tokens.and_then(|tokens| tokens.last_refresh),
            renewable: tokens.is_some_and(|tokens| tokens.refresh_token.is_some()),
            saved: true,
            problem: None,
        }
    }

    /// Returns whether requests can be authenticated without a new login.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        match self.state {
            LoginState::Valid | LoginState::Renewable => true,
            LoginState::LoggedOut | LoginState::Unreadable | LoginState::Expired(_) => false,
        }
    }
}
