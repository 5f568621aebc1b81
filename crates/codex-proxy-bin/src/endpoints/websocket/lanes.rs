//! Lanes: the requests of one are answered in order, those of different lanes side by side. Most clients have only the
//! lane without a name.

use std::collections::VecDeque;
use std::sync::Arc;

use codex_translate::Error;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::request::budget::BudgetPermit;
use crate::request::limits::full;

/// How many lanes of a connection may have a running turn.
pub(super) const MAX_RUNNING: usize = 16;

/// How many requests of a connection may wait for a turn to end.
pub(super) const MAX_WAITING: usize = 16;

/// The longest name of a lane in bytes: every event repeats it.
const MAX_NAME_BYTES: usize = 256;

/// A lane, by the `stream_id` of its requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lane(Option<Arc<str>>);

/// A message of the client, with its part of the memory budget.
#[derive(Debug)]
pub(super) struct ClientMessage {
    pub(super) text: Utf8Bytes,
    pub(super) permit: Option<BudgetPermit>,
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct WaitingRequest {
    pub(super) lane: Lane,
    pub(super) message: ClientMessage,
    /// Whether its response ends as soon as it begins; nothing is sent for it.
    pub(super) is_cancelled: bool,
}

/// The requests that wait, in the order in which they arrived.
#[derive(Debug)]
pub(super) struct WaitingRequests {
    requests: VecDeque<WaitingRequest>,
    /// The maximum total size of the requests, in bytes.
    limit_bytes: usize,
}

impl Lane {
    /// Reads the `stream_id` of a frame.
    ///
    /// # Errors
    /// It is not a string, or too long (400).
    pub(super) fn read(stream_id: Option<&RawValue>) -> Result<Self, Error> {
        let Some(raw) = stream_id else { return Ok(Self::default()) };
        let name: String = serde_json::from_str(raw.get())
            .map_err(|_| Error::invalid("stream_id", "`stream_id` must be a string").with_code("invalid_type"))?;
        if name.len() > MAX_NAME_BYTES {
            let message = format!("`stream_id` must not be longer than {MAX_NAME_BYTES} bytes");
            return Err(Error::invalid("stream_id", message).with_code("string_above_max_length"));
        }
        Ok(Self(Some(name.into())))
    }

    /// Returns whether this is the lane of requests without `stream_id`.
    pub(super) fn is_unnamed(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the beginning of a frame of this lane, up to its other members.
    pub(super) fn frame_start(&self) -> String {
        match &self.0 {
            Some(name) => format!("{{\"stream_id\":{},", Value::from(&**name)),
            None => "{".to_owned(),
        }
    }
}

impl WaitingRequests {
    /// Starts without a request.
    pub(super) fn new(limit_bytes: usize) -> Self {
        Self { requests: VecDeque::new(), limit_bytes }
    }

    /// Adds a request, which may be taken at once.
    pub(super) fn push(&mut self, request: WaitingRequest) {
        self.requests.push_back(request);
    }

    /// Takes the first request whose lane is not busy.
    pub(super) fn next(&mut self, is_busy: impl Fn(&Lane) -> bool) -> Option<WaitingRequest> {
        // The first request of a lane decides: if the lane is busy, all its requests wait.
        let at = self.requests.iter().position(|request| !is_busy(&request.lane))?;
        self.requests.remove(at)
    }

    /// Cancels the first request of a lane that is not cancelled yet; false if there is none.
    pub(super) fn cancel(&mut self, lane: &Lane) -> bool {
        let first = self.requests.iter_mut().find(|request| request.lane == *lane && !request.is_cancelled);
        first.map(|request| request.is_cancelled = true).is_some()
    }

    /// Takes the request that arrived last, if there are too many or they are too large.
    pub(super) fn excess(&mut self) -> Option<(WaitingRequest, Error)> {
        let bytes: usize = self.requests.iter().map(|request| request.message.text.len()).sum();
        if self.requests.len() <= MAX_WAITING && bytes <= self.limit_bytes {
            return None;
        }
        Some((self.requests.pop_back()?, full("too many requests wait on this connection")))
    }

    /// Takes the first request.
    pub(super) fn pop(&mut self) -> Option<WaitingRequest> {
        self.requests.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn lane(name: &str) -> Lane {
        let raw = RawValue::from_string(json!(name).to_string()).unwrap();
        Lane::read(Some(&raw)).unwrap()
    }

    fn request(lane: &Lane, text: &str) -> WaitingRequest {
        WaitingRequest {
            lane: lane.clone(),
            message: ClientMessage { text: text.into(), permit: None },
            is_cancelled: false,
        }
    }

    #[test]
    fn a_lane_is_named_by_a_short_string() {
        assert_eq!(Lane::read(None).unwrap().frame_start(), "{");
        assert_eq!(lane("a\"b").frame_start(), r#"{"stream_id":"a\"b","#);
        let long = "x".repeat(MAX_NAME_BYTES + 1);
        for raw in ["7", "{}", &json!(long).to_string()] {
            let raw = RawValue::from_string(raw.to_owned()).unwrap();
            let error = Lane::read(Some(&raw)).unwrap_err();
            assert_eq!((error.param(), error.status_hint()), (Some("stream_id"), 400), "{raw}");
        }
    }

    #[test]
    fn the_number_and_the_size_of_waiting_requests_are_limited() {
        let mut waiting = WaitingRequests::new(100);
        for number in 0..=MAX_WAITING {
            assert!(waiting.excess().is_none());
            waiting.push(request(&lane("a"), &number.to_string()));
        }
        let (last, error) = waiting.excess().unwrap();
        assert_eq!((&*last.message.text, error.status_hint()), ("16", 503));
        let mut waiting = WaitingRequests::new(2);
        waiting.push(request(&lane("a"), "123"));
        assert!(waiting.excess().is_some() && waiting.excess().is_none());
    }

    proptest! {
        /// Compares with a queue for each lane.
        #[test]
        fn each_lane_is_first_in_first_out(steps in prop::collection::vec((0..3usize, any::<bool>()), 0..60)) {
            let lanes = [Lane::default(), lane("a"), lane("b")];
            let mut waiting = WaitingRequests::new(usize::MAX);
            let mut queues: [VecDeque<String>; 3] = Default::default();
            for (number, (at, is_push)) in steps.into_iter().enumerate() {
                if is_push {
                    waiting.push(request(&lanes[at], &number.to_string()));
                    queues[at].push_back(number.to_string());
                } else {
                    let next = waiting.next(|busy| *busy != lanes[at]);
                    prop_assert_eq!(next.map(|next| next.message.text.to_string()), queues[at].pop_front());
                }
            }
        }
    }
}
