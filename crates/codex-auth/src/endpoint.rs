//! The auth server's token endpoint, reached over HTTP.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::config::AuthConfig;
use crate::http_client::{HttpClient, HttpClientError};
use crate::refresh::freshness::RefreshReason;
use crate::requests;
use crate::response::{EndpointError, TokenResponse};
use crate::secret::Secret;
use crate::tokens::Tokens;

/// Exchanges a refresh token for new tokens.
pub trait TokenEndpoint: Send + Sync + 'static {
    /// Sends the refresh token, once. A panic counts as a lost response: after a response has arrived, it loses the new
    /// tokens. The auth server learns `reason`, as from the official client.
    ///
    /// # Errors
    /// [`EndpointError`], whose variants say whether the token may be sent again.
    fn refresh(
        &self,
        refresh_token: &Secret,
        reason: RefreshReason,
    ) -> impl Future<Output = Result<TokenResponse, EndpointError>> + Send;
}

impl<E: TokenEndpoint> TokenEndpoint for Arc<E> {
    fn refresh(
        &self,
        refresh_token: &Secret,
        reason: RefreshReason,
    ) -> impl Future<Output = Result<TokenResponse, EndpointError>> + Send {
        self.as_ref().refresh(refresh_token, reason)
    }
}

/// A token endpoint whose kind is chosen at run time. Clones are the same endpoint.
///
/// [`TokenManager`](crate::TokenManager) uses this type by default, so that code with a manager needs no type
/// parameter for it.
#[derive(Clone)]
pub struct AnyTokenEndpoint(Arc<dyn DynTokenEndpoint>);

impl AnyTokenEndpoint {
    /// Wraps an endpoint of any kind.
    pub fn new(endpoint: impl TokenEndpoint) -> Self {
        Self(Arc::new(endpoint))
    }
}

impl TokenEndpoint for AnyTokenEndpoint {
    async fn refresh(&self, refresh_token: &Secret, reason: RefreshReason) -> Result<TokenResponse, EndpointError> {
        self.0.refresh_boxed(refresh_token, reason).await
    }
}

impl fmt::Debug for AnyTokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyTokenEndpoint").finish_non_exhaustive()
    }
}

/// [`TokenEndpoint`] with a single type of future.
trait DynTokenEndpoint: Send + Sync {
    fn refresh_boxed<'a>(&'a self, refresh_token: &'a Secret, reason: RefreshReason) -> BoxRefresh<'a>;
}

type BoxRefresh<'a> = Pin<Box<dyn Future<Output = Result<TokenResponse, EndpointError>> + Send + 'a>>;

impl<E: TokenEndpoint> DynTokenEndpoint for E {
    fn refresh_boxed<'a>(&'a self, refresh_token: &'a Secret, reason: RefreshReason) -> BoxRefresh<'a> {
        Box::pin(self.refresh(refresh_token, reason))
    }
}

/// The auth server's token endpoint behind an [`HttpClient`].
///
/// ```
/// use codex_auth::{AnyTokenEndpoint, AuthConfig, FileStore, HttpClient, HttpTokenEndpoint, TokenManager};
///
/// fn manager(http: impl HttpClient, config: AuthConfig) -> TokenManager<FileStore, AnyTokenEndpoint> {
///     let store = FileStore::new("/home/ada/.config/myapp/login.json").with_login_command("myapp sign-in");
///     TokenManager::new(store, AnyTokenEndpoint::new(HttpTokenEndpoint::new(http, config)))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct HttpTokenEndpoint<H> {
    http: H,
    config: AuthConfig,
}

impl<H: HttpClient> HttpTokenEndpoint<H> {
    /// The time limit of a refresh.
    pub const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);
    /// The time limit of a revocation (`docs/backend.md §1.7`).
    pub const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// Creates the endpoint of the auth server that `config` names.
    pub fn new(http: H, config: AuthConfig) -> Self {
        Self { http, config }
    }

    /// Revokes the login at the auth server, which also logs out other devices that share it (`docs/backend.md §1.7`).
    ///
    /// # Errors
    /// [`EndpointError`]: worth a warning; the local credentials can still be deleted.
    pub async fn revoke(&self, tokens: &Tokens) -> Result<(), EndpointError> {
        let request = requests::revoke_request(&self.config, tokens).map_err(HttpClientError::from)?;
        let response = send_with_timeout(&self.http, request, Self::REVOKE_TIMEOUT).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(EndpointError::classify(&response))
    }
}

impl<H: HttpClient> TokenEndpoint for HttpTokenEndpoint<H> {
    async fn refresh(&self, refresh_token: &Secret, reason: RefreshReason) -> Result<TokenResponse, EndpointError> {
        let request = requests::refresh_request(&self.config, refresh_token, reason).map_err(HttpClientError::from)?;
        let response = send_with_timeout(&self.http, request, Self::REFRESH_TIMEOUT).await?;
        TokenResponse::parse(&response)
    }
}

/// Sends a request with a time limit. A late response counts as lost, because the request was sent.
pub(crate) async fn send_with_timeout<H: HttpClient>(
    http: &H,
    request: Request<Bytes>,
    timeout: Duration,
) -> Result<Response<Bytes>, HttpClientError> {
    match tokio::time::timeout(timeout, http.send(request)).await {
        Ok(sent) => sent,
        Err(_) => Err(HttpClientError::Interrupted(format!("no response within {} s", timeout.as_secs()))),
    }
}
