//! The frames of a client.

use std::borrow::Cow;

use codex_translate::{Error, ErrorKind};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::endpoints::websocket::lanes::Lane;

/// A frame of the client, as far as it decides what is done with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientFrame {
    /// `response.create`: a request of this lane.
    Create(Lane),
    /// `response.interrupt`, by which the official client ends a response (docs/backend.md §4).
    Interrupt { lane: Lane, response_id: String },
    /// `response.cancel`, by which clients of the Realtime API do: the response with this id, or else the lane's,
    /// even if its request still waits.
    Cancel { lane: Lane, response_id: Option<String> },
    /// `response.steer`: input for a running response.
    Steer,
    /// A frame that needs no answer.
    Notification,
}

/// Why a frame cannot be read, and the lane that it names.
#[derive(Debug)]
pub(super) struct FrameError {
    pub(super) lane: Lane,
    pub(super) error: Error,
}

/// The members that decide, unparsed: most frames are large only because of their input.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FrameMembers<'a> {
    #[serde(borrow)]
    r#type: Option<&'a RawValue>,
    #[serde(borrow)]
    stream_id: Option<&'a RawValue>,
    #[serde(borrow)]
    response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    generate: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

impl ClientFrame {
    /// Reads a frame.
    ///
    /// # Errors
    /// The frame is not a JSON object, or its type is unknown, or a member has the wrong type (400).
    pub(super) fn read(text: &str) -> Result<Self, FrameError> {
        let unnamed = |error| FrameError { lane: Lane::default(), error };
        let envelope = FrameMembers::read(text).map_err(unnamed)?;
        // The response decides about the lane of its input.
        if string("type", envelope.r#type).is_ok_and(|kind| kind.as_deref() == Some("response.steer")) {
            return Ok(Self::Steer);
        }
        let lane = Lane::read(envelope.stream_id).map_err(unnamed)?;
        envelope.frame(&lane).map_err(|error| FrameError { lane, error })
    }
}

impl<'a> FrameMembers<'a> {
    fn read(text: &'a str) -> Result<Self, Error> {
        let not_json = |error: serde_json::Error| {
            Error::new(ErrorKind::InvalidRequest, format!("the frame is not JSON: {error}")).with_code("invalid_json")
        };
        if !text.trim_start().starts_with('{') {
            let _: IgnoredAny = serde_json::from_str(text).map_err(not_json)?;
            let error = Error::new(ErrorKind::InvalidRequest, "the frame must be a JSON object");
            return Err(error.with_code("invalid_type"));
        }
        serde_json::from_str(text).map_err(not_json)
    }

    fn frame(&self, lane: &Lane) -> Result<ClientFrame, Error> {
        let kind = string("type", self.r#type)?.ok_or_else(|| missing("type"))?;
        match &*kind {
            "response.create" => {
                string("previous_response_id", self.previous_response_id)?;
                if self.generate.is_some_and(|raw| !matches!(raw.get(), "true" | "false")) {
                    return Err(mistyped("generate", "a boolean"));
                }
                if self.input.is_some_and(|raw| !raw.get().starts_with(['"', '['])) {
                    return Err(mistyped("input", "a string or an array of items"));
                }
                Ok(ClientFrame::Create(lane.clone()))
            }
            "response.interrupt" => {
                let response_id = string("response_id", self.response_id)?.ok_or_else(|| missing("response_id"))?;
                Ok(ClientFrame::Interrupt { lane: lane.clone(), response_id: response_id.into_owned() })
            }
            "response.cancel" => {
                let response_id = string("response_id", self.response_id)?.map(Cow::into_owned);
                Ok(ClientFrame::Cancel { lane: lane.clone(), response_id })
            }
            // The official client reports which responses it has processed.
            "response.processed" => Ok(ClientFrame::Notification),
            other => {
                let other: String = other.chars().take(64).collect();
                let message = format!(
                    "unknown frame type `{other}`; known are `response.create`, `response.interrupt`, \
                     `response.cancel` and `response.steer`"
                );
                Err(Error::invalid("type", message).with_code("invalid_value"))
            }
        }
    }
}

/// Parses a member that must be a string, if it is present and not null.
fn string<'a>(name: &'static str, raw: Option<&'a RawValue>) -> Result<Option<Cow<'a, str>>, Error> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    let Some(raw) = raw else { return Ok(None) };
    match serde_json::from_str(raw.get()) {
        Ok(Borrowed(text)) => Ok(Some(text)),
        Err(_) => Err(mistyped(name, "a string")),
    }
}

