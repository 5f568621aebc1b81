//! Checks on single input items (`docs/backend.md` §2.7, §2.8).

use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::backend::checks::params;
use crate::backend::checks::parts;
use crate::backend::checks::tools;
use crate::backend::checks::values::{no_longer_than, one_of};
use crate::protocol::encrypted_reasoning;
use crate::protocol::refusal::Refusal;
use crate::protocol::turn::{self, Turn};

/// One type of item: the prefix of its ids and the keys it may have.
struct Kind {
    name: &'static str,
    prefix: &'static str,
    keys: &'static [&'static str],
}

/// Keys that any item may have; `status` is tolerated, and the last is the CLI's own (§9).
const COMMON: [&str; 4] = ["id", "type", "status", "internal_chat_message_metadata_passthrough"];

/// Those of §2.8, and what the CLI 0.169.0 adds: `agent_message`, `configuration_update`, `context_compaction`, and a
/// few keys of calls and outputs.
const KINDS: [Kind; 18] = [
    kind("message", "msg", &["role", "content", "phase"]),
    kind("agent_message", "amsg", &["author", "recipient", "content"]),
    kind("reasoning", "rs", &["summary", "content", "encrypted_content"]),
    kind("function_call", "fc", &["call_id", "name", "arguments", "namespace", "encrypted_function_args"]),
    kind("function_call_output", "fco", &["call_id", "output", "name", "namespace"]),
    kind("custom_tool_call", "ctc", &["call_id", "name", "input", "namespace"]),
    kind("custom_tool_call_output", "ctco", &["call_id", "output", "name"]),
    kind("local_shell_call", "lsh", &["call_id", "action"]),
    kind("web_search_call", "ws", &["action"]),
    kind(
        "image_generation_call",
        "ig",
        &["revised_prompt", "result", "action", "background", "output_format", "quality", "size"],
    ),
    kind("tool_search_call", "tsc", &["call_id", "execution", "arguments"]),
    kind("tool_search_output", "tso", &["call_id", "execution", "tools"]),
    kind("compaction", "cmp", &["encrypted_content"]),
    kind("compaction_summary", "cmp", &["encrypted_content"]),
    kind("compaction_trigger", "cmp", &[]),
    kind("context_compaction", "cmp", &["encrypted_content"]),
    // The CLI gives it no id, so no prefix is known.
    kind("configuration_update", "", &["reasoning", "text"]),
    kind("additional_tools", "at", &["role", "tools"]),
];

const MAX_ID: usize = 64;

/// Checks every item of the input.
pub(crate) fn check(turn: &Turn<'_>) -> Result<(), Refusal> {
    // In the Lite shape, where instructions are part of the input, the CLI 0.169.0 warms up with an empty input.
    if turn.input.is_empty() && turn.generate {
        return Err(Refusal::missing("input"));
    }
    for (index, item) in turn.input.iter().enumerate() {
        check_item(item, &format!("input[{index}]"), turn)?;
    }
    Ok(())
}

fn check_item(item: &Value, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    let Some(object) = item.as_object() else {
        return Err(Refusal::wrong_type(at, "an object", item));
    };
    not_a_reference(object)?;
    let kind = known_kind(item, at)?;
    known_keys(object, kind, at)?;
    id_shape(object, kind, at)?;
    match kind.name {
        "message" => message(object, at, turn),
        "agent_message" => parts::check_content(object.get("content"), "agent", &format!("{at}.content"), turn),
        "reasoning" => reasoning(object, at, turn),
        "function_call" => call(object, at).and_then(|()| text(object, "arguments", at)),
        "custom_tool_call" => call(object, at).and_then(|()| text(object, "input", at)),
        "function_call_output" | "custom_tool_call_output" => {
            call_id(object, at).and_then(|()| output(object, at, turn))
        }
        "tool_search_call" if runs_at_the_server(object) => Ok(()),
        "local_shell_call" | "tool_search_call" => call_id(object, at),
        "tool_search_output" => found_tools(object, at, turn),
        "web_search_call" => search_action(object, at),
        "compaction" | "compaction_summary" => {
            text(object, "encrypted_content", at).and_then(|()| check_encrypted_content(object, turn))
        }
        "configuration_update" => {
            params::check_effort(item.pointer("/reasoning/effort"), &format!("{at}.reasoning.effort"), turn)
        }
        "additional_tools" => match object.get("tools") {
            Some(offered) => tools::check_list(offered, &format!("{at}.tools"), turn),
            None => Err(Refusal::missing(&format!("{at}.tools"))),
        },
        _ => Ok(()),
    }
}

/// The tools that a search found are tools like others.
fn found_tools(item: &Map<String, Value>, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    if !runs_at_the_server(item) {
        call_id(item, at)?;
    }
    item.get("tools").map_or(Ok(()), |tools| tools::check_list(tools, &format!("{at}.tools"), turn))
}

/// §2.7: with `store:false`, stored items cannot be referenced.
fn not_a_reference(item: &Map<String, Value>) -> Result<(), Refusal> {
    let id = item.get("id").and_then(Value::as_str).unwrap_or_default();
    match item.get("type").and_then(Value::as_str) {
        Some("item_reference") => Err(not_persisted(id)),
        Some("reasoning") if !id.is_empty() && is_blank(item.get("encrypted_content")) => Err(not_persisted(id)),
        _ => Ok(()),
    }
}

fn is_blank(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value == "")
}

fn known_kind(item: &Value, at: &str) -> Result<&'static Kind, Refusal> {
    let name = turn::kind(item);
    if name.is_empty() {
        return Err(Refusal::missing(&format!("{at}.type")));
    }
    KINDS.iter().find(|kind| kind.name == name).ok_or_else(|| {
        let names: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        Refusal::value(&format!("{at}.type"), name, &names)
    })
}

