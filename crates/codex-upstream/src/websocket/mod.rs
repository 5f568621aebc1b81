//! The WebSocket transport: turns on connections that stay open between them (`docs/backend.md §4`).
//!
//! [`WebSocketUpstream`] is itself an [`Upstream`]. It sends the requests of
//! [`requests::responses_websocket`](crate::requests::responses_websocket): the head opens a connection, and the body
//! is the message of the turn. It returns the backend's reply as over HTTP, event for event and status for status, so
//! retries, verdicts, quotas and translation do not depend on the transport.
//!
//! It differs from the official client 0.171.0 in the following:
//!
//! - It does not offer `permessage-deflate`: the library does not support it, and the backend does not need it.
//! - It opens no connection in advance with `generate: false`: a proxy does not know of a turn before its request.
//! - A connection serves one model, because its `x-codex-routing-hint` names the model.
//! - Concurrent turns of one conversation have a connection each; the official client has no such turns.
//! - A turn is also sent as an increment if the client repeats the answer in its own form, see `increment.rs`.
//! - A connection is closed after an `error` message, whose effects are unknown, and after five minutes without a turn.
//! - The headers and metadata of a session at a terminal are absent, as over HTTP; see [`requests`](crate::requests).

mod connection;
mod frames;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod increment;
mod interrupt;
mod pool;
mod reply;
mod transport;

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, Request, Response, StatusCode};
pub use interrupt::TurnInterrupt;
pub use transport::{ParseTransportError, TransportChoice};

use crate::error::{TimeoutPhase, UpstreamError};
use crate::headers;
use crate::lock::lock;
use crate::socket::OutgoingMessage;
use crate::timer::Timer;
use crate::upstream::{ChunkStream, Upgrade, Upstream};
use crate::websocket::connection::{Closed, ConnectionKey, SocketConnection, closing, within};
use crate::websocket::frames::{ErrorMessage, MessageKind, SocketMessage};
use crate::websocket::increment::CreateMessage;
use crate::websocket::pool::SocketPool;
use crate::websocket::reply::SocketReply;

/// The time limit for opening a WebSocket, the same as the official client's (`docs/backend.md §3.6`).
const OPEN_TIMEOUT: Duration = Duration::from_secs(15);

/// How long HTTP is preferred after a WebSocket could not be opened.
const COOLDOWN: Duration = Duration::from_secs(5 * 60);

/// An upstream that sends turns over WebSockets, which `U` opens.
///
/// A connection serves one conversation, one turn at a time. If a request continues the last response of its
/// connection, only the new input is sent. A turn is sent again only before its first message: in full if the backend
/// does not know the earlier response, and on a new connection if the old one was closed in the meantime.
///
/// # Example
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use codex_auth::{Bearer, Secret};
/// use codex_translate::responses::ResponsesRequest;
/// use codex_upstream::{BACKEND_URL, Backend, ClientIdentity, TokioTimer, TurnRequest, WebSocketUpstream};
/// use codex_upstream::{ScriptedSocket, ScriptedUpstream, Upstream as _, read_to_end, requests};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (base, identity) = (url::Url::parse(BACKEND_URL)?, ClientIdentity::default());
/// # let bearer = Bearer { token: Secret::new("token"), account_id: None, fedramp: false };
/// # let backend = Backend { base: &base, identity: &identity, region: None, bearer: &bearer };
/// let turn = ResponsesRequest::from_json(br#"{"model": "gpt-5.5", "input": "Hello!", "stream": true}"#)?;
/// let request = requests::responses_websocket(&backend, &TurnRequest::from(&turn), SystemTime::now())?;
///
/// let completed = r#"{"type":"response.completed","response":{"id":"resp_1","output":[]}}"#;
/// let scripted = ScriptedUpstream::new().socket(ScriptedSocket::new().answer([completed])); // or an `HttpUpstream`
/// let upstream = WebSocketUpstream::new(scripted, TokioTimer, Duration::from_secs(600));
/// let reply = upstream.send(request).await?;
/// assert_eq!(read_to_end(reply.into_body(), 1024).await?, completed);
/// # Ok(())
/// # }
/// ```
pub struct WebSocketUpstream<U, C> {
    upstream: U,
    timer: C,
    read_timeout: Duration,
    pool: Arc<SocketPool>,
    /// How long not to try a WebSocket.
    unavailable: Mutex<Option<Unavailable>>,
}

#[derive(Debug, Clone, Copy)]
enum Unavailable {
    Until(SystemTime),
    Permanently,
}

impl<U, C> std::fmt::Debug for WebSocketUpstream<U, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WebSocketUpstream").finish_non_exhaustive()
    }
}

