//! Checks on tool definitions (`docs/backend.md` §2.7, §2.8).

use serde_json::{Map, Value};

use crate::backend::checks::values::{no_longer_than, one_of};
use crate::protocol::refusal::Refusal;
use crate::protocol::schema;
use crate::protocol::turn::Turn;

const MAX_NAME: usize = 64;

/// The keys that a tool may have, by its type.
const KINDS: [(&str, &[&str]); 7] = [
    ("function", &["name", "description", "strict", "parameters", "defer_loading"]),
    ("custom", &["name", "description", "format", "defer_loading"]),
    ("namespace", &["name", "description", "tools"]),
    ("tool_search", &["execution", "description", "parameters"]),
    ("local_shell", &[]),
    (
        "web_search",
        &[
            "external_web_access",
            "indexed_web_access",
            "filters",
            "user_location",
            "search_context_size",
            "search_content_types",
        ],
    ),
    (
        "image_generation",
        &[
            "action",
            "background",
            "input_fidelity",
            "input_image_mask",
            "model",
            "moderation",
            "n",
            "output_compression",
            "output_format",
            "partial_images",
            "quality",
            "size",
        ],
    ),
];

/// Checks the body's `tools`.
pub(crate) fn check(turn: &Turn<'_>) -> Result<(), Refusal> {
    match turn.body.get("tools") {
        None | Some(Value::Null) => Ok(()),
        Some(tools) => check_list(tools, "tools", turn),
    }
}

/// Checks a list of tools found at `at`.
pub(crate) fn check_list(tools: &Value, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    let Some(list) = tools.as_array() else {
        return Err(Refusal::wrong_type(at, "an array", tools));
    };
    let mut indexed = list.iter().enumerate();
    indexed.try_for_each(|(index, tool)| check_tool(tool, &format!("{at}[{index}]"), turn))
}

/// §2.7, §2.8: a name is required, not empty, of known characters, and at most 64 long.
pub(crate) fn check_name(name: Option<&Value>, param: &str) -> Result<(), Refusal> {
    let name = match name {
        Some(Value::String(name)) => name,
        Some(other) => return Err(Refusal::wrong_type(param, "a string", other)),
        None => return Err(Refusal::missing(param)),
    };
    if name.is_empty() {
        return Err(Refusal::empty(param));
    }
    no_longer_than(name, MAX_NAME, param)?;
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    if name.bytes().all(known) { Ok(()) } else { Err(Refusal::pattern(param, "^[a-zA-Z0-9_-]+$")) }
}

fn check_tool(tool: &Value, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    let Some(object) = tool.as_object() else {
        return Err(Refusal::wrong_type(at, "an object", tool));
    };
    let kind = known_type(object, at)?;
    if ["function", "custom", "namespace"].contains(&kind) {
        check_name(object.get("name"), &format!("{at}.name"))?;
    }
    known_keys(object, kind, at)?;
    match kind {
        "function" => function(object, at),
        "custom" => custom(object, at),
        "namespace" => {
            let nested = object.get("tools").ok_or_else(|| Refusal::missing(&format!("{at}.tools")))?;
            check_list(nested, &format!("{at}.tools"), turn)
        }
        "image_generation" => image_generation(object, at, turn),
        _ => Ok(()),
    }
}

fn known_type<'a>(tool: &'a Map<String, Value>, at: &str) -> Result<&'a str, Refusal> {
    let param = format!("{at}.type");
    let kind = tool.get("type").ok_or_else(|| Refusal::missing(&param))?;
    let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
    one_of(kind, &names, &param)?;
    Ok(kind.as_str().unwrap_or_default())
}

fn known_keys(tool: &Map<String, Value>, kind: &str, at: &str) -> Result<(), Refusal> {
    let keys = KINDS.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, keys)| keys);
    let unknown = tool.keys().find(|key| key.as_str() != "type" && !keys.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| Err(Refusal::unknown(&format!("{at}.{key}"))))
}

/// §2.7: the schema is that of an object; a strict one follows the strict rules.
fn function(tool: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    if let Some(other) = tool.get("strict").filter(|strict| !strict.is_boolean() && !strict.is_null()) {
        return Err(Refusal::wrong_type(&format!("{at}.strict"), "a boolean", other));
    }
    if let Some(other) = tool.get("description").filter(|text| !text.is_string() && !text.is_null()) {
        return Err(Refusal::wrong_type(&format!("{at}.description"), "a string", other));
    }
    let Some(parameters) = tool.get("parameters").filter(|parameters| !parameters.is_null()) else {
        return Ok(());
    };
    let strict = tool.get("strict").and_then(Value::as_bool) == Some(true);
    let problem = schema::refusal(parameters);
    let problem = problem.or_else(|| if strict { schema::strict_violation(parameters) } else { None });
    problem.map_or(Ok(()), |problem| {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        let message = format!("Invalid schema for function '{name}': {problem}");
        Err(Refusal::error(Some(&format!("{at}.parameters")), Some("invalid_function_parameters"), message))
    })
}

fn custom(tool: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    let Some(format) = tool.get("format").filter(|format| !format.is_null()) else {
        return Ok(());
    };
    let param = format!("{at}.format");
    let kind = format.get("type").ok_or_else(|| Refusal::missing(&format!("{param}.type")))?;
    one_of(kind, &["text", "grammar"], &format!("{param}.type"))?;
    if kind == "text" {
        return Ok(());
    }
    let syntax = format.get("syntax").ok_or_else(|| Refusal::missing(&format!("{param}.syntax")))?;
    one_of(syntax, &["lark", "regex"], &format!("{param}.syntax"))?;
    let given = format.get("definition").is_some_and(Value::is_string);
    if given { Ok(()) } else { Err(Refusal::missing(&format!("{param}.definition"))) }
}

/// §2.8: not available on spark, and one image at a time.
fn image_generation(tool: &Map<String, Value>, at: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
    if !turn.model.takes_images() {
        let slug = &turn.model.facts.slug;
        let message = format!("Tool 'image_generation' is not supported with {slug}.");
        return Err(Refusal::error(Some("tools"), None, message));
    }
    match tool.get("n").and_then(Value::as_u64) {
        None | Some(1) => Ok(()),
        Some(n) => Err(Refusal::value(&format!("{at}.n"), &n.to_string(), &["1"])),
    }
}
