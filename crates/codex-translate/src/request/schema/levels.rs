//! Repairs that are made on every level of a schema.

use std::collections::BTreeSet;
use std::mem;

use serde_json::{Map, Value, json};

use super::keywords::{Keyword, has_type, is_type, meant_type};
use super::repairs::{Repairs, SchemaFault};

const NULLS: &str = "left out keywords that were null";
const TYPES: &str = "replaced words that are not types of JSON Schema";
const REQUIRED: &str = "rewrote `required` as a list of names";
const EMPTY: &str = "replaced or left out empty lists";
const TUPLES: &str = "rewrote a list of `items` as `prefixItems`";
const EXCLUSIVE: &str = "rewrote a boolean limit of an older draft";
const NULLABLE: &str = "rewrote `nullable` as the type `null`";
const COMPLETED: &str = "added `properties` or `items`; the backend requires them";
const SHORTHAND: &str = "rewrote the name of a type as a schema";

/// Repairs a schema and the schemas inside it, whose depth the parser bounds. Returns the boolean `required` that it
/// had, which concerns the schema around it.
///
/// # Errors
/// Something in it means nothing, and stays as it is; everything else is repaired nevertheless. The first such fault.
pub(super) fn repair(schema: &mut Value, repairs: &mut Repairs) -> Result<Option<bool>, SchemaFault> {
    match schema {
        Value::Object(map) => return repair_object(map, repairs),
        Value::Bool(_) => {}
        // PHP writes an empty object as an empty list.
        Value::Array(list) if list.is_empty() => {
            *schema = json!({});
            repairs.note(EMPTY);
        }
        // A name without a schema.
        Value::Null => {
            *schema = json!({});
            repairs.note(NULLS);
        }
        Value::String(word) => {
            let Some(meant) = meant_type(word) else { return Err(SchemaFault::new("a string is not a schema")) };
            let mut map = meant.map(|meant| Map::from_iter([("type".to_owned(), meant.into())])).unwrap_or_default();
            repairs.note(SHORTHAND);
            complete(&mut map, repairs);
            *schema = Value::Object(map);
        }
        Value::Array(_) => return Err(SchemaFault::new("a list is not a schema")),
        Value::Number(_) => return Err(SchemaFault::new("a number is not a schema")),
    }
    Ok(None)
}

fn repair_object(map: &mut Map<String, Value>, repairs: &mut Repairs) -> Result<Option<bool>, SchemaFault> {
    let (mut required, mut faults) = (None, FirstFault::default());
    if map.iter().any(|(key, value)| is_odd(key, value)) {
        required = straighten(map, repairs, &mut faults);
    }
    complete(map, repairs);
    let mut flags = Vec::new();
    for (key, value) in map.iter_mut() {
        match (Keyword::of(key), value) {
            (Keyword::Schema, value) => drop(faults.note(repair(value, repairs), |fault| fault.within(key))),
            (Keyword::Schemas, Value::Array(list)) => {
                for (index, schema) in list.iter_mut().enumerate() {
                    if schema.is_null() && key != "allOf" && key != "prefixItems" {
                        // As an alternative, null is a value.
                        *schema = json!({"type": "null"});
                        repairs.note(NULLS);
                    }
                    faults.note(repair(schema, repairs), |fault| fault.within(&index.to_string()).within(key));
                }
            }
            (Keyword::NamedSchemas, Value::Object(named)) => {
                for (name, schema) in named {
                    let flag = faults.note(repair(schema, repairs), |fault| fault.within(name).within(key));
                    if let Some(flag) = flag.flatten().filter(|_| key == "properties") {
                        flags.push((name.clone(), flag));
                    }
                }
            }
            _ => {}
        }
    }
    if flags.iter().any(|(_, flag)| *flag) {
        require(map, flags.into_iter().filter(|(_, flag)| *flag).map(|(name, _)| name));
    }
    faults.0.map_or(Ok(required), Err)
}

