//! One WebSocket, from its handshake to its end.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::time::Duration;

use codex_translate::{Dialect, Error, EventBuffer, Notice, Options, Pipe, ReplyId, ResponsesPipe, dialect};
use codex_upstream::Upstream;
use futures_util::{SinkExt as _, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error as SocketError, Message, Utf8Bytes};

use crate::admission::slots::Slot;
use crate::app::App;
use crate::connection::peer::Peer;
use crate::endpoints::websocket::create::{Asked, Create};
use crate::endpoints::websocket::memory::Memory;
use crate::endpoints::websocket::metered::MeteredIo;
use crate::endpoints::{self, Keep, Keeping, PreparedTurn};
use crate::ids;
use crate::reply;
use crate::request::budget::{BudgetPermit, SMALL_BYTES};
use crate::request::context::RequestContext;
use crate::request::limits::{Limits, Timeouts};
use crate::telemetry::record::{RequestInfo, RequestRecord};
use crate::telemetry::request_log::RequestGuard;
use crate::turn::relay::{Relay, ReplyPart};

/// A WebSocket has the events of this dialect.
const DIALECT: &Dialect = &dialect::RESPONSES;

/// How often a quiet connection is pinged.
const PING: Duration = Duration::from_secs(30);

/// How many consecutive pings may go unanswered.
const UNANSWERED: u32 = 3;

/// How many requests may wait for the running turn.
const MAX_WAITING: usize = 16;

/// How long a client may take to acknowledge that its connection is closed.
const CLOSE_TIME: Duration = Duration::from_secs(5);

/// The size of each buffer of a quiet connection, in bytes.
const BUFFER: usize = 16 * 1024;

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client is gone, or does not read.
    Gone,
    /// The client gets this close code and reason.
    Close(CloseCode, &'static str),
}

/// Everything needed to serve a connection.
pub(super) struct Session<U: Upstream> {
    app: Arc<App<U>>,
    peer: Peer,
    /// The handshake: the caller, and the options that its headers select for all turns.
    head: Parts,
}

/// The connection, and requests that arrived during a turn.
struct ClientSocket {
    socket: WebSocketStream<MeteredIo<TokioIo<Upgraded>>>,
    waiting: VecDeque<ClientMessage>,
    /// The maximum total size of waiting requests, in bytes.
    waiting_limit: usize,
    stall: Duration,
    unanswered: u32,
}

/// A message of the client, with its part of the memory budget.
struct ClientMessage {
    text: Utf8Bytes,
    permit: Option<BudgetPermit>,
}

/// A turn whose reply has begun. Dropping it ends the turn.
struct Begun {
    relay: Relay<Keeping<ResponsesPipe>, RequestRecord, EventBuffer>,
    guard: RequestGuard,
    notices: Vec<Notice>,
    /// The conversation to which this is the reply, to be remembered with it.
    input: Option<Vec<Box<RawValue>>>,
    request_id: String,
    _slot: Slot,
    /// The memory for the input.
    _permit: Option<BudgetPermit>,
}

/// The members of a response that are remembered.
#[derive(Deserialize)]
struct ResponseOutput<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    output: Vec<&'a RawValue>,
}

