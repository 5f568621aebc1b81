//! Building a [`Client`].

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use codex_auth::{
    AnyStore, AnyTokenEndpoint, AuthConfig, HttpTokenEndpoint, RefreshPolicy, TokenEndpoint, TokenManager, TokenStore,
};
use codex_translate::Options;
use codex_upstream::{
    AnyTimer, AnyUpstream, BACKEND_URL, ClientIdentity, ModelAliases, ModelCache, ModelCacheConfig, RetryPolicy,
    Timer as _, TransportChoice, Upstream, WebSocketUpstream, WorkspaceRouter, check_base_url,
};
use url::Url;

use crate::attempts::CountedEndpoint;
use crate::client::Client;
use crate::ids;
use crate::observer::{Observers, TurnObserver};
use crate::quota::KnownQuota;
use crate::state::ClientState;

/// The settings of a [`Client`] that is being built, all with defaults: those of the official client, over a browser's
/// TLS fingerprint, to the real backend.
///
/// ```no_run
/// use codex_auth::FileStore;
/// use codex_client::Client;
/// use codex_upstream::{Emulation, HttpUpstreamConfig, TransportChoice};
///
/// let store = FileStore::new("/var/lib/myapp/login.json").with_login_command("myapp sign-in");
/// let client = Client::builder(store)
///     .http(HttpUpstreamConfig { emulation: Emulation::Codex, ..HttpUpstreamConfig::default() })
///     .transport(TransportChoice::Auto)
///     .build()?;
/// # drop(client);
/// # Ok::<(), codex_client::BuildError>(())
/// ```
#[must_use]
pub struct ClientBuilder {
    login: Login,
    upstream: Option<AnyUpstream>,
    #[cfg(feature = "client")]
    http: codex_upstream::HttpUpstreamConfig,
    silence: Option<Duration>,
    base: Result<Option<Url>, BuildError>,
    issuer: Result<Option<Url>, BuildError>,
    auth: Option<AuthConfig>,
    endpoint: Option<AnyTokenEndpoint>,
    identity: ClientIdentity,
    transport: TransportChoice,
    models: ModelCacheConfig,
    retry: RetryPolicy,
    refresh: Option<RefreshPolicy>,
    options: Options,
    aliases: ModelAliases,
    observers: Vec<Arc<dyn TurnObserver>>,
    timer: AnyTimer,
}

/// How long the backend may be silent on a WebSocket.
#[cfg(not(feature = "client"))]
const MAX_SILENCE: Duration = Duration::from_secs(600);

/// Where bearers come from.
#[derive(Debug)]
enum Login {
    Store(AnyStore),
    Tokens(TokenManager),
}

