//! The refusals that a scenario asks for, each at its step of `docs/backend.md` §8.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::backend::auth;
use crate::cloudflare;
use crate::exchange::reply::Body;
use crate::protocol::failure::{failure_message, misalignment};
use crate::protocol::quota::Quota;
use crate::protocol::refusal::Refusal;
use crate::scenario::plan::{StatusFault, Unauthorized};
use crate::tokens::grant::Grant;

/// Step 1: replies from in front of the backend.
pub(crate) fn before_the_backend(fault: Option<&StatusFault>) -> Option<Response<Body>> {
    match fault {
        Some(StatusFault::Cloudflare(page)) => Some(cloudflare::page(*page)),
        _ => None,
    }
}

/// Step 2, instead of checking the bearer token.
pub(crate) fn on_bearer(fault: Option<&StatusFault>) -> Result<(), Refusal> {
    match fault {
        Some(StatusFault::Unauthorized(Unauthorized::Code(code))) => Err(auth::unauthorized(code)),
        Some(StatusFault::Unauthorized(Unauthorized::Detail)) => Err(auth::anonymous()),
        Some(StatusFault::Unauthorized(Unauthorized::Scope)) => Err(auth::missing_scope()),
        _ => Ok(()),
    }
}

/// Step 2, after the bearer token was accepted.
pub(crate) fn on_account(fault: Option<&StatusFault>) -> Result<(), Refusal> {
    match fault {
        Some(StatusFault::Forbidden) => Err(auth::wrong_workspace()),
        Some(StatusFault::Deactivated) => Err(auth::deactivated()),
        _ => Ok(()),
    }
}

/// Steps 7 to 9: refusals of a request that has passed every check.
pub(crate) fn on_turn(
    fault: Option<&StatusFault>,
    model: &str,
    grant: &Grant,
    quota: Quota,
    now: u64,
) -> Result<(), Refusal> {
    match fault {
        Some(StatusFault::ModelNotFound) => {
            let message = format!("Model not found {model}");
            Err(Refusal::detail(message).with_status(StatusCode::NOT_FOUND))
        }
        Some(StatusFault::Refused(code)) => {
            let param = (*code == "context_length_exceeded").then_some("input");
            Err(Refusal::error(param, Some(code), failure_message(code)))
        }
        Some(StatusFault::Misalignment(status)) => {
            let code = "misalignment_policy_violation";
            let error = json!({
                "message": failure_message(code), "type": "invalid_request_error", "param": null, "code": code,
                "misalignment": misalignment(code),
            });
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::FORBIDDEN);
            Err(Refusal::new(status, json!({"error": error})))
        }
        Some(StatusFault::Capacity) => {
            Err(Refusal::error(None, None, "Selected model is at capacity. Please try a different model."))
        }
        Some(StatusFault::Given(status, body)) => {
            Err(Refusal::new(StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST), body.clone()))
        }
        Some(StatusFault::Unprocessable) => Err(unprocessable()),
        Some(StatusFault::ServerError) => {
            Err(server(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "server_error"))
        }
        Some(StatusFault::Unavailable(code)) => {
            Err(server(StatusCode::SERVICE_UNAVAILABLE, "service_unavailable_error", code))
        }
        fault => too_many(fault, grant, quota, now),
    }
}

/// Step 8: the kinds of 429. An exhausted quota needs no scenario.
fn too_many(fault: Option<&StatusFault>, grant: &Grant, quota: Quota, now: u64) -> Result<(), Refusal> {
    let refused = |error: Value| Refusal::new(StatusCode::TOO_MANY_REQUESTS, json!({"error": error}));
    let coded = |kind: &str, code: &str| {
        refused(json!({"type": kind, "code": code, "message": failure_message(code), "param": null}))
    };
    let (refusal, shown) = match fault {
        Some(StatusFault::UsageNotIncluded) => {
            let code = "usage_not_included";
            (refused(json!({"type": code, "message": failure_message(code), "plan_type": grant.plan_type})), quota)
        }
        Some(StatusFault::InsufficientQuota) => (coded("insufficient_quota", "insufficient_quota"), quota),
        Some(StatusFault::RateLimit) => (coded("tokens", "rate_limit_exceeded"), quota),
        Some(StatusFault::UsageLimit) => {
            (quota.exhausted_now().usage_limit(&grant.plan_type, now), quota.exhausted_now())
        }
        _ if quota.exhausted() => (quota.usage_limit(&grant.plan_type, now), quota),
        _ => return Ok(()),
    };
    let headers = shown.headers(&grant.plan_type, now).into_iter();
    Err(headers.fold(refusal, |refusal, (name, value)| refusal.header(name, value)))
}

/// Returns FastAPI's list of problems, the third form of `detail`.
fn unprocessable() -> Refusal {
    let problem = json!({"loc": ["body", "input"], "msg": "Input should be a valid list", "type": "list_type"});
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, json!({"detail": [problem]}))
}

fn server(status: StatusCode, kind: &str, code: &str) -> Refusal {
    let error = json!({"message": failure_message(code), "type": kind, "param": null, "code": code});
    Refusal::new(status, json!({"error": error}))
}
