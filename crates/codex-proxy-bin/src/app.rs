//! The state that all requests share.

use std::sync::Arc;

use codex_auth::{AnyStore, TokenStore as _};
use codex_translate::Options;
use codex_upstream::{AnyTimer, AnyUpstream, ModelCacheConfig, Upstream};

use crate::config::Config;
use crate::config::runtime::{Reloadable, RuntimeConfig};
use crate::request::budget::BodyMemoryBudget;
use crate::server::upgraded::UpgradedConnections;
use crate::stored::Stored;
use crate::telemetry::request_log::RequestLog;
use crate::turn::client::{CodexClient, CodexClientConfig};
use crate::turn::model::NamedModel;

/// Everything that a request needs. One value serves all requests.
#[derive(Debug)]
pub struct App {
    /// The client of the backend: login, models, quota.
    #[doc(hidden)]
    pub client: Arc<CodexClient>,
    /// Who may call, model aliases and limits: everything that can change while the program runs.
    pub runtime: Reloadable,
    /// The requests of this run.
    #[doc(hidden)]
    pub request_log: Arc<RequestLog>,
    /// The command that renews the login, as in `codex-proxy login`.
    pub login_command: &'static str,
    /// The responses that clients continue.
    pub(crate) stored: Arc<Stored>,
    /// The memory for large bodies.
    pub(crate) body_budget: BodyMemoryBudget,
    /// The memory for what is retained of large requests that have been sent.
    pub(crate) retained_budget: BodyMemoryBudget,
    /// The open WebSockets of clients.
    pub(crate) client_sockets: UpgradedConnections,
    /// The time of day.
    pub(crate) clock: AnyTimer,
}

impl App {
    /// Assembles the program over `upstream`, with the login in `store`. Opens no connection.
    pub fn new(config: &Config, upstream: impl Upstream, store: AnyStore, models: ModelCacheConfig) -> Self {
        Self::with_clock(config, upstream, store, models, AnyTimer::default())
    }

    /// Does the same with another clock.
    pub fn with_clock(
        config: &Config,
        upstream: impl Upstream,
        store: AnyStore,
        models: ModelCacheConfig,
        clock: AnyTimer,
    ) -> Self {
        let request_log = Arc::new(RequestLog::new(clock.clone()));
        let login_command = store.login_command();
        let client = CodexClientConfig {
            base: config.upstream.clone(),
            auth: config.auth_config(),
            identity: config.identity.clone(),
            transport: config.transport,
            read_timeout: config.upstream_timeout,
            models,
        };
        Self {
            client: Arc::new(CodexClient::new(
                client,
                AnyUpstream::new(upstream),
                store,
                Arc::clone(&request_log) as _,
                clock.clone(),
            )),
            runtime: Reloadable::new(RuntimeConfig::from_config(config)),
            request_log,
            login_command,
            stored: Arc::new(Stored::new(config.stored_bytes)),
            body_budget: BodyMemoryBudget::default(),
            retained_budget: BodyMemoryBudget::retained(),
            clock,
            client_sockets: UpgradedConnections::default(),
        }
    }

    /// Keeps an idle proxy ready: refreshes the login's tokens, fetches the models when they are out of date, and keeps
    /// connections to the backend alive. Never completes.
    pub async fn keep_fresh(&self) {
        tokio::select! {
            () = self.client.tokens.keep_fresh() => {}
            () = self.client.keep_models_fresh() => {}
            () = self.client.sockets.keep_alive() => {}
        }
    }

    /// Waits for a token refresh in progress: it holds the only copy of a rotated token, so call this before the
    /// program exits.
    pub async fn wait_for_refresh(&self) {
        self.client.tokens.wait_for_refresh().await;
    }

    /// Finds the model that a client calls `name`, without any request.
    pub(crate) fn named_model(&self, name: &str, options: &Options) -> NamedModel {
        NamedModel::new(name, &self.client.models_at_hand(), &self.runtime.current().aliases, options)
    }
}
