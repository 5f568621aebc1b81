//! The one frame that a client sends: `response.create`, a Responses request with a few members of its own.

use std::collections::BTreeMap;

use codex_translate::{Error, ErrorKind};
use serde_json::value::{RawValue, to_raw_value};

use crate::endpoints::websocket::last_response::LastResponse;
use crate::stored::items;

/// A request for a response, as it was sent.
#[derive(Debug)]
pub(super) struct Create {
    /// The members of the request's body except its input.
    members: BTreeMap<String, Box<RawValue>>,
    /// The input, if there is any.
    input: Option<Vec<Box<RawValue>>>,
    /// The response that it continues.
    previous: Option<String>,
    /// The size of the frame.
    pub(super) bytes: usize,
    /// Whether a reply is wanted; without one, the request is only remembered.
    pub(super) generate: bool,
}

/// A frame of the client.
#[derive(Debug)]
pub(super) enum ClientEvent {
    Create(Create),
    /// A notification that needs no answer.
    Notification,
}

impl ClientEvent {
    /// Parses a frame.
    ///
    /// # Errors
    /// The frame is not JSON, or is of an unknown type (400).
    pub(super) fn read(frame: &str) -> Result<Self, Error> {
        let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(frame).map_err(|error| {
            Error::new(ErrorKind::InvalidRequest, format!("the frame is not a JSON object: {error}"))
        })?;
        let kind: String = member(&mut members, "type")?.unwrap_or_default();
        match kind.as_str() {
            "response.create" => Create::read(members, frame).map(Self::Create),
            // The official client reports which responses it has processed.
            "response.processed" => Ok(Self::Notification),
            other => Err(Error::invalid("type", format!("unknown frame type `{other}`; send `response.create`"))),
        }
    }
}

impl Create {
    fn read(mut members: BTreeMap<String, Box<RawValue>>, frame: &str) -> Result<Self, Error> {
        let previous = member(&mut members, "previous_response_id")?;
        let generate = member(&mut members, "generate")?.unwrap_or(true);
        // Each frame is one event of the stream, whatever the client sends here.
        members.remove("stream");
        members.remove("background");
        let input =
            members.remove("input").filter(|input| input.get() != "null").map(|input| items(&input)).transpose()?;
        Ok(Self { members, input, previous, bytes: frame.len(), generate })
    }

    /// Returns the response that it continues.
    pub(super) fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// Returns the whole input: the remembered conversation of the response that this continues, or else the stored
    /// one, and the new input.
    ///
    /// # Errors
    /// That response is neither remembered nor stored; the client has to send the whole conversation.
    pub(super) fn whole_input(
        &mut self,
        last: &LastResponse,
        stored: impl FnOnce(&str) -> Result<Vec<Box<RawValue>>, Error>,
    ) -> Result<Option<Vec<Box<RawValue>>>, Error> {
        let new = self.input.take();
        let Some(previous) = self.previous.take() else { return Ok(new) };
        let mut input = last.of(&previous).map_or_else(|| stored(&previous), Ok)?;
        input.extend(new.unwrap_or_default());
        Ok(Some(input))
    }

    /// Puts the whole input back, for a request that is remembered and not sent.
    pub(super) fn remember(&mut self, input: Vec<Box<RawValue>>) {
        self.input = Some(input);
    }

    /// Returns the input that was put back.
    pub(super) fn remembered(&mut self) -> Vec<Box<RawValue>> {
        self.input.take().unwrap_or_default()
    }

    /// Returns the body of the same request to `POST /v1/responses`.
    ///
    /// # Errors
    /// The body cannot be written.
    pub(super) fn body(&self, input: Option<&[Box<RawValue>]>) -> Result<Vec<u8>, Error> {
        let raw = |value: Result<Box<RawValue>, serde_json::Error>| value.map_err(unwritable);
        let stream = raw(to_raw_value(&true))?;
        let input = raw(to_raw_value(&input))?;
        let mut members: BTreeMap<&str, &RawValue> =
            self.members.iter().map(|(name, value)| (name.as_str(), &**value)).collect();
        members.insert("stream", &stream);
        if input.get() != "null" {
            members.insert("input", &input);
        }
        serde_json::to_vec(&members).map_err(unwritable)
    }
}

