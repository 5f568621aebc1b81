//! `GET /backend-api/codex/responses` with an upgrade: the handshake of the WebSocket transport (`docs/backend.md`
//! §4, RFC 6455).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, Response, StatusCode, Version};
use serde_json::json;
use sha1::{Digest as _, Sha1};

use crate::backend::auth;
use crate::backend::responses;
use crate::backend::websocket::session::Session;
use crate::cloudflare;
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{self, Body};
use crate::protocol::refusal::Refusal;
use crate::scenario::plan::CloudflarePage;
use crate::state::SimState;
use crate::tokens::grant::Grant;

/// The value of `openai-beta` that a WebSocket requires.
const BETA: &str = "responses_websockets=2026-02-06";

/// Switches the connection to a WebSocket, or refuses.
pub(crate) fn answer(inbound: Inbound, state: &Arc<SimState>) -> Response<Body> {
    let accepted = check_handshake(&inbound, state);
    match accepted {
        Ok((grant, key)) => switch_protocols(inbound, &grant, &key, state),
        Err(refused) => *refused,
    }
}

/// Makes the checks in order: bearer and account, an override, then the handshake itself.
fn check_handshake(inbound: &Inbound, state: &SimState) -> Result<(Grant, String), Box<Response<Body>>> {
    let grant = auth::authenticate(&inbound.headers, state).map_err(|refusal| Box::new(refusal.into_response()))?;
    let ordered = state.overrides().upgrade_status;
    if let Some(status) = ordered {
        return Err(Box::new(refusal(status, &grant, state)));
    }
    if !has_member(&inbound.headers, "openai-beta", BETA) {
        let refusal = Refusal::detail(format!("WebSocket needs the header OpenAI-Beta: {BETA}"));
        return Err(Box::new(refusal.into_response()));
    }
    let key = inbound.header("sec-websocket-key").filter(|key| is_nonce(key));
    let is_handshake = inbound.version == Version::HTTP_11
        && has_member(&inbound.headers, "connection", "upgrade")
        && has_member(&inbound.headers, "upgrade", "websocket");
    match key {
        Some(key) if is_handshake && inbound.header("sec-websocket-version") == Some("13") => {
            Ok((grant, key.to_owned()))
        }
        _ => Err(Box::new(Refusal::detail("Not a WebSocket handshake of version 13").into_response())),
    }
}

/// §3.6, §4: returns the refusal of an upgrade.
fn refusal(status: u16, grant: &Grant, state: &SimState) -> Response<Body> {
    match status {
        426 => reply::json(StatusCode::UPGRADE_REQUIRED, &json!({"detail": "WebSocket is not available, use HTTP"})),
        // Cloudflare's throttle; nothing more is known about it.
        403 => {
            let mut response = reply::empty(StatusCode::FORBIDDEN);
            reply::set(&mut response, "server", "cloudflare");
            response
        }
        429 => {
            let now = state.clock.unix_now();
            state.quota(now).exhausted_now().usage_limit(&grant.plan_type, now).into_response()
        }
        404 => reply::not_found(),
        other => cloudflare::page(CloudflarePage::Gateway(other)),
    }
}

fn switch_protocols(mut inbound: Inbound, grant: &Grant, key: &str, state: &Arc<SimState>) -> Response<Body> {
    let mut response = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    reply::set(&mut response, "connection", "upgrade");
    reply::set(&mut response, "upgrade", "websocket");
    reply::set(&mut response, "sec-websocket-accept", &accept(key));
    for (name, value) in responses::common_headers(&inbound, grant, state) {
        reply::set(&mut response, name, &value);
    }
    if let Some(upgrade) = inbound.upgrade.take() {
        let socket_handoff = inbound.connection.socket_handoff.clone();
        socket_handoff.put(Session::new(inbound, Arc::clone(state)).serve(upgrade));
    }
    response
}

/// RFC 6455 §4.2.2: the proof that the key was read.
fn accept(key: &str) -> String {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

/// RFC 6455 §4.1: 16 bytes in base64.
fn is_nonce(key: &str) -> bool {
    STANDARD.decode(key).is_ok_and(|nonce| nonce.len() == 16)
}

/// Returns whether a header that is a list has this member, ignoring case.
fn has_member(headers: &HeaderMap, name: &str, member: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(member))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455 §1.3.
    #[test]
    fn the_key_is_answered_as_in_the_rfc() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(is_nonce("dGhlIHNhbXBsZSBub25jZQ==") && !is_nonce("dGhl") && !is_nonce("?"));
    }
}
