//! Login, token storage and refresh for a ChatGPT account.
//!
//! ```text
//! BrowserLogin, DeviceLogin ──▶ auth server ──▶ TokenStore (file, keyring, memory)
//!                                                   │  ▲
//!                                              load │  │ save
//!                                                   ▼  │
//! request ──▶ TokenManager::bearer ──▶ decide ──▶ refresh ──▶ TokenEndpoint ──▶ auth server
//!     ▲                                  │ fresh
//!     └────────── Bearer ◀───────────────┘
//! ```
//!
//! **A refresh token is sent to the auth server at most once, and the token that replaces it is stored durably before
//! anything uses it.** Refresh tokens are single use (`docs/backend.md §1.5`), and the order of a refresh follows from
//! that:
//!
//! 1. [`TokenManager::bearer`] returns the current access token from memory while [`decide`] finds it fresh.
//! 2. Otherwise one task per process renews it: acquire the store's lock, read the store again, decide *with the tokens
//!    just read*, send the request, write the response durably, publish it. The task is detached: dropping a caller
//!    loses nothing.
//! 3. After the backend answers 401, [`TokenManager::replace`] renews the token only if the rejected one is still
//!    current.
//!
//! HTTP is a parameter ([`HttpClient`]), and so are the store ([`TokenStore`]), the auth server ([`TokenEndpoint`]) and
//! the wall clock ([`Clock`]). Building requests, reading responses and deciding about freshness are pure functions.
//! Waiting uses tokio's clock, which tests can pause. Secrets are [`Secret`]s, which `Debug` does not print.
//!
//! # Example
//!
//! ```
//! use codex_auth::{EndpointError, MemoryStore, Secret, TokenEndpoint, TokenManager, TokenResponse, Tokens};
//!
//! struct AuthServer;
//! impl TokenEndpoint for AuthServer {
//!     async fn refresh(&self, _: &Secret) -> Result<TokenResponse, EndpointError> {
//!         Ok(TokenResponse { access_token: Some(Secret::new("second")), ..TokenResponse::default() })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), codex_auth::AuthError> {
//! let mut tokens = Tokens::new(Secret::new("first"));
//! tokens.refresh_token = Some(Secret::new("single use"));
//! let manager = TokenManager::new(MemoryStore::with_tokens(tokens), AuthServer);
//!
//! let bearer = manager.bearer().await?;
//! assert_eq!(bearer.token.expose(), "first");
//! let bearer = manager.replace(&bearer).await?; // the backend answered 401
//! assert_eq!(bearer.token.expose(), "second");
//! # Ok(())
//! # }
//! ```
//!
//! # Stores
//!
//! | Store | Where the tokens are | Lock between processes |
//! |---|---|---|
//! | [`FileStore`] | a JSON file, mode 0600 | a lock file next to it |
//! | [`SecretStore`] | a [`SecretBackend`], such as the system's keyring | a lock file |
//! | [`CodexCliStore`] | the Codex CLI's `auth.json`, read-only | none is needed |
//! | [`MemoryStore`] | memory | shared by clones |
//! | [`AnyStore`] | any of these, chosen at run time | that store's |
//!
//! For a store of your own, implement [`TokenStore`], or [`BlockingStore`] if it blocks. Both say on which thread each
//! method runs. [`Tokens::from_json`] and [`Tokens::to_json`] are the document to store.
//!
//! # Errors
//!
//! | [`AuthError`] | What to do | Try again |
//! |---|---|---|
//! | [`NotLoggedIn`](AuthError::NotLoggedIn) | log in | after the login |
//! | [`LoginExpired`](AuthError::LoginExpired) | log in; [`LoginReason`] says why | after the login |
//! | [`AccountChanged`](AuthError::AccountChanged) | send the whole request again, as the new account | at once |
//! | [`Temporary`](AuthError::Temporary) | wait | after `retry_after` |
//! | [`Store`](AuthError::Store) | repair what [`StoreError`] names | after the repair |
//!
//! [`EndpointError`] says for a single request whether its grant may be sent again, and [`LoginError`] why a login
//! failed.
//!
//! # Public items
//!
//! - Tokens in use: [`TokenManager`], [`Bearer`], [`RefreshPolicy`], [`decide`], [`Freshness`], [`RefreshReason`],
//!   [`AuthError`], [`LoginReason`].
//! - Login: [`BrowserLogin`], [`DeviceLogin`], [`AuthorizationRequest`], [`authorize_url`], [`parse_callback`],
//!   [`parse_pasted`], [`AuthorizationCode`], [`Account`], [`LoginError`], [`CallbackError`], [`CALLBACK_PATH`],
//!   [`DEFAULT_PORTS`].
//! - PKCE and state: [`PkceVerifier`], [`PkceChallenge`], [`OAuthState`].
//! - Stores: [`TokenStore`], [`BlockingStore`], [`StoreVersion`], [`StoreError`], [`check_writable`],
//!   [`wait_for_lock`], and the table above.
//! - The content of tokens: [`Tokens`], [`ParseTokensError`], [`Claims`], [`Plan`], [`Organization`],
//!   [`LoginStatus`], [`LoginState`].
//! - The auth server: [`AuthConfig`], [`TokenEndpoint`], [`HttpTokenEndpoint`], [`AnyTokenEndpoint`],
//!   [`TokenResponse`], [`EndpointError`], [`GrantRefusal`], [`requests`].
//! - Parameters: [`HttpClient`], [`HttpClientError`], [`Clock`], [`SystemClock`], [`Secret`].

