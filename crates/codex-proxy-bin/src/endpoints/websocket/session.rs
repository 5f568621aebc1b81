//! One WebSocket, from its handshake to its end.

use std::borrow::Cow;
use std::future::poll_fn;

use codex_client::ids::reply_id;
use codex_client::{Relay, ReplyPart};
use codex_translate::{Dialect, Error, EventBuffer, Notice, Options, Pipe, ResponsesPipe, dialect};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use hyper::upgrade::Upgraded;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::admission::caller::caller;
use crate::admission::slots::Slot;
use crate::app::App;
use crate::connection::peer::Peer;
use crate::endpoints::websocket::client_socket::{ClientMessage, ClientSocket, SessionEnd};
use crate::endpoints::websocket::create::{ClientEvent, Create};
use crate::endpoints::websocket::last_response::{LastResponse, RetainedInput};
use crate::endpoints::{self, StoreOnCompletion, StoringPipe};
use crate::ids;
use crate::reply;
use crate::request::context::RequestContext;
use crate::telemetry::record::{RequestInfo, RequestRecord};
use crate::telemetry::request_log::RequestGuard;

/// A WebSocket has the events of this dialect.
const DIALECT: &Dialect = &dialect::RESPONSES;

/// Everything needed to serve a connection.
pub(super) struct Session {
    app: App,
    peer: Peer,
    /// The handshake: the caller, and the options that its headers select for all turns.
    head: Parts,
}

/// A turn whose reply has started. Dropping it ends the turn.
struct StartedTurn {
    relay: Relay<StoringPipe<ResponsesPipe>, RequestRecord, EventBuffer>,
    notices: Vec<Notice>,
    /// The conversation to which this is the reply, to be remembered with it; `None` if there is no memory for it.
    input: Option<RetainedInput>,
    request_id: String,
    _slot: Slot,
}

/// The members of a response that are remembered.
#[derive(Deserialize)]
struct ResponseOutput<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    output: Vec<&'a RawValue>,
}

impl Session {
    pub(super) fn new(app: App, peer: Peer, head: Parts) -> Self {
        Self { app, peer, head }
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(self, upgraded: Upgraded, mut stopping: watch::Receiver<bool>) {
        let limits = self.app.runtime.current().limits;
        let mut socket = ClientSocket::open(upgraded, &limits, self.app.body_budget.clone()).await;
        let mut last = LastResponse::new(limits.body_bytes, self.app.retained_budget.clone());
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
            socket.send_error(&reply::from_denied(denied, self.app.advice())).await?;
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
            Ok(Some((started, guard))) => relay(socket, last, started, guard).await,
            Ok(None) => socket.send_prewarmed(last, create.remembered(), reply_id(DIALECT, self.app.clock.now())).await,
            Err(error) => socket.send_error(&error).await,
        }
    }

    /// Starts a turn, up to its first output; `None` if no reply is wanted.
    async fn begin(
        &self,
        create: &mut Create,
        last: &LastResponse,
    ) -> Result<Option<(StartedTurn, RequestGuard)>, Error> {
        let request_id = ids::request_id(&HeaderMap::new()).to_str().unwrap_or_default().to_owned();
        let guard = self.app.request_log.open(RequestInfo {
            request_id: request_id.clone(),
            endpoint: DIALECT.name,
            client: RequestInfo::client(&self.head.headers),
            is_routine: false,
        });
        match self.prepare(create, last, request_id, &guard).await {
            Ok(Some(started)) => Ok(Some((started, guard))),
            Ok(None) => {
                drop(reply::logged(reply::no_content(), guard, false));
                Ok(None)
            }
            Err(error) => {
                guard.record().fail(&error);
                Err(reply::reworded_for(&self.head.headers, error))
            }
        }
    }

    async fn prepare(
        &self,
        create: &mut Create,
        last: &LastResponse,
        request_id: String,
        guard: &RequestGuard,
    ) -> Result<Option<StartedTurn>, Error> {
        let caller = caller(&self.app.runtime.current().access, &self.head);
        let context = RequestContext::read(&self.head.headers, caller, guard.record())?;
        let limits = self.app.runtime.current().limits;
        let (stored, caller, limit_bytes) = (&self.app.stored, &context.caller.id, limits.body_bytes);
        let previous = create.previous().map(str::to_owned);
        let input = create.whole_input(last, |id| stored.conversation(caller, id, limit_bytes))?;
        let input = input.map(|input| stored.with_items(caller, input, limit_bytes)).transpose()?;
        let body = Bytes::from(create.body(input.as_deref())?);
        let input = input.unwrap_or_default();
        // Held until the request has been sent.
        let _permit = self.app.body_budget.try_grow(create.bytes, body.len())?;
        let storing_permit = endpoints::storing_permit(&self.app, body.len());
        let options = Options { stores: storing_permit.is_some(), ..context.options.clone() };
        let mut turn = endpoints::prepare(&self.app, DIALECT, &context, &options, body.clone())?;
        turn.plan.previous_response_id = previous;
        if !create.generate {
            create.remember(input);
            return Ok(None);
        }
        let slot = self.app.runtime.slots().take(limits.timeouts.queue).await?;
        let mut store =
            storing_permit.and_then(|permit| StoreOnCompletion::of(&self.app, &context, &turn.plan, body, permit));
        guard.record().set_stream();
        let reply = turn.send().await?;
        let notices = reply.notices().to_vec();
        let mut relay = reply.into_relay(guard.record().clone(), |plan, reply_id| StoringPipe {
            pipe: ResponsesPipe::new(plan, reply_id),
            store: store.take(),
        });
        relay.first_output().await?;
        guard.answered(StatusCode::OK.as_u16());
        Ok(Some(StartedTurn { relay, notices, input: last.retain(input), request_id, _slot: slot }))
    }
}

/// Sends the events of a reply as they arrive, and remembers its response.
async fn relay(
    socket: &mut ClientSocket,
    last: &mut LastResponse,
    started: StartedTurn,
    mut guard: RequestGuard,
) -> Result<(), SessionEnd> {
    let StartedTurn { mut relay, notices, input, request_id, _slot } = started;
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
