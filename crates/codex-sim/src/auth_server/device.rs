//! The device-code flow: two endpoints and the page where the user enters the code (`docs/backend.md` §1.8).

use std::time::Duration;

use http::{Response, StatusCode};
use serde_json::json;

use crate::auth_server::page::{escape, page};
use crate::auth_server::pkce::challenge_of;
use crate::exchange::inbound::Inbound;
use crate::exchange::reply::{self, Body};
use crate::state::SimState;
use crate::state::logins::{CodeBinding, Decision, DeviceLogin};
use crate::tokens::jwt::CLIENT_ID;

/// How long a user code is valid.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

/// `POST /api/accounts/deviceauth/usercode`.
pub(crate) fn usercode(inbound: &Inbound, state: &SimState) -> Response<Body> {
    if !state.config.device_login {
        return reply::json(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}));
    }
    let client = inbound.body.fields().and_then(|fields| fields.text("client_id").map(str::to_owned));
    if client.as_deref() != Some(CLIENT_ID) {
        return device_error(StatusCode::BAD_REQUEST, "invalid_client", "unknown client_id");
    }
    let mut rng = state.rng();
    let user_code = format!("{}-{:05}", rng.alphanumeric(4).to_ascii_uppercase(), rng.next() % 100_000);
    let device_auth_id = format!("deviceauth_{}", rng.hex(24));
    let device = DeviceLogin {
        device_auth_id: device_auth_id.clone(),
        decision: Decision::Pending,
        expires: state.clock.now() + LIFETIME,
        polls: 0,
    };
    state.logins().devices.insert(user_code.clone(), device);
    // The real service sends the interval as a string.
    let interval = state.config.device_interval_secs.to_string();
    reply::json(
        StatusCode::OK,
        &json!({"device_auth_id": device_auth_id, "user_code": user_code, "interval": interval}),
    )
}

/// `POST /api/accounts/deviceauth/token`: 403 and 404 in turn while the user has not decided: the real service was
/// seen to use both.
pub(crate) fn poll(inbound: &Inbound, state: &SimState) -> Response<Body> {
    let fields = inbound.body.fields();
    let text = |name| fields.as_ref().and_then(|fields| fields.text(name)).unwrap_or_default().to_owned();
    let (user_code, device_auth_id) = (text("user_code"), text("device_auth_id"));
    let (now, mut rng) = (state.clock.now(), state.rng());
    let mut logins = state.logins();
    let known = logins.devices.find_mut(&user_code).filter(|device| device.device_auth_id == device_auth_id);
    let Some(device) = known.filter(|device| device.expires > now) else {
        return device_error(StatusCode::NOT_FOUND, "expired_token", "the device code is unknown or has expired");
    };
    device.polls += 1;
    match device.decision {
        Decision::Pending => {
            let status = if device.polls % 2 == 1 { StatusCode::FORBIDDEN } else { StatusCode::NOT_FOUND };
            device_error(status, "authorization_pending", "the user has not decided yet")
        }
        Decision::Denied => device_error(StatusCode::UNAUTHORIZED, "authorization_declined", "Denied"),
        Decision::Approved => {
            logins.devices.remove(&user_code);
            let verifier = rng.token(64);
            let challenge = challenge_of(&verifier);
            let redirect_uri = format!("{}/deviceauth/callback", state.issuer);
            let code = logins.issue_code(CodeBinding { redirect_uri, challenge: challenge.clone() }, now, &mut rng);
            let body = json!({"authorization_code": code, "code_challenge": challenge, "code_verifier": verifier});
            reply::json(StatusCode::OK, &body)
        }
    }
}

/// `GET /codex/device`: the page where the user enters the code.
pub(crate) fn show(inbound: &Inbound) -> Response<Body> {
    let given = inbound.query_pairs().into_iter().find(|(name, _)| name == "user_code").map(|(_, value)| value);
    let body = format!(
        "<p>This is a simulated sign-in page: no real account is involved.</p>\n\
         <form method=\"post\" action=\"/codex/device\">\n\
         <p><label>Code shown by your device <input name=\"user_code\" value=\"{}\" autofocus></label></p>\n\
         <button type=\"submit\" name=\"decision\" value=\"approve\" id=\"approve\">Approve</button>\n\
         <button type=\"submit\" name=\"decision\" value=\"deny\" id=\"deny\">Deny</button>\n</form>",
        escape(&given.unwrap_or_default())
    );
    reply::html(StatusCode::OK, page("Sign in to Codex on a device", &body))
}

/// Applies the page's form.
pub(crate) fn decide(inbound: &Inbound, state: &SimState) -> Response<Body> {
    let fields = inbound.body.fields();
    let text = |name| fields.as_ref().and_then(|fields| fields.text(name)).unwrap_or_default();
    let decision = match text("decision") {
        "approve" => Decision::Approved,
        "deny" => Decision::Denied,
        _ => return result_page(StatusCode::BAD_REQUEST, "Choose Approve or Deny."),
    };
    let now = state.clock.now();
    if state.logins().decide_device(text("user_code"), decision, now) {
        result_page(StatusCode::OK, "Done. You may close this page and return to your device.")
    } else {
        result_page(StatusCode::BAD_REQUEST, "This code is unknown or has expired.")
    }
}

fn result_page(status: StatusCode, sentence: &str) -> Response<Body> {
    reply::html(status, page("Sign in to Codex on a device", &format!("<p id=\"result\">{sentence}</p>")))
}

fn device_error(status: StatusCode, code: &str, description: &str) -> Response<Body> {
    reply::json(status, &json!({"error": code, "error_description": description}))
}
