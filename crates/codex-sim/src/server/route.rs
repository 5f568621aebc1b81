//! Routing of requests to endpoints by path.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::auth_server;
use crate::backend;
use crate::control;
use crate::exchange::compression::{Compressed, compress};
use crate::exchange::connection::Connection;
use crate::exchange::inbound::{Inbound, Payload};
use crate::exchange::reply::{self, Body, Dropped};
use crate::exchange::tracked_body::TrackedBody;
use crate::request_log::{Outcome, Ticket};
use crate::state::SimState;

/// The services that a listener offers; it always answers control paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Services {
    Backend,
    Auth,
    Both,
}

/// Reads, records and answers one request.
///
/// # Errors
/// [`Dropped`] makes the server reset the connection (HTTP/1.1) or the stream (HTTP/2) without a reply.
pub(crate) async fn handle(
    request: Request<Incoming>,
    connection: Connection,
    services: Services,
    state: &Arc<SimState>,
) -> Result<Response<TrackedBody>, Dropped> {
    let control = request.uri().path().starts_with("/__sim/");
    let inbound = Inbound::read(request, connection, state.config.max_body_bytes, &state.log).await;
    let ticket = inbound.ticket.clone();
    let request_headers = inbound.headers.clone();
    let guard = DisconnectGuard(Some(ticket.clone()));
    let answered =
        if control { Ok(control::http::answer(&inbound, state)) } else { answer(inbound, services, state).await };
    guard.disarm();
    match answered {
        Ok(response) => {
            let compressed =
                !control && (state.overrides().compress || response.extensions().get::<Compressed>().is_some());
            let response = if compressed { compress(response, &request_headers) } else { response };
            ticket.status(response.status().as_u16());
            // The session that takes over the connection reports the end itself.
            let handed_over = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            Ok(response.map(|body| {
                if handed_over { TrackedBody::silent(body, ticket) } else { TrackedBody::new(body, ticket) }
            }))
        }
        Err(dropped) => {
            ticket.finished(Outcome::Cut);
            Err(dropped)
        }
    }
}

/// Records, if dropped before [`disarm`](Self::disarm), that the client disconnected while its reply was being built.
struct DisconnectGuard(Option<Ticket>);

impl DisconnectGuard {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for DisconnectGuard {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.take() {
            ticket.finished(Outcome::Disconnected);
        }
    }
}

async fn answer(inbound: Inbound, services: Services, state: &Arc<SimState>) -> Result<Response<Body>, Dropped> {
    match inbound.body {
        Payload::TooLarge => {
            return Ok(reply::json(StatusCode::PAYLOAD_TOO_LARGE, &json!({"detail": "Request body is too large"})));
        }
        Payload::Incomplete => {
            inbound.ticket.finished(Outcome::Disconnected);
            return Err(Dropped);
        }
        Payload::Empty | Payload::Json(_) | Payload::Form(_) | Payload::UnknownEncoding(_) | Payload::Malformed(_) => {}
    }
    let backend_path = inbound.path.starts_with("/backend-api/");
    let served = match services {
        Services::Both => true,
        Services::Backend => backend_path,
        Services::Auth => !backend_path,
    };
    if !served {
        return Ok(reply::not_found());
    }
    match inbound.path.as_str() {
        "/" if inbound.method == Method::GET => {
            Ok(reply::text(StatusCode::OK, "codex-sim: a simulated ChatGPT backend and auth server"))
        }
        _ if backend_path => backend::answer(inbound, state).await,
        _ => auth_server::answer(&inbound, state).await,
    }
}
