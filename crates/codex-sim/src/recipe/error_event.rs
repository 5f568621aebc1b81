//! The `error` object of a failed response, and the two shapes of the `error` event (`docs/backend.md` §3.4, §4).

use serde_json::{Map, Value, json};

use crate::protocol::failure::{failure_message, misalignment, title_case};
use crate::recipe::event::Event;
use crate::recipe::quota_snapshot::QuotaSnapshot;
use crate::scenario::plan::ErrorShape;

/// Returns an `error` event of this shape.
pub(crate) fn error_event(form: &ErrorShape, snapshot: &QuotaSnapshot) -> Event {
    let code = match form {
        ErrorShape::Flat => {
            let message = failure_message("server_error");
            return Event::new("error", json!({"code": "server_error", "message": message, "param": null}));
        }
        ErrorShape::Nested(code) => code.as_str(),
        ErrorShape::Given(fields) => return Event::new("error", fields.clone()),
    };
    if code == "usage_limit_reached" {
        return limit_event(snapshot);
    }
    let (status, kind) = match code {
        "server_error" => (500, "server_error"),
        "server_is_overloaded" | "slow_down" | "overloaded_error" => (503, "service_unavailable_error"),
        "rate_limit_exceeded" => (429, "tokens"),
        "insufficient_quota" | "usage_not_included" => (429, code),
        "vector_store_timeout" => (500, "server_error"),
        "misalignment_policy_violation" | "data_residency_mismatch" => (403, "invalid_request_error"),
        _ => (400, "invalid_request_error"),
    };
    let mut error = json!({"type": kind, "code": code, "message": failure_message(code), "param": null});
    if let Some(details) = misalignment(code) {
        error["misalignment"] = details;
    }
    Event::new("error", json!({"status": status, "error": error}))
}

/// The `error` of a failed response: with this code, unless it is an error object itself.
pub(crate) fn response_error(code: &str) -> Value {
    let object = serde_json::from_str::<Value>(code).ok().filter(Value::is_object);
    object.unwrap_or_else(|| {
        let mut error = json!({"code": code, "message": failure_message(code)});
        if let Some(details) = misalignment(code) {
            error["misalignment"] = details;
        }
        error
    })
}

/// §4: an exhausted quota is reported with the headers of a 429.
fn limit_event(snapshot: &QuotaSnapshot) -> Event {
    let quota = snapshot.quota.exhausted_now();
    let headers = quota.headers(&snapshot.plan_type, snapshot.now).into_iter();
    let headers: Map<String, Value> = headers.map(|(name, value)| (title_case(name), value.into())).collect();
    let error = quota.limit_error(&snapshot.plan_type, snapshot.now);
    Event::new("error", json!({"status_code": 429, "error": error, "headers": headers}))
}
