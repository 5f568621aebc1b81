//! Checks on single values.

use serde_json::Value;

use crate::protocol::refusal::Refusal;

/// Refuses a value that is not one of `supported`.
pub(crate) fn one_of(value: &Value, supported: &[&str], param: &str) -> Result<(), Refusal> {
    match value.as_str() {
        Some(text) if supported.contains(&text) => Ok(()),
        Some(text) => Err(Refusal::value(param, text, supported)),
        None => Err(Refusal::wrong_type(param, "a string", value)),
    }
}

pub(crate) fn no_longer_than(text: &str, most: usize, param: &str) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length > most { Err(Refusal::too_long(param, most, length)) } else { Ok(()) }
}
