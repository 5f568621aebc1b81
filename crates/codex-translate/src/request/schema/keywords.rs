//! Which keywords of JSON Schema hold schemas, and the words for types.

use serde_json::Value;

/// What a keyword's value is, as far as a repair must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    /// One schema; `items` may also be a list of them.
    Schema,
    /// A list of schemas.
    Schemas,
    /// Schemas by name.
    NamedSchemas,
    /// `type`.
    Type,
    /// `required`.
    Required,
    /// A list that has another form in an older draft, or that must not be empty.
    Enum,
    /// `exclusiveMinimum` and `exclusiveMaximum`, which were booleans in draft 4.
    Exclusive,
    /// `nullable`, which only OpenAPI 3.0 has.
    Nullable,
    /// Any value, null included.
    Data,
    /// Anything else, of which null is no value.
    Other,
}

impl Keyword {
    pub(super) fn of(key: &str) -> Self {
        match key {
            "type" => Self::Type,
            "required" => Self::Required,
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => Self::NamedSchemas,
            "anyOf" | "oneOf" | "allOf" | "prefixItems" => Self::Schemas,
            "items"
            | "additionalProperties"
            | "additionalItems"
            | "contains"
            | "not"
            | "if"
            | "then"
            | "else"
            | "propertyNames"
            | "unevaluatedItems"
            | "unevaluatedProperties" => Self::Schema,
            "enum" => Self::Enum,
            "exclusiveMinimum" | "exclusiveMaximum" => Self::Exclusive,
            "nullable" => Self::Nullable,
            "const" | "default" | "example" => Self::Data,
            _ => Self::Other,
        }
    }
}

/// The types of JSON Schema.
const TYPES: [&str; 7] = ["string", "object", "array", "integer", "number", "boolean", "null"];

/// Returns whether `word` is a type of JSON Schema.
pub(super) fn is_type(word: &str) -> bool {
    TYPES.contains(&word)
}

/// Returns the type that `word` means, `Some(None)` if it means any; `None` if it means nothing. Gemini writes the
/// types in upper case; people write those of Python, C and JavaScript.
pub(super) fn meant_type(word: &str) -> Option<Option<&'static str>> {
    let lower = word.trim().to_ascii_lowercase();
    if let Some(known) = TYPES.iter().find(|known| **known == lower) {
        return Some(Some(known));
    }
    let meant = match &*lower {
        "str" | "text" => "string",
        "int" | "int32" | "int64" | "long" => "integer",
        "float" | "double" | "decimal" => "number",
        "bool" => "boolean",
        "dict" | "map" | "record" => "object",
        "list" | "tuple" | "set" => "array",
        "none" | "nonetype" => "null",
        "" | "any" | "mixed" | "unknown" | "type_unspecified" => return Some(None),
        _ => return None,
    };
    Some(Some(meant))
}

/// Returns whether a schema's `type` is `kind` or a list that contains it.
pub(super) fn has_type(types: Option<&Value>, kind: &str) -> bool {
    match types {
        Some(Value::String(word)) => word == kind,
        Some(Value::Array(list)) => list.iter().any(|word| word == kind),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) | None => false,
    }
}
