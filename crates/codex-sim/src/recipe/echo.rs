//! The response object in events: the request echoed as the backend understood it (`docs/backend.md` §3.2).

use serde_json::{Map, Value, json};

use crate::protocol::schema;
use crate::protocol::turn::Turn;
use crate::recipe::usage::Usage;

/// Returns the response object in progress, its keys in the captured order.
pub(crate) fn response(turn: &Turn<'_>, id: &str, created_at: u64, prompt_cache_key: &str) -> Map<String, Value> {
    let body = turn.body;
    let given = |key: &str, default: Value| body.get(key).filter(|value| !value.is_null()).cloned().unwrap_or(default);
    let response = json!({
        "id": id,
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": given("instructions", Value::Null),
        "max_output_tokens": null,
        "max_tool_calls": null,
        "model": turn.model.facts.slug,
        "output": [],
        "parallel_tool_calls": given("parallel_tool_calls", json!(true)),
        "previous_response_id": null,
        "prompt_cache_key": prompt_cache_key,
        "reasoning": reasoning(turn),
        "safety_identifier": turn.grant.user_id(),
        "service_tier": "auto",
        "store": false,
        "temperature": 1.0,
        "text": text(turn),
        "tool_choice": given("tool_choice", json!("auto")),
        "tools": tools(turn),
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": null,
        "user": null,
        "metadata": {},
    });
    match response {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

/// Returns the response once it has ended, with the keys that newer replies add (`docs/backend.md` §3.2); `now` is a
/// Unix second.
pub(crate) fn finished(
    response: &Map<String, Value>,
    status: &str,
    incomplete_details: Value,
    output: Value,
    usage: Usage,
    end_turn: bool,
    now: u64,
) -> Map<String, Value> {
    let mut response = response.clone();
    let changes = [
        ("status", json!(status)),
        ("incomplete_details", incomplete_details),
        ("output", output),
        ("service_tier", json!("default")),
        ("usage", usage.to_json()),
        ("completed_at", json!(now)),
        ("end_turn", json!(end_turn)),
        ("frequency_penalty", json!(0.0)),
        ("presence_penalty", json!(0.0)),
    ];
    response.extend(changes.map(|(key, value)| (key.to_owned(), value)));
    response
}

/// Returns the tools as the backend echoes them: a function without `strict` becomes strict if possible.
///
/// For a plan without image generation, that tool is silently removed (`docs/backend.md` §2.8).
fn tools(turn: &Turn<'_>) -> Value {
    let given = turn.body.get("tools").and_then(Value::as_array).into_iter().flatten();
    given
        .filter(|tool| turn.can_generate_images() || tool.get("type") != Some(&json!("image_generation")))
        .map(echoed_tool)
        .collect()
}

fn echoed_tool(tool: &Value) -> Value {
    let mut echoed = tool.clone();
    match tool.get("type").and_then(Value::as_str) {
        Some("function") if tool.get("strict").is_none_or(Value::is_null) => {
            let strict = schema::to_strict(tool.get("parameters").unwrap_or(&Value::Null));
            echoed["strict"] = Value::from(strict.as_ref().is_some_and(Value::is_object));
            if let Some(strict) = strict {
                echoed["parameters"] = strict;
            }
            echoed
        }
        Some("image_generation") => {
            let mut full = json!({
                "type": "image_generation", "background": "auto", "model": "gpt-image-2-codex", "moderation": "auto",
                "n": 1, "output_compression": 100, "output_format": "png", "quality": "auto", "size": "auto",
            });
            if let (Some(full), Some(given)) = (full.as_object_mut(), tool.as_object()) {
                full.extend(given.clone());
            }
            full
        }
        _ => echoed,
    }
}

fn reasoning(turn: &Turn<'_>) -> Value {
    let default = turn.model.entry.get("default_reasoning_level").cloned().unwrap_or(Value::Null);
    let effort = turn.at("reasoning", "effort").cloned().unwrap_or(default);
    let summary = match turn.at("reasoning", "summary").and_then(Value::as_str) {
        // The echo shows what `auto` resolved to (§2.4).
        Some("auto") => json!("detailed"),
        Some(other) => json!(other),
        None => Value::Null,
    };
    json!({"effort": effort, "summary": summary})
}

fn text(turn: &Turn<'_>) -> Value {
    let verbosity = turn.at("text", "verbosity").cloned().unwrap_or_else(|| json!("medium"));
    let mut format = turn.at("text", "format").cloned().unwrap_or_else(|| json!({"type": "text"}));
    if format.get("type") == Some(&json!("json_schema")) && format.get("strict").is_none_or(Value::is_null) {
        let strict = format.get("schema").and_then(schema::to_strict);
        format["strict"] = Value::from(strict.is_some());
        if let Some(strict) = strict {
            format["schema"] = strict;
        }
        if format.get("description").is_none() {
            format["description"] = Value::Null;
        }
    }
    json!({"format": format, "verbosity": verbosity})
}
