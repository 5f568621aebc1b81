//! `POST /oauth/token` and `POST /oauth/revoke` (`docs/backend.md` §1.4, §1.5, §1.7).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::auth::CLIENT_ID;
use crate::auth::ledger::{Mint, RefreshRefusal, Tokens};
use crate::backend::edge;
use crate::control::RefreshFault;
use crate::inbound::{Fields, Inbound};
use crate::reply::{self, Body, Dropped};
use crate::world::World;

/// Answers either grant, from a form or from JSON.
pub(crate) async fn exchange(inbound: &Inbound, world: &World) -> Result<Response<Body>, Dropped> {
    let Some(fields) = inbound.body.fields() else {
        return Ok(invalid_request("the body must be a form or a JSON object"));
    };
    if fields.text("client_id") != Some(CLIENT_ID) {
        return Ok(invalid_client());
    }
    match fields.text("grant_type") {
        Some("authorization_code") => Ok(authorization_code(&fields, world)),
        Some("refresh_token") => refresh(&fields, inbound, world).await,
        Some(other) => {
            let message = format!("grant_type {other} is not supported");
            Ok(oauth_error("unsupported_grant_type", &message))
        }
        None => Ok(invalid_request("grant_type is missing")),
    }
}

/// Revokes the grant of the token (RFC 7009); an unknown token is answered 200 like a known one.
pub(crate) fn revoke(inbound: &Inbound, world: &World) -> Response<Body> {
    let fields = inbound.body.fields();
    let text = |name| fields.as_ref().and_then(|fields| fields.text(name));
    let Some(token) = text("token").filter(|token| !token.is_empty()) else {
        return invalid_request("token is missing");
    };
    // Sent with a refresh token only.
    if text("client_id").is_some_and(|client| client != CLIENT_ID) {
        return invalid_client();
    }
    world.ledger().revoke(token);
    reply::json(StatusCode::OK, &json!({}))
}

/// The S256 challenge of a verifier (RFC 7636 §4.2).
pub(crate) fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()))
}

fn authorization_code(fields: &Fields, world: &World) -> Response<Body> {
    let wanted = ["code", "redirect_uri", "code_verifier"];
    if let Some(name) = wanted.iter().find(|name| fields.text(name).is_none_or(str::is_empty)) {
        return invalid_request(&format!("{name} is missing"));
    }
    let text = |name| fields.text(name).unwrap_or_default();
    let redeemed = world.ledger().redeem_code(text("code"), world.now());
    let Some(terms) = redeemed else {
        return oauth_error("invalid_grant", "The authorization code is unknown, expired or already used.");
    };
    if terms.redirect_uri != text("redirect_uri") {
        return oauth_error("invalid_grant", "redirect_uri differs from the one of the authorization request.");
    }
    if !is_verifier(text("code_verifier")) || terms.challenge != challenge_of(text("code_verifier")) {
        return oauth_error("invalid_grant", "code_verifier does not match code_challenge.");
    }
    granted(&world.mint(Mint::default()), true)
}

/// 43 to 128 unreserved characters (RFC 7636 §4.1).
fn is_verifier(text: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(unreserved)
}

async fn refresh(fields: &Fields, inbound: &Inbound, world: &World) -> Result<Response<Body>, Dropped> {
    let Some(token) = fields.text("refresh_token").filter(|token| !token.is_empty()) else {
        return Ok(invalid_request("refresh_token is missing"));
    };
    world.ledger().presented(token);
    let fault = world.orders().refresh_faults.pop_front();
    match fault {
        None => Ok(rotate(token, true, world)),
        Some(RefreshFault::ServerError) => {
            let message = "The server had an error while processing your request.";
            Ok(error(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message))
        }
        Some(RefreshFault::Hang) => {
            world.released(&inbound.ticket).await;
            Ok(error(StatusCode::SERVICE_UNAVAILABLE, "server_error", "Released."))
        }
        Some(RefreshFault::Cloudflare) => Ok(edge::challenge()),
        Some(RefreshFault::OmitRefreshToken) => Ok(rotate(token, false, world)),
        Some(RefreshFault::ConsumeThenDrop) => {
            rotate(token, true, world);
            Err(Dropped)
        }
        Some(RefreshFault::ConsumeThenHang) => {
            let answer = rotate(token, true, world);
            world.released(&inbound.ticket).await;
            Ok(answer)
        }
        Some(RefreshFault::Invalidated) => Ok(refused(RefreshRefusal::Invalidated)),
        Some(RefreshFault::ReusedBadRequest) => {
            let mut response = refused(RefreshRefusal::Reused);
            *response.status_mut() = StatusCode::BAD_REQUEST;
            Ok(response)
        }
        Some(RefreshFault::Expired) => Ok(refused(RefreshRefusal::Expired)),
    }
}

fn rotate(token: &str, rotate: bool, world: &World) -> Response<Body> {
    let (now, mut rng) = (world.now(), world.rng());
    let refreshed = world.ledger().refresh(token, rotate, &world.issuer, now, &mut rng);
    match refreshed {
        Ok(tokens) => granted(&tokens, rotate),
        Err(refusal) => refused(refusal),
    }
}

fn granted(tokens: &Tokens, with_refresh_token: bool) -> Response<Body> {
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

fn refused(refusal: RefreshRefusal) -> Response<Body> {
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

/// The RFC 6749 §5.2 shape, the other of the two that clients understand (`docs/backend.md` §1.4).
fn oauth_error(code: &str, description: &str) -> Response<Body> {
    reply::json(StatusCode::BAD_REQUEST, &json!({"error": code, "error_description": description}))
}

fn invalid_request(description: &str) -> Response<Body> {
    oauth_error("invalid_request", description)
}
