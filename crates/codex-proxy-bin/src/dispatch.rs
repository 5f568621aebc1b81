//! The path of one request: admission, reading, and the answer of its endpoint.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use codex_translate::{Error, ErrorKind};
use futures_util::FutureExt as _;
use http::header::HOST;
use http::{HeaderName, Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::admission::caller::{CallerId, caller};
use crate::admission::cors::Cors;
use crate::app::App;
use crate::config::runtime::RuntimeConfig;
use crate::connection::activity::ConnectionActivity;
use crate::connection::peer::Peer;
use crate::endpoints;
use crate::endpoints::websocket;
use crate::ids;
use crate::reply::{self, ReplyBody};
use crate::request::body;
use crate::request::context::{RequestContext, is_strict};
use crate::request::deployment::with_deployment;
use crate::request::json_text::json_text;
use crate::request::{limits, multipart};
use crate::route::{BackendCall, Credential, Route, UnreadQuery, deployment, route};
use crate::telemetry::record::{RequestInfo, RequestRecord};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl App {
    /// Answers one request from `peer`. Never fails: every error becomes a reply, even a panic. The request's body may
    /// be of any type; an error of the body is a 413 if it is a length limit, else a 400.
    ///
    /// ```
    /// use codex_proxy::reply::ReplyBody;
    /// use codex_proxy::{App, Peer};
    /// use http::{Request, Response};
    ///
    /// async fn models(app: &App) -> Response<ReplyBody> {
    ///     let mut request = Request::new(String::new());
    ///     *request.uri_mut() = http::Uri::from_static("/v1/models");
    ///     app.answer(request, Peer::Unix).await
    /// }
    /// ```
    pub async fn answer<B>(&self, mut request: Request<B>, peer: impl Into<Peer>) -> Response<ReplyBody>
    where
        B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
    {
        request.extensions_mut().insert(peer.into());
        self.reply(request).await
    }

    /// Answers one request of `caller`, a user of the server around the app. Stored responses, conversations and prompt
    /// caches of callers with different names are separate, even if their clients give a conversation the same id.
    ///
    /// The peer is that of the request's extensions, as for the service. Usually, the access is [`Access::open`]: the
    /// server has a login of its own.
    ///
    /// ```
    /// use codex_proxy::App;
    /// use codex_proxy::reply::ReplyBody;
    /// use http::{Request, Response};
    ///
    /// async fn answer(app: &App, request: Request<String>, user: &str) -> Response<ReplyBody> {
    ///     app.answer_as(request, user).await
    /// }
    /// ```
    ///
    /// [`Access::open`]: crate::Access::open
    pub async fn answer_as<B>(&self, mut request: Request<B>, caller: impl Into<CallerId>) -> Response<ReplyBody>
    where
        B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
    {
        request.extensions_mut().insert(caller.into());
        self.reply(request).await
    }

    /// Answers one request from the [`Peer`] in its extensions.
    async fn reply<B>(&self, request: Request<B>) -> Response<ReplyBody>
    where
        B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
    {
        let runtime = self.runtime.current();
        let cors = Cors::new(&runtime.access.origins, request.headers());
        let request_id = ids::request_id(request.headers());
        let route = match self.path_of(request.uri()).map(|path| route(request.method(), &path)) {
            Some(route) if !route.is_status() || runtime.access.shows_status() => route,
            _ => Route::Unknown,
        };
        let unread = UnreadQuery::of(&route, request.uri().query());
        let dialect = route.dialect(request.headers());
        let guard = self.request_log.open(RequestInfo {
            request_id: request_id.to_str().unwrap_or_default().to_owned(),
            endpoint: route.endpoint(),
            client: RequestInfo::client(request.headers()),
            is_routine: route.is_routine(),
        });
        let is_head = request.method() == Method::HEAD;
        let connection = request.extensions().get::<ConnectionActivity>().cloned();
        let answering = AssertUnwindSafe(self.respond(route, &unread, request, guard.record(), &runtime, &cors));
        let answered = answering.catch_unwind().await.unwrap_or_else(|_| Err(codex_client::error::panicked()));
        let mut response = answered.unwrap_or_else(|error| {
            guard.record().fail(&error);
            reply::error_in(dialect, &error)
        });
        reply::add_notices(response.headers_mut(), &unread.notices().collect::<Vec<_>>());
        response.headers_mut().insert(X_REQUEST_ID, request_id);
        cors.write(response.headers_mut());
        if let Some(connection) = connection {
            response.body_mut().set_connection(connection);
        }
        reply::logged(response, guard, is_head)
    }

    async fn respond<B>(
        &self,
        route: Route,
        unread: &UnreadQuery,
        request: Request<B>,
        record: &RequestRecord,
        runtime: &RuntimeConfig,
        cors: &Cors,
    ) -> Result<Response<ReplyBody>, Error>
    where
        B: Body<Error: Into<Box<dyn StdError + Send + Sync>>>,
    {
        let (head, incoming) = request.into_parts();
        limits::check_head(&head.uri, &head.headers)?;
        if head.headers.get_all(HOST).iter().nth(1).is_some() {
            // RFC 9112 §3.2.
            return Err(Error::new(ErrorKind::InvalidRequest, "the request has more than one Host header"));
        }
        if let Some(answer) = cors.preflight(&head, self.advice()) {
            // A refused preflight is the browser's business: it is not an error in the log.
            return Ok(answer.map_or_else(
                |error| reply::from_error(&error),
                |headers| {
                    let mut response = reply::no_content();
                    *response.headers_mut() = headers;
                    response
                },
            ));
        }
        let peer = head.extensions.get().copied().unwrap_or(Peer::Unknown);
        match (route.credential(), runtime.access.admit(peer, &head)) {
            (Credential::Nothing, _) | (_, Ok(())) => {}
            (Credential::AnyKey, Err(denied)) if denied.is_about_a_key() => {}
            (_, Err(denied)) => {
                if peer == Peer::Unknown {
                    tracing::debug!("rejecting a request of an unknown peer: its extensions have no `Peer`");
                }
                return Err(reply::from_denied(denied, self.advice()));
            }
        }
        if !unread.is_empty() && is_strict(&head.headers)? {
            unread.refuse()?;
        }
        let dialect = route.dialect(&head.headers);
        let context = || RequestContext::read(&head.headers, caller(&runtime.access, &head), record);
        match route {
            Route::Backend(call) => {
                let context = context()?;
                let received = body::read(&head.headers, incoming, &runtime.limits, &self.body_budget).await?;
                if let Some(connection) = head.extensions.get::<ConnectionActivity>() {
                    connection.has_received();
                }
                let takes_forms = matches!(call, BackendCall::Images(_));
                let body = json_text(received.bytes, &head.headers, takes_forms)?;
                let body = match multipart::boundary(&head.headers).filter(|_| takes_forms) {
                    Some(boundary) => multipart::to_json(&boundary, body).await?.into(),
                    None => body,
                };
                let (body, renamed) = match self.path_of(&head.uri).and_then(|path| deployment(&path)) {
                    Some(deployment) => with_deployment(body, &deployment)?,
                    None => (body, None),
                };
                // The permit is held until the request has been sent, the slot until the reply's last byte.
                let _permit = received.permit;
                let slot = self.runtime.slots().take(runtime.limits.timeouts.queue).await?;
                let answered = match call {
                    BackendCall::Turn(dialect) => endpoints::turn(self, dialect, &context, body).await,
                    BackendCall::Compact => endpoints::compact(self, &context, &body).await,
                    BackendCall::Images(task) => endpoints::images(self, task, &context, &body).await,
                    BackendCall::Alpha(tool, operation) => {
                        endpoints::alpha(self, tool, &operation, &context, &head.headers, body).await
                    }
                };
                let mut response =
                    answered.map_err(|error| reply::reworded_for(&head.headers, error)).unwrap_or_else(|error| {
                        record.fail(&error);
                        reply::error_in(dialect, &error)
                    });
                if runtime.access.shows_status() {
                    self.client.known_quota().quota.write_headers(response.headers_mut(), self.clock.now());
                }
                reply::add_notices(response.headers_mut(), renamed.as_slice());
                response.body_mut().set_slot(slot);
                Ok(response)
            }
            Route::WebSocket if websocket::is_upgrade(&head) => websocket::accept(self, peer, head),
            Route::WebSocket => Ok(reply::websocket_only()),
            Route::Stored(asked, id) => endpoints::stored(self, &context()?, asked, &id, &head),
            Route::Models => {
                let models = self.client.models().await;
                Ok(endpoints::models(dialect, &models, head.uri.query()))
            }
            Route::Model(id) => endpoints::model(dialect, &self.client.models().await, &runtime.aliases, &id),
            Route::Usage => endpoints::usage(self).await,
            Route::Cli(asked) => endpoints::cli_query(self, asked, &head.headers).await,
            Route::Metrics => Ok(endpoints::metrics(self).await),
            Route::Status => Ok(endpoints::status(self).await),
            Route::WrongMethod(allowed) => {
                let path = format!("{}{}", self.prefix(), self.path_of(&head.uri).unwrap_or_default());
                Ok(reply::wrong_method(head.method.as_str(), &path, &allowed))
            }
            Route::Unserved(endpoint) => {
                Ok(reply::unserved(self.prefix(), &self.path_of(&head.uri).unwrap_or_default(), endpoint))
            }
            Route::Health(probe) => Ok(endpoints::health(self, probe).await),
            Route::OpenApi => Ok(endpoints::openapi(self.prefix(), self.advice())),
            Route::StatusPage => Ok(endpoints::status_page(self.advice())),
            Route::Unknown => Ok(match self.path_of(&head.uri) {
                Some(path) => reply::not_found(self.prefix(), &path),
                None => reply::outside_prefix(self.prefix(), head.uri.path()),
            }),
        }
    }
}

/// Answers requests of any server or router, with bodies of any type. WebSockets work if the server is hyper's: an
/// upgrade is in the extensions of its request.
///
/// The peer is the [`Peer`] in the extensions of a request. Without one it is unknown: only a key (or
/// [`Access::open`](crate::Access::open)) admits the request. The caller is the [`CallerId`] in the extensions, if
/// there is one. In axum, a layer puts both there:
///
/// ```
/// use std::net::SocketAddr;
///
/// use axum::Router;
/// use axum::extract::{ConnectInfo, Request};
/// use axum::middleware::map_request;
/// use codex_proxy::{App, Peer};
/// use tokio::net::TcpListener;
///
/// async fn name_peer(ConnectInfo(address): ConnectInfo<SocketAddr>, mut request: Request) -> Request {
///     request.extensions_mut().insert(Peer::from(address));
///     request
/// }
///
/// async fn serve(app: App, listener: TcpListener) -> std::io::Result<()> {
///     let router = Router::new().fallback_service(app).layer(map_request(name_peer));
///     axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).await
/// }
/// ```
impl<B> Service<Request<B>> for App
where
    B: Body<Data: Send, Error: Into<Box<dyn StdError + Send + Sync>>> + Send + 'static,
{
    type Response = Response<ReplyBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ReplyBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let app = self.clone();
        Box::pin(async move { Ok(app.reply(request).await) })
    }
}
