//! Checks on the remaining top-level parameters (`docs/backend.md` §2.7, §2.8).

use serde_json::{Map, Value};

use crate::backend::checks::tools;
use crate::backend::checks::values::{no_longer_than, one_of};
use crate::protocol::refusal::{Refusal, listed};
use crate::protocol::schema;
use crate::protocol::turn::{Turn, content_text, kind};

/// Every effort on the wire (§5.4); `ultra` is not one.
const EFFORTS: [&str; 7] = ["none", "minimal", "low", "medium", "high", "xhigh", "max"];

const INCLUDES: [&str; 7] = [
    "reasoning.encrypted_content",
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "web_search_call.action.sources",
];

const MAX_CACHE_KEY: usize = 64;

/// Checks the parameters in a fixed order.
pub(crate) fn check(turn: &Turn<'_>) -> Result<(), Refusal> {
    instructions_text(turn)?;
    reasoning_keys(turn)?;
    effort(turn)?;
    summary(turn)?;
    verbosity(turn)?;
    text_format(turn)?;
    json_word(turn)?;
    include(turn)?;
    stream_options(turn)?;
    parallel_tool_calls(turn)?;
    tool_choice(turn)?;
    prompt_cache_key(turn)?;
    client_metadata(turn)
}

fn instructions_text(turn: &Turn<'_>) -> Result<(), Refusal> {
    match turn.body.get("instructions") {
        None | Some(Value::Null | Value::String(_)) => Ok(()),
        Some(other) => Err(Refusal::wrong_type("instructions", "a string", other)),
    }
}

fn reasoning_keys(turn: &Turn<'_>) -> Result<(), Refusal> {
    known_keys(turn.body, "reasoning", &["effort", "summary", "context", "generate_summary"])
}

/// §2.7, §5.4: the effort must be one that the catalogue lists for the model.
fn effort(turn: &Turn<'_>) -> Result<(), Refusal> {
    check_effort(turn.at("reasoning", "effort"), "reasoning.effort", turn)
}

/// Checks an effort; `null` is the same as no effort.
pub(crate) fn check_effort(effort: Option<&Value>, param: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    let Some(effort) = effort.filter(|effort| !effort.is_null()) else {
        return Ok(());
    };
    one_of(effort, &EFFORTS, param)?;
    let supported: Vec<&str> = turn.model.efforts().collect();
    unsupported_value(turn, param, effort, &supported)
}

/// §2.7: `reasoning.summary` is refused if the model has no summaries.
fn summary(turn: &Turn<'_>) -> Result<(), Refusal> {
    let Some(summary) = turn.at("reasoning", "summary") else {
        return Ok(());
    };
    if !turn.model.facts.supports_reasoning_summary_parameter {
        let slug = &turn.model.facts.slug;
        let message = format!("Unsupported parameter: 'reasoning.summary' is not supported with the '{slug}' model.");
        return Err(Refusal::error(Some("reasoning.summary"), Some("unsupported_parameter"), message));
    }
    one_of(summary, &["auto", "concise", "detailed"], "reasoning.summary")
}

/// §2.7: some models accept only `medium`.
fn verbosity(turn: &Turn<'_>) -> Result<(), Refusal> {
    known_keys(turn.body, "text", &["format", "verbosity"])?;
    let Some(verbosity) = turn.at("text", "verbosity") else {
        return Ok(());
    };
    one_of(verbosity, &["low", "medium", "high"], "text.verbosity")?;
    let all: &[&str] = &["low", "medium", "high"];
    let supported = if turn.model.facts.support_verbosity { all } else { &["medium"] };
    unsupported_value(turn, "text.verbosity", verbosity, supported)
}

