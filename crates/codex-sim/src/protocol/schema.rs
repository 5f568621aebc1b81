//! JSON Schema rules for tools and formats: what is rejected, and how an implicitly strict schema is rewritten
//! (`docs/backend.md` §2.7).

use serde_json::{Map, Value};

/// Keys whose value is a schema.
const ONE: [&str; 2] = ["items", "not"];
/// Keys whose value is a list of schemas.
const MANY: [&str; 4] = ["anyOf", "oneOf", "allOf", "prefixItems"];
/// Keys whose value is an object of schemas.
const NAMED: [&str; 3] = ["properties", "$defs", "definitions"];

/// Returns why a function's parameters are rejected, strict or not.
pub(crate) fn not_an_object(schema: &Value) -> Option<String> {
    let kind = schema.get("type").and_then(Value::as_str);
    match kind {
        Some("object") if schema.get("properties").is_some_and(Value::is_object) => None,
        Some("object") => Some("In context=(), object schema missing properties.".to_owned()),
        other => {
            let other = other.unwrap_or("None");
            Some(format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{other}\"'."))
        }
    }
}

/// Returns the first violation of the strict rules, with its context as the real message writes it.
pub(crate) fn strict_violation(schema: &Value) -> Option<String> {
    violation(schema, &mut Vec::new())
}

/// Returns the strict form of a schema that does not say whether it is strict; `None` if there is none.
pub(crate) fn to_strict(schema: &Value) -> Option<Value> {
    let Some(object) = schema.as_object() else {
        return Some(schema.clone());
    };
    let mut out = Map::new();
    for (key, value) in object {
        let converted = match (key.as_str(), value) {
            (key, Value::Object(named)) if NAMED.contains(&key) => {
                let entries = named.iter().map(|(name, inner)| Some((name.clone(), to_strict(inner)?)));
                Value::Object(entries.collect::<Option<Map<_, _>>>()?)
            }
            (key, Value::Array(list)) if MANY.contains(&key) => {
                Value::Array(list.iter().map(to_strict).collect::<Option<Vec<_>>>()?)
            }
            (key, inner) if ONE.contains(&key) => to_strict(inner)?,
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

fn violation(schema: &Value, context: &mut Vec<String>) -> Option<String> {
    let object = schema.as_object()?;
    if is_object(object)
        && let Some(problem) = object_violation(object)
    {
        return Some(format!("In context={}, {problem}", tuple(context)));
    }
    for (key, value) in object {
        let found = match (key.as_str(), value) {
            (key, Value::Object(named)) if NAMED.contains(&key) => {
                named.iter().find_map(|(name, inner)| within(context, &[key, name], inner))
            }
            (key, Value::Array(list)) if MANY.contains(&key) => {
                let mut indexed = list.iter().enumerate();
                indexed.find_map(|(index, inner)| within(context, &[key, &index.to_string()], inner))
            }
            (key, inner) if ONE.contains(&key) => within(context, &[key], inner),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn within(context: &mut Vec<String>, steps: &[&str], schema: &Value) -> Option<String> {
    let depth = context.len();
    context.extend(steps.iter().map(|step| (*step).to_owned()));
    let found = violation(schema, context);
    context.truncate(depth);
    found
}

fn object_violation(schema: &Map<String, Value>) -> Option<&'static str> {
    if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
        return Some("'additionalProperties' is required to be supplied and to be false.");
    }
    let none = Map::new();
    let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
    let required = schema.get("required").and_then(Value::as_array);
    let every = properties.keys().all(|key| required.is_some_and(|list| list.iter().any(|name| name == key)));
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
