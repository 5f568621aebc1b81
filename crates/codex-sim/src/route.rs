//! Which endpoint answers which path.

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;
use std::sync::Arc;

use crate::inbound::{Inbound, Payload};
use crate::log::{Outcome, Ticket, Tracked};
use crate::reply::{self, Body, Dropped};
use crate::world::World;
use crate::{auth, backend, control_http};

/// Which of the two services a listener offers; the control paths answer on all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    Backend,
    Auth,
    Both,
}

/// Reads, records and answers one request.
///
/// # Errors
///
/// [`Dropped`] makes the server break off the connection (HTTP/1.1) or the stream (HTTP/2) without a reply.
pub(crate) async fn handle(
    request: Request<Incoming>,
    connection: u64,
    surface: Surface,
    world: &Arc<World>,
) -> Result<Response<Tracked>, Dropped> {
    let control = request.uri().path().starts_with("/__sim/");
    let inbound = Inbound::read(request, connection, world).await;
    let ticket = inbound.ticket.clone();
    let waiting = Waiting(Some(ticket.clone()));
    let answered =
        if control { Ok(control_http::answer(&inbound, world)) } else { answer(inbound, surface, world).await };
    waiting.over();
    match answered {
        Ok(response) => {
            ticket.status(response.status().as_u16());
            Ok(response.map(|body| Tracked::new(body, ticket)))
        }
        Err(dropped) => {
            ticket.finished(Outcome::Cut);
            Err(dropped)
        }
    }
}

/// Held while a reply is being made: dropped with the request's future, it records that the client went away.
struct Waiting(Option<Ticket>);

impl Waiting {
    fn over(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.take() {
            ticket.finished(Outcome::Disconnected);
        }
    }
}

async fn answer(inbound: Inbound, surface: Surface, world: &Arc<World>) -> Result<Response<Body>, Dropped> {
    match inbound.body {
        Payload::TooLarge => {
            return Ok(reply::json(StatusCode::PAYLOAD_TOO_LARGE, &json!({"detail": "Request body is too large"})));
        }
        Payload::Broken => {
            inbound.ticket.finished(Outcome::Disconnected);
            return Err(Dropped);
        }
        Payload::Empty | Payload::Json(_) | Payload::Form(_) | Payload::UnknownEncoding(_) | Payload::Malformed(_) => {}
    }
    let backend_path = inbound.path.starts_with("/backend-api/");
    let served = match surface {
        Surface::Both => true,
        Surface::Backend => backend_path,
        Surface::Auth => !backend_path,
    };
    if !served {
        return Ok(not_found());
    }
    let get = inbound.method == Method::GET;
    let post = inbound.method == Method::POST;
    match inbound.path.as_str() {
        "/oauth/authorize" if get => Ok(auth::authorize::show(&inbound, world)),
        "/oauth/authorize" if post => Ok(auth::authorize::decide(&inbound, world)),
        "/oauth/token" if post => auth::token::exchange(&inbound, world).await,
        "/oauth/revoke" if post => Ok(auth::token::revoke(&inbound, world)),
        "/api/accounts/deviceauth/usercode" if post => Ok(auth::device::usercode(&inbound, world)),
        "/api/accounts/deviceauth/token" if post => Ok(auth::device::poll(&inbound, world)),
        "/codex/device" if get => Ok(auth::device::show(&inbound)),
        "/codex/device" if post => Ok(auth::device::decide(&inbound, world)),
        "/deviceauth/callback" if get => Ok(reply::text(StatusCode::OK, "You may close this page.")),
        "/backend-api/codex/responses" if post => backend::responses::answer(inbound, world).await,
        // wire.md §3.6: 426 on an upgrade tells the client to use HTTP.
        "/backend-api/codex/responses" if get => Ok(upgrade_required()),
        "/backend-api/codex/models" if get => Ok(backend::models::list(&inbound, world)),
        "/backend-api/wham/usage" if get => Ok(backend::account::usage(&inbound, world)),
        "/backend-api/wham/accounts/check" if get => Ok(backend::account::check(&inbound, world)),
        "/" if get => Ok(reply::text(StatusCode::OK, "codex-sim: a simulated ChatGPT backend and auth server")),
        _ => Ok(not_found()),
    }
}

fn not_found() -> Response<Body> {
    reply::json(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}))
}

fn upgrade_required() -> Response<Body> {
    reply::json(StatusCode::UPGRADE_REQUIRED, &json!({"detail": "WebSocket is not available, use HTTP"}))
}
