//! What failing streams say: messages by code, and the two shapes of the `error` event (`docs/backend.md` §3.4, §3.6, §4).

use serde_json::{Map, Value, json};

use crate::recipe::event::Event;
use crate::recipe::script::Meter;
use crate::scenario::plan::ErrorForm;

/// The messages of `docs/backend.md` §3.6.
pub(crate) fn failure_message(code: &str) -> &'static str {
    match code {
        "context_length_exceeded" => {
            "Your input exceeds the context window of this model. Please adjust your input and try again."
        }
        "insufficient_quota" => "You exceeded your current quota, please check your plan and billing details.",
        "usage_not_included" => "To use Codex with your ChatGPT plan, upgrade to Plus.",
        "cyber_policy" => "This request has been flagged for possible cybersecurity risk.",
        "bio_policy" => "This request has been flagged for possible biological risk.",
        "invalid_prompt" => "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
        "server_is_overloaded" | "slow_down" | "overloaded_error" => {
            "Our servers are currently overloaded. Please try again later."
        }
        "rate_limit_exceeded" => {
            "Rate limit reached for gpt-5.1 in organization org-simulated on tokens per min (TPM): Limit 30000, Used 22999, \
             Requested 12528. Please try again in 11.054s. Visit https://platform.openai.com/account/rate-limits to learn \
             more."
        }
        "usage_limit_reached" => "The usage limit has been reached",
        "websocket_connection_limit_reached" => {
            "Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue."
        }
        "previous_response_not_found" => "Previous response not found.",
        "invalid_encrypted_content" => "The encrypted content could not be verified.",
        _ => "The server had an error while processing your request. Sorry about that!",
    }
}

/// An `error` event of the form asked for.
pub(crate) fn error_event(form: &ErrorForm, meter: &Meter) -> Event {
    let code = match form {
        ErrorForm::Flat => {
            let message = failure_message("server_error");
            return Event::new("error", json!({"code": "server_error", "message": message, "param": null}));
        }
        ErrorForm::Nested(code) => code.as_str(),
    };
    if code == "usage_limit_reached" {
        return limit_event(meter);
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
fn limit_event(meter: &Meter) -> Event {
    let quota = meter.quota.used_up();
    let headers = quota.headers(&meter.plan_type, meter.now).into_iter();
    let headers: Map<String, Value> = headers.map(|(name, value)| (title_case(name), value.into())).collect();
    let error = quota.limit_error(&meter.plan_type, meter.now);
    Event::new("error", json!({"status_code": 429, "error": error, "headers": headers}))
}

/// `X-Codex-Plan-Type` of `x-codex-plan-type`: in events the names are written this way.
pub(crate) fn title_case(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
