//! One turn of a lane: the same turn as that of `POST /v1/responses`, with its events as frames.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use codex_client::ids::reply_id;
use codex_client::{Relay, ReplyPart, Turn};
use codex_translate::responses::required_input;
use codex_translate::{BodyOrigin, Dialect, Error, EventBuffer, Notice, Options, Pipe, ResponsesPipe, dialect};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio_tungstenite::tungstenite::Bytes;

use crate::admission::caller::caller;
use crate::admission::slots::Slot;
use crate::app::App;
use crate::endpoints::websocket::create::{Create, WholeInput};
use crate::endpoints::websocket::lanes::Lane;
use crate::endpoints::websocket::remembered::{RememberedResponses, RetainedInput};
use crate::endpoints::websocket::steering::{MAX_STEERS, STEERED, Steer, SteerError, SteerFailure};
use crate::endpoints::{self, StoreOnCompletion, StoringDecision, StoringPipe};
use crate::ids;
use crate::reply;
use crate::request::budget::BudgetPermit;
use crate::request::context::RequestContext;
use crate::telemetry::record::{RequestInfo, RequestRecord};
use crate::telemetry::request_log::RequestGuard;

/// A WebSocket has the events of this dialect.
const DIALECT: &Dialect = &dialect::RESPONSES;

type ResponseRelay = Relay<StoringPipe<ResponsesPipe>, RequestRecord, EventBuffer>;

/// What becomes of a request.
pub(super) enum Begun {
    Turn(Box<LaneTurn>),
    /// The reply to a request that wants none: it is remembered, so the next one need not repeat it.
    Prewarmed(EventBuffer),
}

/// A turn in progress. Dropping it ends the turn at the backend.
pub(super) struct LaneTurn {
    pub(super) lane: Lane,
    /// The turn before it has a slot.
    queued: Option<QueuedTurn>,
    relay: Option<ResponseRelay>,
    slot: Option<Slot>,
    /// The headers that an HTTP reply would have, until they are sent.
    metadata: Option<Metadata>,
    /// The id of the response, once the client has it.
    response_id: Option<String>,
    /// The conversation to which this is the reply, to be remembered with it; `None` if there is no memory for it.
    input: Option<RetainedInput>,
    guard: RequestGuard,
    /// The memory for the request until it has been sent.
    permits: Vec<BudgetPermit>,
    /// The settings for a successor; `None` if there is no memory for them.
    settings: Option<(Create, BudgetPermit)>,
    /// Input for the response, which was accepted.
    steers: Vec<Steer>,
    /// Input that was accepted for the response before this one.
    pub(super) applied: AppliedSteers,
    is_interrupted: bool,
}

/// Input that was accepted for one response and is part of the request for the next one.
#[derive(Default)]
pub(super) struct AppliedSteers {
    pub(super) steers: Vec<Steer>,
    /// Whether the request was made for them.
    pub(super) is_automatic: bool,
}

/// A turn that has ended.
pub(super) struct EndedTurn {
    pub(super) lane: Lane,
    /// The id of a response that can be continued.
    pub(super) response_id: Option<String>,
    pub(super) is_interrupted: bool,
    /// The input that the client owes for the calls in the response.
    pub(super) required: Vec<String>,
    pub(super) steers: Vec<Steer>,
    pub(super) settings: Option<Create>,
    pipe: Option<ResponsesPipe>,
}

/// What a turn has for its client.
pub(super) enum TurnPart {
    /// Events, and before the first of them the metadata.
    Events(Option<Metadata>, EventBuffer),
    Keepalive,
    /// The turn failed before its first event.
    Failed(Error),
    /// Everything was handed out.
    Ended,
}

/// The headers that an HTTP reply would have.
pub(super) struct Metadata {
    pub(super) request_id: String,
    pub(super) notices: Vec<Notice>,
}

