//! Values that satisfy a JSON Schema, deterministically: the same schema always gives the same value.

use std::io;

use serde::Serialize as _;
use serde_json::ser::Formatter;
use serde_json::{Map, Serializer, Value, json};

/// How deep references and nested schemas are followed; deeper values are `null`.
const MAX_DEPTH: usize = 24;
/// The maximum number of elements for a `minItems`.
const MAX_ITEMS: u64 = 16;
/// The longest string for a `minLength`.
const MAX_LENGTH: usize = 4096;

/// Returns a value for `schema`; with `all`, optional properties are filled in too.
pub(crate) fn sample(schema: &Value, all: bool) -> Value {
    Sampler { root: schema, all }.value(schema, "value", 0)
}

/// Returns JSON spaced as models write it: `{"path": "x", "lines": [1, 2]}` (`docs/backend.md` §3.3 item 7).
pub(crate) fn spaced(value: &Value) -> String {
    let mut out = Vec::new();
    match value.serialize(&mut Serializer::with_formatter(&mut out, Spaced)) {
        Ok(()) => String::from_utf8_lossy(&out).into_owned(),
        Err(_) => value.to_string(),
    }
}

struct Sampler<'a> {
    root: &'a Value,
    all: bool,
}

impl Sampler<'_> {
    fn value(&self, schema: &Value, name: &str, depth: usize) -> Value {
        let Some(object) = schema.as_object().filter(|_| depth < MAX_DEPTH) else {
            return Value::Null;
        };
        if let Some(fixed) = fixed(object) {
            return fixed;
        }
        if let Some(target) = object.get("$ref").and_then(Value::as_str) {
            let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return found.map_or(Value::Null, |inner| self.value(inner, name, depth + 1));
        }
        for key in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = object.get(key).and_then(Value::as_array).and_then(|list| list.first()) {
                return self.value(first, name, depth + 1);
            }
        }
        match kind(object) {
            "object" => self.object(object, depth),
            "array" => self.array(object, name, depth),
            "string" => Value::from(string(object, name)),
            "integer" => Value::from(number(object) as i64),
            "number" => json!(number(object)),
            "boolean" => Value::from(true),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Map<String, Value>, depth: usize) -> Value {
        let required = schema.get("required").and_then(Value::as_array);
        let wanted = |key: &str| self.all || required.is_some_and(|list| list.iter().any(|name| name == key));
        let properties = schema.get("properties").and_then(Value::as_object);
        let entries = properties.into_iter().flatten().filter(|(key, _)| wanted(key));
        entries.map(|(key, inner)| (key.clone(), self.value(inner, key, depth + 1))).collect()
    }

    fn array(&self, schema: &Map<String, Value>, name: &str, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1).clamp(1, MAX_ITEMS);
        let text = json!({"type": "string"});
        let items = schema.get("items").unwrap_or(&text);
        (0..least).map(|_| self.value(items, name, depth + 1)).collect()
    }
}

fn fixed(schema: &Map<String, Value>) -> Option<Value> {
    let first = |key| schema.get(key).and_then(Value::as_array).and_then(|list| list.first());
    let given = schema.get("const").or_else(|| first("enum"));
    given.or_else(|| schema.get("default").filter(|value| !value.is_null())).or_else(|| first("examples")).cloned()
}

fn kind(schema: &Map<String, Value>) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.contains_key("properties") => "object",
        _ if schema.contains_key("items") => "array",
        _ => "string",
    }
}

fn string(schema: &Map<String, Value>, name: &str) -> String {
    let limit = |key| schema.get(key).and_then(Value::as_u64).map(|n| usize::try_from(n).unwrap_or(MAX_LENGTH));
    let mut text = match (schema.get("format").and_then(Value::as_str), name) {
        (Some("date-time"), _) => "2026-01-02T03:04:05Z".to_owned(),
        (Some("date"), _) => "2026-01-02".to_owned(),
        (Some("time"), _) => "03:04:05".to_owned(),
        (Some("email"), _) => "user@example.com".to_owned(),
        (Some("uri" | "url"), _) => "https://example.com/".to_owned(),
        (Some("uuid"), _) => "123e4567-e89b-42d3-a456-426614174000".to_owned(),
        // A shell tool may actually run its argument.
        (_, "cmd" | "command" | "script") => "echo simulated".to_owned(),
        (_, name) => format!("sample {name}"),
    };
    let least = limit("minLength").unwrap_or(0).min(MAX_LENGTH);
    while text.chars().count() < least {
        text.push('x');
    }
    limit("maxLength").map_or_else(|| text.clone(), |most| text.chars().take(most).collect())
}

fn number(schema: &Map<String, Value>) -> f64 {
    let bound = |key| schema.get(key).and_then(Value::as_f64);
    let least = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|n| n + 1.0));
    let most = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|n| n - 1.0));
    let step = bound("multipleOf").unwrap_or(1.0);
    let value = least.unwrap_or(step).max(step.min(most.unwrap_or(step)));
    most.map_or(value, |most| value.min(most))
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: io::Write + ?Sized>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: io::Write + ?Sized>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_properties_are_filled_and_optional_ones_on_request() {
        let schema = json!({"type": "object", "required": ["n", "tag"], "properties": {
            "n": {"type": "integer", "minimum": 5}, "tag": {"enum": ["a", "b"]}, "extra": {"type": ["null", "string"]}}});
        assert_eq!(sample(&schema, false), json!({"n": 5, "tag": "a"}));
        assert_eq!(sample(&schema, true), json!({"n": 5, "tag": "a", "extra": "sample extra"}));
    }

    #[test]
    fn references_resolve_and_recursion_ends() {
        let schema = json!({"$defs": {"node": {"type": "object", "required": ["next"],
            "properties": {"next": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"});
        assert!(sample(&schema, false)["next"]["next"].is_object());
    }

    #[test]
    fn spacing_is_as_models_write_it() {
        assert_eq!(spaced(&json!({"a": [1, "x"], "b": {}})), r#"{"a": [1, "x"], "b": {}}"#);
    }
}
