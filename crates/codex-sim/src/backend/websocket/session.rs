//! A WebSocket session: one turn after the other, and the response that the connection remembers between them
//! (`docs/backend.md` §4).

use std::ops::ControlFlow::{self, Break, Continue};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::backend::responses::{self, Answer};
use crate::exchange::inbound::{Inbound, Payload};
use crate::protocol::failure::failure_message;
use crate::protocol::refusal::Refusal;
use crate::recipe::frames::{frames, messages};
use crate::request_log::{Outcome, RecordedRequest, Ticket};
use crate::scenario::plan::{Plan, Point};
use crate::state::SimState;

/// The largest message; a larger one closes the connection with 1009.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// The longest lifetime of a connection.
const MAX_AGE: Duration = Duration::from_secs(60 * 60);
const LIMIT_REACHED: &str = "websocket_connection_limit_reached";

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The server side of one connection.
pub(crate) struct Session {
    state: Arc<SimState>,
    upgrade: Inbound,
    opened: SystemTime,
    previous: Option<PreviousResponse>,
}

/// The response that the next request may continue.
struct PreviousResponse {
    id: String,
    /// All input and output so far.
    context: Vec<Value>,
    /// [`Control::forget_responses`](crate::Control::forget_responses) makes responses with an older count unknown.
    forget_count: u64,
}

/// Why a session ends.
#[derive(Debug)]
enum SessionEnd {
    /// The client disconnected, during a turn or between two.
    Gone,
    /// Cut, as the scenario asked.
    Cut,
    /// Closed with this code.
    Closed(u16),
}

impl Session {
    pub(crate) fn new(upgrade: Inbound, state: Arc<SimState>) -> Self {
        Self { opened: state.clock.now(), state, upgrade, previous: None }
    }

    /// Serves until either side ends the connection.
    pub(crate) async fn serve(mut self, upgraded: OnUpgrade) {
        let ticket = self.upgrade.ticket.clone();
        let Ok(upgraded) = upgraded.await else {
            return ticket.finished(Outcome::Disconnected);
        };
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let mut socket = Socket::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(limits)).await;
        match self.run(&mut socket).await {
            SessionEnd::Gone => ticket.finished(Outcome::Disconnected),
            SessionEnd::Cut => ticket.finished(Outcome::Cut),
            SessionEnd::Closed(code) => {
                ticket.finished(Outcome::Completed);
                let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
                if socket.close(Some(frame)).await.is_ok() {
                    // Waits for the client's answer: dropping the connection at once can lose sent bytes.
                    while socket.next().await.is_some_and(|message| message.is_ok()) {}
                }
            }
        }
    }

    async fn run(&mut self, socket: &mut Socket) -> SessionEnd {
        loop {
            let text = match socket.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => return SessionEnd::Closed(1003),
                Some(Err(Error::Capacity(_))) => return SessionEnd::Closed(1009),
                None | Some(Ok(Message::Close(_)) | Err(_)) => return SessionEnd::Gone,
            };
            let (inbound, generate, read) = self.read(&text);
            let ticket = inbound.ticket.clone();
            let flow = match read {
                Ok(()) => self.turn(inbound, generate, socket).await,
                Err(refusal) => refuse(refusal, &ticket, socket).await,
            };
            if let Break(end) = flow {
                ticket.finished(match end {
                    SessionEnd::Gone => Outcome::Disconnected,
                    SessionEnd::Cut => Outcome::Cut,
                    SessionEnd::Closed(_) => Outcome::Completed,
                });
                return end;
            }
            ticket.finished(Outcome::Completed);
        }
    }

    /// Records a message and turns it into what a request over HTTP would have been. Also returns whether it wants an
    /// answer, rather than only warming up the connection.
    fn read(&self, text: &str) -> (Inbound, bool, Result<(), Refusal>) {
        let parsed: Result<Value, _> = serde_json::from_str(text);
        let recorded = parsed.as_ref().ok().cloned().map(Arc::new);
        let ticket = self.state.log.append(RecordedRequest {
            connection: self.upgrade.connection.number,
            version: format!("{:?}", self.upgrade.version),
            method: "FRAME".to_owned(),
            path: self.upgrade.path.clone(),
            query: self.upgrade.query.clone(),
            headers: crate::exchange::inbound::header_list(&self.upgrade.headers),
            body: recorded,
            body_bytes: text.len(),
            ..RecordedRequest::default()
        });
        let (body, generate, read) = match parsed {
            Ok(Value::Object(mut body)) => {
                let generate = body.remove("generate") != Some(Value::Bool(false));
                let read = self.as_over_http(&mut body);
                (Payload::Json(Arc::new(Value::Object(body))), generate, read)
            }
            Ok(other) => (Payload::Json(Arc::new(other)), true, Ok(())),
            Err(error) => (Payload::Malformed(error.to_string()), true, Ok(())),
        };
        let inbound = Inbound {
            method: self.upgrade.method.clone(),
            version: self.upgrade.version,
            path: self.upgrade.path.clone(),
            query: self.upgrade.query.clone(),
            authority: self.upgrade.authority.clone(),
            headers: self.upgrade.headers.clone(),
            body,
            ticket,
            connection: self.upgrade.connection.clone(),
            upgrade: None,
        };
        (inbound, generate, read)
    }

    /// Removes the keys that only a message has, fills in defaults, and prepends the context to the input.
    fn as_over_http(&self, body: &mut Map<String, Value>) -> Result<(), Refusal> {
        if body.remove("type").as_ref().and_then(Value::as_str) != Some("response.create") {
            return Err(Refusal::error(
                Some("type"),
                Some("invalid_value"),
                "Expected a message of type response.create.",
            ));
        }
        for (key, default) in [("stream", true), ("store", false)] {
            body.entry(key).or_insert(Value::Bool(default));
        }
        if body.get("background") == Some(&Value::Bool(false)) {
            body.remove("background");
        }
        let Some(previous) = body.remove("previous_response_id").filter(|id| !id.is_null()) else {
            return Ok(());
        };
        let forget_count = self.state.overrides().forget_count;
        let last =
            self.previous.as_ref().filter(|last| previous == last.id.as_str() && last.forget_count == forget_count);
        let (Some(last), Some(Value::Array(input))) = (last, body.get_mut("input")) else {
            let message = format!("Previous response with id '{}' not found.", previous.as_str().unwrap_or_default());
            return Err(Refusal::error(Some("previous_response_id"), Some("previous_response_not_found"), message));
        };
        input.splice(..0, last.context.iter().cloned());
        Ok(())
    }

    async fn turn(&mut self, inbound: Inbound, generate: bool, socket: &mut Socket) -> ControlFlow<SessionEnd> {
        let is_over = self.state.clock.now().duration_since(self.opened).is_ok_and(|age| age >= MAX_AGE);
        if is_over {
            refuse(limit_reached(), &inbound.ticket, socket).await?;
            return Break(SessionEnd::Closed(1000));
        }
        // Whatever the result, the connection cannot continue an older response.
        self.previous = None;
        let mut plan = match responses::choose_plan(&inbound, &responses::user_text(&inbound), &self.state) {
            Ok(plan) => plan,
            Err(error) => return refuse(Refusal::detail(error.to_string()), &inbound.ticket, socket).await,
        };
        if plan.framing.stall == Some(Point::Headers) {
            tokio::select! {
                () = self.state.stalls.released(&inbound.ticket) => {}
                end = closed_by_client(socket) => return Break(end),
            }
        }
        if let Some(code) = plan.framing.close.or_else(|| plan.status.as_ref()?.is_from_cloudflare().then_some(1011)) {
            return Break(SessionEnd::Closed(code));
        }
        plan.framing.metadata = true;
        match responses::accept(&inbound, &plan, generate, &self.state) {
            Ok(answer) => self.answer(answer, &inbound, plan, socket).await,
            Err(refusal) => refuse(refusal, &inbound.ticket, socket).await,
        }
    }

    async fn answer(
        &mut self,
        answer: Answer,
        inbound: &Inbound,
        mut plan: Plan,
        socket: &mut Socket,
    ) -> ControlFlow<SessionEnd> {
        inbound.ticket.status(StatusCode::OK.as_u16());
        plan.framing.without_lines();
        let (ticket, flush_log) = (inbound.ticket.clone(), inbound.connection.flush_log.clone());
        let mut pieces =
            pin!(frames(answer.script, plan.framing, Arc::clone(&self.state.stalls), ticket.clone(), flush_log));
        let mut summary = TurnSummary::default();
        loop {
            tokio::select! {
                piece = pieces.next() => match piece {
                    None => break,
                    Some(Err(_)) => return Break(SessionEnd::Cut),
                    Some(Ok(piece)) => for message in messages(&piece) {
                        summary.observe(&message);
                        if socket.send(Message::text(message)).await.is_err() {
                            return Break(SessionEnd::Gone);
                        }
                    },
                },
                end = closed_by_client(socket) => return Break(end),
            }
        }
        if summary.limit_reached || !summary.is_over {
            return Break(SessionEnd::Closed(1000));
        }
        if let Some(id) = summary.completed {
            let mut context = Vec::new();
            if let Payload::Json(body) = &inbound.body {
                context.extend(body.get("input").and_then(Value::as_array).into_iter().flatten().cloned());
            }
            // Stored reasoning needs no encrypted content to be known again.
            summary.items.retain(|item| item["type"] != "reasoning" || item.get("encrypted_content").is_some());
            context.append(&mut summary.items);
            self.previous = Some(PreviousResponse { id, context, forget_count: self.state.overrides().forget_count });
        }
        Continue(())
    }
}

