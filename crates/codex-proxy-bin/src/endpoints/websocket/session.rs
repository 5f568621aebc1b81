//! One WebSocket, from its handshake to its end: a single task reads its frames and polls all its turns, so a frame is
//! acted upon while turns run, and a client that does not read stops them all.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use codex_translate::Error;
use http::request::Parts;
use hyper::upgrade::Upgraded;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, interval_at, sleep};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::app::App;
use crate::connection::peer::Peer;
use crate::endpoints::websocket::client_socket::{ClientSocket, SessionEnd};
use crate::endpoints::websocket::create::Create;
use crate::endpoints::websocket::frame::{ClientFrame, FrameError};
use crate::endpoints::websocket::lanes::{ClientMessage, Lane, MAX_RUNNING, WaitingRequest, WaitingRequests};
use crate::endpoints::websocket::remembered::RememberedResponses;
use crate::endpoints::websocket::steering::{PendingSteers, Steer, SteerError};
use crate::endpoints::websocket::turn::{AppliedSteers, Begun, LaneTurn, Metadata, TurnPart};
use crate::reply;
use crate::request::budget::BudgetPermit;
use crate::request::limits::{Limits, full};

/// How often a quiet connection is pinged.
const PING: Duration = Duration::from_secs(30);

/// Everything needed to serve a connection.
pub(super) struct Session {
    app: App,
    peer: Peer,
    /// The handshake: the caller, and the options that its headers select for all turns.
    head: Parts,
}

/// An open connection.
struct Connection {
    session: Session,
    socket: ClientSocket,
    /// The turns in progress, at most one of a lane.
    turns: Vec<LaneTurn>,
    /// The turn that is polled first, so one that always has output does not hold up the others.
    first: usize,
    waiting: WaitingRequests,
    remembered: RememberedResponses,
    pending: PendingSteers,
    limit_bytes: usize,
    is_stopping: bool,
}

impl Session {
    pub(super) fn new(app: App, peer: Peer, head: Parts) -> Self {
        Self { app, peer, head }
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(self, upgraded: Upgraded, mut stopping: watch::Receiver<bool>) {
        let limits = self.app.runtime.current().limits;
        let mut connection = Connection {
            socket: ClientSocket::open(upgraded, &limits, self.app.body_budget.clone()).await,
            turns: Vec::new(),
            first: 0,
            waiting: WaitingRequests::new(limits.body_bytes),
            remembered: RememberedResponses::new(limits.body_bytes, self.app.retained_budget.clone()),
            pending: PendingSteers::default(),
            limit_bytes: limits.body_bytes,
            is_stopping: false,
            session: self,
        };
        let Err(end) = connection.run(&mut stopping, &limits).await;
        tracing::debug!(peer = %connection.session.peer, ?end, "the WebSocket connection ended");
        connection.turns.clear();
        if let SessionEnd::Close(code, reason) = end {
            connection.socket.close(code, reason).await;
        }
        // The connection counts as open until now (see `UpgradedConnections`).
        drop(stopping);
    }
}

impl Connection {
    async fn run(
        &mut self,
        stopping: &mut watch::Receiver<bool>,
        limits: &Limits,
    ) -> Result<std::convert::Infallible, SessionEnd> {
        let idle_time = limits.timeouts.socket_idle;
        let mut idle = pin!(sleep(idle_time));
        let mut pings = interval_at(Instant::now() + PING, PING);
        loop {
            self.is_stopping = *stopping.borrow();
            let is_stopping = self.is_stopping;
            self.start_waiting().await?;
            let is_idle = self.turns.is_empty();
            if is_stopping && is_idle {
                return Err(SessionEnd::Close(CloseCode::Away, "codex-proxy is stopping"));
            }
            let (turns, first) = (&mut self.turns, self.first);
            tokio::select! {
                received = self.socket.receive() => self.take(received?).await?,
                (at, part) = poll_fn(|cx| poll_turns(turns, first, cx)), if !is_idle => {
                    self.first = at + 1;
                    self.pass_on(at, part).await?;
                }
                _ = pings.tick(), if is_idle => {
                    self.socket.check().await?;
                    continue;
                }
                () = &mut idle, if is_idle => return Err(SessionEnd::Close(CloseCode::Normal, "idle for too long")),
                Ok(()) = stopping.changed(), if !is_stopping => continue,
            }
            idle.as_mut().reset(Instant::now() + idle_time);
            pings.reset();
        }
    }

    /// Acts upon a frame.
    async fn take(&mut self, message: ClientMessage) -> Result<(), SessionEnd> {
        match ClientFrame::read(&message.text) {
            Ok(ClientFrame::Create(lane)) => {
                self.waiting.push(WaitingRequest { lane, message, is_cancelled: false });
                self.start_waiting().await?;
                match self.waiting.excess() {
                    Some((request, error)) => self.socket.send_error(&request.lane, &error).await,
                    None => Ok(()),
                }
            }
            Ok(ClientFrame::Interrupt { lane, response_id }) => {
                self.interrupt("response.interrupt", &lane, Some(&response_id)).await
            }
            Ok(ClientFrame::Cancel { lane, response_id }) => {
                self.interrupt("response.cancel", &lane, response_id.as_deref()).await
            }
            Ok(ClientFrame::Steer) => self.steer(message).await,
            Ok(ClientFrame::Notification) => Ok(()),
            Err(FrameError { lane, error }) => self.socket.send_error(&lane, &error).await,
        }
    }

