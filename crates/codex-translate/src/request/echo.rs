//! What a response repeats of its request: the caller's values, whatever was sent to the backend instead of them.

use serde::Serialize;

use crate::json::{Node, Raw};
use crate::plan::Echo;
use crate::responses::{Format, ResponsesRequest, ToolChoice};

/// The members that are repeated as they were written, and their values in the response to a request without them, as
/// the public API has them.
const VERBATIM: &[(&str, &str)] = &[
    ("background", "false"),
    ("instructions", "null"),
    ("max_tool_calls", "null"),
    ("metadata", "{}"),
    ("prompt_cache_key", "null"),
    ("safety_identifier", "null"),
    ("temperature", "1.0"),
    ("top_logprobs", "0"),
    ("top_p", "1.0"),
    ("truncation", "\"disabled\""),
    ("user", "null"),
];

/// `text` as a response has it.
#[derive(Serialize)]
struct EchoedText<'a> {
    format: &'a Format,
    verbosity: &'a str,
}

/// Keeps the member `key` if the response repeats it as it was written.
pub(crate) fn keep(echoed: &mut Vec<(&'static str, Raw)>, key: &str, node: &Node<'_, '_>) {
    if let Some((key, _)) = VERBATIM.iter().find(|(known, _)| *known == key) {
        echoed.push((key, node.raw()));
    }
}

/// Returns what the response to `request` repeats. Call it before the request is changed for the backend.
pub(crate) fn echo_of(request: &ResponsesRequest, echoed: Vec<(&'static str, Raw)>) -> Echo {
    let mut echo: Vec<(&'static str, String)> =
        VERBATIM.iter().map(|(key, default)| (*key, (*default).to_owned())).collect();
    let mut set = |key: &str, json: String| {
        if let Some((_, value)) = echo.iter_mut().find(|(known, _)| *known == key) {
            *value = json;
        }
    };
    // A request that was not read from a body has only the fields.
    set("instructions", json(&request.instructions));
    set("prompt_cache_key", json(&request.prompt_cache_key));
    echoed.into_iter().for_each(|(key, raw)| set(key, raw.get().to_owned()));
    let text = EchoedText {
        format: request.text.format.as_ref().unwrap_or(&Format::Text),
        verbosity: request.text.verbosity.as_deref().unwrap_or("medium"),
    };
    let tool_choice = request.tool_choice.as_ref().unwrap_or(&ToolChoice::Auto);
    echo.extend([
        ("max_output_tokens", json(&request.local.max_tokens)),
        ("parallel_tool_calls", json(&request.parallel_tool_calls.unwrap_or(true))),
        ("text", json(&text)),
        ("tool_choice", json(tool_choice)),
        ("tools", json(&request.tools)),
    ]);
    Echo(echo)
}

fn json(value: &impl Serialize) -> String {
    // Writing cannot fail: maps have string keys, and raw values are JSON.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
