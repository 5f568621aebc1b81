//! A responses request that has passed the gateway's checks, as later checks and recipes read it.

use serde_json::{Map, Value};

use crate::catalogue::Model;
use crate::tokens::grant::Grant;

/// A responses request; the body is as it was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) body: &'a Map<String, Value>,
    pub(crate) input: &'a [Value],
    pub(crate) model: &'a Model,
    pub(crate) grant: &'a Grant,
    /// Whether the Responses Lite header was sent (`docs/backend.md` §2.8).
    pub(crate) lite: bool,
    /// Whether it wants an answer, rather than only warming up a WebSocket (§4).
    pub(crate) generate: bool,
}

/// A tool the model may call, namespaces flattened.
#[derive(Debug, Clone)]
pub(crate) struct OfferedTool<'a> {
    pub(crate) name: &'a str,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) custom: bool,
    pub(crate) definition: &'a Map<String, Value>,
}

impl<'a> Turn<'a> {
    /// Returns the text of the last user message.
    pub(crate) fn last_user_text(&self) -> String {
        last_user_text(self.input)
    }

    /// Returns the output of a tool, if it is newer than the last user message.
    pub(crate) fn last_tool_output(&self) -> Option<String> {
        let is_output =
            |kind: &str| ["function_call_output", "custom_tool_call_output", "tool_search_output"].contains(&kind);
        let says = |item: &&Value| is_output(kind(item)) || (kind(item) == "message" && role(item) == "user");
        let last = self.input.iter().rev().find(says)?;
        is_output(kind(last)).then(|| content_text(last.get("output").unwrap_or(&Value::Null)))
    }

    /// Returns whether the account's plan has image generation (`docs/backend.md` §2.8).
    pub(crate) fn can_generate_images(&self) -> bool {
        self.grant.plan_type != "free"
    }

    /// Returns the tools of the body and of `additional_tools` items that a call can name.
    pub(crate) fn offered_tools(&self) -> Vec<OfferedTool<'a>> {
        let mut offered = Vec::new();
        collect(self.body.get("tools"), None, &mut offered);
        for item in self.input.iter().filter(|item| kind(item) == "additional_tools") {
            collect(item.get("tools"), None, &mut offered);
        }
        offered
    }

    pub(crate) fn includes(&self, wanted: &str) -> bool {
        let include = self.body.get("include").and_then(Value::as_array);
        include.is_some_and(|include| include.iter().any(|value| value == wanted))
    }

    /// Returns a value inside one of the body's objects, e.g. `at("reasoning", "effort")`.
    pub(crate) fn at(&self, object: &str, key: &str) -> Option<&'a Value> {
        self.body.get(object)?.get(key).filter(|value| !value.is_null())
    }
}

/// Returns the text of the last user message of an input list.
pub(crate) fn last_user_text(input: &[Value]) -> String {
    let last = input.iter().rev().find(|item| kind(item) == "message" && role(item) == "user");
    last.map_or_else(String::new, |item| content_text(item.get("content").unwrap_or(&Value::Null)))
}

/// Returns the `type` of an input item; a message may leave it out.
pub(crate) fn kind(item: &Value) -> &str {
    match item.get("type").and_then(Value::as_str) {
        Some(kind) => kind,
        None if item.get("role").is_some() => "message",
        None => "",
    }
}

pub(crate) fn role(item: &Value) -> &str {
    item.get("role").and_then(Value::as_str).unwrap_or_default()
}

/// Returns the text of content: a string, or the joined texts of its parts.
pub(crate) fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

fn collect<'a>(tools: Option<&'a Value>, namespace: Option<&'a str>, offered: &mut Vec<OfferedTool<'a>>) {
    for definition in tools.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
        let name = definition.get("name").and_then(Value::as_str);
        match (definition.get("type").and_then(Value::as_str), name) {
            (Some("namespace"), Some(name)) => collect(definition.get("tools"), Some(name), offered),
            (Some(kind @ ("function" | "custom")), Some(name)) => {
                offered.push(OfferedTool { name, namespace, custom: kind == "custom", definition });
            }
            _ => {}
        }
    }
}
