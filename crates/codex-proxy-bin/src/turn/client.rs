//! The state that all turns share: the connections to the backend, the login, the models and the quota.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use codex_auth::{AnyStore, AuthConfig, Bearer, HttpTokenEndpoint, RefreshPolicy, TokenManager};
use codex_upstream::{
    AnyTimer, AnyUpstream, Backend, Catalogue, CatalogueSnapshot, ClientIdentity, ModelCache, ModelCacheConfig, Quota,
    RequestAuth, RetryPolicy, Timer as _, TransportChoice, WebSocketUpstream, WorkspaceRoute, WorkspaceRouteError,
    WorkspaceRouter,
};
use url::Url;

use crate::ids;
use crate::turn::attempts::CountedEndpoint;
use crate::turn::observer::TurnObserver;
use crate::turn::quota::KnownQuota;

/// The login's tokens, refreshed over the same client as the API.
pub type LoginTokens = TokenManager<AnyStore, CountedEndpoint<HttpTokenEndpoint<AnyUpstream>>>;

/// The configuration of a [`CodexClient`].
#[derive(Clone, Debug)]
pub struct CodexClientConfig {
    /// The backend's base URL.
    pub base: Url,
    /// The auth server, and the client identity that it sees.
    pub auth: AuthConfig,
    /// The client identity that the backend sees.
    pub identity: ClientIdentity,
    /// How turns reach the backend.
    pub transport: TransportChoice,
    /// How long the backend may be silent on a WebSocket.
    pub read_timeout: Duration,
    /// How the account's models are fetched, and where they are cached.
    pub models: ModelCacheConfig,
}

/// A client of the backend for one login. One value serves all turns.
#[derive(Debug)]
pub struct CodexClient {
    /// The connections to the backend.
    pub upstream: AnyUpstream,
    /// The same, over WebSockets that are reused from turn to turn.
    pub sockets: Arc<WebSocketUpstream<AnyUpstream, AnyTimer>>,
    /// The login.
    pub tokens: LoginTokens,
    /// The models of the account.
    pub models: ModelCache,
    /// The client identity that the backend sees.
    pub identity: ClientIdentity,
    /// The latest known quota, from all replies so far.
    pub known_quota: KnownQuota,
    pub(super) transport: TransportChoice,
    /// Finds the account's own base URL from the configured one.
    pub(super) router: WorkspaceRouter,
    /// How often a turn is retried before its reply begins.
    pub retry: RetryPolicy,
    pub(super) observer: Arc<dyn TurnObserver>,
    pub(super) clock: AnyTimer,
    /// When the client was made; part of derived conversation ids, which look like UUIDs of that time.
    pub(super) started_unix_ms: u64,
}

impl CodexClient {
    /// Assembles the client over `upstream`, with the login in `store`. Opens no connection.
    pub fn new(
        config: CodexClientConfig,
        upstream: AnyUpstream,
        store: AnyStore,
        observer: Arc<dyn TurnObserver>,
        clock: AnyTimer,
    ) -> Self {
        let endpoint = HttpTokenEndpoint::new(upstream.clone(), config.auth);
        let endpoint = CountedEndpoint::new(endpoint, Arc::clone(&observer));
        // Several proxies on one login then refresh at different times.
        let jitter = Duration::from_secs(60).mul_f64(clock.jitter());
        let policy = RefreshPolicy { jitter, ..RefreshPolicy::default() };
        Self {
            sockets: Arc::new(WebSocketUpstream::new(upstream.clone(), clock.clone(), config.read_timeout)),
            upstream,
            tokens: TokenManager::with_policy(store, endpoint, clock.clone(), policy),
            models: ModelCache::open(config.models),
            identity: config.identity,
            known_quota: KnownQuota::default(),
            transport: config.transport,
            router: WorkspaceRouter::new(config.base),
            retry: RetryPolicy::default(),
            observer,
            started_unix_ms: ids::unix_millis(clock.now()),
            clock,
        }
    }

    /// Returns the models, fetched again if they are out of date; the known ones if the backend cannot be reached.
    pub async fn current_models(&self) -> CatalogueSnapshot {
        let at_hand = |problem: &dyn Display| {
            tracing::debug!(%problem, "cannot fetch the models; using the previous list");
            self.models.snapshot()
        };
        let bearer = match self.tokens.bearer().await {
            Ok(bearer) => bearer,
            Err(error) => return at_hand(&error),
        };
        match self.route(&bearer).await {
            Ok(route) => self.models.current(&self.upstream, &self.backend(&bearer, &route), &self.clock).await,
            Err(error) => at_hand(&error),
        }
    }

    /// Returns the models at hand, without a request; if they are out of date, [`Self::keep_models_fresh`] fetches
    /// them.
    pub fn models_at_hand(&self) -> Arc<Catalogue> {
        self.models.use_cached(&self.clock)
    }

    /// Fetches the models now, and again whenever a request has used a list that is out of date, so no request waits
    /// for one. Never completes.
    pub async fn keep_models_fresh(&self) {
        let mut known = None;
        loop {
            let problem = self.current_models().await.problem;
            // A lasting problem is logged once.
            if let Some(problem) = problem.as_ref().filter(|_| problem != known) {
                tracing::warn!(problem, "cannot fetch the account's models; using the previous list");
            }
            known = problem;
            self.models.used_when_expired().await;
        }
    }

    /// Finds the base URL for requests of the login's workspace.
    pub(super) async fn route(&self, bearer: &Bearer) -> Result<WorkspaceRoute, WorkspaceRouteError> {
        let home = self.backend(bearer, self.router.home());
        self.router.route(&self.upstream, &home, &self.clock).await
    }

    /// Returns the backend over `route`, as the login that `bearer` stands for.
    pub(super) fn backend<'a>(&'a self, bearer: &'a Bearer, route: &'a WorkspaceRoute) -> Backend<'a> {
        let auth = RequestAuth {
            access_token: bearer.token.expose(),
            account_id: bearer.account_id.as_deref(),
            fedramp: bearer.fedramp,
        };
        Backend { base: &route.base, region: route.region.as_deref(), identity: &self.identity, auth }
    }

    /// Records the quota that a reply reports.
    pub(super) fn observe_quota(&self, quota: Quota) {
        self.known_quota.observe(quota, self.clock.now());
    }
}