/// Why a client cannot be built; the message names the setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting of [`ClientBuilder::http`] cannot be used: correct it.
    #[cfg(feature = "client")]
    #[error(transparent)]
    Http(#[from] codex_upstream::HttpUpstreamError),
    /// There is no connection to the backend: set [`ClientBuilder::upstream`], or enable the feature `client`.
    #[error("codex-client was built without its feature `client`: set an upstream")]
    NoUpstream,
    /// A URL cannot be used: correct it.
    #[error("the URL of `{setting}` {reason}")]
    Url {
        /// The setting, as the method of the builder.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Client {
    /// Starts a client of the login in `store`.
    pub fn builder(store: impl TokenStore) -> ClientBuilder {
        ClientBuilder::new(store)
    }

    /// Starts a client of the login of `tokens`, which the rest of the program uses, too. They are refreshed as their
    /// manager does it: [`ClientBuilder::auth`], [`ClientBuilder::auth_url`] and [`ClientBuilder::token_endpoint`] are
    /// not used.
    pub fn builder_sharing(tokens: TokenManager) -> ClientBuilder {
        ClientBuilder::sharing(tokens)
    }
}

impl ClientBuilder {
    fn new(store: impl TokenStore) -> Self {
        Self::with(Login::Store(AnyStore::new(store)))
    }

    fn sharing(tokens: TokenManager) -> Self {
        Self::with(Login::Tokens(tokens))
    }

    fn with(login: Login) -> Self {
        Self {
            login,
            upstream: None,
            #[cfg(feature = "client")]
            http: codex_upstream::HttpUpstreamConfig::default(),
            silence: None,
            base: Ok(None),
            issuer: Ok(None),
            auth: None,
            endpoint: None,
            identity: ClientIdentity::default(),
            transport: TransportChoice::default(),
            models: ModelCacheConfig::default(),
            retry: RetryPolicy::default(),
            refresh: None,
            options: Options::default(),
            aliases: ModelAliases::default(),
            observers: Vec::new(),
            timer: AnyTimer::default(),
        }
    }

    /// Sets how connections are made: fingerprint, proxy, root certificates, timeouts.
    #[cfg(feature = "client")]
    pub fn http(mut self, config: codex_upstream::HttpUpstreamConfig) -> Self {
        self.http = config;
        self
    }

    /// Sets how long the backend may be silent on a WebSocket; by default as long as over HTTP, ten minutes.
    pub fn max_silence(mut self, silence: Duration) -> Self {
        self.silence = Some(silence);
        self
    }

    /// Sends everything over `upstream` instead of connections of its own: over those of another client, or what a
    /// test scripts.
    pub fn upstream(mut self, upstream: impl Upstream) -> Self {
        self.upstream = Some(AnyUpstream::new(upstream));
        self
    }

    /// Sets the backend's base URL, a [`Url`] or text; the default is [`BACKEND_URL`].
    pub fn base_url<T: TryInto<Url, Error: Display>>(mut self, base: T) -> Self {
        self.base = url("base_url", base);
        self
    }

    /// Sets the URL of the auth server that refreshes tokens, a [`Url`] or text; the default is
    /// [`ISSUER_URL`](codex_auth::ISSUER_URL). Overrides the one of [`Self::auth`].
    pub fn auth_url<T: TryInto<Url, Error: Display>>(mut self, issuer: T) -> Self {
        self.issuer = url("auth_url", issuer);
        self
    }

    /// Sets everything about the auth server; by default it is the official client's. Without a user agent, that of
    /// [`Self::identity`] is sent.
    pub fn auth(mut self, config: AuthConfig) -> Self {
        self.auth = Some(config);
        self
    }

    /// Refreshes tokens at `endpoint` instead of the auth server, so [`Self::auth`] and [`Self::auth_url`] are not
    /// used.
    pub fn token_endpoint(mut self, endpoint: impl TokenEndpoint) -> Self {
        self.endpoint = Some(AnyTokenEndpoint::new(endpoint));
        self
    }

    /// Sets the program that the backend sees; the default is the official client.
    pub fn identity(mut self, identity: ClientIdentity) -> Self {
        self.identity = identity;
        self
    }

    /// Sets whether turns use HTTP or WebSockets; the default is HTTP.
    pub fn transport(mut self, transport: TransportChoice) -> Self {
        self.transport = transport;
        self
    }

    /// Sets where the account's models are cached and how often they are fetched; by default they are in memory only.
    pub fn models(mut self, config: ModelCacheConfig) -> Self {
        self.models = config;
        self
    }

    /// Sets how often a turn is sent again before its reply has begun.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets when tokens are refreshed, and how long callers wait for the store and for a refresh. The default is
    /// [`RefreshPolicy`]'s with a random jitter, so several programs on one login refresh at different times.
    pub fn refresh_policy(mut self, policy: RefreshPolicy) -> Self {
        self.refresh = Some(policy);
        self
    }

    /// Sets the options of all turns that have none of their own ([`Client::prepare_for`]).
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Sets names of your own for models.
    pub fn aliases(mut self, aliases: ModelAliases) -> Self {
        self.aliases = aliases;
        self
    }

    /// Reports retries and refreshes to `observer`, in addition to those added before. Refreshes by a manager of your
    /// own are not reported.
    pub fn observer(mut self, observer: Arc<dyn TurnObserver>) -> Self {
        self.observers.push(observer);
        self
    }

    /// Sets the source of time, jitter and waiting.
    pub fn timer(mut self, timer: AnyTimer) -> Self {
        self.timer = timer;
        self
    }

    /// Returns the source of time, jitter and waiting.
    pub fn current_timer(&self) -> &AnyTimer {
        &self.timer
    }

    /// Builds the client. Opens no connection and does not read the store.
    ///
    /// # Errors
    /// [`BuildError`] names the setting to correct.
    pub fn build(self) -> Result<Client, BuildError> {
        let observer = Observers::from(self.observers);
        let (base, issuer) = (self.base?.unwrap_or_else(real_backend), self.issuer?);
        #[cfg(feature = "client")]
        let silence = self.silence.unwrap_or(self.http.read_timeout);
        #[cfg(not(feature = "client"))]
        let silence = self.silence.unwrap_or(MAX_SILENCE);
        #[cfg(feature = "client")]
        let upstream = match self.upstream {
            Some(upstream) => upstream,
            None => AnyUpstream::new(codex_upstream::HttpUpstream::new(self.http)?),
        };
        #[cfg(not(feature = "client"))]
        let upstream = self.upstream.ok_or(BuildError::NoUpstream)?;
        let tokens = match self.login {
            Login::Tokens(tokens) => tokens,
            Login::Store(store) => {
                let mut auth = self.auth.unwrap_or_default();
                auth.issuer = issuer.unwrap_or(auth.issuer);
                auth.user_agent.get_or_insert_with(|| self.identity.startup_user_agent.clone());
                let endpoint = self
                    .endpoint
                    .unwrap_or_else(|| AnyTokenEndpoint::new(HttpTokenEndpoint::new(upstream.clone(), auth)));
                let endpoint = AnyTokenEndpoint::new(CountedEndpoint::new(endpoint, observer.clone()));
                let policy = self.refresh.unwrap_or_else(|| {
                    let jitter = Duration::from_secs(60).mul_f64(self.timer.jitter());
                    RefreshPolicy { jitter, ..RefreshPolicy::default() }
                });
                TokenManager::with_policy(store, endpoint, self.timer.clone(), policy)
            }
        };
        let sockets = WebSocketUpstream::new(upstream.clone(), self.timer.clone(), silence);
        Ok(Client::new(ClientState {
            sockets: Arc::new(sockets),
            upstream,
            tokens,
            models: ModelCache::open(self.models),
            identity: self.identity,
            known_quota: KnownQuota::default(),
            transport: self.transport,
            router: WorkspaceRouter::new(base),
            retry: self.retry,
            options: self.options,
            aliases: self.aliases,
            observer,
            started_unix_ms: ids::unix_millis(self.timer.now()),
            timer: self.timer,
        }))
    }
}

/// Shows no URL: it may contain a password.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder").field("login", &self.login).finish_non_exhaustive()
    }
}

/// Parses a URL to which paths can be appended, and tokens sent.
fn url<T: TryInto<Url, Error: Display>>(setting: &'static str, url: T) -> Result<Option<Url>, BuildError> {
    let refuse = |reason: String| BuildError::Url { setting, reason };
    let url = url.try_into().map_err(|error| refuse(format!("is invalid: {error}")))?;
    check_base_url(&url).map_err(|error| refuse(error.to_string()))?;
    Ok(Some(url))
}

fn real_backend() -> Url {
    Url::parse(BACKEND_URL).expect("a URL")
}
