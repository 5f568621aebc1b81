//! A WebSocket's life: one turn after the other, and what the connection remembers between them (`docs/backend.md` §4).

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
use crate::request_log::{Outcome, Recorded, Ticket};
use crate::scenario::plan::{Plan, Point};
use crate::state::SimState;

/// Larger messages close the connection with 1009.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
/// How long a connection may live.
const LIFE: Duration = Duration::from_secs(60 * 60);
const LIMIT_REACHED: &str = "websocket_connection_limit_reached";

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The server's side of one connection.
pub(crate) struct Session {
    state: Arc<SimState>,
    upgrade: Inbound,
    opened: SystemTime,
    last: Option<Last>,
}

/// The response that the next request may go on from.
struct Last {
    id: String,
    /// All input so far, and what was answered.
    context: Vec<Value>,
    /// [`Control::forget_responses`](crate::Control::forget_responses) makes older ones unknown.
    forget_count: u64,
}

/// Why a connection ends.
#[derive(Debug)]
enum End {
    /// The client went away, in the middle of a turn or between two.
    Gone,
    /// Broken off as the scenario asked.
    Cut,
    /// Closed with this code.
    Closed(u16),
}

impl Session {
    pub(crate) fn new(upgrade: Inbound, state: Arc<SimState>) -> Self {
        Self { opened: state.clock.now(), state, upgrade, last: None }
    }