/// A turn that waits for its slot. Nothing of it is sent yet.
struct QueuedTurn {
    slot: Pin<Box<dyn Future<Output = Result<Slot, Error>> + Send>>,
    turn: Turn,
    store: Option<StoreOnCompletion>,
}

/// The members of a response that are remembered.
#[derive(Deserialize)]
struct ResponseOutput<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    output: Vec<&'a RawValue>,
}

/// A request that was translated.
struct PreparedTurn {
    turn: Turn,
    store: Option<StoreOnCompletion>,
    input: Option<RetainedInput>,
    /// The memory for what was added to the request.
    permit: BudgetPermit,
}

impl LaneTurn {
    /// Begins the turn of a request; polling it sends the request. `permit` is the memory of the
    /// request's frame.
    ///
    /// # Errors
    /// The request is invalid, or continues a response that is not known.
    pub(super) fn begin(
        app: &App,
        head: &Parts,
        lane: &Lane,
        create: Create,
        permit: Option<BudgetPermit>,
        remembered: &mut RememberedResponses,
    ) -> Result<Begun, Error> {
        let (settings, bytes) = create.settings();
        let settings = app.retained_budget.try_acquire(bytes).ok().map(|permit| (settings, permit));
        let request_id = ids::request_id(&HeaderMap::new()).to_str().unwrap_or_default().to_owned();
        let guard = app.request_log.open(RequestInfo {
            request_id: request_id.clone(),
            endpoint: DIALECT.name,
            client: RequestInfo::client(&head.headers),
            is_routine: false,
        });
        let generate = create.generate;
        let preparing = AssertUnwindSafe(|| prepare(app, head, create, &guard, remembered));
        let prepared = catch_unwind(preparing).unwrap_or_else(|_| Err(codex_client::error::panicked()));
        let PreparedTurn { mut turn, store, input, permit: growth } =
            prepared.inspect_err(|error| guard.record().fail(error))?;
        if !generate {
            let mut pipe = ResponsesPipe::new(&turn.plan, &reply_id(DIALECT, app.clock.now()));
            let mut events = EventBuffer::default();
            pipe.stream().complete_empty(&mut events)?;
            remembered.remember(lane, &pipe.stream().response_id().unwrap_or_default(), input, &[]);
            drop(reply::logged(reply::no_content(), guard, false));
            return Ok(Begun::Prewarmed(events));
        }
        guard.record().set_stream();
        // There is no status to hold anything back for, and a message can report a failure at any time
        // (docs/features.md R8).
        turn.hold = Duration::ZERO;
        let runtime = app.runtime.current();
        let (slots, max_wait) = (app.runtime.slots().clone(), runtime.limits.timeouts.queue);
        let slot = Box::pin(async move { slots.take(max_wait).await });
        let metadata = Metadata { request_id, notices: turn.info.notices.clone() };
        Ok(Begun::Turn(Box::new(Self {
            lane: lane.clone(),
            queued: Some(QueuedTurn { slot, turn, store }),
            relay: None,
            slot: None,
            metadata: Some(metadata),
            response_id: None,
            input,
            guard,
            permits: permit.into_iter().chain([growth]).collect(),
            settings,
            steers: Vec::new(),
            applied: AppliedSteers::default(),
            is_interrupted: false,
        })))
    }

    /// Waits for the next part of the turn.
    pub(super) fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<TurnPart> {
        if let Some(queued) = &mut self.queued {
            match ready!(queued.slot.as_mut().poll(cx)) {
                Ok(slot) => self.slot = Some(slot),
                Err(error) => {
                    self.guard.record().fail(&error);
                    return Poll::Ready(TurnPart::Failed(error));
                }
            }
            self.start();
        }
        let Some(relay) = &mut self.relay else { return Poll::Ready(TurnPart::Ended) };
        Poll::Ready(match ready!(relay.try_poll_part(cx)) {
            Some(Ok(ReplyPart::Output(events))) => {
                if self.response_id.is_none() {
                    let read_id =
                        |storing: &mut StoringPipe<ResponsesPipe>, _: &mut _| storing.pipe.stream().response_id();
                    self.response_id = relay.write_with(read_id).flatten();
                }
                // A keepalive may come before the response.
                let late = relay.late_notice().cloned();
                let metadata = if self.response_id.is_some() { self.begun(late) } else { None };
                TurnPart::Events(metadata, events)
            }
            Some(Ok(ReplyPart::Keepalive)) => TurnPart::Keepalive,
            Some(Err(error)) => {
                self.guard.record().fail(&error);
                TurnPart::Failed(error)
            }
            None => TurnPart::Ended,
        })
    }

