//! The two shapes of the `error` event (`docs/backend.md` §3.4, §4).

use serde_json::{Map, Value, json};

use crate::protocol::failure::failure_message;
use crate::protocol::failure::title_case;
use crate::recipe::event::Event;
use crate::recipe::quota_snapshot::QuotaSnapshot;
use crate::scenario::plan::ErrorForm;

/// An `error` event of the form asked for.
pub(crate) fn error_event(form: &ErrorForm, snapshot: &QuotaSnapshot) -> Event {
    let code = match form {
        ErrorForm::Flat => {
            let message = failure_message("server_error");
            return Event::new("error", json!({"code": "server_error", "message": message, "param": null}));
        }
        ErrorForm::Nested(code) => code.as_str(),
    };
    if code == "usage_limit_reached" {
        return limit_event(snapshot);
    }
    let (status, kind) = match code {
        "server_error" => (500, "server_error"),
        "server_is_overloaded" | "slow_down" | "overloaded_error" => (503, "service_unavailable_error"),
        "rate_limit_exceeded" => (429, "tokens"),
        "insufficient_quota" | "usage_not_included" => (429, code),
        _ => (400, "invalid_request_error"),
    };
    let error = json!({"type": kind, "code": code, "message": failure_message(code), "param": null});
    Event::new("error", json!({"status": status, "error": error}))
}

/// §4: a used-up quota comes with the headers a 429 would have had.
fn limit_event(snapshot: &QuotaSnapshot) -> Event {
    let quota = snapshot.quota.used_up();
    let headers = quota.headers(&snapshot.plan_type, snapshot.now).into_iter();
    let headers: Map<String, Value> = headers.map(|(name, value)| (title_case(name), value.into())).collect();
    let error = quota.limit_error(&snapshot.plan_type, snapshot.now);
    Event::new("error", json!({"status_code": 429, "error": error, "headers": headers}))
}
