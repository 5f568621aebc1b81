//! Steering: input for a response that is still running (`response.steer` of the public API). The backend cannot do
//! this, so it is emulated: the response ends after its next item, and a successor with its settings continues it.
//!
//! Accepted input is with its turn until that ends, in [`PendingSteers`] while the response waits for results of its
//! client, and with the successor until that begins. If it gets no further, it is returned to the client.

use std::collections::VecDeque;

use codex_client::ids::random_hex;
use codex_translate::responses::ResponsesRequest;
use codex_translate::{Options, Profile, normalise, replace_lone_surrogates};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::endpoints::websocket::lanes::Lane;
use crate::request::budget::BudgetPermit;
use crate::stored::items;

/// Why a response ends that is steered.
pub(super) const STEERED: &str = "steered";

/// How much input may wait for one response.
pub(super) const MAX_STEERS: usize = 16;

/// For how many responses input may wait.
const MAX_PARENTS: usize = 16;

/// Input for a response, which was accepted.
#[derive(Debug)]
pub(super) struct Steer {
    id: String,
    /// The response that it is for.
    pub(super) response_id: String,
    /// The input as it was sent.
    input: Value,
    /// The size of the frame.
    bytes: usize,
    /// The memory for the frame.
    _permit: Option<BudgetPermit>,
}

/// A frame that was not accepted, or accepted input that cannot be used.
#[derive(Debug)]
pub(super) struct SteerFailure {
    steer: Value,
    code: SteerError,
    message: String,
}

/// The codes of the public API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SteerError {
    InvalidInput,
    NotSupported,
    NotFound,
    TooMany,
    AlreadyCompleted,
    NotActive,
    SuccessorFailed,
}

/// Input for responses that wait for results of the client.
#[derive(Debug, Default)]
pub(super) struct PendingSteers {
    /// Oldest first.
    parents: VecDeque<(Lane, Vec<Steer>)>,
}

impl Steer {
    /// Reads a frame of this type.
    ///
    /// # Errors
    /// It is not as the public API describes it.
    pub(super) fn read(frame: &str, permit: Option<BudgetPermit>) -> Result<Self, SteerFailure> {
        let mut members: Map<String, Value> = serde_json::from_str(&replace_lone_surrogates(frame)).unwrap_or_default();
        let response_id = members.remove("previous_response_id").unwrap_or_default();
        let input = members.remove("input").unwrap_or_default();
        members.remove("type");
        let problem = if !response_id.is_string() {
            Some("`previous_response_id` must be a string".to_owned())
        } else if !members.is_empty() {
            Some("only `type`, `previous_response_id` and `input` are accepted".to_owned())
        } else {
            problem_with(&input).or_else(|| refusal_of(&input))
        };
        if let Some(message) = problem {
            let steer = json!({"previous_response_id": response_id.as_str().unwrap_or_default(), "input": input});
            return Err(SteerFailure { steer, code: SteerError::InvalidInput, message });
        }
        let response_id = response_id.as_str().unwrap_or_default().to_owned();
        Ok(Self { id: format!("steer_{}", random_hex()), response_id, input, bytes: frame.len(), _permit: permit })
    }

    /// Returns the members of the event that accepts it.
    pub(super) fn accepted(&self) -> String {
        format!("\"steer\":{}", json!({"id": self.id, "previous_response_id": self.response_id}))
    }

    /// Returns the members of the event that says for which results the response waits.
    pub(super) fn pending(&self, required: &[String]) -> String {
        let required = required.join(",");
        format!("{},\"reason\":\"waiting_for_required_input\",\"required_input\":[{required}]", self.accepted())
    }

    /// Returns it to the client before it was accepted.
    pub(super) fn rejected(self, code: SteerError) -> SteerFailure {
        let steer = json!({"previous_response_id": self.response_id, "input": self.input});
        SteerFailure { steer, code, message: code.message().to_owned() }
    }

    /// Returns it to the client after it was accepted.
    pub(super) fn failed(self, code: SteerError) -> SteerFailure {
        let steer = json!({"id": self.id, "previous_response_id": self.response_id, "input": self.input});
        SteerFailure { steer, code, message: code.message().to_owned() }
    }

    /// Returns the size of its frame.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Returns the input items.
    pub(super) fn items(&self) -> Vec<Box<RawValue>> {
        // It was read from JSON, and is a text or a list.
        let input = to_raw_value(&self.input).ok();
        let items = input.as_ref().and_then(|input| items(input).ok()).unwrap_or_default();
        items.into_iter().map(|item| item.json.into_owned()).collect()
    }
}

impl SteerFailure {
    /// Returns the members of the event that reports it.
    pub(super) fn members(&self) -> String {
        let error = json!({"type": "invalid_request_error", "code": self.code.as_str(), "message": self.message});
        format!("\"steer\":{},\"error\":{error}", self.steer)
    }

    /// Returns the whole event, for a response whose events are no longer numbered.
    pub(super) fn frame(&self) -> Value {
        let error = json!({"type": "invalid_request_error", "code": self.code.as_str(), "message": self.message});
        json!({"type": "response.steer.failed", "sequence_number": 0, "steer": self.steer, "error": error})
    }
}

impl SteerError {
    fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotSupported => "steering_not_supported",
            Self::NotFound => "response_not_found",
            Self::TooMany => "too_many_pending_steers",
            Self::AlreadyCompleted => "response_already_completed",
            Self::NotActive => "response_not_active",
            Self::SuccessorFailed => "successor_creation_failed",
        }
    }

    fn message(self) -> &'static str {
        match self {
            Self::InvalidInput => "the input is not valid",
            Self::NotSupported => "the response cannot be steered: its settings are too large",
            Self::NotFound => "no such response is running on this connection",
            Self::TooMany => "too much input is waiting for this response",
            Self::AlreadyCompleted => "the response has already ended",
            Self::NotActive => "the response was interrupted",
            Self::SuccessorFailed => "the response that would continue this one could not be created",
        }
    }
}