    /// Returns whether the response is known by this id.
    pub(super) fn is_response(&self, id: &str) -> bool {
        self.response_id.as_deref() == Some(id)
    }

    /// Returns whether its client wants no more of it.
    pub(super) fn is_interrupted(&self) -> bool {
        self.is_interrupted
    }

    /// Returns whether the last event was handed out.
    pub(super) fn is_finished(&self) -> bool {
        self.relay.as_ref().is_some_and(Relay::is_finished)
    }

    /// Ends the turn because its client wants no more of it. Its last events follow, even if it was not sent yet.
    pub(super) fn interrupt(&mut self) {
        self.start();
        self.is_interrupted = true;
        if let Some(relay) = &mut self.relay {
            relay.interrupt("interrupted");
        }
    }

    /// Accepts input for the response, which ends after its next item; the event that says so follows.
    ///
    /// # Errors
    /// It cannot be accepted; the input is returned. `limit_bytes` is the maximum size of all waiting input.
    pub(super) fn steer(&mut self, steer: Steer, limit_bytes: usize) -> Result<(), SteerFailure> {
        let bytes: usize = self.steers.iter().chain([&steer]).map(Steer::bytes).sum();
        let refusal = match &self.relay {
            Some(relay) if relay.has_ended() => Some(SteerError::AlreadyCompleted),
            _ if self.is_interrupted => Some(SteerError::NotActive),
            _ if self.settings.is_none() => Some(SteerError::NotSupported),
            _ if self.steers.len() >= MAX_STEERS || bytes > limit_bytes => Some(SteerError::TooMany),
            _ => None,
        };
        if let Some(refusal) = refusal {
            return Err(steer.rejected(refusal));
        }
        self.add_event("response.steer.accepted", &steer.accepted());
        if let Some(relay) = &mut self.relay {
            relay.write_with(|storing, _| storing.pipe.stream().stop_after_item(STEERED));
        }
        self.steers.push(steer);
        Ok(())
    }

    /// Adds an event to those of the response.
    pub(super) fn add_event(&mut self, kind: &str, members: &str) {
        if let Some(relay) = &mut self.relay {
            relay.write_with(|storing, out| storing.pipe.stream().add_event(kind, members, out));
        }
    }

    /// Remembers the response of a turn that has ended.
    pub(super) fn end(mut self, remembered: &mut RememberedResponses) -> EndedTurn {
        self.guard.all_sent();
        if self.relay.as_ref().is_some_and(|relay| relay.late_notice().is_some()) {
            self.input.iter_mut().for_each(RetainedInput::leave_reasoning_out);
        }
        let pipe = self.relay.and_then(Relay::into_first_pipe).map(|storing| storing.pipe);
        let response = pipe.as_ref().and_then(Pipe::<EventBuffer>::stored_form);
        let (mut response_id, mut required) = (None, Vec::new());
        match response.map(serde_json::from_str) {
            Some(Ok(ResponseOutput { id, output })) => {
                remembered.remember(&self.lane, &id, self.input, &output);
                required = output.iter().filter_map(|item| required_input(item.get())).collect();
                response_id = Some(id.into_owned());
            }
            _ => {
                remembered.release(self.input);
                remembered.note_ended(self.response_id);
            }
        }
        EndedTurn {
            lane: self.lane,
            response_id,
            is_interrupted: self.is_interrupted,
            required,
            steers: self.steers,
            settings: self.settings.map(|(create, _)| create),
            pipe,
        }
    }