/// The first of several faults.
#[derive(Default)]
struct FirstFault(Option<SchemaFault>);

impl FirstFault {
    fn note<T>(&mut self, result: Result<T, SchemaFault>, place: impl FnOnce(SchemaFault) -> SchemaFault) -> Option<T> {
        result.map_err(|fault| self.0.get_or_insert_with(|| place(fault))).ok()
    }
}

/// Returns whether the backend, or the current draft of JSON Schema, has another form for this keyword.
fn is_odd(key: &str, value: &Value) -> bool {
    match (Keyword::of(key), value) {
        (Keyword::Data, _) => false,
        (_, Value::Null) => true,
        (Keyword::Type, Value::String(word)) => !is_type(word),
        (Keyword::Type, Value::Array(list)) => list.is_empty() || !are_distinct(list, is_type),
        (Keyword::Required, Value::Array(list)) => !are_distinct(list, |_| true),
        (Keyword::Type | Keyword::Required, _) => true,
        (Keyword::Schemas | Keyword::Enum, Value::Array(list)) => list.is_empty(),
        (Keyword::NamedSchemas, value) => !value.is_object(),
        (Keyword::Schema, Value::Array(list)) => key == "items" && !list.is_empty(),
        (Keyword::Exclusive | Keyword::Nullable, value) => value.is_boolean(),
        (Keyword::Schemas | Keyword::Enum | Keyword::Schema | Keyword::Other, _) => false,
    }
}

/// Returns whether a list consists of different words that `is_known` accepts.
fn are_distinct(list: &[Value], is_known: impl Fn(&str) -> bool) -> bool {
    if !list.iter().all(|word| word.as_str().is_some_and(&is_known)) {
        return false;
    }
    // Most lists are short; only the others are worth a set.
    if list.len() <= 8 {
        return list.iter().enumerate().all(|(index, word)| !list[..index].contains(word));
    }
    let mut seen = BTreeSet::new();
    list.iter().filter_map(Value::as_str).all(|word| seen.insert(word))
}

/// Rewrites the odd keywords of one schema. Returns the boolean `required` that it had.
fn straighten(map: &mut Map<String, Value>, repairs: &mut Repairs, faults: &mut FirstFault) -> Option<bool> {
    let (mut required, mut is_nullable) = (None, false);
    for (key, value) in mem::take(map) {
        if !is_odd(&key, &value) {
            map.insert(key, value);
            continue;
        }
        match (Keyword::of(&key), value) {
            (_, Value::Null) => repairs.note(NULLS),
            (Keyword::Type, value) => match faults.note(types(&value), |fault| fault.within("type")) {
                None => drop(map.insert(key, value)),
                Some(types) => {
                    repairs.note(TYPES);
                    map.extend(types.map(|types| (key, types)));
                }
            },
            (Keyword::Required, value @ (Value::Number(_) | Value::Object(_))) => {
                let fault = SchemaFault::new("`required` must be a list of names");
                faults.note::<()>(Err(fault), |fault| fault.within("required"));
                map.insert(key, value);
            }
            (Keyword::Required, value) => {
                repairs.note(REQUIRED);
                match value {
                    Value::Array(list) => {
                        let mut seen = BTreeSet::new();
                        let names = list.into_iter().filter(|name| name.is_string());
                        map.insert(key, names.filter(|name| seen.insert(name.to_string())).collect());
                    }
                    // Draft 3, and many a hand-written tool.
                    Value::Bool(flag) => required = Some(flag),
                    name @ (Value::String(_) | Value::Null | Value::Number(_) | Value::Object(_)) => {
                        map.insert(key, json!([name]));
                    }
                }
            }
            (Keyword::NamedSchemas, Value::Array(list)) if list.is_empty() => {
                repairs.note(EMPTY);
                map.insert(key, json!({}));
            }
            (Keyword::NamedSchemas, value) => {
                let fault = SchemaFault::new(format!("`{key}` must be an object of schemas"));
                faults.note::<()>(Err(fault), |fault| fault.within(&key));
                map.insert(key, value);
            }
            (Keyword::Schemas | Keyword::Enum, _) => repairs.note(EMPTY),
            (Keyword::Schema, tuple) => {
                repairs.note(TUPLES);
                map.insert("prefixItems".to_owned(), tuple);
            }
            (Keyword::Exclusive, value) => {
                repairs.note(EXCLUSIVE);
                if value == Value::Bool(true) {
                    map.insert(key, value);
                }
            }
            (Keyword::Nullable, flag) => {
                repairs.note(NULLABLE);
                is_nullable = flag == Value::Bool(true);
            }
            (Keyword::Data | Keyword::Other, value) => drop(map.insert(key, value)),
        }
    }
    if map.contains_key("prefixItems")
        && !map.contains_key("items")
        && let Some(rest) = map.shift_remove("additionalItems")
    {
        map.insert("items".to_owned(), rest);
    }
    for (exclusive, limit) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        if map.get(exclusive) == Some(&Value::Bool(true)) {
            map.shift_remove(exclusive);
            if let Some(limit) = map.shift_remove(limit) {
                map.insert(exclusive.to_owned(), limit);
            }
        }
    }
    if is_nullable {
        allow_null(map);
    }
    required
}

