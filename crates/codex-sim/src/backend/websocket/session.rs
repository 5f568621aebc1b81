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
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use crate::backend::responses::{self, Answer};
use crate::backend::websocket::control::{self, InterruptFailure};
use crate::backend::websocket::frame::{ClientFrame, ControlFrame};
use crate::backend::websocket::progress::{LIMIT_REACHED, Progress, TurnEnding};
use crate::exchange::inbound::{Inbound, Payload, header_list};
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
            let text = match next_text(socket).await {
                Ok(text) => text,
                Err(end) => return end,
            };
            let (frame, ticket) = self.record(&text);
            let flow = match frame {
                ClientFrame::Create(body) => self.create(body, ticket.clone(), socket).await,
                ClientFrame::Control(frame) => answer_control(frame, None, &ticket, socket).await,
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

    /// Reads a frame and records it.
    fn record(&self, text: &str) -> (ClientFrame, Ticket) {
        let parsed: serde_json::Result<Value> = serde_json::from_str(text);
        let ticket = self.state.log.append(RecordedRequest {
            connection: self.upgrade.connection.number,
            version: format!("{:?}", self.upgrade.version),
            method: "FRAME".to_owned(),
            path: self.upgrade.path.clone(),
            query: self.upgrade.query.clone(),
            headers: header_list(&self.upgrade.headers),
            header_names: self.upgrade.header_names.clone(),
            body: parsed.as_ref().ok().cloned().map(Arc::new),
            body_bytes: text.len(),
            ..RecordedRequest::default()
        });
        (ClientFrame::read(parsed), ticket)
    }

    /// Turns a `response.create` into what a request over HTTP would have been, and answers it.
    async fn create(
        &mut self,
        mut body: Map<String, Value>,
        ticket: Ticket,
        socket: &mut Socket,
    ) -> ControlFlow<SessionEnd> {
        let generate = body.remove("generate") != Some(Value::Bool(false));
        if let Err(refusal) = self.as_over_http(&mut body) {
            return refuse(refusal, &ticket, socket).await;
        }
        let inbound = Inbound {
            method: self.upgrade.method.clone(),
            version: self.upgrade.version,
            path: self.upgrade.path.clone(),
            query: self.upgrade.query.clone(),
            authority: self.upgrade.authority.clone(),
            headers: self.upgrade.headers.clone(),
            header_names: self.upgrade.header_names.clone(),
            body: Payload::Json(Arc::new(Value::Object(body))),
            ticket,
            connection: self.upgrade.connection.clone(),
            upgrade: None,
        };
        self.turn(inbound, generate, socket).await
    }

    /// Removes the keys that only a message has, fills in defaults, and prepends the context to the input.
    fn as_over_http(&self, body: &mut Map<String, Value>) -> Result<(), Refusal> {
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
            let mut released = pin!(self.state.stalls.released(&inbound.ticket, plan.framing.stall_for));
            loop {
                tokio::select! {
                    () = &mut released => break,
                    text = next_text(socket) => self.meanwhile(text, None, socket).await.map_continue(|_| ())?,
                }
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
        let mut progress = Progress::new(answer.script.input_usage(), plan.framing.ignores_interrupts);
        let (ticket, flush_log) = (inbound.ticket.clone(), inbound.connection.flush_log.clone());
        let mut pieces =
            pin!(frames(answer.script, plan.framing, Arc::clone(&self.state.stalls), ticket.clone(), flush_log));
        loop {
            tokio::select! {
                piece = pieces.next() => match piece {
                    None => break,
                    Some(Err(_)) => return Break(SessionEnd::Cut),
                    Some(Ok(piece)) => for message in messages(&piece) {
                        progress.observe(&message);
                        send(message, socket).await?;
                    },
                },
                text = next_text(socket) => if self.meanwhile(text, Some(&progress), socket).await? {
                    ticket.interrupted(progress.messages());
                    self.remember(progress, inbound);
                    return Continue(());
                },
            }
        }
        match progress.ending() {
            None | Some(TurnEnding::LimitReached) => return Break(SessionEnd::Closed(1000)),
            Some(TurnEnding::Completed) => self.remember(progress, inbound),
            Some(TurnEnding::Otherwise) => {}
        }
        Continue(())
    }

    /// Answers a frame that arrives during a turn. Returns whether it has interrupted the turn.
    async fn meanwhile(
        &self,
        text: Result<Utf8Bytes, SessionEnd>,
        progress: Option<&Progress>,
        socket: &mut Socket,
    ) -> ControlFlow<SessionEnd, bool> {
        let text = match text {
            Ok(text) => text,
            Err(end) => return Break(end),
        };
        let (frame, ticket) = self.record(&text);
        let flow = match frame {
            // One turn at a time.
            ClientFrame::Create(_) => Break(SessionEnd::Closed(1008)),
            ClientFrame::Control(ControlFrame::Interrupt(_)) if progress.is_some_and(Progress::ignores_interrupts) => {
                Continue(false)
            }
            ClientFrame::Control(ControlFrame::Interrupt(id))
                if progress.is_some_and(|progress| progress.is_running(&id) && progress.can_be_interrupted()) =>
            {
                ticket.status(StatusCode::OK.as_u16());
                let now = self.state.clock.unix_now();
                let messages = progress.map(|progress| progress.interruption(now)).unwrap_or_default();
                send_all(messages, socket).await.map_continue(|()| true)
            }
            ClientFrame::Control(frame) => {
                answer_control(frame, progress, &ticket, socket).await.map_continue(|()| false)
            }
        };
        ticket.finished(Outcome::Completed);
        flow
    }

    /// Remembers the response, so the next request can continue it.
    fn remember(&mut self, progress: Progress, inbound: &Inbound) {
        let Some(id) = progress.response_id().map(str::to_owned) else {
            return;
        };
        let input = inbound.body.json().and_then(|body| body.get("input")?.as_array());
        let context = progress.into_context(input.map(Vec::as_slice).unwrap_or_default());
        self.previous = Some(PreviousResponse { id, context, forget_count: self.state.overrides().forget_count });
    }
}

fn limit_reached() -> Refusal {
    Refusal::error(None, Some(LIMIT_REACHED), failure_message(LIMIT_REACHED))
}

/// Answers a frame that neither begins nor ends a turn. `progress` is that of the turn that is running.
async fn answer_control(
    frame: ControlFrame,
    progress: Option<&Progress>,
    ticket: &Ticket,
    socket: &mut Socket,
) -> ControlFlow<SessionEnd> {
    match frame {
        ControlFrame::Processed => Continue(()),
        ControlFrame::Interrupt(id) => {
            let running = progress.is_some_and(|progress| progress.is_running(&id));
            let failure = if running { InterruptFailure::NotSupported } else { InterruptFailure::NotRunning };
            ticket.status(StatusCode::BAD_REQUEST.as_u16());
            send(control::interrupt_failed(&id, failure).to_string(), socket).await
        }
        ControlFrame::Steer { previous_response_id, input } => {
            ticket.status(StatusCode::BAD_REQUEST.as_u16());
            let number = progress.map_or(0, Progress::next_sequence_number);
            send(control::steer_failed(&previous_response_id, &input, number), socket).await
        }
        ControlFrame::Invalid(refusal) => refuse(refusal, ticket, socket).await,
    }
}

async fn refuse(refusal: Refusal, ticket: &Ticket, socket: &mut Socket) -> ControlFlow<SessionEnd> {
    ticket.status(refusal.status().as_u16());
    send(refusal.into_message().to_string(), socket).await
}

async fn send_all(messages: Vec<String>, socket: &mut Socket) -> ControlFlow<SessionEnd> {
    for message in messages {
        send(message, socket).await?;
    }
    Continue(())
}

async fn send(message: String, socket: &mut Socket) -> ControlFlow<SessionEnd> {
    match socket.send(Message::text(message)).await {
        Ok(()) => Continue(()),
        Err(_) => Break(SessionEnd::Gone),
    }
}

/// Returns the next text message. Reading also answers pings.
async fn next_text(socket: &mut Socket) -> Result<Utf8Bytes, SessionEnd> {
    loop {
        return match socket.next().await {
            Some(Ok(Message::Text(text))) => Ok(text),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_) | Message::Frame(_))) => Err(SessionEnd::Closed(1003)),
            Some(Err(Error::Capacity(_))) => Err(SessionEnd::Closed(1009)),
            None | Some(Ok(Message::Close(_)) | Err(_)) => Err(SessionEnd::Gone),
        };
    }
}
