//! The state that all turns of a client share.

use std::fmt;
use std::sync::Arc;

use codex_auth::{Bearer, TokenManager};
use codex_translate::{Error, Options};
use codex_upstream::{
    AnyTimer, AnyUpstream, Backend, ClientIdentity, ModelAliases, ModelCache, Quota, RetryPolicy, TransportChoice,
    WebSocketUpstream, WorkspaceRoute, WorkspaceRouter,
};

use crate::observer::Observers;
use crate::quota::KnownQuota;

pub(crate) struct ClientState {
    /// The connections to the backend.
    pub(crate) upstream: AnyUpstream,
    /// The same, over WebSockets that are reused from turn to turn.
    pub(crate) sockets: Arc<WebSocketUpstream<AnyUpstream, AnyTimer>>,
    pub(crate) tokens: TokenManager,
    pub(crate) models: ModelCache,
    pub(crate) identity: ClientIdentity,
    /// The latest known quota, from all replies so far.
    pub(crate) known_quota: KnownQuota,
    pub(crate) transport: TransportChoice,
    /// Finds the account's own base URL from the configured one.
    pub(crate) router: WorkspaceRouter,
    /// How often a turn is retried before its reply begins.
    pub(crate) retry: RetryPolicy,
    /// The options of turns that have none of their own.
    pub(crate) options: Options,
    pub(crate) aliases: ModelAliases,
    pub(crate) observer: Observers,
    pub(crate) timer: AnyTimer,
    /// When the client was made; part of derived conversation ids, which look like UUIDs of that time.
    pub(crate) started_unix_ms: u64,
}

impl ClientState {
    /// Finds the base URL for requests of the login's workspace.
    ///
    /// # Errors
    /// The workspace cannot be reached: the error for the client.
    pub(crate) async fn route(&self, bearer: &Bearer) -> Result<WorkspaceRoute, Error> {
        let home = self.backend(bearer, self.router.home());
        Ok(self.router.route(&self.upstream, &home, &self.timer).await?)
    }

    /// Returns the backend over `route`, as the login that `bearer` stands for.
    pub(crate) fn backend<'a>(&'a self, bearer: &'a Bearer, route: &'a WorkspaceRoute) -> Backend<'a> {
        Backend { base: &route.base, region: route.region.as_deref(), identity: &self.identity, bearer }
    }

    /// Records the quota that a reply reports.
    pub(crate) fn observe_quota(&self, quota: Quota) {
        self.known_quota.observe(quota, self.timer.now());
    }
}

/// Shows no account and no address: both may be secrets of the embedder's.
impl fmt::Debug for ClientState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientState").finish_non_exhaustive()
    }
}