/// Returns the types that a value means; `None` for any.
fn types(value: &Value) -> Result<Option<Value>, SchemaFault> {
    let meant = |word: &Value| {
        let meant = word.as_str().map(meant_type);
        meant.flatten().ok_or_else(|| SchemaFault::new(format!("{word} is not a type of JSON Schema")))
    };
    let Value::Array(list) = value else { return Ok(meant(value)?.map(Value::from)) };
    // Beside other types, null is one, and a blank word says nothing.
    let words = list
        .iter()
        .filter(|word| word.as_str() != Some(""))
        .map(|word| if word.is_null() { Ok(Some("null")) } else { meant(word) });
    let words = words.collect::<Result<Vec<_>, _>>()?;
    let mut distinct: Vec<&str> = Vec::new();
    for word in words {
        match word {
            Some(word) if distinct.contains(&word) => {}
            Some(word) => distinct.push(word),
            None => return Ok(None),
        }
    }
    Ok(Some(distinct).filter(|words| !words.is_empty()).map(Value::from))
}

/// Adds null to the values that a schema accepts.
fn allow_null(map: &mut Map<String, Value>) {
    match map.get_mut("type") {
        Some(Value::String(word)) if word != "null" => {
            let word = mem::take(word);
            map.insert("type".to_owned(), json!([word, "null"]));
        }
        Some(Value::Array(list)) if !list.contains(&json!("null")) => list.push("null".into()),
        _ => {}
    }
    if let Some(Value::Array(list)) = map.get_mut("enum")
        && !list.contains(&Value::Null)
    {
        list.push(Value::Null);
    }
    if !map.contains_key("anyOf")
        && let Some(reference) = map.shift_remove("$ref")
    {
        map.insert("anyOf".to_owned(), json!([{"$ref": reference}]));
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(Value::Array(list)) = map.get_mut(key)
            && !list.contains(&json!({"type": "null"}))
        {
            list.push(json!({"type": "null"}));
        }
    }
}

/// Adds the `properties` of an object and the `items` of an array that are missing.
fn complete(map: &mut Map<String, Value>, repairs: &mut Repairs) {
    for (kind, key) in [("object", "properties"), ("array", "items")] {
        if has_type(map.get("type"), kind) && !map.contains_key(key) {
            map.insert(key.to_owned(), json!({}));
            repairs.note(COMPLETED);
        }
    }
}

/// Adds names to `required`.
fn require(map: &mut Map<String, Value>, names: impl Iterator<Item = String>) {
    let listed = map.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let seen: BTreeSet<_> = listed.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    let added = names.filter(|name| !seen.contains(name)).map(Value::from);
    map.insert("required".to_owned(), listed.iter().cloned().chain(added).collect());
}
