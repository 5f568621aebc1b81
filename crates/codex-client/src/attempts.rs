//! Counts retries and the outcomes of refreshes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use codex_auth::{EndpointError, RefreshReason, Secret, TokenEndpoint, TokenResponse};
use codex_upstream::{ChunkStream, Upstream, UpstreamError};
use http::{Request, Response};

use crate::observer::{Observers, RefreshOutcome};

/// The auth server, with its answers counted.
#[derive(Debug)]
pub(crate) struct CountedEndpoint<E> {
    endpoint: E,
    observer: Observers,
}

impl<E> CountedEndpoint<E> {
    pub(crate) fn new(endpoint: E, observer: Observers) -> Self {
        Self { endpoint, observer }
    }
}

impl<E: TokenEndpoint> TokenEndpoint for CountedEndpoint<E> {
    async fn refresh(&self, refresh_token: &Secret, reason: RefreshReason) -> Result<TokenResponse, EndpointError> {
        let refreshed = self.endpoint.refresh(refresh_token, reason).await;
        self.observer.refreshed(match &refreshed {
            Ok(_) => RefreshOutcome::Refreshed,
            Err(EndpointError::Refused { .. }) => RefreshOutcome::Refused,
            Err(_) => RefreshOutcome::Failed,
        });
        refreshed
    }
}

/// The connection to the backend for one turn; everything sent after the first request is a retry.
#[derive(Debug)]
pub(crate) struct Attempts<U> {
    upstream: U,
    observer: Observers,
    has_sent: Arc<AtomicBool>,
}

impl<U> Attempts<U> {
    pub(crate) fn new(upstream: U, observer: &Observers) -> Self {
        Self { upstream, observer: observer.clone(), has_sent: Arc::default() }
    }

    /// Returns the same turn over another connection.
    pub(crate) fn by<V>(&self, upstream: V) -> Attempts<V> {
        Attempts { upstream, observer: self.observer.clone(), has_sent: Arc::clone(&self.has_sent) }
    }
}

impl<U: Upstream> Upstream for Attempts<U> {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> impl Future<Output = Result<Response<ChunkStream>, UpstreamError>> + Send {
        if self.has_sent.swap(true, Ordering::Relaxed) {
            self.observer.retried();
        }
        self.upstream.send(request)
    }

    fn forget_cookies(&self) {
        self.upstream.forget_cookies();
    }
}
