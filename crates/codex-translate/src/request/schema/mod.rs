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
    if !matches!(node.kind(), ValueKind::Object | ValueKind::Array | ValueKind::Bool) {
        node.object()?;
    }
    let mut schema = node.value()?;
    let mut repairs = Repairs::default();
    repair(&mut schema, node.text().len(), &mut repairs).map_err(|problem| {
        let message = format_args!("of the tool `{tool}` is a schema that the backend rejects: {}", problem.message());
        node.invalid(message).with_code("invalid_function_parameters")
    })?;
    settle(node, &schema, &repairs, strict, notices)
}

/// Settles the schema of a format. Its answers need not be objects, so where the top level has no equal it stays as it
/// is, and the backend judges it.
///
/// # Errors
/// It is not an object, or nested too deeply: a 400.
pub(crate) fn of_format(node: &Node<'_, '_>, strict: Strict, notices: &mut Notices) -> Result<Settled, Error> {
    node.object()?;
    let mut schema = node.value()?;
    let mut repairs = Repairs::default();
    match repair(&mut schema, node.text().len(), &mut repairs) {
        Ok(()) => settle(node, &schema, &repairs, strict, notices),
        Err(_) => Ok(Settled { schema: node.raw(), strict: given(strict) }),
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

/// Repairs a schema in place. `size` is the length of its text.
fn repair(schema: &mut Value, size: usize, repairs: &mut Repairs) -> Result<(), SchemaFault> {
    if schema == &Value::Bool(true) {
        *schema = json!({});
    }
    levels::repair(schema, repairs)?;
    if root::flatten(schema, size, repairs)? {
        // A reference may have led to a place that is not known to hold a schema.
        levels::repair(schema, repairs)?;
    }
    Ok(())
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
