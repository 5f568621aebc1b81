//! Login in a browser, ended by a visit to a local address or by a pasted answer.

use std::future::Future;
use std::time::Duration;

use http::StatusCode;
use url::Url;

use crate::endpoint::send;
use crate::listener::{CallbackServer, LoopbackListener, PageRequest};
use crate::pages::{self, LoginPage};
use crate::{
    AuthConfig, AuthorizationCode, AuthorizationRequest, CALLBACK_PATH, CallbackError, Claims, Clock, EndpointError,
    GrantRefusal, HttpClient, HttpClientError, Plan, Secret, StoreError, TokenResponse, TokenStore, Tokens,
    parse_callback, parse_pasted, store, wire,
};

/// The callback ports that the authority knows, in the order they are tried (`docs/backend.md §1.3`).
pub const DEFAULT_PORTS: [u16; 2] = [1455, 1457];

/// How long the exchange of a code may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait for the store's lock: longer than a refresh by a running proxy takes.
const LOCK_WAIT: Duration = Duration::from_secs(60);
/// How long the browser has to follow the redirect to the last page.
const LANDING: Duration = Duration::from_secs(5);

const SUCCESS_PATH: &str = "/success";
const FAILED_PATH: &str = "/failed";
const CANCEL_PATH: &str = "/cancel";

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
        let claims = Claims::of(tokens);
        Self {
            account_id: tokens.account_id().map(str::to_owned).or(claims.account_id),
            email: claims.email,
            plan: claims.plan,
        }
    }
}

