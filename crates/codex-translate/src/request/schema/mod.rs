//! Repairs JSON Schemas that the backend refuses but that have an equal, or nearly one, that it accepts
//! (docs/backend.md §2.7).
//!
//! A function's parameters must be a plain object at the top level; every schema of an object must have `properties`
//! and every schema of an array `items`, on every level; and no keyword may be null. A schema that needs no repair is
//! forwarded as it was written.

mod keywords;
mod levels;
mod reference;
mod repairs;
mod root;
mod shape;
mod strict;

use repairs::{Repairs, SchemaFault};
use serde_json::{Value, json};
use strict::Strictness;

use crate::error::Error;
use crate::json::{Node, Raw, ValueKind, to_raw};
use crate::notice::Notices;

/// What a request says about `strict`, and what it means to say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strict {
    /// As the client wrote it.
    Given(bool),
    /// Absent, which means false.
    Off,
    /// Absent, which means true if the schema allows it: the default of the Responses API.
    IfPossible,
}

/// A schema as the backend accepts it.
#[derive(Debug)]
pub(crate) struct Settled {
    pub(crate) schema: Raw,
    /// What to send as `strict`; nothing leaves it to the backend, which then makes the schema strict.
    pub(crate) strict: Option<bool>,
}

/// Settles the schema of a tool's parameters. `tool` is the tool's name.
///
/// # Errors
/// It has no equal that the backend accepts: a 400 that names the tool.
pub(crate) fn of_parameters(
    node: &Node<'_, '_>,
    tool: &str,
    strict: Strict,
    notices: &mut Notices,
) -> Result<Settled, Error> {
    let refusal = |reason: &str| {
        let message = format_args!("of the tool `{tool}` is a schema that the backend rejects: {reason}");
        node.invalid(message).with_code("invalid_function_parameters")
    };
    let text = text_of(node)?;
    let node = &in_text(node, &text, notices);
    let kind = node.kind();
    if !matches!(kind, ValueKind::Object | ValueKind::Array | ValueKind::Bool) {
        let message = format_args!("of the tool `{tool}` must be an object, not {kind}");
        return Err(node.invalid(message).with_code("invalid_type"));
    }
    let parsed = serde_json::from_str(node.text());
    let mut schema = parsed.map_err(|error| refusal(&format!("it cannot be parsed: {error}")))?;
    let mut repairs = Repairs::default();
    repair(&mut schema, node.text().len(), &mut repairs).map_err(|fault| refusal(&fault.message()))?;
    settle(node, &schema, &repairs, strict, notices)
}

/// Settles the schema of a format. Its answers need not be objects, so what has no equal stays as it is, and the
/// backend judges it.
///
/// # Errors
/// It is not an object, or nested too deeply: a 400.
pub(crate) fn of_format(node: &Node<'_, '_>, strict: Strict, notices: &mut Notices) -> Result<Settled, Error> {
    let text = text_of(node)?;
    let node = &in_text(node, &text, notices);
    node.object()?;
    let mut schema = node.value()?;
    let mut repairs = Repairs::default();
    let _faulty = repair(&mut schema, node.text().len(), &mut repairs);
    settle(node, &schema, &repairs, strict, notices)
}

/// Returns the text of a schema that is a string.
fn text_of(node: &Node<'_, '_>) -> Result<Option<String>, Error> {
    if node.kind() == ValueKind::String { node.string().map(Some) } else { Ok(None) }
}

/// Returns the schema in `text`, the text of `node`, if it is an object's JSON: frameworks encode some values twice.
fn in_text<'a, 'p>(node: &Node<'a, 'p>, text: &'a Option<String>, notices: &mut Notices) -> Node<'a, 'p> {
    let raw = text.as_deref().and_then(|text| serde_json::from_str(text).ok());
    match raw.map(|raw| node.with(raw)).filter(|inner| inner.kind() == ValueKind::Object) {
        Some(inner) => {
            notices.repaired(node.here(), "read JSON text as the object that it describes");
            inner
        }
        None => *node,
    }
}

/// Returns what is settled about a function without parameters.
///
/// # Errors
/// This crate has a defect.
pub(crate) fn empty(strict: Strict) -> Result<Settled, Error> {
    let mut schema = json!({"type": "object", "properties": {}});
    if strict == Strict::Given(true) {
        schema["required"] = json!([]);
        schema["additionalProperties"] = json!(false);
    }
    Ok(Settled { schema: to_raw(&schema)?, strict: given(strict) })
}

fn given(strict: Strict) -> Option<bool> {
    match strict {
        Strict::Given(strict) => Some(strict),
        Strict::Off => Some(false),
        Strict::IfPossible => None,
    }
}

/// Repairs a schema in place, as far as possible. `size` is the length of its text.
///
/// # Errors
/// It has no equal that the backend accepts.
fn repair(schema: &mut Value, size: usize, repairs: &mut Repairs) -> Result<(), SchemaFault> {
    if schema == &Value::Bool(true) {
        *schema = json!({});
    }
    let mut repaired = levels::repair(schema, repairs).map(drop);
    match root::flatten(schema, size, repairs) {
        // A reference may have led to a place that is not known to hold a schema.
        Ok(true) => {
            let again = levels::repair(schema, repairs).map(drop);
            repaired = repaired.and(again);
        }
        Ok(false) => {}
        Err(fault) => repaired = repaired.and(Err(fault)),
    }
    repaired
}

fn settle(
    node: &Node<'_, '_>,
    schema: &Value,
    repairs: &Repairs,
    strict: Strict,
    notices: &mut Notices,
) -> Result<Settled, Error> {
    for detail in repairs.details() {
        notices.repaired(node.here(), *detail);
    }
    let strict = match strict {
        Strict::Given(true) if !repairs.is_empty() && !strict::follows(schema, Strictness::Full) => {
            notices.clamped(node.here(), "sent `strict` as false; the repaired schema does not allow it");
            Some(false)
        }
        Strict::IfPossible if !strict::follows(schema, Strictness::Possible) => {
            notices.clamped(node.here(), "sent `strict` as false; the schema does not allow it");
            Some(false)
        }
        Strict::Given(_) | Strict::Off | Strict::IfPossible => given(strict),
    };
    Ok(Settled { schema: if repairs.is_empty() { node.raw() } else { to_raw(schema)? }, strict })
}
