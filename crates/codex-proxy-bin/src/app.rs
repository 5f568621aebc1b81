//! The program as a value: what all requests share.

use std::borrow::Cow;
use std::convert::Infallible;
use std::error::Error;
use std::ops::Deref;
use std::sync::Arc;

use codex_auth::TokenStore;
use codex_client::{BuildError, Client, ClientBuilder};
use codex_upstream::AnyTimer;
use http::{Request, Response, Uri};
use hyper::body::{Body, Incoming};
use tower_service::Service;

use crate::admission::advice::Advice;
use crate::config::Config;
use crate::config::runtime::{Reloadable, RuntimeConfig};
use crate::request::budget::BodyMemoryBudget;
use crate::route::{below, normalised};
use crate::server::listen::Listeners;
use crate::server::serve::{DRAIN_DEADLINE, serve};
use crate::server::upgraded::UpgradedConnections;
use crate::stored::Stored;
use crate::telemetry::request_log::RequestLog;

/// The proxy: answers requests over one login. Clones are handles of the same proxy, and cheap.
///
/// # What must run besides answering
///
/// [`App::run`] and [`App::run_service`] do all of it. With a server of your own:
///
/// | What | How |
/// |---|---|
/// | Accepting connections, with limits of their number and time | your server |
/// | Keeping the login, the models and the connections to the backend fresh | [`App::keep_fresh`], while you serve |
/// | Ending the WebSockets of clients, each after its turn | [`App::drain`], when you accept no more connections |
/// | Waiting for a token refresh in progress, so the new token is stored | [`App::drain`] |
///
/// The limits of a request (the size of its head and body, the number of turns at a time) hold in any server. Nothing
/// here handles signals, installs a logger or ends the process.
///
/// ```
/// use axum::Router;
/// use axum::routing::get;
/// use codex_proxy::App;
/// use tokio::net::TcpListener;
///
/// async fn serve(
///     app: App,
///     listener: TcpListener,
///     shutdown: impl Future<Output = ()> + Send + 'static,
/// ) -> std::io::Result<()> {
///     let router = Router::new()
///         .route("/about", get(async || "a path of this server"))
///         .nest_service("/ai", app.clone().mounted_at("/ai"));
///     let serving = axum::serve(listener, router).with_graceful_shutdown(shutdown).into_future();
///     let served = tokio::select! {
///         served = serving => served,
///         () = app.keep_fresh() => Ok(()), // Never completes.
///     };
///     // Even if serving has failed: a token refresh in progress holds the only copy of the new token.
///     app.drain().await;
///     served
/// }
/// ```
#[derive(Clone, Debug)]
pub struct App {
    state: Arc<AppState>,
    mount: Arc<Mount>,
}

/// How the server around the app presents it; each handle may be presented in its own way.
#[derive(Clone, Debug, Default)]
struct Mount {
    /// Empty, or a path that begins with a slash and does not end in one.
    prefix: String,
    /// Whether the paths of requests begin with the prefix; a router in front has removed it otherwise.
    strips_prefix: bool,
    advice: Advice,
}

/// The state that all requests share, for this crate and its tests.
#[derive(Debug)]
pub struct AppState {
    /// The client of the backend: login, models, quota.
    pub client: Client,
    /// Who may call, model aliases and limits: everything that can change while the program runs.
    pub runtime: Reloadable,
    /// The requests of this run.
    pub request_log: Arc<RequestLog>,
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
    /// Assembles the proxy with the login in `store`, over connections as `config` describes them. Opens none.
    ///
    /// # Errors
    /// [`BuildError`]: a setting of the connections cannot be used.
    pub fn new(config: &Config, store: impl TokenStore) -> Result<Self, BuildError> {
        Self::with(config, store, |client| client)
    }

