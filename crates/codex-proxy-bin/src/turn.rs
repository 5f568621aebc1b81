//! One turn at the backend: bearer, route, request, and one more try each after a 401 and after an overload that shows only in
//! the stream.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use codex_auth::{Bearer, TokenStore};
use codex_translate::{ConversationSeed, Error, conversation_id, responses};
use codex_upstream::{
    ByteStream, Clock as _, Quota, RouteError, SendError, SystemClock, Upstream, Verdict, requests, send_with_retry,
};
use http::Request;
use uuid::Uuid;

use crate::app::{App, Call};
use crate::metrics::Attempts;
use crate::relay::Opening;
use crate::reply;
use crate::start::{self, Start};

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
    /// Gives the request its conversation id (features.md C16) and its final form.
    pub(crate) fn new(app: &Arc<App<U, S>>, call: &Call, mut request: responses::Request) -> Self {
        let conversation = conversation(call, &request, app.started_unix_ms);
        request.prompt_cache_key = Some(conversation.clone());
        let prepared = Prepared {
            model: request.model.clone(),
            tier: request.service_tier.clone(),
            conversation,
            lite: request.is_lite(),
            body: request.to_json(),
        };
        Self { app: Arc::clone(app), request: Arc::new(prepared) }
    }

    /// The turn as a future that a reply body can own. Nothing is sent before it is polled; dropping it gives the turn up.
    pub(crate) fn open(&self) -> Opening {
        let (app, request) = (Arc::clone(&self.app), Arc::clone(&self.request));
        Box::pin(async move {
            let upstream = Attempts::new(&app.upstream, &app.journal);
            let bearer = app.tokens.bearer().await.map_err(|error| reply::of_auth(&error))?;
            match request.send(&app, &upstream, &bearer).await {
                // The token may have been revoked before its time: a fresh one gets one try.
                Err(error) if error.wants_reauth() => {
                    let bearer = app.tokens.replace(&bearer).await.map_err(|error| reply::of_auth(&error))?;
                    request.send(&app, &upstream, &bearer).await
                }
                outcome => outcome,
            }
            .map_err(TurnError::told)
        })
    }
}

impl Prepared {
    async fn send<U: Upstream, S: TokenStore>(
        &self,
        app: &App<U, S>,
        upstream: &Attempts<U>,
        bearer: &Bearer,
    ) -> Result<ByteStream, TurnError> {
        let route = app.route(bearer).await?;
        let turn = requests::Turn {
            model: &self.model,
            tier: self.tier.as_deref(),
            conversation_id: Some(&self.conversation),
            lite: self.lite,
            body: &self.body,
        };
        let request = requests::responses(&app.backend(bearer, &route), &turn).map_err(SendError::from)?;
        let start = self.start(app, upstream, &request).await?;
        let again_after = start
            .failure
            .filter(start::is_passing)
            .and_then(|failure| app.retry.delay(0, SystemClock.jitter(), failure.retry_after(), Duration::ZERO));
        let Some(delay) = again_after else {
            return Ok(start.body);
        };
        // Let go first: the backend need not finish a reply that nobody reads.
        drop(start.body);
        tracing::debug!(?delay, "the backend was overloaded; sending again");
        SystemClock.sleep(delay).await;
        Ok(self.start(app, upstream, &request).await?.body)
    }

    /// Sends the request and reads as far as its first output.
    async fn start<U: Upstream, S: TokenStore>(
        &self,
        app: &App<U, S>,
        upstream: &Attempts<U>,
        request: &Request<Bytes>,
    ) -> Result<Start, SendError> {
        let sent = send_with_retry(upstream, request, &app.retry, &SystemClock).await;
        match &sent {
            Ok(reply) => {
                app.models.observe(reply.headers());
                app.observe_quota(Quota::from_headers(reply.headers(), SystemTime::now()));
            }
            Err(SendError::Refused { headers, .. }) => {
                app.observe_quota(Quota::from_headers(headers, SystemTime::now()));
            }
            Err(_) => {}
        }
        let start = start::peek(sent?.into_body(), &SystemClock).await;
        start.quota.iter().for_each(|quota| app.observe_quota(quota.clone()));
        Ok(start)
    }
}

/// The conversation's id: the client's own if it is a UUID, as the Codex CLI's is; else one derived from what the client calls
/// the conversation, or from how it began. Prompt caching wants a UUID (wire.md §2.6).
fn conversation(call: &Call, request: &responses::Request, started_unix_ms: u64) -> String {
    let own = call.session.as_deref().or(request.prompt_cache_key.as_deref());
    match own.and_then(|own| Uuid::try_parse(own).ok()) {
        Some(uuid) => uuid.hyphenated().to_string(),
        None => {
            let seed = ConversationSeed::new(&call.caller, call.session.as_deref(), request);
            conversation_id(&seed, started_unix_ms)
        }
    }
}

/// Why a turn has no reply.
#[derive(Debug)]
enum TurnError {
    Route(RouteError),
    Send(SendError),
}

impl TurnError {
    fn wants_reauth(&self) -> bool {
        matches!(self, Self::Send(SendError::Refused { failure, .. }) if failure.verdict() == Verdict::Reauth)
    }

    fn told(self) -> Error {
        match self {
            Self::Route(error) => reply::of_route(&error),
            Self::Send(error) => reply::of_send(&error),
        }
    }
}

impl From<RouteError> for TurnError {
    fn from(error: RouteError) -> Self {
        Self::Route(error)
    }
}

impl From<SendError> for TurnError {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}