/// §2.7: unknown keys are refused, except the CLI's own.
fn known_keys(item: &Map<String, Value>, kind: &Kind, at: &str) -> Result<(), Refusal> {
    let known = |key: &str| COMMON.contains(&key) || kind.keys.contains(&key);
    let unknown = item.keys().find(|key| !known(key));
    unknown.map_or(Ok(()), |key| Err(Refusal::unknown(&format!("{at}.{key}"))))
}

/// §2.7: a prefix by type, at most 64 characters.
fn id_shape(item: &Map<String, Value>, kind: &Kind, at: &str) -> Result<(), Refusal> {
    let Some(id) = item.get("id").filter(|id| !id.is_null()) else {
        return Ok(());
    };
    let param = format!("{at}.id");
    let Some(id) = id.as_str() else {
        return Err(Refusal::wrong_type(&param, "a string", id));
    };
    if !id.starts_with(kind.prefix) {
        let message = format!("Invalid '{param}': '{id}'. Expected an ID that begins with '{}'.", kind.prefix);
        return Err(Refusal::error(Some(&param), Some("invalid_id_prefix"), message));
    }
    no_longer_than(id, MAX_ID, &param)
}

fn message(item: &Map<String, Value>, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    let role = item.get("role").and_then(Value::as_str).unwrap_or_default();
    if !["user", "assistant", "developer"].contains(&role) {
        let roles = ["assistant", "system", "developer", "user"];
        return Err(Refusal::value(&format!("{at}.role"), role, &roles));
    }
    if let Some(phase) = item.get("phase").filter(|phase| !phase.is_null()) {
        one_of(phase, &["commentary", "partial_answer", "final_answer", "analysis"], &format!("{at}.phase"))?;
    }
    parts::check_content(item.get("content"), role, &format!("{at}.content"), turn)
}

fn reasoning(item: &Map<String, Value>, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    let param = format!("{at}.summary");
    match item.get("summary") {
        Some(Value::Array(parts)) => {
            let mut indexed = parts.iter().enumerate();
            indexed.try_for_each(|(index, part)| parts::check_summary(part, &format!("{param}[{index}]")))?;
        }
        Some(other) => return Err(Refusal::wrong_type(&param, "an array", other)),
        None => return Err(Refusal::missing(&param)),
    }
    // §2.7: plain reasoning is only shown.
    if let Some(length) = item.get("content").and_then(Value::as_array).map(Vec::len).filter(|length| *length > 0) {
        let param = format!("{at}.content");
        let message = format!(
            "Invalid '{param}': array too long. Expected an array with maximum length 0, but got an array with length \
             {length} instead."
        );
        return Err(Refusal::error(Some(&param), Some("array_above_max_length"), message));
    }
    check_encrypted_content(item, turn)
}

/// §2.7: encrypted content must come from the same account and model family.
fn check_encrypted_content(item: &Map<String, Value>, turn: &Turn<'_>) -> Result<(), Refusal> {
    let Some(content) = item.get("encrypted_content").and_then(Value::as_str) else {
        return Ok(());
    };
    let Some(reason) = encrypted_reasoning::rejection(content, &turn.grant.account_id, turn.model.family()) else {
        return Ok(());
    };
    let head: String = content.chars().take(4).collect();
    let tail: String = content.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    let message = format!("The encrypted content {head}...{tail} could not be verified. Reason: {reason}");
    Err(Refusal::error(None, Some("invalid_encrypted_content"), message))
}

fn call(item: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    call_id(item, at)?;
    tools::check_name(item.get("name"), &format!("{at}.name"))
}

/// §2.7: `call_id` is required and at most 64 characters long.
fn call_id(item: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    let param = format!("{at}.call_id");
    match item.get("call_id") {
        Some(Value::String(id)) if id.is_empty() => Err(Refusal::empty(&param)),
        Some(Value::String(id)) => no_longer_than(id, MAX_ID, &param),
        Some(other) => Err(Refusal::wrong_type(&param, "a string", other)),
        None => Err(Refusal::missing(&param)),
    }
}

/// A tool's output: a string or a list of input parts.
fn output(item: &Map<String, Value>, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    parts::check_content(item.get("output"), "tool", &format!("{at}.output"), turn)
}

/// §2.8: a tool search that ran at the server has no call id.
pub(crate) fn runs_at_the_server(item: &Map<String, Value>) -> bool {
    item.get("execution").is_some_and(|execution| execution == "server")
}

/// §2.7: only three actions may be replayed.
fn search_action(item: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    let Some(action) = item.get("action").and_then(|action| action.get("type")) else {
        return Ok(());
    };
    one_of(action, &["search", "open_page", "find_in_page"], &format!("{at}.action.type"))
}

fn text(item: &Map<String, Value>, key: &str, at: &str) -> Result<(), Refusal> {
    match item.get(key) {
        Some(Value::String(_)) => Ok(()),
        Some(other) => Err(Refusal::wrong_type(&format!("{at}.{key}"), "a string", other)),
        None => Err(Refusal::missing(&format!("{at}.{key}"))),
    }
}

fn not_persisted(id: &str) -> Refusal {
    let message = format!(
        "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with `store` set \
         to true, or remove this item from your input."
    );
    let error = json!({"message": message, "type": "invalid_request_error", "param": "input", "code": null});
    Refusal::new(StatusCode::NOT_FOUND, json!({"error": error}))
}

const fn kind(name: &'static str, prefix: &'static str, keys: &'static [&'static str]) -> Kind {
    Kind { name, prefix, keys }
}
