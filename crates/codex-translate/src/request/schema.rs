//! Repairs JSON Schemas that are valid but that the backend rejects (docs/backend.md §2.7).
//!
//! A function's parameters must be a schema of type `object`; every schema of an object must have `properties` and
//! every schema of an array `items`, on every level. Each repair adds a keyword that means the same as its absence.

use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::json::{Node, Raw, ValueKind, to_raw};
use crate::notice::Notices;

/// The keywords whose value is one schema.
const ONE: &[&str] =
    &["additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames", "unevaluatedItems"];

/// The keywords whose value is a list of schemas.
const LISTS: &[&str] = &["anyOf", "oneOf", "allOf", "prefixItems", "items"];

/// The keywords whose value maps names to schemas.
const MAPS: &[&str] = &["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Returns the schema of a function's parameters, repaired where the backend would reject it.
///
/// # Errors
/// It is not an object, or nested too deeply: a 400.
pub(crate) fn of_parameters(node: &Node<'_, '_>, notices: &mut Notices) -> Result<Raw, Error> {
    if node.kind() != ValueKind::Object {
        node.object()?;
    }
    let mut schema = node.value()?;
    if !repair_parameters(&mut schema) {
        return Ok(node.raw());
    }
    notices.repaired(node.here(), "added `type` or `properties` or `items`; the backend requires them");
    to_raw(&schema)
}

/// Returns the schema of a function without parameters.
///
/// # Errors
/// This crate has a defect.
pub(crate) fn empty() -> Result<Raw, Error> {
    to_raw(&json!({"type": "object", "properties": {}}))
}

/// Repairs the schema of a function's parameters in place. Returns whether anything changed.
fn repair_parameters(schema: &mut Value) -> bool {
    let mut changed = false;
    if let Value::Object(map) = schema
        && map.get("type").is_none_or(Value::is_null)
        && !["anyOf", "oneOf", "allOf", "$ref"].iter().any(|key| map.contains_key(*key))
    {
        map.shift_remove("type");
        map.shift_insert(0, "type".to_owned(), Value::from("object"));
        changed = true;
    }
    repair(schema) || changed
}

/// Repairs a schema and the schemas inside it. The parser bounds the depth.
fn repair(schema: &mut Value) -> bool {
    let Value::Object(map) = schema else {
        return false;
    };
    let mut changed = complete(map);
    for (key, value) in map.iter_mut() {
        let key = key.as_str();
        changed |= match value {
            Value::Object(inner) if MAPS.contains(&key) => repair_each(inner.values_mut()),
            Value::Array(list) if LISTS.contains(&key) => repair_each(list.iter_mut()),
            Value::Object(_) if ONE.contains(&key) => repair(value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                false
            }
        };
    }
    changed
}

fn repair_each<'a>(schemas: impl Iterator<Item = &'a mut Value>) -> bool {
    let mut changed = false;
    for schema in schemas {
        changed |= repair(schema);
    }
    changed
}

/// Adds the `properties` of an object and the `items` of an array that are missing.
fn complete(map: &mut Map<String, Value>) -> bool {
    let mut changed = false;
    for (kind, key) in [("object", "properties"), ("array", "items")] {
        if has_type(map, kind) && !map.contains_key(key) {
            map.insert(key.to_owned(), json!({}));
            changed = true;
        }
    }
    changed
}

/// Returns whether the schema's `type` is `kind` or a list that contains it.
fn has_type(map: &Map<String, Value>, kind: &str) -> bool {
    match map.get("type") {
        Some(Value::String(word)) => word == kind,
        Some(Value::Array(list)) => list.iter().any(|word| word == kind),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: Value, expected: Value) {
        let mut repaired = schema.clone();
        let changed = repair_parameters(&mut repaired);
        assert_eq!(repaired, expected);
        assert_eq!(changed, schema != expected);
        assert!(!repair_parameters(&mut repaired), "a repaired schema needs no repair: {repaired}");
    }

    #[test]
    fn missing_keywords_are_added_on_every_level() {
        check(json!({}), json!({"type": "object", "properties": {}}));
        check(
            json!({"description": "d", "type": null}),
            json!({"type": "object", "description": "d", "properties": {}}),
        );
        check(json!({"type": "object"}), json!({"type": "object", "properties": {}}));
        check(json!({"properties": {"a": {}}}), json!({"type": "object", "properties": {"a": {}}}));
        check(
            json!({"type": "object", "properties": {"a": {"type": "object", "additionalProperties": {"type": "object"}}}}),
            json!({"type": "object", "properties": {"a": {"type": "object",
                "additionalProperties": {"type": "object", "properties": {}}, "properties": {}}}}),
        );
        check(
            json!({"type": "object", "properties": {"a": {"type": ["array", "null"]}, "b": {"anyOf": [{"type": "object"}]}}}),
            json!({"type": "object", "properties": {"a": {"type": ["array", "null"], "items": {}},
                "b": {"anyOf": [{"type": "object", "properties": {}}]}}}),
        );
    }

    #[test]
    fn values_that_only_look_like_schemas_are_not_changed() {
        for schema in [
            json!({"type": "object", "properties": {"type": {"type": "string"}}}),
            json!({"type": "object", "properties": {"a": {"enum": [{"type": "object"}], "default": {"type": "array"}}}}),
            json!({"type": "object", "properties": {"type": {"const": "object"}}, "additionalProperties": false}),
            json!({"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {}}}}),
        ] {
            check(schema.clone(), schema);
        }
    }
}
