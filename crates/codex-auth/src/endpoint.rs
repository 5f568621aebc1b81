//! The authority, asked over HTTP.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};

use crate::{AuthConfig, EndpointError, HttpClient, HttpClientError, Secret, TokenResponse, Tokens, wire};

/// Exchanges a refresh token for new tokens.
pub trait TokenEndpoint: Send + Sync + 'static {
    /// Sends the refresh token, once.
    ///
    /// # Errors
    ///
    /// [`EndpointError`], whose variants say whether the token may be sent again.
    fn refresh(&self, refresh_token: &Secret) -> impl Future<Output = Result<TokenResponse, EndpointError>> + Send;
}

impl<E: TokenEndpoint> TokenEndpoint for Arc<E> {
    fn refresh(&self, refresh_token: &Secret) -> impl Future<Output = Result<TokenResponse, EndpointError>> + Send {
        self.as_ref().refresh(refresh_token)
    }
}

/// The authority's token endpoint behind an [`HttpClient`].
#[derive(Clone, Debug)]
pub struct HttpTokenEndpoint<H> {
    http: H,
    config: AuthConfig,
}

impl<H: HttpClient> HttpTokenEndpoint<H> {
    /// How long a reply to a refresh may take.
    pub const REFRESH_TIMEOUT: Duration = Duration::from_secs(30);
    /// How long a reply to a revocation may take (`docs/backend.md §1.7`).
    pub const REVOKE_TIMEOUT: Duration = Duration::from_secs(10);

    /// Names the authority and the way to it.
    pub fn new(http: H, config: AuthConfig) -> Self {
        Self { http, config }
    }

    /// Ends the login at the authority; other devices that share it are logged out too (`docs/backend.md §1.7`).
    ///
    /// # Errors
    ///
    /// [`EndpointError`]: worth a warning; the local credentials can be deleted all the same.
    pub async fn revoke(&self, tokens: &Tokens) -> Result<(), EndpointError> {
        let request = wire::revoke_request(&self.config, tokens).map_err(HttpClientError::from)?;
        let response = send(&self.http, request, Self::REVOKE_TIMEOUT).await?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(EndpointError::classify(&response))
    }
}

impl<H: HttpClient> TokenEndpoint for HttpTokenEndpoint<H> {
    async fn refresh(&self, refresh_token: &Secret) -> Result<TokenResponse, EndpointError> {
        let request = wire::refresh_request(&self.config, refresh_token).map_err(HttpClientError::from)?;
        let response = send(&self.http, request, Self::REFRESH_TIMEOUT).await?;
        TokenResponse::parse(&response)
    }
}

/// Sends a request with a deadline. A reply that is late counts as lost, for the request was sent.
pub(crate) async fn send<H: HttpClient>(
    http: &H,
    request: Request<Bytes>,
    timeout: Duration,
) -> Result<Response<Bytes>, HttpClientError> {
    let late = || format!("no reply within {} s", timeout.as_secs());
    match tokio::time::timeout(timeout, http.send(request)).await {
        Ok(sent) => sent,
        Err(_) => Err(HttpClientError::Interrupted(late())),
    }
}