impl<U: Upstream> Session<U> {
    pub(super) fn new(app: Arc<App<U>>, peer: Peer, head: Parts) -> Self {
        Self { app, peer, head }
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(self, upgraded: Upgraded, mut stopping: watch::Receiver<bool>) {
        let limits = self.app.runtime.current().limits;
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits.body_bytes))
            .max_frame_size(Some(limits.body_bytes))
            .read_buffer_size(BUFFER)
            .write_buffer_size(BUFFER);
        let budget = self.app.body_budget.clone();
        let io = MeteredIo::new(TokioIo::new(upgraded), budget.clone(), limits.body_bytes, limits.timeouts.queue);
        let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
        let mut line = ClientSocket {
            socket,
            waiting: VecDeque::new(),
            waiting_limit: limits.body_bytes,
            stall: limits.timeouts.stall,
            unanswered: 0,
        };
        let mut memory = Memory::new(limits.body_bytes, budget);
        let end = loop {
            let request = match line.request(&mut stopping, &limits.timeouts).await {
                Ok(request) => request,
                Err(end) => break end,
            };
            if let Err(end) = self.turn(&mut line, &mut memory, request).await {
                break end;
            }
        };
        tracing::debug!(peer = %self.peer, ?end, "the WebSocket connection ended");
        if let End::Close(code, reason) = end {
            let frame = CloseFrame { code, reason: reason.into() };
            let closing = async {
                line.socket.close(Some(frame)).await?;
                while line.socket.next().await.transpose()?.is_some() {}
                Ok::<_, SocketError>(())
            };
            // The client may be gone.
            let _ = timeout(CLOSE_TIME, closing).await;
        }
    }

    /// Answers one request.
    async fn turn(&self, line: &mut ClientSocket, memory: &mut Memory, request: ClientMessage) -> Result<(), End> {
        // A revoked key also ends the connections that it opened.
        if let Err(denied) = self.app.runtime.current().access.admit(self.peer, &self.head) {
            line.send_error(&reply::from_denied(denied)).await?;
            return Err(End::Close(CloseCode::Policy, "the key is no longer accepted"));
        }
        let ClientMessage { text, permit } = request;
        let mut create = match Asked::read(&text) {
            Ok(Asked::Response(create)) => create,
            Ok(Asked::Nothing) => return Ok(()),
            Err(error) => return line.send_error(&error).await,
        };
        drop(text);
        let started = line.meanwhile(self.begin(&mut create, memory)).await?;
        drop(permit);
        // Cleared in any case: a failed turn cannot be continued.
        memory.clear();
        match started {
            Ok(Some(begun)) => relay(line, memory, begun).await,
            Ok(None) => {
                line.send_prewarmed(memory, create.remembered(), ids::reply(DIALECT, self.app.clock.now())).await
            }
            Err(error) => line.send_error(&error).await,
        }
    }

    /// Starts a turn, up to its first output; `None` if no reply is wanted.
    async fn begin(&self, create: &mut Create, memory: &Memory) -> Result<Option<Begun>, Error> {
        let request_id = ids::request_id(&HeaderMap::new()).to_str().unwrap_or_default().to_owned();
        let guard = self.app.request_log.open(RequestInfo {
            request_id: request_id.clone(),
            endpoint: DIALECT.name,
            client: RequestInfo::client(&self.head.headers),
            is_routine: false,
        });
        let record = guard.record().clone();
        let begun = self.prepare(create, memory, request_id, guard).await;
        begun.map_err(|error| {
            record.fail(&error);
            reply::reworded_for(&self.head.headers, error)
        })
    }

    async fn prepare(
        &self,
        create: &mut Create,
        memory: &Memory,
        request_id: String,
        guard: RequestGuard,
    ) -> Result<Option<Begun>, Error> {
        let context = RequestContext::read(&self.head.headers, guard.record())?;
        let limits = self.app.runtime.current().limits;
        let (stored, caller, limit_bytes) = (&self.app.stored, &context.caller.id, limits.body_bytes);
        let previous = create.previous().map(str::to_owned);
        let grown = self.growth_permit(create, memory, &limits).await?;
        let input = create.whole_input(memory, |id| stored.conversation(caller, id, limit_bytes))?;
        let input = input.map(|input| stored.with_items(caller, input, limit_bytes)).transpose()?;
        let body = Bytes::from(create.body(input.as_deref())?);
        let input = input.unwrap_or_default();
        // From here on, the permit is for the input, until that is remembered with the answer.
        let permit = match grown {
            Some(mut permit) => {
                permit.shrink_to(body.len());
                Ok(permit)
            }
            None => self.app.body_budget.try_acquire(body.len()),
        };
        let keep_permit = endpoints::keep_permit(&self.app, body.len());
        let options = Options { stores: keep_permit.is_some(), ..context.options.clone() };
        let PreparedTurn { mut plan, notices, turn } =
            endpoints::prepare(&self.app, DIALECT, &context, &options, body.clone())?;
        plan.previous_response_id = previous;
        if !create.generate {
            permit?;
            create.remember(input);
            drop(reply::logged(reply::no_content(), guard, false));
            return Ok(None);
        }
        let slot = self.app.runtime.slots().take(limits.timeouts.queue).await?;
        let pipe = ResponsesPipe::new(&plan, &ids::reply(DIALECT, self.app.clock.now()));
        let keep = keep_permit.and_then(|permit| Keep::of(&self.app, &context, &plan, body, permit));
        let turns = vec![(turn.open(), Keeping { pipe, keep })];
        let relay = Relay::await_first_output(turns, guard.record().clone()).await?;
        guard.answered(StatusCode::OK.as_u16());
        // The input is remembered with the answer only if there is memory for it.
        let (input, permit) = permit.map_or((None, None), |permit| (Some(input), Some(permit)));
        Ok(Some(Begun { relay, guard, notices, input, request_id, _slot: slot, _permit: permit }))
    }

    /// Acquires the memory for what a request grows by; `None` if it does not grow.
    async fn growth_permit(
        &self,
        create: &Create,
        memory: &Memory,
        limits: &Limits,
    ) -> Result<Option<BudgetPermit>, Error> {
        let remembered = create.previous().map(|id| memory.bytes_of(id));
        let most_bytes = match remembered {
            None | Some(None) if !self.app.stored.is_in_use() => return Ok(None),
            None if !create.refers_to_items => return Ok(None),
            Some(Some(bytes)) if !create.refers_to_items => bytes + create.bytes,
            None | Some(_) => limits.body_bytes,
        };
        let budget = &self.app.body_budget;
        if create.bytes > SMALL_BYTES {
            // It has a permit of its own.
            return budget.try_acquire(most_bytes).map(Some);
        }
        budget.acquire(most_bytes, limits.timeouts.queue).await.map(Some)
    }
}

