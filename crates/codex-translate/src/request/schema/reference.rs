//! References within a schema: JSON pointers (RFC 6901) in the fragments of URIs.

use std::borrow::Cow;

use serde_json::{Map, Value, json};

use super::keywords::Keyword;

/// The keywords that hold definitions, to which references usually refer.
pub(super) const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// Returns the schema that a reference within `root` refers to.
pub(super) fn target<'a>(root: &'a Value, reference: &str) -> Option<&'a Value> {
    root.pointer(&pointer(reference)?)
}

/// Lets the references of `flat`, which replaces `original`, refer to what they referred to in it. Those to definitions
/// do. For others the original becomes a definition, too, and they refer to it there.
pub(super) fn keep_targets(flat: &mut Map<String, Value>, original: &Map<String, Value>) {
    let mut found = false;
    each_reference_of(flat, &mut |reference| found |= refers_to_the_rest(reference));
    if !found {
        return;
    }
    let definitions = flat.entry(DEFINITIONS[0]).or_insert_with(|| json!({}));
    let names = (1_u32..).map(|number| if number == 1 { "root".to_owned() } else { format!("root_{number}") });
    let Some(name) = names.into_iter().find(|name| definitions.get(name).is_none()) else { return };
    let prefix = format!("#/{}/{name}", DEFINITIONS[0]);
    if let Value::Object(definitions) = definitions {
        let rest = original.iter().filter(|(key, _)| !DEFINITIONS.contains(&&***key));
        definitions.insert(name, rest.map(|(key, value)| (key.clone(), value.clone())).collect());
    }
    each_reference_of(flat, &mut |reference| {
        if refers_to_the_rest(reference) {
            reference.replace_range(..1, &prefix);
        }
    });
}

/// Returns whether a reference refers to a part of the schema other than its definitions.
fn refers_to_the_rest(reference: &str) -> bool {
    pointer(reference).is_some_and(|pointer| {
        let mut steps = pointer.split('/');
        steps.next() == Some("") && steps.next().is_none_or(|first| !DEFINITIONS.contains(&first))
    })
}

/// Returns the pointer of a reference within the same schema; `None` for any other.
fn pointer(reference: &str) -> Option<Cow<'_, str>> {
    let pointer = percent_decoded(reference.strip_prefix('#')?)?;
    (pointer.is_empty() || pointer.starts_with('/')).then_some(pointer)
}

/// Decodes `%XX` (RFC 3986 section 2.1); `None` if the result is not UTF-8.
fn percent_decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// Visits the references of a schema and of those inside it.
fn each_reference_of(map: &mut Map<String, Value>, visit: &mut impl FnMut(&mut String)) {
    for (key, value) in map {
        match (Keyword::of(key), value) {
            (Keyword::Other, Value::String(reference)) if key == "$ref" => visit(reference),
            (Keyword::Schema, schema) => each_reference(schema, visit),
            (Keyword::Schemas, Value::Array(list)) => list.iter_mut().for_each(|schema| each_reference(schema, visit)),
            (Keyword::NamedSchemas, Value::Object(named)) => {
                named.values_mut().for_each(|schema| each_reference(schema, visit));
            }
            _ => {}
        }
    }
}

fn each_reference(schema: &mut Value, visit: &mut impl FnMut(&mut String)) {
    if let Value::Object(map) = schema {
        each_reference_of(map, visit);
    }
}