fn mistyped(name: &'static str, expected: &str) -> Error {
    Error::invalid(name, format!("`{name}` must be {expected}")).with_code("invalid_type")
}

fn missing(name: &'static str) -> Error {
    Error::invalid(name, format!("missing required parameter: `{name}`")).with_code("missing_required_parameter")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_error_says_what_is_wrong() {
        let missing = "missing_required_parameter";
        for (frame, code, param) in [
            ("", "invalid_json", None),
            ("{", "invalid_json", None),
            ("{\"type\": \"response.create\"}}", "invalid_json", None),
            ("[]", "invalid_type", None),
            ("\"response.create\"", "invalid_type", None),
            ("[", "invalid_json", None),
            ("{}", missing, Some("type")),
            ("{\"type\": null}", missing, Some("type")),
            ("{\"type\": 7}", "invalid_type", Some("type")),
            ("{\"type\": \"session.update\"}", "invalid_value", Some("type")),
            ("{\"type\": \"response.create\", \"generate\": \"no\"}", "invalid_type", Some("generate")),
            ("{\"type\": \"response.create\", \"input\": {}}", "invalid_type", Some("input")),
            ("{\"type\": \"response.create\", \"stream_id\": 7}", "invalid_type", Some("stream_id")),
            (
                "{\"type\": \"response.create\", \"previous_response_id\": 7}",
                "invalid_type",
                Some("previous_response_id"),
            ),
            ("{\"type\": \"response.interrupt\"}", missing, Some("response_id")),
            ("{\"type\": \"response.interrupt\", \"response_id\": []}", "invalid_type", Some("response_id")),
            ("{\"type\": \"response.cancel\", \"response_id\": 7}", "invalid_type", Some("response_id")),
        ] {
            let error = ClientFrame::read(frame).unwrap_err().error;
            assert_eq!((error.status_hint(), error.code(), error.param()), (400, Some(code), param), "{frame}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_is_the_clients_error(text in ".*", cut in 0..80usize) {
            let frame = r#"{"type":"response.cancel","stream_id":"a","response_id":"resp_1","input":[{"a":"\u00e9"}]}"#;
            let spliced = format!("{}{text}{}", &frame[..cut.min(frame.len())], &frame[cut.min(frame.len())..]);
            for text in [&text, &spliced] {
                if let Err(FrameError { error, .. }) = ClientFrame::read(text) {
                    prop_assert_eq!(error.status_hint(), 400);
                    prop_assert!(error.code().is_some());
                }
            }
        }
    }

    #[test]
    fn an_error_names_the_lane() {
        let error = ClientFrame::read("{\"stream_id\": \"a\", \"type\": \"x\"}").unwrap_err();
        assert_eq!(error.lane.frame_start(), "{\"stream_id\":\"a\",");
    }

    #[test]
    fn control_frames_name_a_response_or_a_lane() {
        let read = |frame: &str| ClientFrame::read(frame).unwrap();
        let response_id = || "resp_\"1".to_owned();
        assert_eq!(
            read(r#"{"type":"response.interrupt","response_id":"resp_\"1","mode":"discard_partial_items"}"#),
            ClientFrame::Interrupt { lane: Lane::default(), response_id: response_id() }
        );
        let ClientFrame::Cancel { lane, response_id: None } = read(r#"{"type":"response.cancel","stream_id":"a"}"#)
        else {
            panic!("not read");
        };
        assert!(!lane.is_unnamed());
        assert_eq!(read(r#"{"type":"response.processed"}"#), ClientFrame::Notification);
        assert_eq!(read(r#"{"type":"response.create","input":null}"#), ClientFrame::Create(Lane::default()));
    }
}
