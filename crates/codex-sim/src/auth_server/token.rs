//! `POST /oauth/token` and `POST /oauth/revoke` (`docs/backend.md` §1.4, §1.5, §1.7).

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::auth_server::pkce::{challenge_of, is_verifier};
use crate::cloudflare;
use crate::exchange::inbound::{Fields, Inbound};
use crate::exchange::reply::{self, Body, Dropped};
use crate::state::SimState;
use crate::state::overrides::RefreshFault;
use crate::tokens::jwt::CLIENT_ID;
use crate::tokens::ledger::{Mint, RefreshRefusal, Tokens};

/// Answers both grant types, from a form or from JSON.
pub(crate) async fn exchange(inbound: &Inbound, state: &SimState) -> Result<Response<Body>, Dropped> {
    let Some(fields) = inbound.body.fields() else {
        return Ok(invalid_request("the body must be a form or a JSON object"));
    };
    if fields.text("client_id") != Some(CLIENT_ID) {
        return Ok(invalid_client());
    }
    match fields.text("grant_type") {
        Some("authorization_code") => Ok(authorization_code(&fields, state)),
        Some("refresh_token") => refresh(&fields, inbound, state).await,
        Some(other) => {
            let message = format!("grant_type {other} is not supported");
            Ok(oauth_error("unsupported_grant_type", &message))
        }
        None => Ok(invalid_request("grant_type is missing")),
    }
}

/// Revokes the grant of the token (RFC 7009); an unknown token gets 200 like a known one.
pub(crate) fn revoke(inbound: &Inbound, state: &SimState) -> Response<Body> {
    let fields = inbound.body.fields();
    let text = |name| fields.as_ref().and_then(|fields| fields.text(name));
    let Some(token) = text("token").filter(|token| !token.is_empty()) else {
        return invalid_request("token is missing");
    };
    // Clients send it only with a refresh token.
    if text("client_id").is_some_and(|client| client != CLIENT_ID) {
        return invalid_client();
    }
    state.tokens().revoke(token);
    reply::json(StatusCode::OK, &json!({}))
}

fn authorization_code(fields: &Fields, state: &SimState) -> Response<Body> {
    let wanted = ["code", "redirect_uri", "code_verifier"];
    if let Some(name) = wanted.iter().find(|name| fields.text(name).is_none_or(str::is_empty)) {
        return invalid_request(&format!("{name} is missing"));
    }
    let text = |name| fields.text(name).unwrap_or_default();
    let redeemed = state.logins().redeem_code(text("code"), state.clock.now());
    let Some(binding) = redeemed else {
        return oauth_error("invalid_grant", "The authorization code is unknown, expired or already used.");
    };
    if binding.redirect_uri != text("redirect_uri") {
        return oauth_error("invalid_grant", "redirect_uri does not match that of the authorization request.");
    }
    if !is_verifier(text("code_verifier")) || binding.challenge != challenge_of(text("code_verifier")) {
        return oauth_error("invalid_grant", "code_verifier does not match code_challenge.");
    }
    token_response(&state.mint(Mint::default()), true)
}

async fn refresh(fields: &Fields, inbound: &Inbound, state: &SimState) -> Result<Response<Body>, Dropped> {
    let Some(token) = fields.text("refresh_token").filter(|token| !token.is_empty()) else {
        return Ok(invalid_request("refresh_token is missing"));
    };
    state.tokens().count_use(token);
    let fault = state.overrides().refresh_faults.pop_front();
    match fault {
        None => Ok(rotate(token, true, state)),
        Some(RefreshFault::ServerError) => {
            let message = "The server had an error while processing your request.";
            Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message))
        }
        Some(RefreshFault::Hang) => {
            state.stalls.released(&inbound.ticket, None).await;
            Ok(error(StatusCode::SERVICE_UNAVAILABLE, "server_error", "Released."))
        }
        Some(RefreshFault::Cloudflare) => Ok(cloudflare::challenge()),
        Some(RefreshFault::OmitRefreshToken) => Ok(rotate(token, false, state)),
        Some(RefreshFault::ConsumeThenDrop) => {
            rotate(token, true, state);
            Err(Dropped)
        }
        Some(RefreshFault::ConsumeThenHang) => {
            let answer = rotate(token, true, state);
            state.stalls.released(&inbound.ticket, None).await;
            Ok(answer)
        }
        Some(RefreshFault::Invalidated) => Ok(refresh_error(RefreshRefusal::Invalidated)),
        Some(RefreshFault::ReusedBadRequest) => {
            let mut response = refresh_error(RefreshRefusal::Reused);
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
        Some(RefreshFault::Expired) => Ok(refresh_error(RefreshRefusal::Expired)),
    }
}

fn rotate(token: &str, rotate: bool, state: &SimState) -> Response<Body> {
    let (now, mut rng) = (state.clock.now(), state.rng());
    let refreshed = state.tokens().refresh(token, rotate, &state.issuer, now, &mut rng);
    match refreshed {
        Ok(tokens) => token_response(&tokens, rotate),
        Err(refusal) => refresh_error(refusal),
    }
}

fn token_response(tokens: &Tokens, with_refresh_token: bool) -> Response<Body> {
    let mut body = json!({
        "access_token": tokens.access_token,
        "expires_in": tokens.expires_in,
        "id_token": tokens.id_token,
        "scope": "openid profile email offline_access",
        "token_type": "Bearer",
    });
    if with_refresh_token {
        body["refresh_token"] = Value::from(tokens.refresh_token.as_str());
    }
    let mut response = reply::json(StatusCode::OK, &body);
    // RFC 6749 §5.1.
    reply::set(&mut response, "cache-control", "no-store");
    reply::set(&mut response, "pragma", "no-cache");
    response
}

fn refresh_error(refusal: RefreshRefusal) -> Response<Body> {
    let (code, message) = match refusal {
        RefreshRefusal::Expired => {
            ("refresh_token_expired", "Could not validate your refresh token. Please try signing in again.")
        }
        RefreshRefusal::Reused => (
            "refresh_token_reused",
            "Your refresh token has already been used to generate a new access token. Please try signing in again.",
        ),
        RefreshRefusal::Unknown => ("token_expired", "Could not validate your token. Please try signing in again."),
        RefreshRefusal::Invalidated => ("refresh_token_invalidated", "Your session has ended. Please log in again."),
    };
    error(StatusCode::UNAUTHORIZED, code, message)
}

fn invalid_client() -> Response<Body> {
    error(StatusCode::UNAUTHORIZED, "invalid_client", "Invalid client specified.")
}

fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": code}});
    reply::json(status, &body)
}

/// Returns an error in the shape of RFC 6749 §5.2, the other of the two that clients understand (`docs/backend.md`
/// §1.4).
fn oauth_error(code: &str, description: &str) -> Response<Body> {
    reply::json(StatusCode::BAD_REQUEST, &json!({"error": code, "error_description": description}))
}

fn invalid_request(description: &str) -> Response<Body> {
    oauth_error("invalid_request", description)
}