/// §2.8: three formats. A schema is refused as a function's is (§2.7).
fn text_format(turn: &Turn<'_>) -> Result<(), Refusal> {
    let Some(format) = turn.at("text", "format") else {
        return Ok(());
    };
    let kind = format.get("type").ok_or_else(|| Refusal::missing("text.format.type"))?;
    one_of(kind, &["text", "json_schema", "json_object"], "text.format.type")?;
    if kind != "json_schema" {
        return only_keys(format, "text.format", &["type"]);
    }
    tools::check_name(format.get("name"), "text.format.name")?;
    let Some(schema) = format.get("schema") else {
        return Err(Refusal::missing("text.format.schema"));
    };
    only_keys(format, "text.format", &["type", "name", "schema", "strict", "description"])?;
    let strict = format.get("strict").and_then(Value::as_bool) == Some(true);
    let name = format.get("name").and_then(Value::as_str).unwrap_or_default();
    let problem = schema::refusal(schema);
    let problem = problem.or_else(|| if strict { schema::strict_violation(schema) } else { None });
    problem.map_or(Ok(()), |problem| {
        let message = format!("Invalid schema for response_format '{name}': {problem}");
        Err(Refusal::error(Some("text.format.schema"), Some("invalid_json_schema"), message))
    })
}

/// §2.8: `json_object` requires the word in `input`; `instructions` do not count.
fn json_word(turn: &Turn<'_>) -> Result<(), Refusal> {
    let wanted = turn.at("text", "format").is_some_and(|format| format.get("type") == Some(&"json_object".into()));
    let messages = turn.input.iter().filter(|item| kind(item) == "message");
    let mut texts = messages.map(|item| content_text(item.get("content").unwrap_or(&Value::Null)));
    if !wanted || texts.any(|text| text.to_lowercase().contains("json")) {
        return Ok(());
    }
    let message = "Response input messages must contain the word 'json' in some form to use 'text.format' of type \
                   'json_object'.";
    Err(Refusal::error(Some("input"), None, message))
}

fn include(turn: &Turn<'_>) -> Result<(), Refusal> {
    match turn.body.get("include") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Array(values)) => {
            let mut indexed = values.iter().enumerate();
            indexed.try_for_each(|(index, value)| one_of(value, &INCLUDES, &format!("include[{index}]")))
        }
        Some(other) => Err(Refusal::wrong_type("include", "an array", other)),
    }
}

/// §2.5: `include_usage` is a chat-completions key.
fn stream_options(turn: &Turn<'_>) -> Result<(), Refusal> {
    known_keys(turn.body, "stream_options", &["include_obfuscation", "reasoning_summary_delivery"])
}

/// §2.7: Responses Lite does not support parallel calls.
fn parallel_tool_calls(turn: &Turn<'_>) -> Result<(), Refusal> {
    let value = turn.body.get("parallel_tool_calls").filter(|value| !value.is_null());
    if let Some(other) = value.filter(|value| !value.is_boolean()) {
        return Err(Refusal::wrong_type("parallel_tool_calls", "a boolean", other));
    }
    if turn.lite && value.and_then(Value::as_bool) != Some(false) {
        let message = "X-OpenAI-Internal-Codex-Responses-Lite requires `parallel_tool_calls` to be false.";
        return Err(Refusal::error(Some("parallel_tool_calls"), None, message));
    }
    Ok(())
}

/// §2.7, §2.8: a mode, or an offered function or custom tool by name; hosted tools cannot be forced.
fn tool_choice(turn: &Turn<'_>) -> Result<(), Refusal> {
    let choice = match turn.body.get("tool_choice") {
        None | Some(Value::Null) => return Ok(()),
        Some(mode @ Value::String(_)) => {
            return one_of(mode, &["none", "auto", "required"], "tool_choice");
        }
        Some(Value::Object(choice)) => choice,
        Some(other) => {
            return Err(Refusal::wrong_type("tool_choice", "a string or an object", other));
        }
    };
    let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default();
    match kind {
        "function" | "custom" => {
            let Some(name) = choice.get("name") else {
                return Err(Refusal::missing("tool_choice.name"));
            };
            only_keys_of(choice, "tool_choice", &["type", "name"])?;
            let offered = turn.offered_tools();
            let found = offered.iter().any(|tool| tool.custom == (kind == "custom") && name == tool.name);
            if found { Ok(()) } else { Err(choice_not_found(kind)) }
        }
        "allowed_tools" => allowed_tools(choice, turn),
        "" => Err(Refusal::missing("tool_choice.type")),
        hosted => Err(choice_not_found(hosted)),
    }
}

