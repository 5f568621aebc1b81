//! The composition root: what the program is made of, and how one request goes through it.

use std::fmt::Display;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::SystemTime;

use codex_auth::{Bearer, HttpTokenEndpoint, TokenManager, TokenStore};
use codex_translate::{Error, ErrorKind, Options, ReasoningStyle};
use codex_upstream::{
    Backend, CatalogueSnapshot, ClientIdentity, ModelCache, ModelCacheConfig, Quota, RequestAuth, RetryPolicy,
    TokioTimer, TransportChoice, Upstream, WebSocketUpstream, WorkspaceRoute, WorkspaceRouteError, WorkspaceRouter,
};
use futures_util::FutureExt as _;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use sha2::{Digest, Sha256};

use crate::admission::cors::Cors;
use crate::config::Config;
use crate::config::runtime::{InForce, Terms};
use crate::connection::peer::Peer;
use crate::endpoints;
use crate::endpoints::websocket::{self, Sockets};
use crate::ids;
use crate::reply::guard::Guarded;
use crate::reply::{self, Body};
use crate::request::body;
use crate::request::budget::LargeBodies;
use crate::request::limits::{self, Limits};
use crate::route::{Route, Work, route};
use crate::server::serve::Handler;
use crate::stored::Stored;
use crate::telemetry::metrics::Counted;
use crate::telemetry::record::{Opening, Record};
use crate::telemetry::request_log::Journal;
use crate::turn::auth_http::Transport;
use crate::turn::error;
use crate::turn::model::NamedModel;
use crate::turn::quota::KnownQuota;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The login's tokens, refreshed over the same client as the API.
pub type Tokens<U, S> = TokenManager<S, Counted<HttpTokenEndpoint<Transport<U>>>>;

/// Everything that a request needs. One value serves all requests.
#[derive(Debug)]
pub struct App<U: Upstream, S: TokenStore> {
    /// The way to the backend.
    pub upstream: Arc<U>,
    /// The same way, over connections that are kept from turn to turn.
    pub sockets: Arc<WebSocketUpstream<U, TokioTimer>>,
    /// Which of the two turns take.
    pub transport: TransportChoice,
    /// The login.
    pub tokens: Tokens<U, S>,
    /// The models of the account.
    pub models: ModelCache,
    /// Who may call, what models are called, how much of everything: what can change while the program runs.
    pub terms: InForce,
    /// The way from the configured address to the account's own.
    pub router: WorkspaceRouter,
    /// The client that the backend sees.
    pub identity: ClientIdentity,
    /// How often a turn is sent again before its reply begins.
    pub retry: RetryPolicy,
    /// What is known of the quota, from all replies so far.
    pub known_quota: KnownQuota,
    /// The responses that clients go on from.
    pub(crate) stored: Arc<Stored>,
    /// The requests of this run.
    pub journal: Arc<Journal>,
    /// The command that renews the login, as in `codex-proxy login`.
    pub login_command: &'static str,
    /// Room for large bodies.
    pub(crate) large_bodies: LargeBodies,
    /// The WebSockets of clients.
    pub(crate) client_sockets: Sockets,
    /// When the program started; part of derived conversation ids, which look like UUIDs of that time.
    pub started_unix_ms: u64,
}

/// What an endpoint needs to know of a request beside its body.
#[derive(Debug)]
pub(crate) struct Call {
    /// What is noted of the request.
    pub(crate) record: Record,
    /// Who calls, as a hash: conversations of different callers never share an id.
    pub(crate) caller: String,
    /// The conversation as the client names it, if it does.
    pub(crate) session: Option<String>,
    /// What this request chooses by its headers.
    pub(crate) options: Options,
}

impl<U: Upstream, S: TokenStore> App<U, S> {
    /// Puts the program together over `upstream`, with the login in `store`. Opens no connection.
    pub fn new(config: &Config, upstream: U, store: S, models: ModelCacheConfig) -> Self {
        let upstream = Arc::new(upstream);
        let journal = Arc::new(Journal::default());
        let endpoint = HttpTokenEndpoint::new(Transport::new(Arc::clone(&upstream)), config.auth_config());
        let endpoint = Counted::new(endpoint, Arc::clone(&journal));
        let login_command = store.login_command();
        Self {
            sockets: Arc::new(WebSocketUpstream::new(Arc::clone(&upstream), TokioTimer, config.upstream_timeout)),
            transport: config.transport,
            upstream,
            tokens: TokenManager::new(store, endpoint),
            models: ModelCache::open(models),
            terms: InForce::new(Terms::of(config)),
            router: WorkspaceRouter::new(config.upstream.clone()),
            identity: config.identity.clone(),
            retry: RetryPolicy::default(),
            known_quota: KnownQuota::default(),
            stored: Arc::new(Stored::new(config.stored_bytes)),
            journal,
            login_command,
            large_bodies: LargeBodies::default(),
            client_sockets: Sockets::default(),
            started_unix_ms: ids::unix_millis(),
        }
    }

