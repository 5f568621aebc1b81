//! What the backend refuses in a schema, and what a schema accepts, implemented independently of the crate
//! (docs/backend.md §2.7).

use serde_json::{Map, Value, json};

const TYPES: &[&str] = &["array", "boolean", "integer", "null", "number", "object", "string"];
const ONE: &[&str] = &["items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"];
const LISTS: &[&str] = &["anyOf", "oneOf", "allOf", "prefixItems"];
const NAMED: &[&str] = &["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];

/// Returns why the backend refuses the schema of a function.
pub(crate) fn refusal(schema: &Value) -> Option<String> {
    if schema["type"] != "object" {
        return Some(format!("schema must be a JSON Schema of 'type: \"object\"', got {}", schema["type"]));
    }
    if ["oneOf", "anyOf", "allOf", "enum", "not"].iter().any(|key| schema.get(key).is_some()) {
        return Some("not at the top level".to_owned());
    }
    level(schema)
}

fn level(schema: &Value) -> Option<String> {
    let map = match schema {
        Value::Bool(_) => return None,
        Value::Object(map) => map,
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            return Some(format!("{schema} is not of type 'object', 'boolean'"));
        }
    };
    for (key, value) in map {
        let key = key.as_str();
        if value.is_null() && !["const", "default", "example"].contains(&key) {
            return Some(format!("`{key}` is None"));
        }
        let words = |list: &Vec<Value>| list.iter().all(Value::is_string) && !repeats(list);
        let is_type = |word: &Value| word.as_str().is_some_and(|word| TYPES.contains(&word));
        let is_valid = match (key, value) {
            ("type", Value::Array(list)) => !list.is_empty() && list.iter().all(is_type) && words(list),
            ("type", word) => is_type(word),
            ("required", Value::Array(list)) => words(list),
            ("required", _) => false,
            ("enum", list) => list.as_array().is_some_and(|list| !list.is_empty()),
            ("exclusiveMinimum" | "exclusiveMaximum", limit) => limit.is_number(),
            (key, value) if LISTS.contains(&key) => value.as_array().is_some_and(|list| !list.is_empty()),
            (key, value) if NAMED.contains(&key) => value.is_object(),
            _ => true,
        };
        if !is_valid {
            return Some(format!("`{key}` is {value}"));
        }
    }
    let has = |kind: &str| {
        map.get("type")
            .is_some_and(|types| types == kind || types.as_array().is_some_and(|list| list.contains(&json!(kind))))
    };
    if has("object") && !map.contains_key("properties") {
        return Some("object schema missing properties".to_owned());
    }
    if has("array") && !map.contains_key("items") {
        return Some("array schema missing items".to_owned());
    }
    inner(map).find_map(level)
}

fn repeats(list: &[Value]) -> bool {
    list.iter().enumerate().any(|(index, word)| list[..index].contains(word))
}

fn inner(map: &Map<String, Value>) -> impl Iterator<Item = &Value> {
    map.iter().flat_map(|(key, value)| -> Vec<&Value> {
        match (key.as_str(), value) {
            (key, value) if ONE.contains(&key) => vec![value],
            (key, Value::Array(list)) if LISTS.contains(&key) => list.iter().collect(),
            (key, Value::Object(named)) if NAMED.contains(&key) => named.values().collect(),
            _ => Vec::new(),
        }
    })
}

/// Returns whether `schema`, a part of `root`, accepts a value: a validator of a few keywords.
pub(crate) fn accepts(root: &Value, schema: &Value, value: &Value) -> bool {
    let map = match schema {
        Value::Bool(all) => return *all,
        Value::Object(map) => map,
        Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => return true,
    };
    map.iter().all(|(key, keyword)| match key.as_str() {
        "$ref" => accepts(root, target(root, keyword.as_str().unwrap()), value),
        "type" => match keyword {
            Value::Array(types) => types.iter().any(|kind| is_a(value, kind)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                is_a(value, keyword)
            }
        },
        "enum" => keyword.as_array().unwrap().contains(value),
        "const" => keyword == value,
        "anyOf" | "oneOf" => keyword.as_array().unwrap().iter().any(|schema| accepts(root, schema, value)),
        "allOf" => keyword.as_array().unwrap().iter().all(|schema| accepts(root, schema, value)),
        "properties" => {
            let named = value.as_object().into_iter().flatten();
            named.filter_map(|(name, value)| Some((keyword.get(name)?, value))).all(|(s, v)| accepts(root, s, v))
        }
        "required" => value
            .as_object()
            .is_none_or(|map| keyword.as_array().unwrap().iter().all(|name| map.contains_key(name.as_str().unwrap()))),
        "additionalProperties" => {
            let known = |name: &String| map.get("properties").is_some_and(|properties| properties.get(name).is_some());
            let others = value.as_object().into_iter().flatten().filter(|(name, _)| !known(name));
            others.into_iter().all(|(_, value)| accepts(root, keyword, value))
        }
        "items" => value.as_array().into_iter().flatten().all(|value| accepts(root, keyword, value)),
        _ => true,
    })
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}

/// Returns what a reference refers to.
pub(crate) fn target<'a>(root: &'a Value, reference: &str) -> &'a Value {
    root.pointer(&reference[1..]).unwrap_or_else(|| panic!("{reference} refers to nothing in {root}"))
}

/// Returns the alternatives of a schema at the top level: of each, all schemas that hold.
pub(crate) fn alternatives<'a>(root: &'a Value, schema: &'a Value) -> Vec<Vec<&'a Value>> {
    let mut all = vec![vec![schema]];
    let mut with = |more: Vec<Vec<&'a Value>>| {
        all = all.iter().flat_map(|one| more.iter().map(|other| [&one[..], other].concat())).collect();
    };
    if let Some(reference) = schema.get("$ref") {
        with(alternatives(root, target(root, reference.as_str().unwrap())));
    }
    for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
        with(alternatives(root, part));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(list) = schema.get(key).and_then(Value::as_array) {
            with(list.iter().flat_map(|schema| alternatives(root, schema)).collect());
        }
    }
    all
}