impl<U: Upstream, C: Timer + Clone + 'static> WebSocketUpstream<U, C> {
    /// Creates the upstream without a connection. A turn fails after `read_timeout` without a message, as over HTTP
    /// after [`HttpUpstreamConfig::read_timeout`](crate::HttpUpstreamConfig::read_timeout).
    pub fn new(upstream: U, timer: C, read_timeout: Duration) -> Self {
        Self { upstream, timer, read_timeout, pool: Arc::new(SocketPool::new()), unavailable: Mutex::default() }
    }

    /// Returns whether to try a WebSocket: not if the backend does not support them, and not soon after one could not
    /// be opened.
    #[must_use]
    pub fn is_worth_trying(&self) -> bool {
        match *lock(&self.unavailable) {
            None => true,
            Some(Unavailable::Permanently) => false,
            Some(Unavailable::Until(time)) => self.timer.now() >= time,
        }
    }

    /// Keeps idle connections alive. Never completes; without it the backend soon closes them, and turns open new ones.
    pub async fn keep_alive(&self) {
        self.pool.keep_alive(&self.timer).await;
    }

    async fn open(
        &self,
        head: &Parts,
        key: ConnectionKey,
    ) -> Result<Result<(SocketConnection, HeaderMap), Response<ChunkStream>>, UpstreamError> {
        let permit = self.pool.permit().await?;
        let host = head.uri.host().unwrap_or_default().to_owned();
        let mut request = Request::new(());
        *request.uri_mut() = head.uri.clone();
        *request.headers_mut() = head.headers.clone();
        let upgrade = within(&self.timer, OPEN_TIMEOUT, pin!(self.upstream.connect(request))).await;
        let outcome = match upgrade {
            None => Err(no_websocket(&host, "the request timed out".to_owned(), true)),
            Some(Err(error)) => Err(before_the_turn(error)),
            Some(Ok(Upgrade::Refused(response))) => judged(response, &host).map(Err),
            Some(Ok(Upgrade::Opened { headers, socket })) => {
                let opened = self.timer.now();
                let read_timeout = self.read_timeout;
                Ok(Ok((
                    SocketConnection { socket, key, host, opened, read_timeout, previous: None, _permit: permit },
                    headers,
                )))
            }
        };
        let unavailable = match &outcome {
            Ok(_) => None,
            Err(UpstreamError::WebSocketUnavailable { is_transient: false, .. }) => Some(Unavailable::Permanently),
            Err(_) => Some(Unavailable::Until(self.timer.now() + COOLDOWN)),
        };
        *lock(&self.unavailable) = unavailable;
        outcome
    }

    /// Sends the message and waits for the start of the answer.
    async fn ask(&self, connection: &mut SocketConnection, message: Bytes) -> Result<ReplyStart, Closed> {
        connection.send(OutgoingMessage::Text(message), &self.timer).await.map_err(Closed::Failed)?;
        let mut beginning = ReplyStart { read: VecDeque::new(), headers: HeaderMap::new() };
        loop {
            let message = match connection.receive(TimeoutPhase::Head, &self.timer).await {
                Ok(message) => message,
                // The answer had begun.
                Err(over) if !beginning.read.is_empty() => return Err(Closed::Failed(over.into_cut(&connection.host))),
                Err(over) => return Err(over),
            };
            let is_aside = message.kind == MessageKind::Notification;
            beginning.headers.extend(message.headers());
            beginning.read.push_back(message);
            if !is_aside {
                return Ok(beginning);
            }
        }
    }
}

/// The first messages of an answer, up to the first one of the response, and the headers in them.
struct ReplyStart {
    read: VecDeque<SocketMessage>,
    headers: HeaderMap,
}

impl ReplyStart {
    fn error(&self) -> Option<ErrorMessage> {
        let last = self.read.back().filter(|message| message.kind == MessageKind::Error)?;
        Some(ErrorMessage::read(last))
    }
}