    /// Answers one request from the peer at `peer`. Never fails: an error is a reply, even that of a defect.
    pub async fn answer(self: &Arc<Self>, request: Request<Incoming>, peer: impl Into<Peer>) -> Response<Body> {
        let terms = self.terms.now();
        let cors = Cors::new(&terms.access.origins, request.headers());
        let request_id = ids::request_id(request.headers());
        let route = route(request.method(), request.uri().path());
        let watch = self.journal.open(Opening {
            request_id: request_id.to_str().unwrap_or_default().to_owned(),
            endpoint: route.endpoint(),
            client: Opening::client(request.headers()),
            is_routine: route.is_routine(),
        });
        let is_head = request.method() == Method::HEAD;
        let answering = AssertUnwindSafe(self.respond(route, request, peer.into(), watch.record(), &terms, &cors));
        let answered = answering.catch_unwind().await.unwrap_or_else(|_| Err(error::of_panic()));
        let mut response = answered.unwrap_or_else(|error| {
            watch.record().fail(&error);
            reply::from_error(&error)
        });
        response.headers_mut().insert(X_REQUEST_ID, request_id);
        cors.write(response.headers_mut());
        watch.over(response, is_head)
    }

    async fn respond(
        self: &Arc<Self>,
        route: Route,
        request: Request<Incoming>,
        peer: Peer,
        record: &Record,
        terms: &Terms,
        cors: &Cors,
    ) -> Result<Response<Body>, Error> {
        let (head, incoming) = request.into_parts();
        limits::check_head(&head.uri, &head.headers)?;
        if head.headers.get_all(HOST).iter().nth(1).is_some() {
            // RFC 9112 §3.2.
            return Err(Error::new(ErrorKind::InvalidRequest, "the request has several Host headers"));
        }
        if let Some(response) = cors.preflight(&head) {
            return Ok(response);
        }
        if let Route::Health(probe) = route {
            return Ok(endpoints::health(self, probe).await);
        }
        // It says what every copy of the program says, and clients read it before they have a key.
        if route == Route::OpenApi {
            return Ok(endpoints::openapi());
        }
        let admitted = terms.access.admit(peer, &head);
        // The page itself says nothing, and asks for the key that its data need.
        if route == Route::StatusPage && !admitted.is_err_and(|denied| !denied.is_about_a_key()) {
            return Ok(endpoints::status_page());
        }
        admitted.map_err(reply::of_denied)?;
        match route {
            Route::Work(work) => {
                let call = Call::read(&head.headers, record)?;
                let received = body::read(&head.headers, incoming, &terms.limits, &self.large_bodies).await?;
                // The share is held until the request has been sent, the slot until the reply's last byte.
                let (body, _share) = (received.bytes, received.share);
                let slot = self.terms.slots().take(terms.limits.times.queue).await?;
                let answered = match work {
                    Work::Chat => endpoints::chat(self, &call, body).await,
                    Work::Responses => endpoints::responses(self, &call, body).await,
                    Work::Compact => endpoints::compact(self, &call, &body).await,
                    Work::Images(task) => endpoints::images(self, task, &call, &head.headers, body).await,
                };
                let mut response =
                    answered.map_err(|error| reply::worded_for(&head.headers, error)).unwrap_or_else(|error| {
                        record.fail(&error);
                        reply::from_error(&error)
                    });
                self.known_quota.told().quota.write_headers(response.headers_mut(), SystemTime::now());
                Ok(response.map(|body| Guarded::new(body, slot).boxed_unsync()))
            }
            Route::Socket if websocket::is_upgrade(&head) => websocket::accept(self, peer, head),
            Route::Socket => Ok(reply::no_upgrade()),
            Route::Stored(asked, id) => endpoints::stored(self, &Call::read(&head.headers, record)?, asked, &id, &head),
            Route::Models => Ok(endpoints::models(&self.current_models().await, head.uri.query())),
            Route::Model(id) => endpoints::model(&self.current_models().await, &terms.aliases, &id),
            Route::Usage => endpoints::usage(self).await,
            Route::Metrics => Ok(endpoints::metrics(self).await),
            Route::Status => Ok(endpoints::status(self).await),
            Route::WrongMethod(allowed) => Ok(reply::wrong_method(head.method.as_str(), head.uri.path(), &allowed)),
            Route::Health(_) | Route::OpenApi | Route::StatusPage | Route::Unknown => {
                Ok(reply::not_found(head.uri.path()))
            }
        }
    }