/// Sends the events of a reply as they arrive, and remembers its response.
async fn relay(line: &mut ClientSocket, memory: &mut Memory, begun: Begun) -> Result<(), End> {
    let Begun { mut relay, mut guard, notices, input, request_id, _slot, _permit } = begun;
    line.send_metadata(&request_id, &notices).await?;
    while let Some(part) = line.meanwhile(poll_fn(|cx| relay.poll_part(cx))).await? {
        match part {
            ReplyPart::Output(events) => line.send_events(events).await?,
            ReplyPart::Keepalive => line.send(Message::Ping(Bytes::new())).await?,
        }
    }
    guard.all_sent();
    let response = relay.first_pipe().and_then(|keeping| Pipe::<EventBuffer>::stored_form(&keeping.pipe));
    if let (Some(Ok(ResponseOutput { id, output })), Some(input)) = (response.map(serde_json::from_str), input) {
        memory.keep(&id, input, &output);
    }
    Ok(())
}

impl ClientSocket {
    /// Waits for the next request between turns.
    async fn request(
        &mut self,
        stopping: &mut watch::Receiver<bool>,
        timeouts: &Timeouts,
    ) -> Result<ClientMessage, End> {
        let idle = tokio::time::sleep(timeouts.socket_idle);
        let mut idle = std::pin::pin!(idle);
        let mut pings = interval_at(Instant::now() + PING, PING);
        loop {
            if *stopping.borrow() {
                return Err(End::Close(CloseCode::Away, "codex-proxy is stopping"));
            }
            if let Some(next) = self.waiting.pop_front() {
                return Ok(next);
            }
            tokio::select! {
                received = self.socket.next() => self.take(received)?,
                _ = pings.tick() => {
                    if self.unanswered >= UNANSWERED {
                        return Err(End::Gone);
                    }
                    self.unanswered += 1;
                    self.send(Message::Ping(Bytes::new())).await?;
                }
                () = &mut idle => return Err(End::Close(CloseCode::Normal, "idle for too long")),
                // The sender is gone only if the server is: then nothing can stop this connection.
                _ = stopping.changed() => {}
            }
        }
    }

    /// Runs a part of a turn; ends it at once if the client disconnects.
    async fn meanwhile<F: Future>(&mut self, part: F) -> Result<F::Output, End> {
        let mut part = std::pin::pin!(part);
        loop {
            tokio::select! {
                output = &mut part => return Ok(output),
                received = self.socket.next() => self.take(received)?,
            }
        }
    }

