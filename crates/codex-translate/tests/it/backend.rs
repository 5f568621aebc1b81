//! The backend's checks of a request (docs/backend.md §2.5, §2.7, §2.8), implemented independently of the crate.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::schema_oracle;

/// The top-level keys that the backend accepts.
pub(crate) const TOP_LEVEL: &[&str] = &[
    "model",
    "instructions",
    "input",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning",
    "store",
    "stream",
    "stream_options",
    "include",
    "service_tier",
    "prompt_cache_key",
    "text",
    "client_metadata",
    "access_programs",
];

/// The allowed keys of the items whose keys the backend checks.
const ITEM_KEYS: &[(&str, &[&str])] = &[
    ("message", &["type", "role", "content", "phase"]),
    ("reasoning", &["type", "summary", "encrypted_content"]),
    ("function_call", &["type", "call_id", "name", "arguments", "namespace"]),
    ("function_call_output", &["type", "call_id", "output"]),
    ("custom_tool_call", &["type", "call_id", "name", "input", "namespace"]),
    ("custom_tool_call_output", &["type", "call_id", "output"]),
    ("web_search_call", &["type", "status", "action"]),
    (
        "image_generation_call",
        &["type", "status", "revised_prompt", "result", "action", "background", "output_format", "quality", "size"],
    ),
    ("agent_message", &["type", "author", "recipient", "content"]),
    ("configuration_update", &["type", "reasoning", "text"]),
    ("context_compaction", &["type", "encrypted_content"]),
];

/// Checks a body as the backend would.
///
/// # Panics
/// The backend would reject it, for the reason in the message.
#[track_caller]
pub(crate) fn accepts(body: &Value) {
    let map = body.as_object().expect("an object");
    for key in map.keys() {
        assert!(TOP_LEVEL.contains(&&**key), "Unsupported parameter: {key}");
    }
    assert_eq!(map["store"], Value::Bool(false), "Store must be set to false");
    assert_eq!(map["stream"], Value::Bool(true), "Stream must be set to true");
    assert!(map["instructions"].is_string(), "Instructions are required");
    if let Some(tier) = map.get("service_tier") {
        assert_eq!(tier, "priority", "Unsupported service_tier: {tier}");
    }
    assert_ne!(body["reasoning"]["effort"], "ultra");
    if let Some(options) = map.get("stream_options") {
        assert!(options.get("include_usage").is_none());
    }
    input(map["input"].as_array().expect("Input must be a list"));
    for tool in map.get("tools").into_iter().flat_map(|tools| tools.as_array().unwrap()) {
        accepts_tool(tool);
    }
    let choice = &body["tool_choice"];
    if let Some(kind) = choice.get("type") {
        assert!(
            ["function", "custom", "allowed_tools"].contains(&kind.as_str().unwrap()),
            "Tool choice {kind} not found"
        );
    }
    if body["text"]["format"]["type"] == "json_object" {
        let said = map["input"].to_string().to_lowercase();
        assert!(said.contains("json"), "`input` must contain the word 'json'");
    }
}

fn input(items: &[Value]) {
    assert!(!items.is_empty(), "input must not be empty");
    let (mut open, mut answered) = (BTreeSet::new(), BTreeSet::new());
    for (index, item) in items.iter().enumerate() {
        let item = item.as_object().unwrap_or_else(|| panic!("input[{index}] is not an object"));
        let kind = item["type"].as_str().expect("a type");
        assert_ne!(kind, "item_reference", "Items are not persisted when `store` is set to false");
        if let Some((_, keys)) = ITEM_KEYS.iter().find(|(name, _)| *name == kind) {
            for key in item.keys() {
                assert!(keys.contains(&&**key), "Unknown parameter: 'input[{index}].{key}'.");
            }
        } else {
            assert!(!item.contains_key("id") || kind.is_empty(), "Item with id not found");
        }
        match kind {
            "message" => message(item),
            "function_call" | "custom_tool_call" => {
                name(&item["name"]);
                assert!(open.insert(id(item).to_owned()), "the id of a call is repeated");
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = id(item);
                assert!(open.contains(id), "No tool call found for function call output with call_id {id}.");
                assert!(answered.insert(id.to_owned()), "the output of a call is repeated");
                output(&item["output"]);
            }
            "local_shell_call" => assert!(open.insert(id(item).to_owned()), "the id of a call is repeated"),
            // With encrypted content, nothing has to follow.
            "reasoning" => assert!(item["encrypted_content"].is_string() && item["summary"].is_array()),
            _ => {}
        }
    }
    assert!(open.is_subset(&answered), "No tool output found for function call: {open:?} {answered:?}");
}

fn output(output: &Value) {
    let Some(parts) = output.as_array() else {
        assert!(output.is_string(), "{output}");
        return;
    };
    for part in parts {
        let kind = part["type"].as_str().expect("a part's type");
        let keys: &[&str] = match kind {
            "input_text" => &["type", "text"],
            "input_image" => &["type", "image_url", "file_id", "detail"],
            "input_file" => &["type", "filename", "file_data", "file_id", "file_url"],
            _ => panic!("Invalid value: '{kind}'"),
        };
        assert!(part.as_object().unwrap().keys().all(|key| keys.contains(&&**key)), "{part}");
    }
}

fn message(item: &Map<String, Value>) {
    let role = item["role"].as_str().expect("a role");
    assert_ne!(role, "system", "System messages are not allowed");
    let content = item["content"].as_array().expect("Missing required parameter: content");
    assert!(!content.is_empty());
    for part in content {
        let kind = part["type"].as_str().expect("a part's type");
        match (role, kind) {
            ("assistant", "input_text" | "input_image" | "input_file") => panic!("Invalid value: '{kind}'"),
            ("user" | "developer", "output_text" | "refusal") => panic!("Invalid value: '{kind}'"),
            _ => {}
        }
        assert!(part.get("cache_control").is_none() || !kind.ends_with("_text"));
        if kind == "input_image" {
            assert!(part["image_url"].is_string() || part["file_id"].is_string());
        }
    }
}

fn accepts_tool(tool: &Value) {
    match tool["type"].as_str().expect("a tool's type") {
        "function" => {
            name(&tool["name"]);
            assert!(tool.get("strict").is_none_or(Value::is_boolean));
            assert!(tool.get("function").is_none());
            assert_eq!(schema_oracle::refusal(&tool["parameters"]), None, "{tool}");
        }
        "namespace" => {
            name(&tool["name"]);
            tool["tools"].as_array().expect("tools").iter().for_each(accepts_tool);
        }
        "custom" => name(&tool["name"]),
        kind => assert!(!kind.starts_with("web_search_"), "{kind}"),
    }
}

fn name(name: &Value) {
    let name = name.as_str().expect("a name");
    assert!((1..=64).contains(&name.len()), "{name}");
    assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'), "{name}");
}

fn id(item: &Map<String, Value>) -> &str {
    let id = item["call_id"].as_str().expect("a call_id");
    assert!((1..=64).contains(&id.chars().count()), "string_above_max_length: {id}");
    id
}
