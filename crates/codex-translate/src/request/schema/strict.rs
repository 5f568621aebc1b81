//! The rules of strict mode (docs/backend.md §2.7).

use serde_json::{Map, Value};

use super::keywords::{Keyword, has_type};

/// The keywords that a strict schema may not have.
const REFUSED: [&str; 21] = [
    "additionalItems",
    "allOf",
    "contains",
    "default",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "maxProperties",
    "minContains",
    "minProperties",
    "not",
    "oneOf",
    "patternProperties",
    "prefixItems",
    "propertyNames",
    "then",
    "unevaluatedProperties",
    "uniqueItems",
];

/// How much of the rules a schema follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// All rules, as `strict: true` requires.
    Full,
    /// Those that the backend does not follow itself: without `strict` it makes every property required and forbids
    /// others.
    Possible,
}

/// Returns whether a schema follows the rules.
pub(super) fn follows(schema: &Value, strictness: Strictness) -> bool {
    let Value::Object(map) = schema else { return false };
    !map.contains_key("anyOf") && level(map, strictness)
}

fn level(map: &Map<String, Value>, strictness: Strictness) -> bool {
    if map.keys().any(|key| REFUSED.contains(&&**key)) {
        return false;
    }
    if !["type", "anyOf", "$ref", "enum", "const"].iter().any(|key| map.contains_key(*key)) {
        return false;
    }
    if (has_type(map.get("type"), "object") || map.contains_key("properties")) && !is_closed(map, strictness) {
        return false;
    }
    map.iter().all(|(key, value)| match (Keyword::of(key), value) {
        // Checked above.
        (Keyword::Schema, Value::Bool(false)) if key == "additionalProperties" => true,
        (Keyword::Schema, schema) => inner(schema, strictness),
        (Keyword::Schemas, Value::Array(list)) => list.iter().all(|schema| inner(schema, strictness)),
        (Keyword::NamedSchemas, Value::Object(named)) => named.values().all(|schema| inner(schema, strictness)),
        _ => true,
    })
}

fn inner(schema: &Value, strictness: Strictness) -> bool {
    schema.as_object().is_some_and(|map| level(map, strictness))
}

fn is_closed(map: &Map<String, Value>, strictness: Strictness) -> bool {
    let Some(Value::Object(properties)) = map.get("properties") else { return false };
    match (map.get("additionalProperties"), strictness) {
        (Some(Value::Bool(false)), Strictness::Possible) => return true,
        (None, Strictness::Possible) => return true,
        (Some(Value::Bool(false)), Strictness::Full) => {}
        _ => return false,
    }
    let required = map.get("required").and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    let known = names.filter(|name| properties.contains_key(*name)).count();
    known == properties.len() && required.is_none_or(|required| required.len() == known)
}