    /// Begins the turns of waiting requests whose lanes have none. When the server stops, none begins any more.
    async fn start_waiting(&mut self) -> Result<(), SessionEnd> {
        if self.is_stopping {
            return self.reject_waiting().await;
        }
        while self.turns.len() < MAX_RUNNING {
            let turns = &self.turns;
            let Some(request) = self.waiting.next(|lane| turns.iter().any(|turn| turn.lane == *lane)) else { break };
            self.start(request).await?;
        }
        Ok(())
    }

    /// Begins the turn of a request.
    async fn start(&mut self, request: WaitingRequest) -> Result<(), SessionEnd> {
        let WaitingRequest { lane, message: ClientMessage { text, permit }, is_cancelled } = request;
        self.admit(&lane).await?;
        let create = Create::read(&text);
        drop(text);
        match create {
            Ok(mut create) => {
                // Input that was accepted for the response comes before the results that it has waited for.
                let steers = create.previous().map(|id| self.pending.take(&lane, id)).unwrap_or_default();
                if !steers.is_empty() {
                    create.prepend(steers.iter().flat_map(Steer::items).collect());
                }
                self.begin(&lane, create, permit, AppliedSteers { steers, is_automatic: false }).await?;
                if is_cancelled && let Some(turn) = self.turns.iter_mut().find(|turn| turn.lane == lane) {
                    turn.interrupt();
                }
                Ok(())
            }
            Err(error) => self.send_error(&lane, error).await,
        }
    }

    /// Checks the caller again for each turn: a revoked key also ends the connections that it opened.
    async fn admit(&mut self, lane: &Lane) -> Result<(), SessionEnd> {
        let session = &self.session;
        if let Err(denied) = session.app.runtime.current().access.admit(session.peer, &session.head) {
            self.socket.send_error(lane, &reply::from_denied(denied, session.app.advice())).await?;
            return Err(SessionEnd::Close(CloseCode::Policy, "the key is no longer accepted"));
        }
        Ok(())
    }

    /// Begins the turn of a request that has been admitted.
    async fn begin(
        &mut self,
        lane: &Lane,
        create: Create,
        permit: Option<BudgetPermit>,
        applied: AppliedSteers,
    ) -> Result<(), SessionEnd> {
        match LaneTurn::begin(&self.session.app, &self.session.head, lane, create, permit, &mut self.remembered) {
            Ok(Begun::Turn(mut turn)) => {
                turn.applied = applied;
                self.turns.push(*turn);
                Ok(())
            }
            Ok(Begun::Prewarmed(events)) => self.socket.send_events(lane, events).await,
            Err(error) => self.fail(lane, applied, error).await,
        }
    }

    /// Answers all waiting requests with an error.
    async fn reject_waiting(&mut self) -> Result<(), SessionEnd> {
        while let Some(request) = self.waiting.pop() {
            self.socket.send_error(&request.lane, &full("it is stopping")).await?;
        }
        Ok(())
    }

    /// Passes on a part of a turn.
    async fn pass_on(&mut self, at: usize, part: TurnPart) -> Result<(), SessionEnd> {
        let Some(turn) = self.turns.get_mut(at) else { return Ok(()) };
        match part {
            TurnPart::Events(metadata, events) => {
                if let Some(Metadata { request_id, notices }) = metadata {
                    self.socket.send_metadata(&turn.lane, &request_id, &notices).await?;
                }
                self.socket.send_events(&turn.lane, events).await?;
                if turn.is_finished() { self.finish(at).await } else { Ok(()) }
            }
            TurnPart::Keepalive => self.socket.ping().await,
            TurnPart::Failed(error) => {
                let turn = self.turns.remove(at);
                let lane = turn.lane.clone();
                let applied = turn.fail(&mut self.remembered);
                self.fail(&lane, applied, error).await
            }
            TurnPart::Ended => self.finish(at).await,
        }
    }

    /// Remembers the response of a turn that has ended, and continues it with the input that was accepted for it.
    async fn finish(&mut self, at: usize) -> Result<(), SessionEnd> {
        let mut ended = self.turns.remove(at).end(&mut self.remembered);
        let (lane, steers) = (ended.lane.clone(), std::mem::take(&mut ended.steers));
        if steers.is_empty() {
            return Ok(());
        }
        let problem = match &ended.response_id {
            Some(_) if ended.is_interrupted => SteerError::NotActive,
            Some(id) if !self.is_stopping => {
                if !ended.required.is_empty() {
                    let required = std::mem::take(&mut ended.required);
                    let members = steers.iter().map(|steer| steer.pending(&required));
                    let events = ended.events("response.steer.pending", members);
                    self.socket.send_events(&lane, events).await?;
                    return self.keep_pending(lane, steers).await;
                }
                if let Some(settings) = ended.settings {
                    let create = settings.successor(id, steers.iter().flat_map(Steer::items).collect());
                    self.admit(&lane).await?;
                    return self.begin(&lane, create, None, AppliedSteers { steers, is_automatic: true }).await;
                }
                SteerError::SuccessorFailed
            }
            _ => SteerError::SuccessorFailed,
        };
        let failures = steers.into_iter().map(|steer| steer.failed(problem).members());
        let events = ended.events("response.steer.failed", failures);
        self.socket.send_events(&lane, events).await
    }