/// Removes and parses a member, if it is present and not null.
fn member<T: serde::de::DeserializeOwned>(
    members: &mut BTreeMap<String, Box<RawValue>>,
    name: &'static str,
) -> Result<Option<T>, Error> {
    let Some(raw) = members.remove(name) else { return Ok(None) };
    serde_json::from_str(raw.get())
        .map_err(|error| Error::invalid(name, format!("`{name}` has the wrong type: {error}")))
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot write the request: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::request::budget::BodyMemoryBudget;
    use crate::stored::Stored;

    fn create(frame: &Value) -> Create {
        match ClientEvent::read(&frame.to_string()).unwrap() {
            ClientEvent::Create(create) => create,
            ClientEvent::Notification => panic!("{frame} asks for nothing"),
        }
    }

    fn body(frame: &Value, last: &LastResponse) -> Value {
        let mut create = create(frame);
        let input = create.whole_input(last, |id| Stored::new(0).conversation("", id, 0)).unwrap();
        serde_json::from_slice(&create.body(input.as_deref()).unwrap()).unwrap()
    }

    #[test]
    fn the_body_omits_the_members_of_the_websocket() {
        let frame = json!({"type": "response.create", "model": "m", "input": "hi", "generate": false, "stream": false,
            "background": null, "reasoning": {"effort": "low"}});
        let message = json!({"type": "message", "role": "user", "content": "hi"});
        let expected = json!({"model": "m", "input": [message], "stream": true, "reasoning": {"effort": "low"}});
        assert_eq!(body(&frame, &LastResponse::default()), expected);
        assert!(!create(&frame).generate);
        let chat = json!({"type": "response.create", "model": "m", "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(body(&chat, &LastResponse::default()).get("input"), None);
    }

    #[test]
    fn a_request_continues_the_remembered_response() {
        let mut last = LastResponse::new(1 << 20, BodyMemoryBudget::default());
        let raw = |value: Value| to_raw_value(&value).unwrap();
        let input = last.retain(vec![raw(json!({"n": 1.50}))]).unwrap();
        last.remember("resp_1", input, &[&raw(json!({"n": 2}))]);
        let frame =
            json!({"type": "response.create", "model": "m", "previous_response_id": "resp_1", "input": [{"n": 3}]});
        assert_eq!(body(&frame, &last)["input"], json!([{"n": 1.50}, {"n": 2}, {"n": 3}]));
        let mut other = create(&json!({"type": "response.create", "previous_response_id": "resp_2", "input": []}));
        let error = other.whole_input(&last, |id| Stored::new(0).conversation("", id, 0)).unwrap_err();
        assert_eq!((error.code(), error.status_hint()), (Some("previous_response_not_found"), 400));
    }

    #[test]
    fn the_error_names_what_is_not_a_request() {
        for (frame, param) in [
            ("", None),
            ("[]", None),
            ("{}", Some("type")),
            ("{\"type\": 7}", Some("type")),
            ("{\"type\": \"session.update\"}", Some("type")),
            ("{\"type\": \"response.create\", \"generate\": \"no\"}", Some("generate")),
            ("{\"type\": \"response.create\", \"input\": {}}", Some("input")),
            ("{\"type\": \"response.create\", \"previous_response_id\": 7}", Some("previous_response_id")),
        ] {
            let error = ClientEvent::read(frame).unwrap_err();
            assert_eq!((error.status_hint(), error.param()), (400, param), "{frame}");
        }
        assert!(matches!(ClientEvent::read("{\"type\": \"response.processed\"}"), Ok(ClientEvent::Notification)));
    }
}
