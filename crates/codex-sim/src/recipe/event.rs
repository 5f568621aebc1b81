//! One event of a stream, before it is numbered and framed.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// An event: its type and the keys after `type` and `sequence_number`.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) kind: Cow<'static, str>,
    pub(crate) fields: Map<String, Value>,
    /// Whether it has a sequence number; the private `codex.*` events do not (`docs/backend.md` §3.2).
    pub(crate) numbered: bool,
}

impl Event {
    pub(crate) fn new(kind: impl Into<Cow<'static, str>>, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        };
        Self { kind: kind.into(), fields, numbered: true }
    }

    pub(crate) fn unnumbered(kind: impl Into<Cow<'static, str>>, fields: Value) -> Self {
        Self { numbered: false, ..Self::new(kind, fields) }
    }

    pub(crate) fn is_delta(&self) -> bool {
        self.kind.ends_with(".delta")
    }

    /// Returns whether it ends the stream (`docs/backend.md` §3.1).
    pub(crate) fn is_terminal(&self) -> bool {
        matches!(self.kind.as_ref(), "response.completed" | "response.incomplete" | "response.failed" | "error")
    }

    /// Returns the JSON of the event, `type` and `sequence_number` first as on the real wire.
    pub(crate) fn to_json(&self, sequence_number: u64) -> String {
        let number = if self.numbered { format!(",\"sequence_number\":{sequence_number}") } else { String::new() };
        let mut out = format!("{{\"type\":\"{}\"{number}", self.kind);
        let fields = serde_json::to_string(&self.fields).unwrap_or_default();
        // Merges the fields into the object that has been started.
        match fields.strip_prefix('{') {
            Some(rest) if rest != "}" => {
                out.push(',');
                out.push_str(rest);
            }
            _ => out.push('}'),
        }
        out
    }
}