/// The tools of a choice are named as a choice names one; hosted ones are named by their type.
fn allowed_tools(choice: &Map<String, Value>, turn: &Turn<'_>) -> Result<(), Refusal> {
    only_keys_of(choice, "tool_choice", &["type", "mode", "tools"])?;
    one_of(choice.get("mode").unwrap_or(&Value::Null), &["auto", "required"], "tool_choice.mode")?;
    let Some(tools) = choice.get("tools").and_then(Value::as_array) else {
        return Err(Refusal::missing("tool_choice.tools"));
    };
    let offered = turn.offered_tools();
    let hosted = |kind: &str| {
        let tools = turn.body.get("tools").and_then(Value::as_array);
        tools.is_some_and(|tools| tools.iter().any(|tool| tool.get("type").is_some_and(|given| given == kind)))
    };
    for tool in tools {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
        let found = match kind {
            "function" | "custom" => {
                let name = tool.get("name").unwrap_or(&Value::Null);
                offered.iter().any(|tool| tool.custom == (kind == "custom") && name == tool.name)
            }
            hosted_kind => hosted(hosted_kind),
        };
        if !found {
            return Err(choice_not_found(kind));
        }
    }
    Ok(())
}

fn choice_not_found(kind: &str) -> Refusal {
    let message = format!("Tool choice '{kind}' not found in 'tools' parameter.");
    Refusal::error(Some("tool_choice"), None, message)
}

fn prompt_cache_key(turn: &Turn<'_>) -> Result<(), Refusal> {
    match turn.body.get("prompt_cache_key") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(key)) => no_longer_than(key, MAX_CACHE_KEY, "prompt_cache_key"),
        Some(other) => Err(Refusal::wrong_type("prompt_cache_key", "a string", other)),
    }
}

/// §2.4: an object whose values are strings.
fn client_metadata(turn: &Turn<'_>) -> Result<(), Refusal> {
    match turn.body.get("client_metadata") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(map)) => {
            let other = map.iter().find(|(_, value)| !value.is_string());
            other.map_or(Ok(()), |(key, value)| {
                Err(Refusal::wrong_type(&format!("client_metadata.{key}"), "a string", value))
            })
        }
        Some(other) => Err(Refusal::wrong_type("client_metadata", "an object", other)),
    }
}

fn known_keys(body: &Map<String, Value>, object: &str, keys: &[&str]) -> Result<(), Refusal> {
    match body.get(object) {
        None | Some(Value::Null) => Ok(()),
        Some(value) => only_keys(value, object, keys),
    }
}

fn only_keys(value: &Value, at: &str, keys: &[&str]) -> Result<(), Refusal> {
    let Some(map) = value.as_object() else {
        return Err(Refusal::wrong_type(at, "an object", value));
    };
    only_keys_of(map, at, keys)
}

fn only_keys_of(map: &Map<String, Value>, at: &str, keys: &[&str]) -> Result<(), Refusal> {
    let unknown = map.keys().find(|key| !keys.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| Err(Refusal::unknown(&format!("{at}.{key}"))))
}

fn unsupported_value(turn: &Turn<'_>, param: &str, value: &Value, supported: &[&str]) -> Result<(), Refusal> {
    let text = value.as_str().unwrap_or_default();
    if supported.contains(&text) {
        return Ok(());
    }
    let verb = if let [_] = supported { "value is" } else { "values are" };
    let message = format!(
        "Unsupported value: '{text}' is not supported with the '{}' model. Supported {verb}: {}.",
        turn.model.facts.slug,
        listed(supported)
    );
    Err(Refusal::error(Some(param), Some("unsupported_value"), message))
}
