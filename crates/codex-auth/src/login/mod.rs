//! Login with a browser or by device code, ending with tokens in the store.

pub(crate) mod authorize;
#[cfg(feature = "login")]
pub(crate) mod browser;
pub(crate) mod callback;
pub(crate) mod device;
#[cfg(feature = "login")]
mod listener;
#[cfg(feature = "login")]
mod pages;
pub(crate) mod pkce;

use std::time::Duration;

use crate::claims::Plan;
use crate::clock::{Clock, read_clock};
use crate::config::AuthConfig;
use crate::endpoint::send_with_timeout;
use crate::http_client::{HttpClient, HttpClientError};
use crate::login::callback::{AuthorizationCode, CallbackError};
use crate::requests;
use crate::response::{EndpointError, TokenResponse};
use crate::secret::Secret;
use crate::store::{StoreError, TokenStore, wait_for_lock};
use crate::tokens::Tokens;

/// The time limit of the exchange of a code.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for the store's lock: longer than a refresh by a running proxy takes.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// The account that logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The e-mail address.
    pub email: Option<String>,
    /// The subscription plan.
    pub plan: Option<Plan>,
    /// The account (workspace) id.
    pub account_id: Option<String>,
}

impl Account {
    /// Reads the account from the tokens' claims.
    #[must_use]
    pub fn of(tokens: &Tokens) -> Self {
        let claims = tokens.claims();
        Self {
            account_id: tokens.account_id().map(str::to_owned).or(claims.account_id),
            email: claims.email,
            plan: claims.plan,
        }
    }
}

/// A login that failed. The tokens that were stored before are unchanged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// None of the callback ports is available: end the program that uses one, or log in by device code.
    #[error(
        "cannot listen on port {ports} for the browser ({reason}): end the other login or program, or use a device code"
    )]
    Listen {
        /// The ports that were tried.
        ports: String,
        /// The system's message for the last one.
        reason: String,
    },
    /// The system has no random numbers.
    #[error("the system provides no random numbers: {0}")]
    Random(String),
    /// Another login asked this one to release the port.
    #[error("the login was cancelled")]
    Cancelled,
    /// The auth server's answer contains no usable code.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// The code was not exchanged for tokens.
    #[error("the login could not be completed: {0}")]
    Exchange(#[from] EndpointError),
    /// The account is not one of those that the login was limited to.
    #[error(
        "logged in to {}, which is not allowed here: choose another workspace",
        .found.as_ref().map_or_else(|| "an unnamed workspace".to_owned(), |id| format!("workspace {id}"))
    )]
    Workspace {
        /// The id of the workspace that was chosen, if the tokens contain it.
        found: Option<String>,
    },
    /// The tokens could not be stored: repair the store, then log in again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The auth server does not support device codes: log in with a browser.
    #[error("the auth server does not support login by device code: log in with a browser")]
    DeviceUnsupported,
    /// The device code was not entered in time: start again.
    #[error("the device code has expired: start the login again")]
    DeviceExpired,
    /// The user declined the device.
    #[error("the login was denied on the other device")]
    DeviceDenied,
}

impl From<HttpClientError> for LoginError {
    fn from(error: HttpClientError) -> Self {
        Self::Exchange(error.into())
    }
}

/// Exchanges a code for tokens (`docs/backend.md §1.4`).
pub(crate) async fn exchange_code<H: HttpClient>(
    config: &AuthConfig,
    code: &AuthorizationCode,
    verifier: &Secret,
    redirect_uri: &str,
    http: &H,
    clock: &impl Clock,
) -> Result<Tokens, LoginError> {
    let request = requests::exchange_request(config, code.secret(), verifier, redirect_uri);
    let request = request.map_err(HttpClientError::from)?;
    let response = TokenResponse::parse(&send_with_timeout(http, request, EXCHANGE_TIMEOUT).await?)?;
    if response.refresh_token.is_none() {
        tracing::warn!("the auth server sent no refresh token: the login ends when its access token expires");
    }
    Tokens::issued(response, read_clock(clock)).ok_or_else(|| {
        let message = "the auth server's response contains no access token".to_owned();
        LoginError::Exchange(EndpointError::Unavailable { message, retry_after: None })
    })
}

/// Stores the tokens of a completed login.
pub(crate) async fn store_login<S: TokenStore>(
    config: &AuthConfig,
    tokens: &Tokens,
    store: &S,
) -> Result<Account, LoginError> {
    let account = Account::of(tokens);
    let allowed = &config.allowed_workspaces;
    if !allowed.is_empty() && !account.account_id.as_ref().is_some_and(|id| allowed.contains(id)) {
        return Err(LoginError::Workspace { found: account.account_id });
    }
    let lock = wait_for_lock(store, LOCK_WAIT).await?;
    store.save(&lock, tokens).await?;
    tracing::debug!(location = %store.location(), "logged in");
    Ok(account)
}