pub mod requests;

mod claims;
mod clock;
mod config;
mod endpoint;
mod error;
mod http_client;
mod lenient_json;
mod lock;
mod login;
mod refresh;
mod response;
mod secret;
mod status;
mod store;
mod tokens;

pub use claims::{Claims, Organization, Plan};
pub use clock::{Clock, SystemClock};
pub use config::{AuthConfig, ISSUER_URL};
pub use endpoint::{AnyTokenEndpoint, HttpTokenEndpoint, TokenEndpoint};
pub use error::{AuthError, LoginReason};
pub use http_client::{HttpClient, HttpClientError};
pub use login::authorize::{AuthorizationRequest, CALLBACK_PATH, DEFAULT_PORTS, authorize_url};
#[cfg(feature = "login")]
pub use login::browser::BrowserLogin;
pub use login::callback::{AuthorizationCode, CallbackError, parse_callback, parse_pasted};
pub use login::device::DeviceLogin;
pub use login::pkce::{OAuthState, PkceChallenge, PkceVerifier};
pub use login::{Account, LoginError};
pub use refresh::freshness::{Freshness, RefreshPolicy, RefreshReason, decide};
pub use refresh::manager::TokenManager;
pub use response::{EndpointError, GrantRefusal, TokenResponse};
pub use secret::Secret;
pub use status::{LoginState, LoginStatus};
pub use store::any::{AnyLock, AnyStore};
pub use store::blocking::BlockingStore;
pub use store::codex_cli::CodexCliStore;
pub use store::document::ParseTokensError;
pub use store::file::{FileLock, FileStore};
pub use store::memory::{MemoryLock, MemoryStore};
pub use store::secret_backend::{SecretBackend, SecretBackendError, SecretStore};
pub use store::{StoreError, StoreVersion, TokenStore, check_writable, wait_for_lock};
pub use tokens::{Bearer, Tokens};

/// Exposes private functions to the fuzz targets.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// Returns the content of a credentials file after a rewrite with its own tokens, or `None` if it cannot be read.
    pub fn rewritten(content: &[u8]) -> Option<Vec<u8>> {
        let tokens = crate::Tokens::from_json(content).ok()?;
        Some(tokens.to_json_over(content).to_vec())
    }
}
