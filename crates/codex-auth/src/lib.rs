//! BrowserLogin, token storage and refresh for a ChatGPT account.
//!
//! **A refresh token is sent to the authority at most once, and the token that replaces it is durable before anybody
//! uses it.** Refresh tokens are single use (`docs/backend.md §1.5`), so everything here serves that sentence:
//!
//! 1. [`TokenManager::bearer`] serves the current access token from memory while [`decide`] calls it fresh.
//! 2. Otherwise one task per process renews it: take the store's lock, read the store again, decide *with the value
//!    read*, send the request, write the reply durably, publish. The task is detached: a caller that goes away loses
//!    nothing.
//! 3. After a 401 from the backend, [`TokenManager::replace`] renews the token only if the rejected one is still
//!    current.
//!
//! HTTP is a parameter ([`HttpClient`]), and so are the store ([`TokenStore`]), the authority ([`TokenEndpoint`]) and
//! the wall clock ([`Clock`]). Building requests, reading replies and deciding about freshness are pure functions.
//! Waiting uses tokio's clock, which tests can pause.
//!
//! # Example
//!
//! ```
//! use codex_auth::{MemoryStore, Secret, TokenEndpoint, TokenManager, TokenResponse, Tokens, EndpointError};
//!
//! struct Authority;
//! impl TokenEndpoint for Authority {
//!     async fn refresh(&self, _: &Secret) -> Result<TokenResponse, EndpointError> {
//!         Ok(TokenResponse { access_token: Some(Secret::new("second")), ..TokenResponse::default() })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), codex_auth::AuthError> {
//! let mut tokens = Tokens::new(Secret::new("first"));
//! tokens.refresh_token = Some(Secret::new("single use"));
//! let manager = TokenManager::new(MemoryStore::with_tokens(tokens), Authority);
//!
//! let bearer = manager.bearer().await?;
//! assert_eq!(bearer.token.expose(), "first");
//! let bearer = manager.replace(&bearer).await?; // the backend answered 401
//! assert_eq!(bearer.token.expose(), "second");
//! # Ok(())
//! # }
//! ```

mod any_store;
mod authorize;
mod callback;
mod claims;
mod clock;
mod codex_cli_store;
mod config;
mod credentials;
mod device;
mod endpoint;
mod error;
mod file_store;
mod flight;
mod freshness;
mod http_client;
mod lenient;
mod listener;
mod login;
mod manager;
mod memory_store;
mod pages;
mod pkce;
mod reply;
mod secret;
mod secret_store;
mod status;
mod store;
mod token_state;
mod tokens;
pub mod wire;

/// What the fuzz targets reach beyond the public interface.
#[cfg(fuzzing)]
pub mod fuzzing {
    /// The content of a credentials file as it is rewritten with its own tokens; `None` if it cannot be read.
    pub fn rewritten(content: &[u8]) -> Option<Vec<u8>> {
        let tokens = crate::credentials::parse(content).ok()?;
        Some(crate::credentials::render(Some(content), &tokens))
    }
}

pub use any_store::{AnyLock, AnyStore};
pub use authorize::{AuthorizationRequest, CALLBACK_PATH, authorize_url};
pub use callback::{AuthorizationCode, CallbackError, parse_callback, parse_pasted};
pub use claims::{Claims, Organization, Plan};
pub use clock::{Clock, SystemClock};
pub use codex_cli_store::CodexCliStore;
pub use config::AuthConfig;
pub use device::DeviceLogin;
pub use endpoint::{HttpTokenEndpoint, TokenEndpoint};
pub use error::{AuthError, LoginReason};
pub use file_store::{FileLock, FileStore};
pub use freshness::{Freshness, RefreshPolicy, RefreshReason, decide};
pub use http_client::{HttpClient, HttpClientError};
pub use login::{Account, BrowserLogin, DEFAULT_PORTS, LoginError};
pub use manager::TokenManager;
pub use memory_store::{MemoryLock, MemoryStore};
pub use pkce::{OAuthState, PkceChallenge, PkceVerifier};
pub use reply::{EndpointError, GrantRefusal, TokenResponse};
pub use secret::Secret;
pub use secret_store::{SecretBackend, SecretBackendError, SecretStore};
pub use status::{LoginState, LoginStatus};
pub use store::{StoreError, StoreVersion, TokenStore, check_writable, wait_for_lock};
pub use tokens::{Bearer, Tokens};
