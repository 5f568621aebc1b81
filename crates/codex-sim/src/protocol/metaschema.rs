//! What makes a value no JSON Schema at all, in the words of the Python validator that the model API uses
//! (`docs/backend.md` §2.7).

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// The seven types of JSON Schema.
const TYPES: [&str; 7] = ["array", "boolean", "integer", "null", "number", "object", "string"];

/// What a keyword's value must be.
#[derive(Clone, Copy)]
enum Expected {
    Schema,
    Schemas,
    NamedSchemas,
    Type,
    Array,
    Names,
    Object,
    Text,
    Number,
    Integer,
    Boolean,
}

/// The keywords that are checked.
const KEYWORDS: [(Expected, &[&str]); 11] = [
    (
        Expected::Schema,
        &[
            "items",
            "additionalProperties",
            "not",
            "if",
            "then",
            "else",
            "contains",
            "propertyNames",
            "unevaluatedItems",
            "unevaluatedProperties",
        ],
    ),
    (Expected::Schemas, &["anyOf", "oneOf", "allOf", "prefixItems"]),
    (Expected::NamedSchemas, &["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"]),
    (Expected::Type, &["type"]),
    (Expected::Array, &["enum", "examples"]),
    (Expected::Names, &["required"]),
    (Expected::Object, &["dependentRequired"]),
    (Expected::Text, &["title", "description", "pattern", "format", "$ref", "$id", "$schema", "$anchor", "$comment"]),
    (Expected::Number, &["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"]),
    (
        Expected::Integer,
        &[
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "minContains",
            "maxContains",
        ],
    ),
    (Expected::Boolean, &["uniqueItems", "deprecated", "readOnly", "writeOnly"]),
];

/// Returns why `schema` is not a JSON Schema, on any level.
pub(crate) fn violation(schema: &Value) -> Option<String> {
    match schema {
        Value::Bool(_) => None,
        Value::Object(object) => object.iter().find_map(|(key, value)| keyword(key, value)),
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => mistyped(schema, "'object', 'boolean'"),
    }
}

/// Returns a value as Python prints it.
pub(crate) fn repr(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => format!("'{text}'"),
        Value::Array(list) => format!("[{}]", list.iter().map(repr).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let members = map.iter().map(|(key, value)| format!("'{key}': {}", repr(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
    }
}

fn keyword(key: &str, value: &Value) -> Option<String> {
    let (expected, _) = KEYWORDS.iter().find(|(_, keys)| keys.contains(&key))?;
    match (expected, value) {
        (Expected::Schema, schema) => violation(schema),
        (Expected::Schemas, Value::Array(list)) if list.is_empty() => Some("[] should be non-empty".to_owned()),
        (Expected::Schemas, Value::Array(list)) => list.iter().find_map(violation),
        (Expected::NamedSchemas, Value::Object(named)) => named.values().find_map(violation),
        (Expected::Type, value) if is_type(value) => None,
        (Expected::Type, value) => Some(format!("{} is not valid under any of the given schemas", repr(value))),
        (Expected::Names, Value::Array(list)) => names(list, value),
        (Expected::Array, Value::Array(_))
        | (Expected::Object, Value::Object(_))
        | (Expected::Text, Value::String(_))
        | (Expected::Number | Expected::Integer, Value::Number(_))
        | (Expected::Boolean, Value::Bool(_)) => None,
        (Expected::Schemas | Expected::Array | Expected::Names, other) => mistyped(other, "'array'"),
        (Expected::NamedSchemas | Expected::Object, other) => mistyped(other, "'object'"),
        (Expected::Text, other) => mistyped(other, "'string'"),
        (Expected::Number, other) => mistyped(other, "'number'"),
        (Expected::Integer, other) => mistyped(other, "'integer'"),
        (Expected::Boolean, other) => mistyped(other, "'boolean'"),
    }
}

fn names(list: &[Value], whole: &Value) -> Option<String> {
    if let Some(other) = list.iter().find(|name| !name.is_string()) {
        return mistyped(other, "'string'");
    }
    let distinct: BTreeSet<_> = list.iter().filter_map(Value::as_str).collect();
    (distinct.len() < list.len()).then(|| format!("{} has non-unique elements", repr(whole)))
}

fn is_type(value: &Value) -> bool {
    let known = |word: &Value| word.as_str().is_some_and(|word| TYPES.contains(&word));
    match value {
        Value::Array(list) => !list.is_empty() && list.iter().all(known) && names(list, value).is_none(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => known(value),
    }
}

fn mistyped(value: &Value, expected: &str) -> Option<String> {
    Some(format!("{} is not of type {expected}", repr(value)))
}

/// Returns the schemas directly inside a schema, with the steps to each.
pub(crate) fn inner(schema: &Map<String, Value>) -> impl Iterator<Item = (Vec<String>, &Value)> {
    schema.iter().flat_map(|(key, value)| {
        let expected = KEYWORDS.iter().find(|(_, keys)| keys.contains(&key.as_str())).map(|(expected, _)| expected);
        let found: Vec<_> = match (expected, value) {
            (Some(Expected::Schema), schema) => vec![(vec![key.clone()], schema)],
            (Some(Expected::Schemas), Value::Array(list)) => {
                let indexed = list.iter().enumerate();
                indexed.map(|(index, schema)| (vec![key.clone(), index.to_string()], schema)).collect()
            }
            (Some(Expected::NamedSchemas), Value::Object(named)) => {
                named.iter().map(|(name, schema)| (vec![key.clone(), name.clone()], schema)).collect()
            }
            _ => Vec::new(),
        };
        found
    })
}
