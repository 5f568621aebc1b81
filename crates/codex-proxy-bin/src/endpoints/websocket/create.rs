//! `response.create`: a Responses request with a few members of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use codex_translate::{Error, ErrorKind, ItemOrigin};
use serde_json::value::{RawValue, to_raw_value};

use crate::endpoints::websocket::remembered::RememberedResponses;
use crate::stored::{CompletedItems, Continued, Item, Stored, StoredResponse, items, own_body};

/// Members that are not part of the request's body.
const ENVELOPE: [&str; 5] = ["type", "stream_id", "generate", "previous_response_id", "stream"];

/// A request for a response, as it was sent.
#[derive(Debug)]
pub(super) struct Create {
    /// The members of the request's body except its input.
    members: BTreeMap<String, Box<RawValue>>,
    /// The input, if there is any.
    input: Option<Vec<Item<'static>>>,
    /// The response that it continues.
    previous: Option<String>,
    /// The size of the frame.
    pub(super) bytes: usize,
    /// Whether a reply is wanted; without one, the request is only remembered.
    pub(super) generate: bool,
}

/// The input of a request with the conversation that it continues.
#[derive(Debug, Default)]
pub(super) struct WholeInput {
    pub(super) items: Option<Vec<Box<RawValue>>>,
    /// Where each of the items comes from.
    pub(super) origins: Vec<ItemOrigin>,
    /// Whether the conversation before it had some of its items.
    pub(super) has_repeats: bool,
    /// The request to store with the response, if it is not all of it.
    pub(super) own: Option<Bytes>,
    /// The stored response that it continues.
    pub(super) previous: Option<Arc<StoredResponse>>,
}

impl Create {
    /// Parses a frame that was read before.
    ///
    /// # Errors
    /// A member has the wrong type (400).
    pub(super) fn read(frame: &str) -> Result<Self, Error> {
        let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(frame).map_err(|error| {
            Error::new(ErrorKind::InvalidRequest, format!("the frame is not a JSON object: {error}"))
        })?;
        let previous = member(&mut members, "previous_response_id")?;
        let generate = member(&mut members, "generate")?.unwrap_or(true);
        for name in ENVELOPE {
            members.remove(name);
        }
        let input =
            members.remove("input").filter(|input| input.get() != "null").map(|input| owned(&input)).transpose()?;
        Ok(Self { members, input, previous, bytes: frame.len(), generate })
    }

    /// Returns the request that continues the response `id` of this one with more input, with the same settings.
    pub(super) fn successor(self, id: &str, input: Vec<Box<RawValue>>) -> Self {
        Self {
            input: Some(input.into_iter().map(Item::stored).collect()),
            previous: Some(id.to_owned()),
            generate: true,
            ..self
        }
    }

    /// Puts `items` before its own input.
    pub(super) fn prepend(&mut self, items: Vec<Box<RawValue>>) {
        let mut items: Vec<_> = items.into_iter().map(Item::stored).collect();
        items.extend(self.input.take().unwrap_or_default());
        self.input = Some(items);
    }

    /// Returns a copy of its settings, and their size.
    pub(super) fn settings(&self) -> (Self, usize) {
        let members = self.members.clone();
        let bytes = members.iter().map(|(name, value)| name.len() + value.get().len()).sum();
        (Self { members, input: None, previous: None, bytes, generate: true }, bytes)
    }

    /// Returns the response that it continues.
    pub(super) fn previous(&self) -> Option<&str> {
        self.previous.as_deref()
    }

