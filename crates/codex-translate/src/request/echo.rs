//! What a response repeats of its request: the caller's values, whatever was sent to the backend instead of them.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::json::{Node, Raw, find};
use crate::plan::Echo;
use crate::responses::{Opaque, ResponsesRequest, ToolChoice};

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

/// The members whose values are repeated in the form of Responses.
const TOOLS: &str = "tools";
const FORMAT: &str = "format";

/// Where chat nests what Responses has beside the type.
const NESTED: [&str; 3] = ["function", "custom", "json_schema"];

/// Keeps the member `key` if the response repeats it as it was written.
pub(crate) fn keep(echoed: &mut Vec<(&'static str, Raw)>, key: &str, node: &Node<'_, '_>) {
    match key {
        TOOLS => echoed.push((TOOLS, node.raw())),
        "response_format" => echoed.push((FORMAT, node.raw())),
        // What is not an object is an error of the reader.
        "text" => {
            let members = node.object().unwrap_or_default();
            echoed.extend(find(&members, FORMAT).map(|format| (FORMAT, format.to_owned())));
        }
        _ => {
            let known = VERBATIM.iter().find(|(known, _)| *known == key);
            echoed.extend(known.map(|(key, _)| (*key, node.raw())));
        }
    }
}

/// Returns what the response to `request` repeats. Call it before the request is changed for the backend.
pub(crate) fn echo_of(request: &ResponsesRequest, mut echoed: Vec<(&'static str, Raw)>) -> Echo {
    let mut echo: Vec<(&'static str, String)> =
        VERBATIM.iter().map(|(key, default)| (*key, (*default).to_owned())).collect();
    // What gives way to another parameter is kept after it.
    let mut kept = |name: &str| echoed.iter().position(|(key, _)| *key == name).map(|at| echoed.remove(at).1);
    let (tools, format) = (kept(TOOLS), kept(FORMAT).filter(|_| request.text.format.is_some()));
    let mut set = |key: &str, json: String| {
        if let Some((_, value)) = echo.iter_mut().find(|(known, _)| *known == key) {
            *value = json;
        }
    };
    // A request that was not read from a body has only the fields.
    set("instructions", json(&request.instructions));
    set("prompt_cache_key", json(&request.prompt_cache_key));
    echoed.into_iter().for_each(|(key, raw)| set(key, raw.get().to_owned()));
    let format = match format {
        Some(format) => flat(&format),
        None => request.text.format.as_ref().map_or_else(|| r#"{"type":"text"}"#.to_owned(), json),
    };
    let verbosity = request.text.verbosity.as_deref().unwrap_or("medium");
    let tools = match tools {
        Some(tools) if request.local.sources.tools.iter().any(|tool| tool.nested.is_some()) => all_flat(&tools),
        Some(tools) => tools.get().to_owned(),
        None => json(&request.tools),
    };
    let tool_choice = request.tool_choice.as_ref().unwrap_or(&ToolChoice::Auto);
    echo.extend([
        ("max_output_tokens", json(&request.local.max_tokens)),
        ("parallel_tool_calls", json(&request.parallel_tool_calls.unwrap_or(true))),
        ("text", format!("{{\"format\":{format},\"verbosity\":{}}}", json(&verbosity))),
        ("tool_choice", json(tool_choice)),
        ("tools", tools),
    ]);
    Echo(echo)
}

/// Returns a list of tools with each as [`flat`] has it.
fn all_flat(tools: &RawValue) -> String {
    // It was read before.
    let tools = Node::root(tools).array().unwrap_or_default();
    format!("[{}]", tools.into_iter().map(flat).collect::<Vec<_>>().join(","))
}

/// Returns a tool or a format in the form of Responses: what chat nests is beside the type.
fn flat(value: &RawValue) -> String {
    let node = Node::root(value);
    let members = node.object().unwrap_or_default();
    let nested = members.iter().find(|(key, raw)| NESTED.contains(&&**key) && node.key(key, raw).object().is_ok());
    let Some((nested, raw)) = nested else { return value.get().to_owned() };
    let mut inner = Opaque::new(nested, &node.key(nested, raw).object().unwrap_or_default());
    let is_beside = |key: &str| key != nested && inner.member(key).is_none();
    let beside: Vec<_> = members.iter().filter(|(key, _)| is_beside(key)).cloned().collect();
    let mut flat = Opaque::new(nested, &beside);
    flat.members.append(&mut inner.members);
    json(&flat)
}

fn json(value: &impl Serialize) -> String {
    // Writing cannot fail: maps have string keys, and raw values are JSON.
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