    /// Accepts input for a running response.
    async fn steer(&mut self, message: ClientMessage) -> Result<(), SessionEnd> {
        let ClientMessage { text, permit } = message;
        let steer = match Steer::read(&text, permit) {
            Ok(steer) => steer,
            Err(failure) => return self.socket.send_frame(&Lane::default(), &failure.frame()).await,
        };
        if self.is_stopping {
            // The response ends as it would have: no successor would continue it.
            let failure = steer.rejected(SteerError::SuccessorFailed);
            return self.socket.send_frame(&Lane::default(), &failure.frame()).await;
        }
        let limit_bytes = self.limit_bytes;
        if let Some(turn) = self.turns.iter_mut().find(|turn| turn.is_response(&steer.response_id)) {
            if let Err(failure) = turn.steer(steer, limit_bytes) {
                turn.add_event("response.steer.failed", &failure.members());
            }
            return Ok(());
        }
        let is_over = self.remembered.has_ended(&steer.response_id);
        let failure = steer.rejected(if is_over { SteerError::AlreadyCompleted } else { SteerError::NotFound });
        self.socket.send_frame(&Lane::default(), &failure.frame()).await
    }

    /// Reports the failure of a request. Input that was accepted for it goes back to the client, because its response
    /// can no longer be continued; if the request was made for the input, that is the report.
    async fn fail(&mut self, lane: &Lane, applied: AppliedSteers, error: Error) -> Result<(), SessionEnd> {
        self.return_steers(lane, applied.steers).await?;
        if applied.is_automatic { Ok(()) } else { self.send_error(lane, error).await }
    }

    /// Keeps input until a request continues the response; what has waited longest goes back to the client.
    async fn keep_pending(&mut self, lane: Lane, steers: Vec<Steer>) -> Result<(), SessionEnd> {
        match self.pending.add(lane, steers) {
            Some((lane, steers)) => self.return_steers(&lane, steers).await,
            None => Ok(()),
        }
    }

    async fn return_steers(&mut self, lane: &Lane, steers: Vec<Steer>) -> Result<(), SessionEnd> {
        for steer in steers {
            self.socket.send_frame(lane, &steer.failed(SteerError::SuccessorFailed).frame()).await?;
        }
        Ok(())
    }

    /// Ends the turn of a response, or without an id that of the lane, or else its first request that waits.
    ///
    /// If there is none, the answer is an event and not an error, as the backend's is: the response can end while the
    /// frame is on its way, and clients take an error for the end of the next response.
    async fn interrupt(&mut self, kind: &str, lane: &Lane, response_id: Option<&str>) -> Result<(), SessionEnd> {
        let target = match response_id {
            Some(id) => self.turns.iter_mut().find(|turn| turn.is_response(id)),
            None => self.turns.iter_mut().find(|turn| turn.lane == *lane && !turn.is_interrupted()),
        };
        if let Some(turn) = target {
            turn.interrupt();
            return Ok(());
        }
        if response_id.is_none() && self.waiting.cancel(lane) {
            return Ok(());
        }
        let (code, message) = match response_id {
            Some(id) if self.remembered.has_ended(id) => {
                ("response_already_completed", format!("the response `{id}` has already ended"))
            }
            Some(id) => ("response_not_found", format!("no response `{id}` is running on this connection")),
            None => ("response_not_found", "no response is running".to_owned()),
        };
        let error = json!({"type": "invalid_request_error", "code": code, "message": message, "param": "response_id"});
        let frame = json!({"type": format!("{kind}.failed"), "response_id": response_id, "error": error});
        self.socket.send_frame(lane, &frame).await
    }

    /// Reports the failure of a request.
    async fn send_error(&mut self, lane: &Lane, error: Error) -> Result<(), SessionEnd> {
        let error = reply::reworded_for(&self.session.head.headers, error);
        self.socket.send_error(lane, &error).await
    }
}

/// Waits for a part of any turn; the one at `first` is polled first.
fn poll_turns(turns: &mut [LaneTurn], first: usize, cx: &mut Context<'_>) -> Poll<(usize, TurnPart)> {
    let count = turns.len();
    for at in (0..count).map(|offset| (first + offset) % count) {
        if let Poll::Ready(part) = turns[at].poll_part(cx) {
            return Poll::Ready((at, part));
        }
    }
    Poll::Pending
}
