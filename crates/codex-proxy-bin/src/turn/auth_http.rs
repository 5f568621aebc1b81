//! Sends requests to the auth server over the same client, proxy and fingerprint as to the backend.

use std::sync::Arc;

use bytes::Bytes;
use codex_auth::{HttpClient, HttpClientError};
use codex_upstream::{Upstream, UpstreamError, read_to_end};
use http::{Request, Response};

/// The maximum size of a reply of the auth server.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// An [`Upstream`] as the HTTP client of `codex-auth`.
#[derive(Debug)]
pub struct AuthHttpClient<U>(Arc<U>);

impl<U: Upstream> AuthHttpClient<U> {
    /// Sends over `upstream`.
    pub fn new(upstream: Arc<U>) -> Self {
        Self(upstream)
    }
}

impl<U: Upstream> HttpClient for AuthHttpClient<U> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpClientError> {
        let (head, body) = self.0.send(request).await.map_err(|error| from_upstream(&error))?.into_parts();
        // The head has arrived, so the request was processed, whatever happens to the body.
        let body = read_to_end(body, MAX_REPLY_BYTES).await;
        let body = body.map_err(|error| HttpClientError::Interrupted(error.to_string()))?;
        Ok(Response::from_parts(head, body))
    }
}

fn from_upstream(error: &UpstreamError) -> HttpClientError {
    if error.before_dispatch() {
        HttpClientError::NotSent(error.to_string())
    } else {
        HttpClientError::Interrupted(error.to_string())
    }
}
