#![doc = include_str!("../README.md")]
//!
//! ## Stores
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
//! ## Errors
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
//! ## Public items
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
