//! Sending one turn: bearer, route, request, and one retry each after a 401, after an overload that only the stream
//! reports, and without reasoning that the backend cannot read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codex_auth::Bearer;
use codex_translate::backend::UNREADABLE;
use codex_translate::{Error, ErrorKind, Notice, NoticeKind, RequestPaths, Retry};
use codex_upstream::{
    AnyUpstream, Backend, ChunkStream, Quota, RetryPolicy, SendError, Timer as _, TransportChoice, TurnInterrupt,
    TurnRequest, UpstreamError, Verdict, requests, send_with_retry,
};
use http::{Request, Response};
use tokio::time::Instant;

use crate::attempts::Attempts;
use crate::error;
use crate::first_event;
use crate::reply_events::{LateNotice, ReplyEvents};
use crate::state::ClientState;

/// Sends a turn. If the backend cannot read the encrypted content in it, sends it once more without the reasoning of
/// earlier replies, which the model can do without. All other encrypted content, such as a compaction, is the
/// conversation itself: a refusal of that stands.
///
/// # Errors
/// There is no usable login or no reply, or the turn failed before its first output: the error for the client.
pub(crate) async fn send_readable_turn(
    client: &Arc<ClientState>,
    upstream: &Attempts<AnyUpstream>,
    turn: Arc<TurnRequest>,
    deadline: Instant,
    late: &LateNotice,
    paths: &RequestPaths,
) -> Result<ReplyEvents, Error> {
    let send = async |turn: &TurnRequest| {
        with_bearer(client, |bearer| async move { send_turn(client, upstream, turn, &bearer, deadline).await }).await
    };
    let refusal = match send(&turn).await {
        Err(error) if error.code() == Some(UNREADABLE) => error,
        outcome => return outcome.map_err(|error| paths.in_callers_words(error)),
    };
    let Some(rest) = turn.without_reasoning() else { return Err(paths.in_callers_words(refusal)) };
    drop(turn);
    tracing::debug!("the backend cannot read the reasoning of earlier replies; sending the turn without it");
    let reply = send(&rest).await.map_err(|error| paths.without_reasoning().in_callers_words(error))?;
    late.set(Notice {
        parameter: "input[]".to_owned(),
        kind: NoticeKind::Repaired,
        detail: "sent again without `reasoning`: the backend could not read its encrypted content".to_owned(),
    });
    Ok(reply)
}

/// Runs `attempt` with the login's token. If the backend rejects it, as one that was revoked early, tries once more
/// with a fresh token.
///
/// # Errors
/// There is no usable login, or the last attempt failed: the error for the client.
pub(crate) async fn with_bearer<T, F>(client: &ClientState, attempt: impl Fn(Bearer) -> F) -> Result<T, Error>
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
/// There is no reply, or the backend refused the request.
pub(crate) async fn send(
    client: &ClientState,
    upstream: &Attempts<AnyUpstream>,
    request: &Request<Bytes>,
    retry: &RetryPolicy,
) -> Result<Response<ChunkStream>, SendError> {
    let sent = send_with_retry(upstream, request, retry, &client.timer).await;
    observe(client, &sent);
    sent
}

/// Sends a turn as the login of `bearer`, and reads as far as its first output; after `deadline`, as far as its
/// beginning.
///
/// # Errors
/// There is no reply, or the turn failed before its first output: the error for the client.
async fn send_turn(
    client: &Arc<ClientState>,
    upstream: &Attempts<AnyUpstream>,
    turn: &TurnRequest,
    bearer: &Bearer,
    deadline: Instant,
) -> Result<ReplyEvents, Error> {
    let state = &**client;
    let route = state.route(bearer).await?;
    let backend = state.backend(bearer, &route);
    let mut is_retried = false;
    loop {
        let failure = match start(client, upstream, turn, &backend, deadline).await? {
            Ok(reply) => return Ok(reply),
            Err(failure) => failure,
        };
        match failure.retry() {
            Retry::Never => return Err(failure),
            Retry::AfterLogin => return Err(error::from_fault(failure, &state.tokens.login_command())),
            _ => {}
        }
        let delay = state.retry.delay(0, state.timer.jitter(), failure.retry_after(), Duration::ZERO);
        match delay.filter(|_| !is_retried) {
            Some(delay) => {
                tracing::debug!(?delay, kind = ?failure.kind(), "the turn failed before its first output; retrying");
                state.timer.sleep(delay).await;
                is_retried = true;
            }
            // One retry is few: the client may send the request again.
            None => return Err(failure),
        }
    }
}

/// Sends the request and reads as far as its first output; the inner error is a failure that comes before it, for which
/// the reply was dropped: the backend need not finish what is not read.
async fn start(
    client: &Arc<ClientState>,
    upstream: &Attempts<AnyUpstream>,
    turn: &TurnRequest,
    backend: &Backend<'_>,
    deadline: Instant,
) -> Result<Result<ReplyEvents, Error>, Error> {
    let state = &**client;
    let sent = deliver(state, upstream, turn, backend).await;
    observe(state, &sent);
    let reply = sent.map_err(|error| error::of_last_try(error, &state.tokens.login_command()))?;
    let observer = Arc::clone(client);
    let interrupt = reply.extensions().get::<TurnInterrupt>().cloned();
    let mut reply = ReplyEvents::new(reply.into_body(), move |json| {
        let state = &observer;
        if let Ok(quota) = Quota::from_event(json.as_bytes(), state.timer.now()) {
            state.observe_quota(quota);
        }
    })
    .with_interrupt(interrupt);
    Ok(first_event::read_ahead(&mut reply, deadline).await.map(|()| reply))
}

/// Sends the request over the configured transport; falls back to HTTP if WebSockets are optional and unavailable.
async fn deliver(
    client: &ClientState,
    upstream: &Attempts<AnyUpstream>,
    turn: &TurnRequest,
    backend: &Backend<'_>,
) -> Result<Response<ChunkStream>, SendError> {
    if wants_websocket(client, turn) {
        let request = requests::responses_websocket(backend, turn, client.timer.now())?;
        let sockets = upstream.by(Arc::clone(&client.sockets));
        match send_with_retry(&sockets, &request, &client.retry, &client.timer).await {
            Err(error) if client.transport == TransportChoice::Auto && can_do_without_websocket(&error) => {
                tracing::info!(%error, "cannot open a WebSocket to the backend; using HTTP");
            }
            outcome => return outcome,
        }
    }
    let request = requests::responses(backend, turn)?;
    send_with_retry(upstream, &request, &client.retry, &client.timer).await
}

fn wants_websocket(client: &ClientState, turn: &TurnRequest) -> bool {
    match client.transport {
        TransportChoice::WebSocket => true,
        TransportChoice::Auto => {
            let catalogue = client.models.use_cached(&client.timer);
            catalogue.find(turn.model()).is_some_and(|model| model.websockets) && client.sockets.is_worth_trying()
        }
        TransportChoice::Http | _ => false,
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

fn observe(client: &ClientState, sent: &Result<Response<ChunkStream>, SendError>) {
    match sent {
        Ok(reply) => {
            client.models.observe(reply.headers());
            client.observe_quota(Quota::from_headers(reply.headers(), client.timer.now()));
        }
        Err(SendError::Refused { headers, .. }) => {
            client.observe_quota(Quota::from_headers(headers, client.timer.now()));
        }
        Err(_) => {}
    }
}
