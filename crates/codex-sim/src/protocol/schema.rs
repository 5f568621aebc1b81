//! JSON Schema rules for tools and formats: what is rejected, and how an implicitly strict schema is rewritten
//! (`docs/backend.md` §2.7).

use serde_json::{Map, Value};

use crate::protocol::metaschema;

/// Keys whose value is a schema.
const ONE: [&str; 2] = ["items", "not"];
/// Keys whose value is a list of schemas.
const MANY: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Keys whose value is an object of schemas.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// The keywords that may not stand at the top level.
const NOT_AT_THE_TOP: [&str; 5] = ["oneOf", "anyOf", "allOf", "enum", "not"];
/// The keywords that a strict schema may not have.
const NOT_STRICT: [&str; 15] = [
    "allOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "unevaluatedProperties",
    "uniqueItems",
    "default",
];

/// Returns why the schema of a function or a format is rejected, strict or not.
pub(crate) fn refusal(schema: &Value) -> Option<String> {
    if let Some(problem) = metaschema::violation(schema) {
        return Some(format!("{problem}."));
    }
    match schema.get("type") {
        Some(Value::String(kind)) if kind == "object" => {}
        other => {
            let got = other.map_or_else(|| "None".to_owned(), metaschema::repr);
            let got = got.trim_matches('\'');
            return Some(format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{got}\"'."));
        }
    }
    if NOT_AT_THE_TOP.iter().any(|key| schema.get(key).is_some()) {
        return Some(
            "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level."
                .to_owned(),
        );
    }
    first(schema, &mut Vec::new(), incomplete)
}

/// Returns the first violation of the strict rules, with its context as the real message writes it.
pub(crate) fn strict_violation(schema: &Value) -> Option<String> {
    first(schema, &mut Vec::new(), not_strict)
}

/// Returns the strict form of a schema that does not say whether it is strict; `None` if there is none.
pub(crate) fn to_strict(schema: &Value) -> Option<Value> {
    closed(schema).filter(|closed| strict_violation(closed).is_none())
}

fn closed(schema: &Value) -> Option<Value> {
    let Some(object) = schema.as_object() else {
        return Some(schema.clone());
    };
    let mut out = Map::new();
    for (key, value) in object {
        let converted = match (key.as_str(), value) {
            (key, Value::Object(named)) if NAMED.contains(&key) => {
                let entries = named.iter().map(|(name, inner)| Some((name.clone(), closed(inner)?)));
                Value::Object(entries.collect::<Option<Map<_, _>>>()?)
            }
            (key, Value::Array(list)) if MANY.contains(&key) => {
                Value::Array(list.iter().map(closed).collect::<Option<Vec<_>>>()?)
            }
            (key, inner) if ONE.contains(&key) => closed(inner)?,
            (_, other) => other.clone(),
        };
        out.insert(key.clone(), converted);
    }
    if is_object(object) {
        let properties = object.get("properties").and_then(Value::as_object)?;
        if object.get("additionalProperties").is_some_and(|value| value != &Value::Bool(false)) {
            return None;
        }
        out.insert("required".to_owned(), properties.keys().map(String::as_str).collect());
        out.insert("additionalProperties".to_owned(), Value::Bool(false));
    }
    Some(Value::Object(out))
}

/// Returns the first problem that `check` finds on any level, with its context.
fn first(
    schema: &Value,
    context: &mut Vec<String>,
    check: fn(&Map<String, Value>, bool) -> Option<String>,
) -> Option<String> {
    let object = schema.as_object()?;
    if let Some(problem) = check(object, context.is_empty()) {
        return Some(format!("In context={}, {problem}", tuple(context)));
    }
    metaschema::inner(object).find_map(|(steps, inner)| {
        let depth = context.len();
        context.extend(steps);
        let found = first(inner, context, check);
        context.truncate(depth);
        found
    })
}

/// Strict or not, an object names its properties and an array its items. An inner object may instead say what its
/// properties are (assumed).
fn incomplete(schema: &Map<String, Value>, top: bool) -> Option<String> {
    let has_type = |wanted: &str| match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == wanted),
        Some(kind) => kind == wanted,
        None => false,
    };
    let lacks = |kind: &str, key: &str| has_type(kind) && !schema.contains_key(key);
    if lacks("object", "properties") && (top || !schema.contains_key("additionalProperties")) {
        return Some("object schema missing properties.".to_owned());
    }
    lacks("array", "items").then(|| "array schema missing items.".to_owned())
}

fn not_strict(schema: &Map<String, Value>, top: bool) -> Option<String> {
    if let Some(key) = NOT_STRICT.iter().find(|key| schema.contains_key(**key)) {
        return Some(format!("'{key}' is not permitted."));
    }
    if !top && !["type", "anyOf", "$ref", "enum", "const"].iter().any(|key| schema.contains_key(*key)) {
        return Some("schema must have a 'type' key.".to_owned());
    }
    if is_object(schema) { object_violation(schema).map(str::to_owned) } else { None }
}

fn object_violation(schema: &Map<String, Value>) -> Option<&'static str> {
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Some("'additionalProperties' is required to be supplied and to be false.");
    }
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = schema.get("required").and_then(Value::as_array);
    let mut extra = required.into_iter().flatten().filter_map(Value::as_str);
    let every = properties.keys().all(|key| required.is_some_and(|list| list.iter().any(|name| name == key)))
        && extra.all(|name| properties.contains_key(name));
    if every && (required.is_some() || properties.is_empty()) {
        None
    } else {
        Some("'required' is required to be supplied and to be an array including every key in properties.")
    }
}

fn is_object(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => schema.contains_key("properties"),
    }
}

/// Returns a context as the real messages print it, a Python tuple: `()`, `('a',)`, `('a', 'b')`.
fn tuple(context: &[String]) -> String {
    match context {
        [] => "()".to_owned(),
        [one] => format!("('{one}',)"),
        many => format!("('{}')", many.join("', '")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn implicit_strict_requires_every_property() {
        let given = json!({"type": "object", "properties": {"location": {"type": "string"}, "unit": {"type": "string"}},
                           "required": ["location"]});
        let strict = to_strict(&given).expect("a valid example");
        assert_eq!(strict["required"], json!(["location", "unit"]));
        assert_eq!(strict["additionalProperties"], json!(false));
        assert_eq!(strict_violation(&strict), None);
    }

    #[test]
    fn a_free_form_object_cannot_be_made_strict() {
        let free = json!({"type": "object", "properties": {"x": {"type": "object"}}});
        assert_eq!(to_strict(&free), None);
        let open = json!({"type": "object", "properties": {}, "additionalProperties": true});
        assert_eq!(to_strict(&open), None);
    }

    #[test]
    fn a_violation_names_its_context() {
        let inner = json!({"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]});
        let schema = json!({"type": "object", "properties": {"a": {"type": "array", "items": inner}},
                            "required": ["a"], "additionalProperties": false});
        let wanted = "In context=('properties', 'a', 'items'), 'additionalProperties' is required to be supplied and to \
                      be false.";
        assert_eq!(strict_violation(&schema).as_deref(), Some(wanted));
    }
}