    /// Assembles the proxy with the login in `store`, over a client that `adjust` changes.
    ///
    /// ```
    /// use codex_auth::MemoryStore;
    /// use codex_proxy::{App, Config};
    /// use codex_upstream::ScriptedUpstream;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = Config::builder().api_key("secret").build()?;
    /// let app = App::with(&config, MemoryStore::default(), |client| client.upstream(ScriptedUpstream::new()))?;
    /// # drop(app);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`App::new`].
    pub fn with(
        config: &Config,
        store: impl TokenStore,
        adjust: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self, BuildError> {
        Self::over(config, adjust(config.client_builder(store)))
    }

    /// Assembles the proxy over the client that `client` builds. Of `config`, it takes only what is not the client's:
    /// access, limits, aliases, stored responses. For a client that shares the tokens of your program, `client` is
    /// `config.configured(Client::builder_sharing(tokens))`; for any other, [`App::with`] is simpler.
    ///
    /// # Errors
    /// As [`App::new`].
    pub fn over(config: &Config, client: ClientBuilder) -> Result<Self, BuildError> {
        config.warn_of_other_servers();
        let clock = client.current_timer().clone();
        let request_log = Arc::new(RequestLog::new(clock.clone()));
        let state = AppState {
            client: client.observer(Arc::clone(&request_log) as _).build()?,
            runtime: Reloadable::new(RuntimeConfig::from_config(config)),
            request_log,
            stored: Arc::new(Stored::new(config.stored_bytes)),
            body_budget: BodyMemoryBudget::default(),
            retained_budget: BodyMemoryBudget::retained(),
            clock,
            client_sockets: UpgradedConnections::default(),
        };
        Ok(Self { state: Arc::new(state), mount: Arc::default() })
    }

    /// Returns a handle for a router that removes `prefix`, such as `/ai`, from the paths of what it nests. The status
    /// page, its examples, `/openapi.json` and error texts name paths with it.
    ///
    /// ```
    /// use axum::Router;
    /// use codex_proxy::App;
    ///
    /// fn router(app: App) -> Router {
    ///     Router::new().nest_service("/ai", app.mounted_at("/ai"))
    /// }
    /// ```
    #[must_use]
    pub fn mounted_at(self, prefix: &str) -> Self {
        self.below(prefix, false)
    }

    /// Returns a handle as [`App::mounted_at`] does, for a router that leaves paths as they are: the app removes
    /// `prefix` itself. A path without it does not exist.
    ///
    /// ```
    /// use axum::Router;
    /// use codex_proxy::App;
    ///
    /// fn router(app: App) -> Router {
    ///     Router::new().fallback_service(app.stripping_prefix("/ai"))
    /// }
    /// ```
    #[must_use]
    pub fn stripping_prefix(self, prefix: &str) -> Self {
        self.below(prefix, true)
    }

    fn below(mut self, prefix: &str, strips_prefix: bool) -> Self {
        let bare = prefix.trim_matches('/');
        let mount = Arc::make_mut(&mut self.mount);
        mount.prefix = if bare.is_empty() { String::new() } else { format!("/{bare}") };
        mount.strips_prefix = strips_prefix;
        self
    }

    /// Returns a handle whose error texts and status page give this advice. By default they name no setting or command.
    #[must_use]
    pub fn with_advice(mut self, advice: Advice) -> Self {
        Arc::make_mut(&mut self.mount).advice = advice;
        self
    }

    /// Returns the prefix of all paths; empty if there is none.
    pub(crate) fn prefix(&self) -> &str {
        &self.mount.prefix
    }

    /// Returns the path of a request below the prefix, in its normal form; `None` if it is not below it.
    pub(crate) fn path_of<'a>(&self, uri: &'a Uri) -> Option<Cow<'a, str>> {
        let prefix = if self.mount.strips_prefix { &*self.mount.prefix } else { "" };
        match normalised(uri.path()) {
            Cow::Borrowed(path) => below(prefix, path).map(Cow::Borrowed),
            Cow::Owned(path) => below(prefix, &path).map(|rest| Cow::Owned(rest.to_owned())),
        }
    }

    /// Returns what error texts advise.
    pub(crate) fn advice(&self) -> &Advice {
        &self.mount.advice
    }

    /// Returns the settings that can change while the app runs: keys, origins, aliases and limits.
    pub fn runtime(&self) -> &Reloadable {
        &self.state.runtime
    }

    /// Serves `listeners` until `shutdown` completes, and keeps the login, the models and the connections to the
    /// backend fresh meanwhile. Then waits for open replies and WebSocket turns, at most 30 seconds, and for a token
    /// refresh in progress.
    ///
    /// ```
    /// use codex_proxy::{App, Listeners};
    ///
    /// async fn until_interrupted(app: App) -> Result<(), Box<dyn std::error::Error>> {
    ///     let addresses = ["127.0.0.1:8787".parse()?, "unix:/run/codex-proxy.sock".parse()?];
    ///     let listeners = Listeners::bind(&addresses).await.map_err(|(_, error)| error)?;
    ///     app.run(listeners, async { drop(tokio::signal::ctrl_c().await) }).await;
    ///     Ok(())
    /// }
    /// ```
    pub async fn run(self, listeners: impl Into<Listeners>, shutdown: impl Future<Output = ()>) {
        self.clone().run_service(listeners, self, shutdown).await;
    }

    /// Serves as [`App::run`] does, with a service around the app, such as a router that passes some of its requests to
    /// the app. The service finds the [`Peer`](crate::Peer) of each request in its extensions.
    ///
    /// The connections have the limits of the app's settings, and the app's WebSockets end after their turn.
    ///
    /// ```
    /// use axum::Router;
    /// use axum::routing::get;
    /// use codex_proxy::App;
    /// use tokio::net::TcpListener;
    ///
    /// async fn serve(app: App, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    ///     let router = Router::new().route("/about", get(async || "a path of this server"));
    ///     let router = router.fallback_service(app.clone());
    ///     app.run_service(listener, router, shutdown).await;
    /// }
    /// ```
    pub async fn run_service<S, B>(
        self,
        listeners: impl Into<Listeners>,
        service: S,
        shutdown: impl Future<Output = ()>,
    ) where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        tokio::select! {
            () = self.clone().serve_only(listeners, service, shutdown) => {}
            () = self.keep_fresh() => {}
        }
        self.wait_for_refresh().await;
    }

    /// Serves as [`App::run_service`] does, without keeping the proxy fresh.
    #[doc(hidden)]
    pub async fn serve_only<S, B>(self, listeners: impl Into<Listeners>, service: S, shutdown: impl Future<Output = ()>)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let limits = || self.runtime().current().limits;
        serve(listeners.into(), service, limits, shutdown, self.client_sockets.drain()).await;
    }

    /// Keeps an idle proxy ready: refreshes the login's tokens, fetches the models when they are out of date, and keeps
    /// connections to the backend alive. Never completes. [`App::run`] does this; with a server of your own, poll it
    /// for as long as you serve.
    pub async fn keep_fresh(&self) {
        self.client.keep_fresh().await;
    }

    /// Ends the WebSockets of clients, each after its current turn and within 30 seconds, then waits for a token
    /// refresh in progress, which holds the only copy of a rotated token. Later WebSockets end at once.
    ///
    /// [`App::run`] does this; with a server of your own, await it before the process exits.
    pub async fn drain(&self) {
        if tokio::time::timeout(DRAIN_DEADLINE, self.client_sockets.drain()).await.is_err() {
            tracing::warn!("stopping with open WebSockets");
        }
        self.wait_for_refresh().await;
    }

    /// Waits for a token refresh in progress.
    async fn wait_for_refresh(&self) {
        self.client.wait_for_refresh().await;
    }
}

#[doc(hidden)]
impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.state
    }
}
