//! The messages of failures by code, and the spelling of header names in events (`docs/backend.md` §3.6, §4).

use serde_json::{Value, json};

/// Returns what an `error` object says besides its code and message (`docs/backend.md` §3.6).
pub(crate) fn misalignment(code: &str) -> Option<Value> {
    (code == "misalignment_policy_violation").then(|| {
        json!({
            "error_type": "potentially_unintended_data_access",
            "detailed_explanation": "The agent read data that the task does not concern.",
            "review_target": "review_simulated",
            "steer": {"message": "Ask before reading data that the task does not concern."},
        })
    })
}

/// Returns the message of a failure (`docs/backend.md` §3.6).
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
        "misalignment_policy_violation" => {
            "This request was blocked by our safety systems. Reason: Potentially unintended activity."
        }
        "inference_hook_denied" => "This request was denied by your organization's inference hook.",
        "content_policy_violation" | "image_content_policy_violation" => {
            "Your request was rejected as a result of our safety system."
        }
        "invalid_access_program" | "unsupported_access_program" | "access_program_not_enabled" => {
            "The requested access program is not available."
        }
        "data_residency_mismatch" => "This request cannot be served in the region of your workspace.",
        "model_not_found" => "The requested model does not exist or you do not have access to it.",
        "vector_store_timeout" => "The vector store did not answer in time.",
        code if code.contains("image") => {
            "The image data you provided does not represent a valid image. Please check your input and try again."
        }
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

/// Returns `X-Codex-Plan-Type` for `x-codex-plan-type`: the spelling of header names in events.
pub(crate) fn title_case(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
