//! The checks before the body is read: bearer and account (`docs/backend.md` §8 steps 1-2).

use http::{HeaderMap, StatusCode};
use serde_json::json;

use crate::protocol::refusal::Refusal;
use crate::state::SimState;
use crate::tokens::grant::Grant;
use crate::tokens::ledger::AccessRefusal;

/// Returns the grant of the request's bearer token, after checking its account header.
pub(crate) fn authenticate(headers: &HeaderMap, state: &SimState) -> Result<Grant, Refusal> {
    let grant = bearer(headers, state)?;
    check_account(headers, &grant, state)?;
    Ok(grant)
}

/// Returns the grant of the bearer token. §3.6: 401 without one, and for one that is unknown, expired or revoked.
pub(crate) fn bearer(headers: &HeaderMap, state: &SimState) -> Result<Grant, Refusal> {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    let Some(token) = given.and_then(|value| value.strip_prefix("Bearer ")).filter(|token| !token.is_empty()) else {
        return Err(anonymous());
    };
    let ledger = state.tokens();
    ledger.authenticate(token, state.clock.now()).cloned().map_err(|refusal| match refusal {
        AccessRefusal::Unknown | AccessRefusal::Revoked => unauthorized("token_invalidated"),
        AccessRefusal::Expired => unauthorized("token_expired"),
    })
}

/// §3.6: no bearer token.
pub(crate) fn anonymous() -> Refusal {
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, json!({"detail": "Unauthorized"}));
    refusal.auth_headers("missing_authorization_header")
}

/// §3.6: an invalid token, in the shape seen live.
pub(crate) fn unauthorized(code: &str) -> Refusal {
    let why = match code {
        "token_expired" => "Provided authentication token is expired. Please try signing in again.",
        "token_revoked" => "Encountered invalidated oauth token for user, failing request.",
        _ => "Your authentication token has been invalidated. Please try signing in again.",
    };
    token_refusal(code, why)
}

/// §3.6: a token without the scope.
pub(crate) fn missing_scope() -> Refusal {
    token_refusal(
        "missing_scope",
        "You have insufficient permissions for this operation. Missing scopes: api.responses.write.",
    )
}

fn token_refusal(code: &str, message: &str) -> Refusal {
    let error = json!({"message": message, "type": "invalid_request_error", "code": code, "param": null});
    Refusal::new(StatusCode::UNAUTHORIZED, json!({"error": error, "status": 401})).auth_headers(code)
}

/// §3.6: an account that the token is not for. Clients that do not know their account leave the header out.
fn check_account(headers: &HeaderMap, grant: &Grant, state: &SimState) -> Result<(), Refusal> {
    let Some(given) = headers.get("chatgpt-account-id") else {
        return Ok(());
    };
    if given.as_bytes() == grant.account_id.as_bytes() {
        return Ok(());
    }
    let overrides = state.overrides();
    match overrides.workspaces.iter().find(|workspace| given.as_bytes() == workspace.id.as_bytes()) {
        Some(workspace) if workspace.is_deactivated => Err(deactivated()),
        Some(_) => Ok(()),
        None => Err(wrong_workspace()),
    }
}

/// §3.6: 403 as JSON.
pub(crate) fn wrong_workspace() -> Refusal {
    let code = "invalid_workspace_selected";
    Refusal::new(StatusCode::FORBIDDEN, json!({"detail": {"code": code}})).auth_headers(code)
}

/// §3.6: 402, the workspace is deactivated.
pub(crate) fn deactivated() -> Refusal {
    Refusal::new(StatusCode::PAYMENT_REQUIRED, json!({"detail": {"code": "deactivated_workspace"}}))
}