    /// Finds where the requests of the login's workspace go.
    pub(crate) async fn route(&self, bearer: &Bearer) -> Result<WorkspaceRoute, WorkspaceRouteError> {
        let home = self.backend(bearer, self.router.home());
        self.router.route(&self.upstream, &home, &TokioTimer).await
    }

    /// The backend over `route`, as the login that `bearer` stands for.
    pub(crate) fn backend<'a>(&'a self, bearer: &'a Bearer, route: &'a WorkspaceRoute) -> Backend<'a> {
        let credentials = RequestAuth {
            bearer: bearer.token.expose(),
            account_id: bearer.account_id.as_deref(),
            fedramp: bearer.fedramp,
        };
        Backend { base: &route.base, region: route.region.as_deref(), identity: &self.identity, credentials }
    }

    /// Takes over what a reply tells of the quota.
    pub(crate) fn observe_quota(&self, quota: Quota) {
        self.known_quota.observe(quota, SystemTime::now());
    }

    /// Finds the model that a client calls `name`, without asking anybody.
    pub(crate) fn named_model(&self, name: &str, options: &Options) -> NamedModel {
        NamedModel::new(name, &self.models.use_at_hand(&TokioTimer), &self.terms.now().aliases, options)
    }

    /// The models, asked for if those at hand are old; those at hand if the backend cannot be asked.
    pub(crate) async fn current_models(&self) -> CatalogueSnapshot {
        let at_hand = |problem: &dyn Display| {
            tracing::debug!(%problem, "showing the models at hand");
            self.models.snapshot()
        };
        let bearer = match self.tokens.bearer().await {
            Ok(bearer) => bearer,
            Err(error) => return at_hand(&error),
        };
        match self.route(&bearer).await {
            Ok(route) => self.models.current(&self.upstream, &self.backend(&bearer, &route), &TokioTimer).await,
            Err(error) => at_hand(&error),
        }
    }

    /// Asks for the models now, and again whenever a request has used a list that is too old, so that no request waits for
    /// one. Never completes.
    pub async fn keep_models_fresh(&self) {
        let mut known = None;
        loop {
            let problem = self.current_models().await.problem;
            // A problem that lasts is not repeated.
            if let Some(problem) = problem.as_ref().filter(|_| problem != known) {
                tracing::warn!(problem, "the account's models are not known; going by the list at hand");
            }
            known = problem;
            self.models.used_when_old().await;
        }
    }
}

impl<U: Upstream, S: TokenStore> Handler for Arc<App<U, S>> {
    async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        self.answer(request, peer).await
    }

    fn limits(&self) -> Limits {
        self.terms.now().limits
    }

    async fn drain(&self) {
        self.client_sockets.drain().await;
    }
}

impl Call {
    pub(crate) fn read(headers: &HeaderMap, record: &Record) -> Result<Self, Error> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let reasoning = match text("x-codex-proxy-reasoning") {
            None => ReasoningStyle::default(),
            Some(word) => reasoning_style(word)?,
        };
        let strict = match text("x-codex-proxy-strict") {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err(Error::invalid("x-codex-proxy-strict", "the header takes true or false")),
        };
        let key = headers.get(AUTHORIZATION).or_else(|| headers.get("x-api-key"));
        Ok(Self {
            record: record.clone(),
            caller: key.map(|key| caller_hash(key.as_bytes())).unwrap_or_default(),
            session: ["session-id", "session_id", "thread-id", "conversation_id", "x-session-id"]
                .into_iter()
                .find_map(text)
                .filter(|session| !session.is_empty())
                .map(str::to_owned),
            options: Options { strict, reasoning, ..Options::default() },
        })
    }
}

fn reasoning_style(word: &str) -> Result<ReasoningStyle, Error> {
    match word {
        "reasoning_content" => Ok(ReasoningStyle::ReasoningContent),
        "reasoning" => Ok(ReasoningStyle::Reasoning),
        "think" => Ok(ReasoningStyle::Think),
        "none" => Ok(ReasoningStyle::None),
        _ => Err(Error::invalid(
            "x-codex-proxy-reasoning",
            "the header takes reasoning_content, reasoning, think or none",
        )),
    }
}

/// A caller's key must not be readable from anything derived from it.
fn caller_hash(key: &[u8]) -> String {
    ids::hex(&Sha256::digest(key))
}
