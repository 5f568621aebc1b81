//! One turn at the backend: bearer, route, request, and one retry each after a 401 and after an overload that only the
//! stream reports.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_auth::Bearer;
use codex_translate::{ConversationSeed, Error, ErrorKind, Retry, conversation_id, responses};
use codex_upstream::{
    AnyUpstream, Backend, ChunkStream, Quota, SendError, Timer as _, TransportChoice, UpstreamError, Verdict, requests,
    send_with_retry,
};
use http::{Request, Response};
use uuid::Uuid;

use crate::turn::attempts::Attempts;
use crate::turn::client::CodexClient;
use crate::turn::error;
use crate::turn::first_event;
use crate::turn::relay::PendingReply;
use crate::turn::reply_events::ReplyEvents;

/// How much longer the final form of a small request is than its original form.
const SPARE_BYTES: usize = 512;

/// The caller of a turn, as far as its conversation id depends on it.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// The caller, as a hash: conversations of different callers never share an id.
    pub id: String,
    /// The client's name for the conversation, if it sends one.
    pub session: Option<String>,
}

/// A translated request that can be sent once for each choice that the caller wants.
#[derive(Debug)]
pub(crate) struct Turn {
    client: Arc<CodexClient>,
    request: Arc<TurnMessage>,
}

/// The request that is sent, the same each time.
#[derive(Debug)]
struct TurnMessage {
    model: String,
    tier: Option<String>,
    conversation: String,
    lite: bool,
    body: Vec<u8>,
}

impl Turn {
    /// Adds the conversation id (docs/features.md C16) and serializes the request. `size` is the size of its original
    /// form.
    pub(crate) fn new(
        client: &Arc<CodexClient>,
        caller: &Caller,
        mut request: responses::ResponsesRequest,
        size: usize,
    ) -> Self {
        let conversation = conversation(client, caller, &request);
        request.prompt_cache_key = Some(conversation.clone());
        let mut body = Vec::with_capacity(size + size / 8 + SPARE_BYTES);
        request.write_json(&mut body);
        let message = TurnMessage {
            model: request.model.clone(),
            tier: request.service_tier.clone(),
            conversation,
            lite: request.is_lite(),
            body,
        };
        Self { client: Arc::clone(client), request: Arc::new(message) }
    }

    /// Returns the turn as a future that a reply body can own. Nothing is sent before it is polled; dropping it cancels
    /// the turn.
    pub(crate) fn open(&self) -> PendingReply {
        let (client, request) = (Arc::clone(&self.client), Arc::clone(&self.request));
        Box::pin(async move {
            let (client, request) = (&client, &request);
            let upstream = &Attempts::new(client.upstream.clone(), &client.observer);
            with_bearer(client, |bearer| async move { request.send(client, upstream, &bearer).await }).await
        })
    }
}

/// Runs `attempt` with the login's token. If the backend rejects it, as one that was revoked early, tries once more
/// with a fresh token.
///
/// # Errors
/// There is no usable login, or the last attempt failed: the error for the client.
pub(crate) async fn with_bearer<T, F>(client: &CodexClient, attempt: impl Fn(Bearer) -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let bearer = client.tokens.bearer().await.map_err(|error| error::from_auth(&error))?;
    match attempt(bearer.clone()).await {
        // The backend says this of a token and of nothing else (see `Failure::verdict`).
        Err(error) if error.kind() == ErrorKind::Authentication => {
            let bearer = client.tokens.replace(&bearer).await.map_err(|error| error::from_auth(&error))?;
            attempt(bearer).await
        }
        outcome => outcome,
    }
}

/// Sends a request, and records the models and the quota that the head of its reply reports.
///
/// # Errors
/// There is no reply, or the backend refused the request: the error for the client.
pub(super) async fn send(
    client: &CodexClient,
    upstream: &Attempts<AnyUpstream>,
    request: &Request<Bytes>,
) -> Result<Response<ChunkStream>, Error> {
    let sent = send_with_retry(upstream, request, &client.retry, &client.clock).await;
    observe(client, &sent);
    sent.map_err(|error| error::of_last_try(&error))
}

fn observe(client: &CodexClient, sent: &Result<Response<ChunkStream>, SendError>) {
    match sent {
        Ok(reply) => {
            client.models.observe(reply.headers());
            client.observe_quota(Quota::from_headers(reply.headers(), client.clock.now()));
        }
        Err(SendError::Refused { headers, .. }) => {
            client.observe_quota(Quota::from_headers(headers, client.clock.now()));
        }
        Err(_) => {}
    }
}

