//! One WebSocket, from its handshake to its end.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;

use codex_translate::{Dialect, Error, EventBuffer, Notice, Options, Pipe, ResponsesPipe, dialect};
use codex_upstream::Upstream;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use hyper::upgrade::Upgraded;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::admission::slots::Slot;
use crate::app::App;
use crate::connection::peer::Peer;
use crate::endpoints::websocket::client_socket::{ClientMessage, ClientSocket, SessionEnd};
use crate::endpoints::websocket::create::{ClientEvent, Create};
use crate::endpoints::websocket::last_response::LastResponse;
use crate::endpoints::{self, PreparedTurn, StoreOnCompletion, StoringPipe};
use crate::ids;
use crate::reply;
use crate::request::budget::{BudgetPermit, SMALL_BYTES};
use crate::request::context::RequestContext;
use crate::request::limits::Limits;
use crate::telemetry::record::{RequestInfo, RequestRecord};
use crate::telemetry::request_log::RequestGuard;
use crate::turn::relay::{Relay, ReplyPart};

/// A WebSocket has the events of this dialect.
const DIALECT: &Dialect = &dialect::RESPONSES;

/// Everything needed to serve a connection.
pub(super) struct Session<U: Upstream> {
    app: Arc<App<U>>,
    peer: Peer,
    /// The handshake: the caller, and the options that its headers select for all turns.
    head: Parts,
}

/// A turn whose reply has started. Dropping it ends the turn.
struct StartedTurn {
    relay: Relay<StoringPipe<ResponsesPipe>, RequestRecord, EventBuffer>,
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
        let budget = self.app.body_budget.clone();
        let mut socket = ClientSocket::open(upgraded, &limits, budget.clone()).await;
        let mut last = LastResponse::new(limits.body_bytes, budget);
        let end = loop {
            let request = match socket.request(&mut stopping, &limits.timeouts).await {
                Ok(request) => request,
                Err(end) => break end,
            };
            if let Err(end) = self.turn(&mut socket, &mut last, request).await {
                break end;
            }
        };
        tracing::debug!(peer = %self.peer, ?end, "the WebSocket connection ended");
        if let SessionEnd::Close(code, reason) = end {
            socket.close(code, reason).await;
        }
    }

    /// Answers one request.
    async fn turn(
        &self,
        socket: &mut ClientSocket,
        last: &mut LastResponse,
        request: ClientMessage,
    ) -> Result<(), SessionEnd> {
        // A revoked key also ends the connections that it opened.
        if let Err(denied) = self.app.runtime.current().access.admit(self.peer, &self.head) {
            socket.send_error(&reply::from_denied(denied)).await?;
            return Err(SessionEnd::Close(CloseCode::Policy, "the key is no longer accepted"));
        }
        let ClientMessage { text, permit } = request;
        let mut create = match ClientEvent::read(&text) {
            Ok(ClientEvent::Create(create)) => create,
            Ok(ClientEvent::Notification) => return Ok(()),
            Err(error) => return socket.send_error(&error).await,
        };
        drop(text);
        let started = socket.meanwhile(self.begin(&mut create, last)).await?;
        drop(permit);
        // Cleared in any case: a failed turn cannot be continued.
        last.clear();
        match started {
            Ok(Some(started)) => relay(socket, last, started).await,
            Ok(None) => {
                socket.send_prewarmed(last, create.remembered(), ids::reply(DIALECT, self.app.clock.now())).await
            }
            Err(error) => socket.send_error(&error).await,
        }
    }

    /// Starts a turn, up to its first output; `None` if no reply is wanted.
    async fn begin(&self, create: &mut Create, last: &LastResponse) -> Result<Option<StartedTurn>, Error> {
        let request_id = ids::request_id(&HeaderMap::new()).to_str().unwrap_or_default().to_owned();
        let guard = self.app.request_log.open(RequestInfo {
            request_id: request_id.clone(),
            endpoint: DIALECT.name,
            client: RequestInfo::client(&self.head.headers),
            is_routine: false,
        });
        let record = guard.record().clone();
        let started = self.prepare(create, last, request_id, guard).await;
        started.map_err(|error| {
            record.fail(&error);
            reply::reworded_for(&self.head.headers, error)
        })
    }

    async fn prepare(
        &self,
        create: &mut Create,
        last: &LastResponse,
        request_id: String,
        guard: RequestGuard,
    ) -> Result<Option<StartedTurn>, Error> {
        let context = RequestContext::read(&self.head.headers, guard.record())?;
        let limits = self.app.runtime.current().limits;
        let (stored, caller, limit_bytes) = (&self.app.stored, &context.caller.id, limits.body_bytes);
        let previous = create.previous().map(str::to_owned);
        let grown = self.growth_permit(create, last, &limits).await?;
        let input = create.whole_input(last, |id| stored.conversation(caller, id, limit_bytes))?;
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
        let storing_permit = endpoints::storing_permit(&self.app, body.len());
        let options = Options { stores: storing_permit.is_some(), ..context.options.clone() };
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
        let store = storing_permit.and_then(|permit| StoreOnCompletion::of(&self.app, &context, &plan, body, permit));
        let turns = vec![(turn.open(), StoringPipe { pipe, store })];
        let relay = Relay::await_first_output(turns, guard.record().clone()).await?;
        guard.answered(StatusCode::OK.as_u16());
        // The input is remembered with the answer only if there is memory for it.
        let (input, permit) = permit.map_or((None, None), |permit| (Some(input), Some(permit)));
        Ok(Some(StartedTurn { relay, guard, notices, input, request_id, _slot: slot, _permit: permit }))
    }

    /// Acquires the memory for what a request grows by; `None` if it does not grow.
    async fn growth_permit(
        &self,
        create: &Create,
        last: &LastResponse,
        limits: &Limits,
    ) -> Result<Option<BudgetPermit>, Error> {
        let remembered = create.previous().map(|id| last.bytes_of(id));
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
async fn relay(socket: &mut ClientSocket, last: &mut LastResponse, started: StartedTurn) -> Result<(), SessionEnd> {
    let StartedTurn { mut relay, mut guard, notices, input, request_id, _slot, _permit } = started;
    socket.send_metadata(&request_id, &notices).await?;
    while let Some(part) = socket.meanwhile(poll_fn(|cx| relay.poll_part(cx))).await? {
        match part {
            ReplyPart::Output(events) => socket.send_events(events).await?,
            ReplyPart::Keepalive => socket.send(Message::Ping(Bytes::new())).await?,
        }
    }
    guard.all_sent();
    let response = relay.first_pipe().and_then(|keeping| Pipe::<EventBuffer>::stored_form(&keeping.pipe));
    if let (Some(Ok(ResponseOutput { id, output })), Some(input)) = (response.map(serde_json::from_str), input) {
        last.remember(&id, input, &output);
    }
    Ok(())
}
