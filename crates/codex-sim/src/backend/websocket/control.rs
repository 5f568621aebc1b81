//! The answers to control frames that change nothing (`docs/backend.md` §4).

use serde_json::{Value, json};

use crate::recipe::event::Event;

/// Why an interrupt failed. The reply that is running, if any, goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InterruptFailure {
    /// The model cannot be interrupted.
    NotSupported,
    /// The response has ended or does not exist. That the real backend uses this code is a guess.
    NotRunning,
}

/// Returns the answer to an interrupt that fails, which is not an `error` event: clients take one for the end of their
/// turn.
pub(crate) fn interrupt_failed(id: &str, failure: InterruptFailure) -> Value {
    let (code, message) = match failure {
        InterruptFailure::NotSupported => {
            ("interrupt_not_supported", "This model does not support response.interrupt.".to_owned())
        }
        InterruptFailure::NotRunning => ("response_not_found", format!("Response with id '{id}' is not running.")),
    };
    let error = json!({"type": "invalid_request_error", "code": code, "message": message, "param": "response_id"});
    json!({"type": "response.interrupt.failed", "response_id": id, "error": error})
}

/// Returns the answer to `response.steer`, which the public API has and this backend does not.
pub(crate) fn steer_failed(previous_response_id: &Value, input: &Value, sequence_number: u64) -> String {
    let error = json!({
        "type": "invalid_request_error",
        "code": "steering_not_supported",
        "message": "Steering is not supported here.",
    });
    let steer = json!({"previous_response_id": previous_response_id, "input": input});
    Event::new("response.steer.failed", json!({"steer": steer, "error": error})).to_json(sequence_number)
}
