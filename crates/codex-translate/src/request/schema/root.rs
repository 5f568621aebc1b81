//! The top level of a schema: a plain object, whatever the schema is composed of (docs/backend.md §2.7).

use serde_json::{Map, Value};

use super::keywords::has_type;
use super::reference::{self, DEFINITIONS};
use super::repairs::{Repairs, SchemaFault};
use super::shape::ObjectShape;

const COMPOSED: &str = "merged what the top level is composed of into one object";
const INLINED: &str = "replaced the reference at the top level by the schema that it refers to";
const TYPED: &str = "sent the type `object`; the backend requires it";

/// The keywords that the top level may not have, because they make it depend on other schemas or values.
const COMPOSING: [&str; 7] = ["$ref", "anyOf", "oneOf", "allOf", "enum", "const", "not"];

/// Keywords that mean nothing, or something else, where the schema is combined with others.
const NOT_COMBINED: [&str; 8] =
    ["$id", "$anchor", "$dynamicAnchor", "$dynamicRef", "nullable", "discriminator", "unevaluatedProperties", "type"];

/// Keywords that only mean something together, so they stay only where the top level has them.
const CONDITION: [&str; 3] = ["if", "then", "else"];

/// How deep schemas may be composed of others.
const MAX_DEPTH: usize = 64;

/// Makes the top level a plain object. Returns whether it was composed of others, and is now another schema. `size` is
/// the length of its text.
///
/// # Errors
/// It accepts no object, it is composed of too much, or a reference leads nowhere.
pub(super) fn flatten(schema: &mut Value, size: usize, repairs: &mut Repairs) -> Result<bool, SchemaFault> {
    let Value::Object(map) = &*schema else { return Err(SchemaFault::new("it accepts no object")) };
    let composing = |key: &String| COMPOSING.contains(&&**key);
    if !map.keys().any(composing) && !map.get("type").is_some_and(Value::is_array) {
        return with_type(schema, repairs).map(|()| false);
    }
    let fuel = size.saturating_mul(4).saturating_add(100_000);
    let mut reader = ShapeReader { root: schema, open: Vec::new(), definitions: Vec::new(), fuel };
    let shape = reader.read(schema, 0)?.ok_or_else(|| SchemaFault::new("it accepts no object"))?;
    let mut flat = shape.to_schema();
    for (key, definitions) in reader.definitions {
        let all = flat.entry(key).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(all) = all {
            for (name, definition) in definitions {
                all.entry(name).or_insert_with(|| definition.clone());
            }
        }
    }
    if map.contains_key("$ref") {
        repairs.note(INLINED);
    }
    if map.keys().any(|key| composing(key) && key != "$ref") {
        repairs.note(COMPOSED);
    }
    if map.get("type").is_some_and(Value::is_array) {
        repairs.note(TYPED);
    }
    reference::keep_targets(&mut flat, map);
    *schema = Value::Object(flat);
    Ok(true)
}

/// Adds the type that a schema without one has as a function's parameters.
fn with_type(schema: &mut Value, repairs: &mut Repairs) -> Result<(), SchemaFault> {
    let Value::Object(map) = schema else { return Ok(()) };
    match map.get("type") {
        Some(Value::String(kind)) if kind == "object" => Ok(()),
        Some(kind) => Err(SchemaFault::new(format!("its type is {kind}; the backend accepts only objects"))),
        None => {
            map.shift_insert(0, "type".to_owned(), "object".into());
            map.entry("properties").or_insert_with(|| Value::Object(Map::new()));
            repairs.note(TYPED);
            Ok(())
        }
    }
}

/// Reads the shape of a schema, following references.
struct ShapeReader<'a> {
    root: &'a Value,
    /// The references that are being followed.
    open: Vec<&'a str>,
    /// Definitions of the schemas that were read, which their references may need.
    definitions: Vec<(&'static str, &'a Map<String, Value>)>,
    /// How many more values may be read. References could otherwise multiply a small schema.
    fuel: usize,
}

