//! The messages of failures by code, and the spelling of header names in events (`docs/backend.md` §3.6, §4).

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
