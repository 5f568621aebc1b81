//! The frames that a client sends on a WebSocket (`docs/backend.md` §4).

use serde_json::{Map, Value};

use crate::protocol::refusal::Refusal;

/// The only mode of an interrupt.
const DISCARD_PARTIAL_ITEMS: &str = "discard_partial_items";

/// One text frame of the client.
#[derive(Debug)]
pub(crate) enum ClientFrame {
    /// `response.create`, without its `type`.
    Create(Map<String, Value>),
    Control(ControlFrame),
}

/// A frame that begins no turn.
#[derive(Debug)]
pub(crate) enum ControlFrame {
    /// `response.interrupt`, with the id of the response that is to end.
    Interrupt(String),
    /// `response.steer`, with the response and the input that it names.
    Steer { previous_response_id: Value, input: Value },
    /// `response.processed`, an acknowledgement that gets no answer.
    Processed,
    /// A frame of another type, or one that is malformed.
    Invalid(Refusal),
}

impl ClientFrame {
    /// Reads a frame; `parsed` is its text as JSON.
    pub(crate) fn read(parsed: serde_json::Result<Value>) -> Self {
        match parsed {
            Ok(Value::Object(mut frame)) => match frame.remove("type") {
                Some(kind) if kind == "response.create" => Self::Create(frame),
                kind => Self::Control(ControlFrame::read(&kind.unwrap_or_default(), frame)),
            },
            Ok(_) => Self::Control(ControlFrame::Invalid(Refusal::detail("Request body must be a JSON object"))),
            Err(error) => Self::Control(ControlFrame::Invalid(Refusal::detail(format!("Invalid JSON: {error}")))),
        }
    }
}

impl ControlFrame {
    fn read(kind: &Value, mut frame: Map<String, Value>) -> Self {
        match kind.as_str() {
            Some("response.interrupt") => interrupt(&frame).map_or_else(Self::Invalid, Self::Interrupt),
            Some("response.steer") => Self::Steer {
                previous_response_id: frame.remove("previous_response_id").unwrap_or_default(),
                input: frame.remove("input").unwrap_or_default(),
            },
            Some("response.processed") => Self::Processed,
            _ => Self::Invalid(Refusal::error(
                Some("type"),
                Some("invalid_value"),
                "Expected a message of type response.create.",
            )),
        }
    }
}

fn interrupt(frame: &Map<String, Value>) -> Result<String, Refusal> {
    let id = match frame.get("response_id") {
        Some(Value::String(id)) if id.is_empty() => return Err(Refusal::empty("response_id")),
        Some(Value::String(id)) => id,
        Some(other) => return Err(Refusal::wrong_type("response_id", "a string", other)),
        None => return Err(Refusal::missing("response_id")),
    };
    match frame.get("mode") {
        Some(Value::String(mode)) if mode == DISCARD_PARTIAL_ITEMS => Ok(id.clone()),
        Some(Value::String(mode)) => Err(Refusal::value("mode", mode, &[DISCARD_PARTIAL_ITEMS])),
        Some(other) => Err(Refusal::wrong_type("mode", "a string", other)),
        None => Err(Refusal::missing("mode")),
    }
}