impl<'a> ShapeReader<'a> {
    /// Returns the objects that a schema accepts; `None` if it accepts none.
    fn read(&mut self, schema: &'a Value, depth: usize) -> Result<Option<ObjectShape<'a>>, SchemaFault> {
        if depth > MAX_DEPTH {
            return Err(SchemaFault::new("it is composed of too many schemas"));
        }
        self.burn(1)?;
        let map = match schema {
            Value::Bool(true) => return Ok(Some(ObjectShape::default())),
            Value::Object(map) => map,
            Value::Null | Value::Bool(false) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                return Ok(None);
            }
        };
        if map.contains_key("type") && !has_type(map.get("type"), "object") {
            return Ok(None);
        }
        let mut shape = self.own(map, depth == 0)?;
        if let Some(Value::Array(values)) = map.get("enum") {
            let Some(values) = self.any_of_values(values.iter())? else { return Ok(None) };
            shape = shape.and(values);
        }
        if let Some(value) = map.get("const") {
            let Some(value) = self.any_of_values([value].into_iter())? else { return Ok(None) };
            shape = shape.and(value);
        }
        if let Some(Value::String(reference)) = map.get("$ref") {
            let Some(target) = self.follow(reference, depth)? else { return Ok(None) };
            shape = shape.and(target);
        }
        for schema in schemas(map, "allOf") {
            let Some(part) = self.read(schema, depth + 1)? else { return Ok(None) };
            shape = shape.and(part);
        }
        for key in ["anyOf", "oneOf"] {
            if map.contains_key(key) {
                let Some(any) = self.any_of(schemas(map, key), depth)? else { return Ok(None) };
                shape = shape.and(any);
            }
        }
        Ok(Some(shape))
    }

    /// Returns what any of the schemas accepts. Those that accept no object cannot matter: arguments are objects.
    fn any_of(&mut self, schemas: &'a [Value], depth: usize) -> Result<Option<ObjectShape<'a>>, SchemaFault> {
        let mut any: Option<ObjectShape<'a>> = None;
        for schema in schemas {
            let shape = self.read(schema, depth + 1)?;
            any = match (any, shape) {
                (Some(any), Some(shape)) => Some(any.or(shape)),
                (any, shape) => any.or(shape),
            };
        }
        Ok(any)
    }

    fn any_of_values(
        &mut self,
        values: impl Iterator<Item = &'a Value>,
    ) -> Result<Option<ObjectShape<'a>>, SchemaFault> {
        let mut any: Option<ObjectShape<'a>> = None;
        for object in values.filter_map(Value::as_object) {
            self.burn(object.values().map(weight).sum())?;
            let shape = ObjectShape::exactly(object);
            any = Some(match any {
                Some(any) => any.or(shape),
                None => shape,
            });
        }
        Ok(any)
    }

    /// Reads the schema that a reference refers to.
    fn follow(&mut self, reference: &'a str, depth: usize) -> Result<Option<ObjectShape<'a>>, SchemaFault> {
        if self.open.contains(&reference) {
            return Err(SchemaFault::new(format!("`{reference}` refers to itself")).within("$ref"));
        }
        let Some(target) = reference::target(self.root, reference) else {
            return Err(SchemaFault::new(format!("`{reference}` refers to nothing in the schema")).within("$ref"));
        };
        self.open.push(reference);
        let shape = self.read(target, depth + 1)?;
        self.open.pop();
        Ok(shape)
    }

    /// Reads the keywords of a schema that do not refer to others.
    fn own(&mut self, map: &'a Map<String, Value>, at_top: bool) -> Result<ObjectShape<'a>, SchemaFault> {
        let mut shape = ObjectShape::default();
        for (key, value) in map {
            self.burn(1)?;
            match (&**key, value) {
                ("properties", Value::Object(properties)) => {
                    for (name, schema) in properties {
                        self.burn(weight(schema))?;
                        shape.property(name, schema);
                    }
                }
                ("required", Value::Array(names)) => {
                    self.burn(names.len())?;
                    names.iter().filter_map(Value::as_str).for_each(|name| shape.require(name));
                }
                (key, Value::Object(definitions)) if DEFINITIONS.contains(&key) => {
                    let key = if key == DEFINITIONS[0] { DEFINITIONS[0] } else { DEFINITIONS[1] };
                    if !self.definitions.iter().any(|(_, known)| std::ptr::eq(*known, definitions)) {
                        self.definitions.push((key, definitions));
                    }
                }
                (key, _) if COMPOSING.contains(&key) || NOT_COMBINED.contains(&key) => {}
                (key, _) if CONDITION.contains(&key) && !at_top => {}
                (key, value) => {
                    self.burn(weight(value))?;
                    shape.keyword(key, value);
                }
            }
        }
        Ok(shape)
    }

    fn burn(&mut self, amount: usize) -> Result<(), SchemaFault> {
        match self.fuel.checked_sub(amount) {
            Some(rest) => {
                self.fuel = rest;
                Ok(())
            }
            None => Err(SchemaFault::new("it is composed of too many schemas")),
        }
    }
}

fn schemas<'a>(map: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    match map.get(key) {
        Some(Value::Array(list)) => list,
        _ => &[],
    }
}

/// Returns how many values a value consists of.
fn weight(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(weight).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(weight).sum::<usize>(),
        Value::String(text) => 1 + text.len() / 64,
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
    }
}