impl PendingSteers {
    /// Adds the input for a response that waits; returns what has waited longest if that is too much.
    pub(super) fn add(&mut self, lane: Lane, steers: Vec<Steer>) -> Option<(Lane, Vec<Steer>)> {
        if !steers.is_empty() {
            self.parents.push_back((lane, steers));
        }
        if self.parents.len() > MAX_PARENTS { self.parents.pop_front() } else { None }
    }

    /// Takes the input for a response, which only a request of the same lane continues with it.
    pub(super) fn take(&mut self, lane: &Lane, response_id: &str) -> Vec<Steer> {
        let is_for = |(its, steers): &(Lane, Vec<Steer>)| {
            its == lane && steers.iter().any(|steer| steer.response_id == response_id)
        };
        let at = self.parents.iter().position(is_for);
        at.and_then(|at| self.parents.remove(at)).map(|(_, steers)| steers).unwrap_or_default()
    }
}

/// Returns what is wrong with an input: it must be a text, or a list of the user's messages.
fn problem_with(input: &Value) -> Option<String> {
    if input.as_str().is_some_and(|text| !text.is_empty()) {
        return None;
    }
    let Some(messages) = input.as_array().filter(|messages| !messages.is_empty()) else {
        return Some("`input` must be a text or a list of messages, and not empty".to_owned());
    };
    let wrong = messages.iter().position(|message| !is_user_message(message))?;
    Some(format!("`input[{wrong}]` must be a message of the user with text, images or files"))
}

/// Returns why a request with this input would be refused: the response must not end for it.
fn refusal_of(input: &Value) -> Option<String> {
    let request = json!({"model": "any", "input": input}).to_string();
    let read = ResponsesRequest::from_json(request.as_bytes());
    let refused = read.and_then(|read| normalise(read, &Profile::permissive("any"), &Options::default())).err()?;
    Some(refused.message().to_owned())
}

fn is_user_message(message: &Value) -> bool {
    const PARTS: [&str; 3] = ["input_text", "input_image", "input_file"];
    let Value::Object(members) = message else { return false };
    let is_known = members.keys().all(|key| matches!(key.as_str(), "type" | "role" | "content"));
    let is_message = members.get("type").is_none_or(|kind| kind == "message") && message["role"] == "user";
    let is_part = |part: &Value| part["type"].as_str().is_some_and(|kind| PARTS.contains(&kind));
    let content = &message["content"];
    let has_content = content.is_string() || content.as_array().is_some_and(|parts| parts.iter().all(is_part));
    is_known && is_message && has_content
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: Value) -> Result<Steer, SteerFailure> {
        let frame = json!({"type": "response.steer", "previous_response_id": "resp_1", "input": input});
        Steer::read(&frame.to_string(), None)
    }

    #[test]
    fn input_is_a_text_or_messages_of_the_user() {
        let part = |kind: &str| json!({"role": "user", "content": [{"type": kind}]});
        let image = json!({"type": "input_image", "image_url": "https://example.com/fox.png"});
        for input in [
            json!("hi"),
            json!([{"role": "user", "content": "hi", "type": "message"}]),
            json!([{"role": "user", "content": [image]}]),
        ] {
            let steer = read(input.clone()).unwrap();
            assert!(steer.id.len() == 38 && steer.id.starts_with("steer_"));
            assert_eq!(steer.items().len(), 1, "{input}");
        }
        for input in [
            json!(""),
            json!([]),
            json!(7),
            Value::Null,
            json!(["hi"]),
            json!([{"role": "system", "content": "hi"}]),
            json!([{"role": "user", "content": "hi", "id": "msg_1"}]),
            json!([{"type": "function_call_output", "call_id": "c", "output": "x"}]),
            json!([part("output_text")]),
            json!([part("input_text")]),
            json!([{"role": "user", "content": [{"type": "input_image", "image_url": 7}]}]),
            json!([{"role": "user"}]),
        ] {
            let failure = read(input.clone()).unwrap_err();
            assert_eq!((failure.code, &failure.steer["input"]), (SteerError::InvalidInput, &input));
            assert!(failure.frame()["steer"].get("id").is_none());
        }
        for frame in [
            json!({"type": "response.steer", "input": "hi"}),
            json!({"type": "response.steer", "input": "hi", "previous_response_id": "r", "stream_id": "a"}),
        ] {
            assert!(Steer::read(&frame.to_string(), None).is_err(), "{frame}");
        }
    }

    #[test]
    fn half_of_a_character_is_replaced() {
        let frame = r#"{"type":"response.steer","previous_response_id":"resp_1","input":"cut \ud83d"}"#;
        assert_eq!(Steer::read(frame, None).unwrap().input, json!("cut \u{fffd}"));
    }

    #[test]
    fn what_waits_longest_is_returned_first() {
        let mut pending = PendingSteers::default();
        for number in 0..=MAX_PARENTS {
            let mut steer = read(json!("hi")).unwrap();
            steer.response_id = number.to_string();
            let returned = pending.add(Lane::default(), vec![steer]);
            assert_eq!(returned.is_some(), number == MAX_PARENTS);
        }
        let lane = Lane::default();
        assert!(pending.take(&lane, "0").is_empty());
        let raw = RawValue::from_string("\"another\"".to_owned()).unwrap();
        assert!(pending.take(&Lane::read(Some(&raw)).unwrap(), "1").is_empty());
        assert_eq!(pending.take(&lane, "1").len(), 1);
        assert!(pending.take(&lane, "1").is_empty());
    }
}