    /// Gives up a turn that has failed before its first event.
    pub(super) fn fail(self, remembered: &mut RememberedResponses) -> AppliedSteers {
        remembered.release(self.input);
        self.applied
    }

    /// Opens the reply; polling it sends the request.
    fn start(&mut self) {
        let Some(QueuedTurn { turn, store, .. }) = self.queued.take() else { return };
        let reply = turn.start();
        let mut store = store.map(|store| store.noting(reply.late_notice()));
        let relay = reply.into_relay(self.guard.record().clone(), |plan, reply_id| StoringPipe {
            pipe: ResponsesPipe::new(plan, reply_id),
            store: store.take(),
        });
        self.relay = Some(relay);
    }

    /// Updates the turn for its first events; returns the metadata to send before them, with what was changed since the
    /// request was translated.
    fn begun(&mut self, late: Option<Notice>) -> Option<Metadata> {
        let mut metadata = self.metadata.take()?;
        metadata.notices.extend(late);
        self.permits.clear();
        self.applied = AppliedSteers::default();
        self.guard.answered(StatusCode::OK.as_u16());
        Some(metadata)
    }
}

impl EndedTurn {
    /// Returns events that follow those of the response.
    pub(super) fn events(&mut self, kind: &str, members: impl Iterator<Item = String>) -> EventBuffer {
        let mut events = EventBuffer::default();
        if let Some(pipe) = &mut self.pipe {
            members.for_each(|members| pipe.stream().add_event(kind, &members, &mut events));
        }
        events
    }
}

/// Translates a request.
fn prepare(
    app: &App,
    head: &Parts,
    mut create: Create,
    guard: &RequestGuard,
    remembered: &mut RememberedResponses,
) -> Result<PreparedTurn, Error> {
    let runtime = app.runtime.current();
    let context = RequestContext::read(&head.headers, caller(&runtime.access, head), guard.record())?;
    let (stored, caller, limit_bytes) = (&app.stored, &context.caller.id, runtime.limits.body_bytes);
    let previous = create.previous().map(str::to_owned);
    let WholeInput { items: input, origins, has_repeats, own, previous: response } =
        create.whole_input(remembered, stored, caller, limit_bytes)?;
    let body = match &input {
        // A warm-up may come before any input (docs/backend.md §4); the rest of it is checked as that of any request.
        None if !create.generate => create.body(Some(&[placeholder()?]))?,
        Some(input) if !create.generate && input.is_empty() => create.body(Some(&[placeholder()?]))?,
        input => create.body(input.as_deref())?,
    };
    let body = Bytes::from(body);
    let permit = app.body_budget.try_grow(create.bytes, body.len())?;
    let own = own.unwrap_or_else(|| body.clone());
    let decision = match create.generate {
        true => StoringDecision::of(app, own.len(), response.as_deref()),
        false => StoringDecision::never(),
    };
    let options = Options { storage: decision.storage.clone(), ..context.options.clone() };
    let origin = BodyOrigin { sender: context.sender, items: Some(&origins), has_repeats };
    let mut turn = endpoints::prepare(app, DIALECT, &context, &options, origin, body)?;
    turn.plan.previous_response_id = previous;
    let store = StoreOnCompletion::of(app, &context, &turn.plan, own, response, decision);
    let input = remembered.retain(input.unwrap_or_default());
    Ok(PreparedTurn { turn, store, input, permit })
}

/// Returns a message to check a request with that has none.
fn placeholder() -> Result<Box<RawValue>, Error> {
    let message = serde_json::json!({"type": "message", "role": "user", "content": "warm-up"});
    to_raw_value(&message).map_err(|error| Error::new(codex_translate::ErrorKind::Internal, error.to_string()))
}