impl TurnMessage {
    async fn send(
        &self,
        client: &Arc<CodexClient>,
        upstream: &Attempts<AnyUpstream>,
        bearer: &Bearer,
    ) -> Result<ReplyEvents, Error> {
        let route = client.route(bearer).await.map_err(|error| error::from_route(&error))?;
        let backend = client.backend(bearer, &route);
        let mut is_retried = false;
        loop {
            let (reply, failure) = self.start(client, upstream, &backend).await?;
            let Some(failure) = failure.filter(|failure| failure.retry() != Retry::Never) else {
                return Ok(reply);
            };
            // Dropped first, so the backend need not finish a reply that is not read.
            drop(reply);
            if failure.retry() == Retry::AfterLogin {
                return Err(error::from_fault(failure));
            }
            let delay = client.retry.delay(0, client.clock.jitter(), failure.retry_after(), Duration::ZERO);
            match delay.filter(|_| !is_retried) {
                Some(delay) => {
                    tracing::debug!(?delay, kind = ?failure.kind(), "the turn failed before its first output; retrying");
                    client.clock.sleep(delay).await;
                    is_retried = true;
                }
                // One retry is few: the client may send the request again.
                None => return Err(failure),
            }
        }
    }

    /// Sends the request and reads as far as its first output, or the failure that comes before it.
    async fn start(
        &self,
        client: &Arc<CodexClient>,
        upstream: &Attempts<AnyUpstream>,
        backend: &Backend<'_>,
    ) -> Result<(ReplyEvents, Option<Error>), Error> {
        let sent = self.deliver(client, upstream, backend).await;
        observe(client, &sent);
        let observer = Arc::clone(client);
        let reply = sent.map_err(|error| error::of_last_try(&error))?;
        let mut reply = ReplyEvents::new(reply.into_body(), move |json| {
            if let Ok(quota) = Quota::from_event(json.as_bytes(), observer.clock.now()) {
                observer.observe_quota(quota);
            }
        });
        let failure = first_event::read_ahead(&mut reply, &client.clock).await;
        Ok((reply, failure))
    }

    /// Sends the request over the configured transport; falls back to HTTP if WebSockets are optional and unavailable.
    async fn deliver(
        &self,
        client: &CodexClient,
        upstream: &Attempts<AnyUpstream>,
        backend: &Backend<'_>,
    ) -> Result<Response<ChunkStream>, SendError> {
        let turn = requests::TurnRequest {
            model: &self.model,
            tier: self.tier.as_deref(),
            conversation_id: Some(&self.conversation),
            lite: self.lite,
            body: &self.body,
        };
        if self.wants_websocket(client) {
            let request = requests::responses_websocket(backend, &turn, client.clock.now())?;
            match send_with_retry(&upstream.by(Arc::clone(&client.sockets)), &request, &client.retry, &client.clock)
                .await
            {
                Err(error) if client.transport == TransportChoice::Auto && can_do_without_websocket(&error) => {
                    tracing::info!(%error, "cannot open a WebSocket to the backend; using HTTP");
                }
                outcome => return outcome,
            }
        }
        let request = requests::responses(backend, &turn)?;
        send_with_retry(upstream, &request, &client.retry, &client.clock).await
    }

    fn wants_websocket(&self, client: &CodexClient) -> bool {
        match client.transport {
            TransportChoice::WebSocket => true,
            TransportChoice::Auto => {
                let catalogue = client.models.use_cached(&client.clock);
                catalogue.find(&self.model).is_some_and(|model| model.websockets) && client.sockets.is_worth_trying()
            }
            TransportChoice::Http | _ => false,
        }
    }
}

/// Returns whether a turn that failed on a WebSocket did not begin there, for a reason that may not affect HTTP.
fn can_do_without_websocket(error: &SendError) -> bool {
    match error {
        SendError::Transport(UpstreamError::InvalidRequest { .. }) => false,
        SendError::Transport(error) => error.before_dispatch(),
        // A proxy or firewall that blocks WebSockets may allow HTTP.
        SendError::Refused { failure, .. } => failure.verdict() == Verdict::Challenge,
        _ => false,
    }
}

/// Returns the conversation's id: the client's own if it is a UUID, as the Codex CLI's is; else one derived from the
/// client's name for the conversation, or from its beginning. Prompt caching requires a UUID (docs/backend.md §2.6).
pub(crate) fn conversation(client: &CodexClient, caller: &Caller, request: &responses::ResponsesRequest) -> String {
    let own = caller.session.as_deref().or(request.prompt_cache_key.as_deref());
    match own.and_then(|own| Uuid::try_parse(own).ok()) {
        Some(uuid) => uuid.hyphenated().to_string(),
        None => {
            let seed = ConversationSeed::new(&caller.id, caller.session.as_deref(), request);
            conversation_id(&seed, client.started_unix_ms)
        }
    }
}
