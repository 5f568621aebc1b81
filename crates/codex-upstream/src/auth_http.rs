//! Requests to the auth server, over the same connections, proxy and fingerprint as those to the backend.

use bytes::Bytes;
use codex_auth::{HttpClient, HttpClientError};
use http::{Request, Response};

use crate::any_upstream::AnyUpstream;
#[cfg(feature = "client")]
use crate::client::HttpUpstream;
use crate::error::UpstreamError;
use crate::upstream::{Upstream, read_to_end};

/// The maximum size of a reply of the auth server.
const MAX_REPLY_BYTES: usize = 1 << 20;

#[cfg(feature = "client")]
impl HttpClient for HttpUpstream {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpClientError> {
        send(self, request).await
    }
}

impl HttpClient for AnyUpstream {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpClientError> {
        send(self, request).await
    }
}

/// Whether a request without a reply may have reached the auth server, which decides about its single-use tokens.
impl From<UpstreamError> for HttpClientError {
    fn from(error: UpstreamError) -> Self {
        if error.before_dispatch() { Self::NotSent(error.to_string()) } else { Self::Interrupted(error.to_string()) }
    }
}

async fn send(upstream: &impl Upstream, request: Request<Bytes>) -> Result<Response<Bytes>, HttpClientError> {
    let (head, body) = upstream.send(request).await?.into_parts();
    // The head has arrived, so the request was processed, whatever happens to the body.
    let body = read_to_end(body, MAX_REPLY_BYTES).await;
    let body = body.map_err(|error| HttpClientError::Interrupted(error.to_string()))?;
    Ok(Response::from_parts(head, body))
}
