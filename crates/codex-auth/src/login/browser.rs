//! Login in a browser, completed by a visit to a local address or by a pasted answer.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::Full;
use url::Url;

use crate::clock::Clock;
use crate::config::AuthConfig;
use crate::http_client::HttpClient;
use crate::login::authorize::{AuthorizationRequest, CALLBACK_PATH};
use crate::login::callback::{AuthorizationCode, CallbackError, parse_callback};
use crate::login::listener::{CallbackServer, LoopbackListener};
use crate::login::pages::{self, LoginPage, PageTexts};
use crate::login::{Account, LoginError};
use crate::response::{EndpointError, GrantRefusal};
use crate::store::{TokenStore, check_writable};

/// How long the browser may take to follow the redirect to the last page.
const LAST_PAGE_TIMEOUT: Duration = Duration::from_secs(5);

const SUCCESS_PATH: &str = "/success";
const FAILED_PATH: &str = "/failed";
const CANCEL_PATH: &str = "/cancel";

/// A browser login that waits for its answer.
///
/// ```no_run
/// use codex_auth::{AuthConfig, BrowserLogin, DEFAULT_PORTS, FileStore, HttpClient, LoginError, SystemClock};
///
/// async fn log_in(http: impl HttpClient, config: AuthConfig) -> Result<(), LoginError> {
///     let store = FileStore::new("/home/ada/.config/myapp/login.json").with_login_command("myapp sign-in");
///     let login = BrowserLogin::bind(&config, &DEFAULT_PORTS).await?.with_program_name("myapp");
///     println!("open {}", login.authorize_url());
///     let account = login.complete(&http, &store, &SystemClock).await?;
///     println!("logged in as {}", account.email.unwrap_or_default());
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct BrowserLogin {
    request: AuthorizationRequest,
    listener: LoopbackListener,
    program: Option<String>,
}

impl BrowserLogin {
    /// Listens on both loopback addresses at the first available port of `ports`; port 0 means any.
    ///
    /// # Errors
    /// [`LoginError::Listen`] or [`LoginError::Random`].
    pub async fn bind(config: &AuthConfig, ports: &[u16]) -> Result<Self, LoginError> {
        let listener = LoopbackListener::bind(ports).await.map_err(|error| LoginError::Listen {
            ports: ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or "),
            reason: error.to_string(),
        })?;
        let request = AuthorizationRequest::from_system(config, listener.port())?;
        Ok(Self { request, listener, program: None })
    }

    /// Sets the program's name for the pages that the browser shows.
    #[must_use]
    pub fn with_program_name(self, name: impl Into<String>) -> Self {
        Self { program: Some(name.into()), ..self }
    }

    /// Returns the URL where the user approves the login.
    #[must_use]
    pub fn authorize_url(&self) -> Url {
        self.request.authorize_url()
    }

    /// Returns the authorization request, which a pasted answer can complete as well.
    #[must_use]
    pub fn request(&self) -> &AuthorizationRequest {
        &self.request
    }

    /// Serves the callback until the login has succeeded or failed, and stores the tokens. Dropping the future cancels
    /// the login.
    ///
    /// # Errors
    /// [`LoginError`]; the tokens that were stored before are unchanged.
    pub async fn complete<H: HttpClient, S: TokenStore>(
        self,
        http: &H,
        store: &S,
        clock: &impl Clock,
    ) -> Result<Account, LoginError> {
        check_writable(store).await?;
        let Self { request, listener, program } = self;
        let texts = PageTexts { program, login_command: store.login_command() };
        let mut server = CallbackServer::new(listener);
        let exchange = |code| request.exchange_and_store(code, http, store, clock);
        let outcome = serve_callback(&mut server, &request, &texts, exchange).await;
        server.finish().await;
        outcome
    }
}

/// Answers the browser until the login has ended, in the order of `docs/backend.md §1.3`.
async fn serve_callback<F>(
    server: &mut CallbackServer,
    request: &AuthorizationRequest,
    texts: &PageTexts,
    exchange: impl Fn(AuthorizationCode) -> F,
) -> Result<Account, LoginError>
where
    F: Future<Output = Result<Account, LoginError>>,
{
    let outcome = loop {
        let visit = server.next().await;
        match visit.path.as_str() {
            CALLBACK_PATH => match parse_callback(&visit.query, request.state()) {
                Ok(code) => {
                    let outcome = exchange(code).await;
                    visit.reply(pages::redirect(last_page_path(&outcome)));
                    break outcome;
                }
                Err(CallbackError::StateMismatch) => visit.reply(LoginPage::StateMismatch.response(texts)),
                Err(error) => {
                    visit.reply(callback_page(&error).response(texts));
                    return Err(error.into());
                }
            },
            // A page of another site must not end the login.
            CANCEL_PATH if !visit.is_cross_site => {
                visit.reply(pages::text(StatusCode::OK, "Login cancelled"));
                return Err(LoginError::Cancelled);
            }
            _ => visit.reply(not_found()),
        }
    };
    // If the browser does not follow the redirect, only the page is lost.
    let _ = tokio::time::timeout(LAST_PAGE_TIMEOUT, show_last_page(server, texts, &outcome)).await;
    outcome
}

/// Shows the page of a login that has ended.
async fn show_last_page(server: &mut CallbackServer, texts: &PageTexts, outcome: &Result<Account, LoginError>) {
    loop {
        let visit = server.next().await;
        match visit.path.as_str() {
            SUCCESS_PATH | FAILED_PATH if visit.path == last_page_path(outcome) => {
                return visit.reply(last_page(outcome).response(texts));
            }
            CALLBACK_PATH => visit.reply(pages::redirect(last_page_path(outcome))),
            _ => visit.reply(not_found()),
        }
    }
}

fn last_page_path(outcome: &Result<Account, LoginError>) -> &'static str {
    if outcome.is_ok() { SUCCESS_PATH } else { FAILED_PATH }
}

fn last_page(outcome: &Result<Account, LoginError>) -> LoginPage {
    match outcome {
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

fn not_found() -> Response<Full<Bytes>> {
    pages::text(StatusCode::NOT_FOUND, "Not Found")
}