/// What the messages of a turn contained.
#[derive(Default)]
struct TurnSummary {
    items: Vec<Value>,
    completed: Option<String>,
    is_over: bool,
    limit_reached: bool,
}

impl TurnSummary {
    fn observe(&mut self, message: &str) {
        let mut event: Value = serde_json::from_str(message).unwrap_or_default();
        match event.get("type").and_then(Value::as_str) {
            Some("response.output_item.done") => self.items.push(event["item"].take()),
            Some("response.completed") => {
                self.is_over = true;
                self.completed = event.pointer("/response/id").and_then(Value::as_str).map(str::to_owned);
            }
            Some("response.incomplete" | "response.failed") => self.is_over = true,
            Some("error") => {
                self.is_over = true;
                self.limit_reached = event.pointer("/error/code") == Some(&Value::from(LIMIT_REACHED));
            }
            _ => {}
        }
    }
}

fn limit_reached() -> Refusal {
    Refusal::error(None, Some(LIMIT_REACHED), failure_message(LIMIT_REACHED))
}

async fn refuse(refusal: Refusal, ticket: &Ticket, socket: &mut Socket) -> ControlFlow<SessionEnd> {
    ticket.status(refusal.status().as_u16());
    match socket.send(Message::text(refusal.into_message().to_string())).await {
        Ok(()) => Continue(()),
        Err(_) => Break(SessionEnd::Gone),
    }
}

/// Reads while a turn is in flight, which answers pings; resolves when the connection ends. Another request during a
/// turn is a protocol violation.
async fn closed_by_client(socket: &mut Socket) -> SessionEnd {
    loop {
        match socket.next().await {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Frame(_))) => return SessionEnd::Closed(1008),
            None | Some(Ok(Message::Close(_)) | Err(_)) => return SessionEnd::Gone,
        }
    }
}