    /// Returns the whole input: the stored conversation of the response that this continues, or else the remembered
    /// one, and the new input, in which references are replaced with the stored items.
    ///
    /// # Errors
    /// That response is neither stored nor remembered; the client has to send the whole conversation.
    pub(super) fn whole_input(
        &mut self,
        remembered: &mut RememberedResponses,
        stored: &Stored,
        caller: &str,
        limit_bytes: usize,
    ) -> Result<WholeInput, Error> {
        let new = self.input.take();
        let continued = match self.previous.take() {
            None => None,
            // A stored response is continued as it is stored, and one that was deleted no more.
            Some(id) => {
                Some(match remembered.of(&id).filter(|_| !stored.has(caller, &id) && !stored.is_deleted(caller, &id)) {
                    Some(items) => Continued::of_items(id, items),
                    None => stored.continued(caller, id, limit_bytes)?,
                })
            }
        };
        if new.is_none() && continued.is_none() {
            return Ok(WholeInput::default());
        }
        let new = new.unwrap_or_default();
        let completed = stored.completed(caller, continued.as_ref(), &new, limit_bytes)?;
        let CompletedItems { items: new, has_repeats } = completed.unwrap_or_else(|| CompletedItems::unchanged(new));
        let (mut items, previous) =
            continued.map(|continued| (continued.items, continued.response)).unwrap_or_default();
        let own = previous.is_some().then(|| own_body(&new)).transpose()?;
        let mut origins = vec![ItemOrigin::Stored; items.len()];
        origins.extend(new.iter().map(|item| item.origin));
        items.extend(new.into_iter().map(|item| item.json.into_owned()));
        Ok(WholeInput { items: Some(items), origins, has_repeats, own, previous })
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
    serde_json::from_str(raw.get()).map_err(|error| {
        Error::invalid(name, format!("`{name}` has the wrong type: {error}")).with_code("invalid_type")
    })
}

fn owned(input: &RawValue) -> Result<Vec<Item<'static>>, Error> {
    let items = items(input).map_err(|_| Error::invalid("input", "`input` must be a string or an array of items"))?;
    Ok(items.into_iter().map(Item::into_owned).collect())
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot write the request: {error}"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::endpoints::websocket::lanes::Lane;
    use crate::request::budget::BodyMemoryBudget;

    fn create(frame: &Value) -> Create {
        Create::read(&frame.to_string()).unwrap()
    }

    fn body(frame: &Value, remembered: &mut RememberedResponses) -> Value {
        let mut create = create(frame);
        let input = create.whole_input(remembered, &Stored::new(0), "", 0).unwrap().items;
        serde_json::from_slice(&create.body(input.as_deref()).unwrap()).unwrap()
    }

    #[test]
    fn the_body_omits_the_members_of_the_websocket() {
        let frame = json!({"type": "response.create", "model": "m", "input": "hi", "generate": false, "stream": false,
            "stream_id": "a", "reasoning": {"effort": "low"}});
        let message = json!({"type": "message", "role": "user", "content": "hi"});
        let expected = json!({"model": "m", "input": [message], "stream": true, "reasoning": {"effort": "low"}});
        assert_eq!(body(&frame, &mut RememberedResponses::default()), expected);
        assert!(!create(&frame).generate);
        let chat = json!({"type": "response.create", "model": "m", "messages": [{"role": "user", "content": "hi"}]});
        assert_eq!(body(&chat, &mut RememberedResponses::default()).get("input"), None);
    }

    #[test]
    fn a_request_continues_the_remembered_response() {
        let mut remembered = RememberedResponses::new(1 << 20, BodyMemoryBudget::default());
        let raw = |value: Value| to_raw_value(&value).unwrap();
        let input = remembered.retain(vec![raw(json!({"n": 1.50}))]);
        remembered.remember(&Lane::default(), "resp_1", input, &[&raw(json!({"n": 2}))]);
        let frame =
            json!({"type": "response.create", "model": "m", "previous_response_id": "resp_1", "input": [{"n": 3}]});
        assert_eq!(body(&frame, &mut remembered)["input"], json!([{"n": 1.50}, {"n": 2}, {"n": 3}]));
        let mut other = create(&json!({"type": "response.create", "previous_response_id": "resp_2", "input": []}));
        let error = other.whole_input(&mut remembered, &Stored::new(0), "", 0).unwrap_err();
        assert_eq!((error.code(), error.status_hint()), (Some("previous_response_not_found"), 400));
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named() {
        for (member, value) in [("generate", json!("no")), ("input", json!({})), ("previous_response_id", json!(7))] {
            let error = Create::read(&json!({"type": "response.create", member: value}).to_string()).unwrap_err();
            assert_eq!((error.status_hint(), error.param()), (400, Some(member)));
        }
    }
}