    /// Handles a received message.
    fn take(&mut self, received: Option<Result<Message, SocketError>>) -> Result<(), End> {
        self.unanswered = 0;
        match received {
            Some(Ok(Message::Text(text))) => {
                let permit = self.socket.get_mut().finish_message(text.len());
                self.waiting.push_back(ClientMessage { text, permit });
                let bytes: usize = self.waiting.iter().map(|request| request.text.len()).sum();
                if self.waiting.len() > MAX_WAITING || bytes > self.waiting_limit {
                    return Err(End::Close(CloseCode::Policy, "too many waiting requests"));
                }
            }
            // The library answers pings.
            Some(Ok(Message::Ping(payload) | Message::Pong(payload))) => {
                self.socket.get_mut().finish_control(payload.len());
            }
            Some(Ok(Message::Frame(_))) => {}
            Some(Ok(Message::Binary(_))) => {
                return Err(End::Close(CloseCode::Unsupported, "only text frames are supported"));
            }
            Some(Ok(Message::Close(_))) | None => return Err(End::Gone),
            Some(Err(SocketError::Capacity(_))) => return Err(End::Close(CloseCode::Size, "the frame is too large")),
            Some(Err(SocketError::Utf8(_))) => {
                return Err(End::Close(CloseCode::Invalid, "the frame is not valid UTF-8"));
            }
            Some(Err(_)) if self.socket.get_ref().is_full() => {
                return Err(End::Close(CloseCode::Again, "too many large requests"));
            }
            Some(Err(error)) => {
                tracing::debug!(%error, "the WebSocket connection failed");
                return Err(End::Gone);
            }
        }
        Ok(())
    }

    /// Sends each event as a message. All events share one buffer, and as many as fit are sent in one write.
    async fn send_events(&mut self, events: EventBuffer) -> Result<(), End> {
        let (json, ends) = events.into_parts();
        let (mut json, mut start) = (Bytes::from(json), 0);
        for end in ends {
            let text = Utf8Bytes::try_from(json.split_to(end - start)).map_err(|_| End::Gone)?;
            start = end;
            in_time(self.stall, self.socket.feed(Message::Text(text))).await?;
        }
        in_time(self.stall, self.socket.flush()).await
    }

    /// Sends a message, if the client reads it in time.
    async fn send(&mut self, message: Message) -> Result<(), End> {
        in_time(self.stall, self.socket.send(message)).await
    }

    async fn send_json(&mut self, value: &impl Serialize) -> Result<(), End> {
        // A map with string keys can always be written.
        let text = serde_json::to_string(value).unwrap_or_default();
        self.send(Message::text(text)).await
    }

    /// Sends an error (docs/backend.md §4).
    async fn send_error(&mut self, error: &Error) -> Result<(), End> {
        let response = reply::from_error(error);
        let frame = json!({"type": "error", "status": response.status().as_u16(), "error": error.body().object(),
            "headers": as_json(response.headers())});
        self.send_json(&frame).await
    }

    /// Sends the headers that an HTTP reply would have.
    async fn send_metadata(&mut self, request_id: &str, notices: &[Notice]) -> Result<(), End> {
        let mut headers = HeaderMap::new();
        reply::add_notices(&mut headers, notices);
        if headers.is_empty() {
            return Ok(());
        }
        let mut headers = as_json(&headers);
        headers.insert("x-request-id".to_owned(), request_id.into());
        self.send_json(&json!({"type": "response.metadata", "headers": headers})).await
    }

    /// Answers a request that wants no reply: it is remembered, so the next one need not repeat it.
    async fn send_prewarmed(
        &mut self,
        memory: &mut Memory,
        input: Vec<Box<RawValue>>,
        identity: ReplyId,
    ) -> Result<(), End> {
        memory.keep(&identity.id, input, &[]);
        let usage = json!({"input_tokens": 0, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 0,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 0});
        let mut response = json!({"id": identity.id, "object": "response", "created_at": identity.created,
            "status": "in_progress", "output": [], "usage": null});
        self.send_json(&json!({"type": "response.created", "sequence_number": 0, "response": response})).await?;
        response["status"] = "completed".into();
        response["usage"] = usage;
        self.send_json(&json!({"type": "response.completed", "sequence_number": 1, "response": response})).await
    }
}

/// Waits until the client has read enough to send more; one that does not read counts as gone.
async fn in_time(stall: Duration, sent: impl Future<Output = Result<(), SocketError>>) -> Result<(), End> {
    match timeout(stall, sent).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

fn as_json(headers: &HeaderMap) -> serde_json::Map<String, serde_json::Value> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value).into())).collect()
}
