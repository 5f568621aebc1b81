//! One turn at the backend: bearer, route, request, and one more try each after a 401 and after an overload that shows only in
//! the stream.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use codex_auth::{Bearer, TokenStore};
use codex_translate::{ConversationSeed, Error, ErrorKind, conversation_id, responses};
use codex_upstream::{
    Backend, ByteStream, Quota, SendError, Timer as _, TokioTimer, TransportChoice, Upstream, UpstreamError, Verdict,
    requests, send_with_retry,
};
use http::{Request, Response};
use uuid::Uuid;

use crate::app::{App, Call};
use crate::telemetry::metrics::Attempts;
use crate::turn::error;
use crate::turn::first_event::{self, Start};
use crate::turn::limits_watch::watched;
use crate::turn::relay::Opening;

/// How much longer the final form of a small request is than the one in which it came.
const SPARE_BYTES: usize = 512;

/// A translated request, ready to be sent, as often as the caller wants choices.
#[derive(Debug)]
pub(crate) struct Turn<U: Upstream, S: TokenStore> {
    app: Arc<App<U, S>>,
    request: Arc<Prepared>,
}

/// What is sent, the same each time.
#[derive(Debug)]
struct Prepared {
    model: String,
    tier: Option<String>,
    conversation: String,
    lite: bool,
    body: Vec<u8>,
}

impl<U: Upstream, S: TokenStore> Turn<U, S> {
    /// Gives the request its conversation id (docs/features.md C16) and its final form. `size` is that of the form in which it came.
    pub(crate) fn new(app: &Arc<App<U, S>>, call: &Call, mut request: responses::Request, size: usize) -> Self {
        let conversation = conversation(call, &request, app.started_unix_ms);
        request.prompt_cache_key = Some(conversation.clone());
        let mut body = Vec::with_capacity(size + size / 8 + SPARE_BYTES);
        request.write_json(&mut body);
        let prepared = Prepared {
            model: request.model.clone(),
            tier: request.service_tier.clone(),
            conversation,
            lite: request.is_lite(),
            body,
        };
        Self { app: Arc::clone(app), request: Arc::new(prepared) }
    }

    /// The turn as a future that a reply body can own. Nothing is sent before it is polled; dropping it gives the turn up.
    pub(crate) fn open(&self) -> Opening {
        let (app, request) = (Arc::clone(&self.app), Arc::clone(&self.request));
        Box::pin(async move {
            let (app, request) = (&app, &request);
            let upstream = &Attempts::new(&app.upstream, &app.journal);
            authorized(app, |bearer| async move { request.send(app, upstream, &bearer).await }).await
        })
    }
}

/// Does what needs the login's token. The token may have been revoked before its time: a fresh one gets one try.
///
/// # Errors
/// There is no usable login, or the last try failed: as the client is told.
pub(crate) async fn authorized<U, S, T, F>(app: &App<U, S>, attempt: impl Fn(Bearer) -> F) -> Result<T, Error>
where
    U: Upstream,
    S: TokenStore,
    F: Future<Output = Result<T, Error>>,
{
    let bearer = app.tokens.bearer().await.map_err(|error| error::of_auth(&error))?;
    match attempt(bearer.clone()).await {
        // What the backend says of a token, and of nothing else (see `Failure::verdict`).
        Err(error) if error.kind() == ErrorKind::Authentication => {
            let bearer = app.tokens.replace(&bearer).await.map_err(|error| error::of_auth(&error))?;
            attempt(bearer).await
        }
        outcome => outcome,
    }
}

/// Sends a request, and takes over what the head of its reply tells of models and quota.
///
/// # Errors
/// There is no reply, or the backend refused: as the client is told.
pub(crate) async fn send<U: Upstream, S: TokenStore>(
    app: &App<U, S>,
    upstream: &Attempts<U>,
    request: &Request<Bytes>,
) -> Result<Response<ByteStream>, Error> {
    let sent = send_with_retry(upstream, request, &app.retry, &TokioTimer).await;
    observe(app, &sent);
    sent.map_err(|error| error::of_last_try(&error))
}

fn observe<U: Upstream, S: TokenStore>(app: &App<U, S>, sent: &Result<Response<ByteStream>, SendError>) {
    match sent {
        Ok(reply) => {
            app.models.observe(reply.headers());
            app.observe_quota(Quota::from_headers(reply.headers(), SystemTime::now()));
        }
        Err(SendError::Refused { headers, .. }) => {
            app.observe_quota(Quota::from_headers(headers, SystemTime::now()));
        }
        Err(_) => {}
    }
}