impl<U: Upstream, C: Timer + Clone + 'static> Upstream for WebSocketUpstream<U, C> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ChunkStream>, UpstreamError> {
        let (head, text) = request.into_parts();
        let key = ConnectionKey::of(&head);
        let create = CreateMessage::parse(&text);
        let (mut may_reuse, mut was_limited) = (true, false);
        loop {
            let kept = may_reuse.then(|| self.pool.take(key, create.as_ref(), self.timer.now())).flatten();
            let is_kept = kept.is_some();
            let (mut connection, mut headers) = match kept {
                Some(connection) => (connection, HeaderMap::new()),
                None => match self.open(&head, key).await? {
                    Ok(opened) => opened,
                    Err(refused) => return Ok(refused),
                },
            };
            let previous = connection.previous.take();
            let increment = previous
                .as_ref()
                .zip(create.as_ref())
                .and_then(|(previous, create)| Some(create.after(previous, previous.extended_by(create)?)));
            let is_increment = increment.is_some();
            let beginning = match self.ask(&mut connection, increment.unwrap_or_else(|| text.clone())).await {
                Ok(beginning) => beginning,
                // Closed while it was idle, which went unnoticed: the turn was not started.
                Err(over) if is_kept && over.is_close() => {
                    tracing::debug!("an idle WebSocket was closed; opening another");
                    may_reuse = false;
                    continue;
                }
                Err(over) => return Err(over.before_an_answer(&connection.host)),
            };
            headers.extend(beginning.headers.clone());
            if let Some(error) = beginning.error() {
                let is_unknown = is_increment && error.is_about_the_previous_response();
                let is_limited = error.is_connection_limit() && !was_limited;
                if is_unknown || is_limited {
                    tracing::debug!(is_unknown, "sending the whole input on a new WebSocket");
                    (may_reuse, was_limited) = (false, was_limited || is_limited);
                    continue;
                }
                if let Some(response) = error.into_response(headers.clone()) {
                    return Ok(response);
                }
            }
            let exchange = create.as_ref().map(CreateMessage::begin);
            let (pool, timer) = (Arc::clone(&self.pool), self.timer.clone());
            let reply = SocketReply {
                connection: Some(connection),
                exchange,
                read: beginning.read,
                pool,
                timer,
                interrupt: TurnInterrupt::default(),
                response_id: None,
                deadline: None,
            };
            return Ok(reply.into_response(headers));
        }
    }

    fn forget_cookies(&self) {
        self.upstream.forget_cookies();
    }
}

impl Closed {
    /// Returns whether the backend has closed the connection.
    fn is_close(&self) -> bool {
        match self {
            Self::ByPeer { .. } | Self::Failed(UpstreamError::Body { .. }) => true,
            Self::Failed(_) => false,
        }
    }

    /// Returns the error of a turn without any answer. A clean close means that the request was refused, without a
    /// reason (`docs/backend.md §4`); over HTTP the backend gives one.
    fn before_an_answer(self, host: &str) -> UpstreamError {
        match self {
            Self::Failed(error) => error,
            Self::ByPeer { code, reason } => {
                let (host, reason) = (host.to_owned(), closing(code, &reason));
                match code {
                    1000 | 1005 | 1008 | 1009 => UpstreamError::Unanswered { host, reason },
                    _ => UpstreamError::Closed { host, reason },
                }
            }
        }
    }
}

/// Returns the result of a refused upgrade: the answer itself if the turn would get it over HTTP too, else an error.
fn judged(response: Response<ChunkStream>, host: &str) -> Result<Response<ChunkStream>, UpstreamError> {
    let status = response.status();
    let is_json =
        response.headers().get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    let is_challenge = response.headers().contains_key(headers::CF_MITIGATED);
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED | StatusCode::TOO_MANY_REQUESTS => Ok(response),
        StatusCode::FORBIDDEN if is_json || is_challenge => Ok(response),
        // The edge's throttle (`docs/backend.md §3.6`), or a temporary problem.
        StatusCode::FORBIDDEN => Err(no_websocket(host, format!("it answered {status}"), true)),
        _ if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
            Err(no_websocket(host, format!("it answered {status}"), true))
        }
        _ => Err(no_websocket(host, format!("it answered {status}"), false)),
    }
}

/// Returns the error of a failed upgrade: whatever happened, no turn was started.
fn before_the_turn(error: UpstreamError) -> UpstreamError {
    match error {
        UpstreamError::Closed { host, reason } | UpstreamError::Body { host, reason } => {
            UpstreamError::WebSocketUnavailable { host, reason, is_transient: true }
        }
        UpstreamError::Timeout { host, phase: TimeoutPhase::Head | TimeoutPhase::Body } => {
            no_websocket(&host, "the request timed out".to_owned(), true)
        }
        UpstreamError::Connect { .. }
        | UpstreamError::Tls { .. }
        | UpstreamError::Proxy { .. }
        | UpstreamError::WebSocketUnavailable { .. }
        | UpstreamError::Unanswered { .. }
        | UpstreamError::Timeout { .. }
        | UpstreamError::TooLarge { .. }
        | UpstreamError::InvalidRequest { .. } => error,
    }
}

fn no_websocket(host: &str, reason: String, is_transient: bool) -> UpstreamError {
    UpstreamError::WebSocketUnavailable { host: host.to_owned(), reason, is_transient }
}

#[cfg(test)]
mod tests;