    /// Runs until either side ends the connection.
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
            End::Gone => ticket.finished(Outcome::Disconnected),
            End::Cut => ticket.finished(Outcome::Cut),
            End::Closed(code) => {
                ticket.finished(Outcome::Completed);
                let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
                if socket.close(Some(frame)).await.is_ok() {
                    // Until the client has answered; a connection that is let go at once can lose what was sent.
                    while socket.next().await.is_some_and(|message| message.is_ok()) {}
                }
            }
        }
    }

    async fn run(&mut self, socket: &mut Socket) -> End {
        loop {
            let text = match socket.next().await {
                Some(Ok(Message::Text(text))) => text,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => return End::Closed(1003),
                Some(Err(Error::Capacity(_))) => return End::Closed(1009),
                None | Some(Ok(Message::Close(_)) | Err(_)) => return End::Gone,
            };
            let (inbound, generate, read) = self.read(&text);
            let ticket = inbound.ticket.clone();
            let flow = match read {
                Ok(()) => self.turn(inbound, generate, socket).await,
                Err(refusal) => refuse(refusal, &ticket, socket).await,
            };
            if let Break(end) = flow {
                ticket.finished(match end {
                    End::Gone => Outcome::Disconnected,
                    End::Cut => Outcome::Cut,
                    End::Closed(_) => Outcome::Completed,
                });
                return end;
            }
            ticket.finished(Outcome::Completed);
        }
    }

    /// Records a message, and makes of it what a request over HTTP would have been. Says also whether it is to be answered, or
    /// only warms the connection up.
    fn read(&self, text: &str) -> (Inbound, bool, Result<(), Refusal>) {
        let parsed: Result<Value, _> = serde_json::from_str(text);
        let recorded = parsed.as_ref().ok().cloned().map(Arc::new);
        let ticket = self.state.log.append(Recorded {
            connection: self.upgrade.connection.number,
            version: format!("{:?}", self.upgrade.version),
            method: "FRAME".to_owned(),
            path: self.upgrade.path.clone(),
            query: self.upgrade.query.clone(),
            headers: crate::exchange::inbound::listed(&self.upgrade.headers),
            body: recorded,
            body_bytes: text.len(),
            ..Recorded::default()
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

    /// Takes the keys off that only a message has, fills in what it may leave out, and puts the context before the input.
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
        let last = self.last.as_ref().filter(|last| previous == last.id.as_str() && last.forget_count == forget_count);
        let (Some(last), Some(Value::Array(input))) = (last, body.get_mut("input")) else {
            let message = format!("Previous response with id '{}' not found.", previous.as_str().unwrap_or_default());
            return Err(Refusal::error(Some("previous_response_id"), Some("previous_response_not_found"), message));
        };
        input.splice(..0, last.context.iter().cloned());
        Ok(())
    }

    async fn turn(&mut self, inbound: Inbound, generate: bool, socket: &mut Socket) -> ControlFlow<End> {
        let is_over = self.state.clock.now().duration_since(self.opened).is_ok_and(|age| age >= LIFE);
        if is_over {
            refuse(limit_reached(), &inbound.ticket, socket).await?;
            return Break(End::Closed(1000));
        }
        // Whatever becomes of it, the connection goes on from nothing else.
        self.last = None;
        let mut plan = match responses::planned(&inbound, &responses::user_text(&inbound), &self.state) {
            Ok(plan) => plan,
            Err(error) => return refuse(Refusal::detail(error.to_string()), &inbound.ticket, socket).await,
        };
        if plan.framing.stall == Some(Point::Headers) {
            tokio::select! {
                () = self.state.stalls.released(&inbound.ticket) => {}
                end = gone(socket) => return Break(end),
            }
        }
        if let Some(code) = plan.framing.close.or_else(|| plan.status.as_ref()?.is_of_the_edge().then_some(1011)) {
            return Break(End::Closed(code));
        }
        plan.framing.metadata = true;
        match responses::judged(&inbound, &plan, generate, &self.state) {
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
    ) -> ControlFlow<End> {
        inbound.ticket.status(StatusCode::OK.as_u16());
        plan.framing.without_lines();
        let (ticket, flush_log) = (inbound.ticket.clone(), inbound.connection.flush_log.clone());
        let mut pieces =
            pin!(frames(answer.script, plan.framing, Arc::clone(&self.state.stalls), ticket.clone(), flush_log));
        let mut said = Said::default();
        loop {
            tokio::select! {
                piece = pieces.next() => match piece {
                    None => break,
                    Some(Err(_)) => return Break(End::Cut),
                    Some(Ok(piece)) => for message in messages(&piece) {
                        said.hear(&message);
                        if socket.send(Message::text(message)).await.is_err() {
                            return Break(End::Gone);
                        }
                    },
                },
                end = gone(socket) => return Break(end),
            }
        }
        if said.limit_reached || !said.is_over {
            return Break(End::Closed(1000));
        }
        if let Some(id) = said.completed {
            let mut context = Vec::new();
            if let Payload::Json(body) = &inbound.body {
                context.extend(body.get("input").and_then(Value::as_array).into_iter().flatten().cloned());
            }
            // What the backend has kept needs no encryption to be known again.
            said.items.retain(|item| item["type"] != "reasoning" || item.get("encrypted_content").is_some());
            context.append(&mut said.items);
            self.last = Some(Last { id, context, forget_count: self.state.overrides().forget_count });
        }
        Continue(())
    }
}

/// What a turn has said.
#[derive(Default)]
struct Said {
    items: Vec<Value>,
    completed: Option<String>,
    is_over: bool,
    limit_reached: bool,
}

impl Said {
    fn hear(&mut self, message: &str) {
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

async fn refuse(refusal: Refusal, ticket: &Ticket, socket: &mut Socket) -> ControlFlow<End> {
    ticket.status(refusal.status().as_u16());
    match socket.send(Message::text(refusal.into_message().to_string())).await {
        Ok(()) => Continue(()),
        Err(_) => Break(End::Gone),
    }
}

/// Reads while a turn is in flight, which answers pings; resolves when that ends the connection. Another request now is against
/// the rules.
async fn gone(socket: &mut Socket) -> End {
    loop {
        match socket.next().await {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Text(_) | Message::Binary(_) | Message::Frame(_))) => return End::Closed(1008),
            None | Some(Ok(Message::Close(_)) | Err(_)) => return End::Gone,
        }
    }
}