impl Prepared {
    async fn send<U: Upstream, S: TokenStore>(
        &self,
        app: &Arc<App<U, S>>,
        upstream: &Attempts<U>,
        bearer: &Bearer,
    ) -> Result<ByteStream, Error> {
        let route = app.route(bearer).await.map_err(|error| error::of_route(&error))?;
        let backend = app.backend(bearer, &route);
        let start = self.start(app, upstream, &backend).await?;
        let again_after = start
            .failure
            .filter(first_event::is_passing)
            .and_then(|failure| app.retry.delay(0, TokioTimer.jitter(), failure.retry_after(), Duration::ZERO));
        let Some(delay) = again_after else {
            return Ok(start.body);
        };
        // Let go first: the backend need not finish a reply that nobody reads.
        drop(start.body);
        tracing::debug!(?delay, "the backend was overloaded; sending again");
        TokioTimer.sleep(delay).await;
        Ok(self.start(app, upstream, &backend).await?.body)
    }

    /// Sends the request and reads as far as its first output.
    async fn start<U: Upstream, S: TokenStore>(
        &self,
        app: &Arc<App<U, S>>,
        upstream: &Attempts<U>,
        backend: &Backend<'_>,
    ) -> Result<Start, Error> {
        let sent = self.deliver(app, upstream, backend).await;
        observe(app, &sent);
        let observer = Arc::clone(app);
        let reply = sent.map_err(|error| error::of_last_try(&error))?;
        let body = watched(reply.into_body(), move |quota| observer.observe_quota(quota));
        Ok(first_event::peek(body, &TokioTimer).await)
    }

    /// Sends the request by the way that is chosen, and where that can be had by none but HTTP, by HTTP.
    async fn deliver<U: Upstream, S: TokenStore>(
        &self,
        app: &App<U, S>,
        upstream: &Attempts<U>,
        backend: &Backend<'_>,
    ) -> Result<Response<ByteStream>, SendError> {
        let turn = requests::TurnRequest {
            model: &self.model,
            tier: self.tier.as_deref(),
            conversation_id: Some(&self.conversation),
            lite: self.lite,
            body: &self.body,
        };
        if self.wants_websocket(app) {
            let request = requests::responses_websocket(backend, &turn, TokioTimer.now())?;
            match send_with_retry(&upstream.by(&app.sockets), &request, &app.retry, &TokioTimer).await {
                Err(error) if app.transport == TransportChoice::Auto && can_do_without_websocket(&error) => {
                    tracing::info!(%error, "no WebSocket can be had; using HTTP");
                }
                outcome => return outcome,
            }
        }
        let request = requests::responses(backend, &turn)?;
        send_with_retry(upstream, &request, &app.retry, &TokioTimer).await
    }

    fn wants_websocket<U: Upstream, S: TokenStore>(&self, app: &App<U, S>) -> bool {
        match app.transport {
            TransportChoice::WebSocket => true,
            TransportChoice::Auto => {
                let catalogue = app.models.use_at_hand(&TokioTimer);
                catalogue.find(&self.model).is_some_and(|model| model.websockets) && app.sockets.is_worth_trying()
            }
            TransportChoice::Http | _ => false,
        }
    }
}

/// Tells whether a turn that failed on a WebSocket was not begun there, for a reason that HTTP may not have.
fn can_do_without_websocket(error: &SendError) -> bool {
    match error {
        SendError::Transport(UpstreamError::InvalidRequest { .. }) => false,
        SendError::Transport(error) => error.before_dispatch(),
        // What keeps WebSockets out may let HTTP through.
        SendError::Refused { failure, .. } => failure.verdict() == Verdict::Challenge,
        _ => false,
    }
}

/// The conversation's id: the client's own if it is a UUID, as the Codex CLI's is; else one derived from what the client calls
/// the conversation, or from how it began. Prompt caching wants a UUID (docs/backend.md §2.6).
pub(crate) fn conversation(call: &Call, request: &responses::Request, started_unix_ms: u64) -> String {
    let own = call.session.as_deref().or(request.prompt_cache_key.as_deref());
    match own.and_then(|own| Uuid::try_parse(own).ok()) {
        Some(uuid) => uuid.hyphenated().to_string(),
        None => {
            let seed = ConversationSeed::new(&call.caller, call.session.as_deref(), request);
            conversation_id(&seed, started_unix_ms)
        }
    }
}