/// A login that did not come about. Whatever was stored before is unchanged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// No callback port can be had: end what holds it, or log in by device code.
    #[error(
        "cannot listen on port {ports} for the browser ({reason}): end the other login or program, or use a device code"
    )]
    Listen {
        /// The ports that were tried.
        ports: String,
        /// What the system said about the last.
        reason: String,
    },
    /// The system has no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    /// Another login asked this one to leave the port.
    #[error("the login was cancelled")]
    Cancelled,
    /// The authority's answer holds no usable code.
    #[error(transparent)]
    Callback(#[from] CallbackError),
    /// The code was not exchanged for tokens.
    #[error("the login could not be completed: {0}")]
    Exchange(#[from] EndpointError),
    /// The account is not one of those the login was limited to.
    #[error("logged in to workspace {found}, which is not allowed here: choose another workspace")]
    Workspace {
        /// The workspace that was chosen.
        found: String,
    },
    /// The tokens could not be stored: repair the store, then log in again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority offers no device codes: log in with a browser.
    #[error("the authority offers no login by device code: log in with a browser")]
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

/// A browser login that waits for its answer.
#[derive(Debug)]
pub struct BrowserLogin {
    attempt: AuthorizationRequest,
    listener: LoopbackListener,
}

impl BrowserLogin {
    /// Listens on both loopback addresses at the first of `ports` that can be had; port 0 means any.
    ///
    /// # Errors
    ///
    /// [`LoginError::Listen`] or [`LoginError::Random`].
    pub async fn bind(config: &AuthConfig, ports: &[u16]) -> Result<Self, LoginError> {
        let listener = LoopbackListener::bind(ports).await.map_err(|error| LoginError::Listen {
            ports: ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
            reason: error.to_string(),
        })?;
        Ok(Self { attempt: AuthorizationRequest::from_system(config, listener.port())?, listener })
    }

    /// Returns the address where the user approves the login.
    #[must_use]
    pub fn authorize_url(&self) -> Url {
        self.attempt.authorize_url()
    }

    /// Returns the request behind the address, which a pasted answer can complete as well.
    #[must_use]
    pub fn attempt(&self) -> &AuthorizationRequest {
        &self.attempt
    }

    /// Serves the callback until the login has succeeded or failed, and stores the tokens. Dropping it gives up.
    ///
    /// # Errors
    ///
    /// [`LoginError`]; what was stored before is unchanged.
    pub async fn complete<H: HttpClient, S: TokenStore>(
        self,
        http: &H,
        store: &S,
        clock: &impl Clock,
    ) -> Result<Account, LoginError> {
        store::check_writable(store)?;
        let Self { attempt, listener } = self;
        let mut server = CallbackServer::new(listener);
        let ended = attend(&mut server, &attempt, |code| redeem_and_store(&attempt, code, http, store, clock)).await;
        server.finish().await;
        ended
    }
}

impl AuthorizationRequest {
    /// Prepares a request with randomness of the operating system.
    ///
    /// # Errors
    ///
    /// [`LoginError::Random`].
    pub fn from_system(config: &AuthConfig, port: u16) -> Result<Self, LoginError> {
        let mut failed = None;
        let mut random = |bytes: &mut [u8]| {
            if let Err(error) = getrandom::fill(bytes) {
                failed = Some(error);
            }
        };
        let attempt = Self::new(config, port, &mut random);
        failed.map_or(Ok(attempt), |error| Err(LoginError::Random(error.to_string())))
    }

    /// Completes the login with an answer that the user pasted; see [`parse_pasted`].
    ///
    /// # Errors
    ///
    /// [`LoginError::Callback`] with [`CallbackError::StateMismatch`] or [`CallbackError::MissingCode`]: something else
    /// was pasted, ask again. Any other ends the login; what was stored before is unchanged.
    pub async fn complete_pasted<H: HttpClient, S: TokenStore>(
        &self,
        input: &str,
        http: &H,
        store: &S,
        clock: &impl Clock,
    ) -> Result<Account, LoginError> {
        let code = parse_pasted(input, self.state())?;
        store::check_writable(store)?;
        redeem_and_store(self, code, http, store, clock).await
    }
}

/// Answers visits until the login has ended, in the order of `docs/backend.md §1.3`.
async fn attend<F>(
    server: &mut CallbackServer,
    attempt: &AuthorizationRequest,
    redeem: impl Fn(AuthorizationCode) -> F,
) -> Result<Account, LoginError>
where
    F: Future<Output = Result<Account, LoginError>>,
{
    let ended = loop {
        let visit = server.next().await;
        match visit.path.as_str() {
            CALLBACK_PATH => match parse_callback(&visit.query, attempt.state()) {
                Ok(code) => {
                    let ended = redeem(code).await;
                    visit.reply(pages::redirect(landing_path(&ended)));
                    break ended;
                }
                Err(CallbackError::StateMismatch) => visit.reply(LoginPage::StateMismatch.response()),
                Err(error) => {
                    visit.reply(callback_page(&error).response());
                    return Err(error.into());
                }
            },
            // A page of another site must not end the login.
            CANCEL_PATH if !visit.foreign => {
                visit.reply(pages::text(StatusCode::OK, "Login cancelled"));
                return Err(LoginError::Cancelled);
            }
            _ => visit.reply(not_found()),
        }
    };
    // A browser that does not follow the redirect misses the page, no more.
    let _ = tokio::time::timeout(LANDING, show(server, &ended)).await;
    ended
}

/// Shows the page of a login that has ended.
async fn show(server: &mut CallbackServer, ended: &Result<Account, LoginError>) {
    loop {
        let visit: PageRequest = server.next().await;
        match visit.path.as_str() {
            SUCCESS_PATH | FAILED_PATH if visit.path == landing_path(ended) => {
                return visit.reply(last_page(ended).response());
            }
            CALLBACK_PATH => visit.reply(pages::redirect(landing_path(ended))),
            _ => visit.reply(not_found()),
        }
    }
}

async fn redeem_and_store<H: HttpClient, S: TokenStore>(
    attempt: &AuthorizationRequest,
    code: AuthorizationCode,
    http: &H,
    store: &S,
    clock: &impl Clock,
) -> Result<Account, LoginError> {
    let verifier = attempt.verifier().secret();
    let tokens = redeem(attempt.config(), &code, verifier, attempt.redirect_uri(), http, clock).await?;
    keep(attempt.config(), &tokens, store).await
}

/// Exchanges a code for tokens (`docs/backend.md §1.4`).
pub(crate) async fn redeem<H: HttpClient>(
    config: &AuthConfig,
    code: &AuthorizationCode,
    verifier: &Secret,
    redirect_uri: &str,
    http: &H,
    clock: &impl Clock,
) -> Result<Tokens, LoginError> {
    let request =
        wire::exchange_request(config, code.secret(), verifier, redirect_uri).map_err(HttpClientError::from)?;
    let reply = TokenResponse::parse(&send(http, request, EXCHANGE_TIMEOUT).await?)?;
    if reply.refresh_token.is_none() {
        tracing::warn!("the authority gave no refresh token: the login ends with its access token");
    }
    Tokens::issued(reply, clock.now()).ok_or_else(|| {
        let message = "the authority's reply held no access token".to_owned();
        LoginError::Exchange(EndpointError::Unavailable { message, retry_after: None })
    })
}

/// Stores the tokens of a completed login.
pub(crate) async fn keep<S: TokenStore>(
    config: &AuthConfig,
    tokens: &Tokens,
    store: &S,
) -> Result<Account, LoginError> {
    let account = Account::of(tokens);
    let allowed = &config.allowed_workspaces;
    if !allowed.is_empty() && !account.account_id.as_ref().is_some_and(|id| allowed.contains(id)) {
        let found = account.account_id.unwrap_or_else(|| "(the tokens name none)".to_owned());
        return Err(LoginError::Workspace { found });
    }
    let lock = store::wait_for_lock(store, LOCK_WAIT).await?;
    store.save(&lock, tokens)?;
    tracing::debug!(location = %store.location(), "logged in");
    Ok(account)
}

fn landing_path(ended: &Result<Account, LoginError>) -> &'static str {
    if ended.is_ok() { SUCCESS_PATH } else { FAILED_PATH }
}

fn last_page(ended: &Result<Account, LoginError>) -> LoginPage {
    match ended {
        Ok(account) => {
            LoginPage::Success { email: account.email.clone(), plan: account.plan.as_ref().map(ToString::to_string) }
        }
        Err(LoginError::Exchange(EndpointError::Refused {
            refusal: GrantRefusal::InvalidGrant | GrantRefusal::Expired,
        })) => LoginPage::Expired,
        Err(error) => LoginPage::Failed { reason: error.to_string() },
    }
}

fn callback_page(error: &CallbackError) -> LoginPage {
    match error {
        CallbackError::StateMismatch => LoginPage::StateMismatch,
        CallbackError::Denied { description, .. } => LoginPage::Denied { description: description.clone() },
        CallbackError::NotEntitled => LoginPage::NotEntitled,
        CallbackError::MissingCode => LoginPage::MissingCode,
    }
}

fn not_found() -> http::Response<http_body_util::Full<bytes::Bytes>> {
    pages::text(StatusCode::NOT_FOUND, "Not Found")
}
