//! Ends that the client asks for: a reply that is interrupted, one that stops after an item, and one without output.

use std::borrow::Cow;

use super::stream::{ResponseStream, StreamState};
use crate::error::Error;
use crate::json::{Text, members, word};
use crate::outcome::{Finish, Summary};
use crate::reply::limit::OutputLimiter;
use crate::reply::sink::EventSink;
use crate::usage::Usage;

impl ResponseStream {
    /// Ends the reply at once, as the backend ends one that its client interrupts (docs/backend.md §4):
    /// `response.incomplete` for `reason`, with the finished items; those that are not finished are discarded. Drop
    /// upstream: later events are ignored.
    ///
    /// # Errors
    /// The reply has already ended with an error.
    pub fn interrupt(&mut self, reason: &str, sink: &mut impl EventSink) -> Result<Summary, Error> {
        self.begin_if_needed(sink)?;
        let response_id = Text::Plain(&self.response_id().unwrap_or_default()).to_json();
        for place in (0..self.output.len()).filter(|place| !self.output.is_done(*place)) {
            let about = format!("\"response_id\":{response_id},{}", self.about(place));
            self.writer.add("response.output_item.interrupted", &about, sink);
        }
        Ok(self.end_early(reason, sink))
    }

    /// Ends the reply for `reason` as soon as its next item is finished, unless the client owes a result for one of the
    /// items: a reply with calls ends by itself.
    pub fn stop_after_item(&mut self, reason: &'static str) {
        self.stop_reason = Some(reason);
    }

    /// Completes a reply that has no output.
    ///
    /// # Errors
    /// The reply has already ended with an error.
    pub fn complete_empty(&mut self, sink: &mut impl EventSink) -> Result<Summary, Error> {
        self.begin_if_needed(sink)?;
        let usage = Usage::default();
        self.template.cut("completed", Some(&usage), "[]");
        self.settle();
        self.writer.add("response.completed", &format!("\"response\":{}", self.template.json()), sink);
        let summary = Summary::new(Finish::Stop, Some(usage));
        self.state = StreamState::Closed(Ok(summary.clone()));
        Ok(summary)
    }

    /// Writes an event that upstream does not have, with the next number. `members` are those besides type and number,
    /// as JSON text.
    pub fn add_event(&mut self, kind: &str, members: &str, sink: &mut impl EventSink) {
        self.writer.add(kind, members, sink);
    }

    /// Returns the id of the response, once the client has read it.
    pub fn response_id(&self) -> Option<String> {
        match self.state {
            StreamState::Open | StreamState::Closed(_) => {
                let [id] = members(self.template.json(), ["id"]).ok()?;
                word(id).map(Cow::into_owned)
            }
            StreamState::Buffering(_) | StreamState::Failed(..) => None,
        }
    }

    /// Ends the reply if it stops after the item that has just been finished.
    pub(super) fn stop_here(&mut self, sink: &mut impl EventSink) -> Option<Summary> {
        let reason = self.stop_reason.filter(|_| !self.output.requires_input())?;
        Some(self.end_early(reason, sink))
    }

    fn begin_if_needed(&mut self, sink: &mut impl EventSink) -> Result<(), Error> {
        match &mut self.state {
            StreamState::Buffering(prelude) => {
                let prelude = std::mem::take(prelude);
                self.write_prelude(prelude, None, sink)
            }
            StreamState::Open => Ok(()),
            StreamState::Failed(error, _) | StreamState::Closed(Err(error)) => Err(error.clone()),
            StreamState::Closed(Ok(_)) => Err(Error::protocol("the reply has ended")),
        }
    }

    fn end_early(&mut self, reason: &str, sink: &mut impl EventSink) -> Summary {
        let usage = self.limiter.as_ref().map(OutputLimiter::usage);
        self.template.interrupt(reason, usage.as_ref(), &self.output.to_json());
        self.settle();
        self.writer.add("response.incomplete", &format!("\"response\":{}", self.template.json()), sink);
        let summary = self.summary(Finish::Length, usage);
        self.state = StreamState::Closed(Ok(summary.clone()));
        summary
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::outcome::{Flow, ReplyId};
    use crate::plan::ReplyPlan;
    use crate::reply::event_buffer::EventBuffer;
    use crate::responses::RawEvent;

    fn stream() -> ResponseStream {
        let reply_id = ReplyId { id: "resp_0".to_owned(), created: 1_750_000_000 };
        let plan = ReplyPlan { previous_response_id: Some("resp_before".to_owned()), ..ReplyPlan::new("m") };
        ResponseStream::new(&plan, &reply_id)
    }

    fn push(stream: &mut ResponseStream, event: &Value, out: &mut EventBuffer) -> Flow {
        stream.push(RawEvent::new(&event.to_string()), out).unwrap()
    }

    fn created() -> Value {
        json!({"type": "response.created", "sequence_number": 0, "response": {"id": "resp_1", "status": "in_progress"}})
    }

    fn message(kind: &str, at: usize, status: &str) -> Value {
        let item = json!({"id": format!("msg_{at}"), "type": "message", "role": "assistant", "status": status,
            "content": []});
        json!({"type": format!("response.output_item.{kind}"), "sequence_number": 0, "output_index": at, "item": item})
    }

    fn events(out: &EventBuffer) -> Vec<Value> {
        out.iter().map(|event| serde_json::from_str(event.json()).unwrap()).collect()
    }

    #[test]
    fn an_interrupted_reply_has_only_finished_items() {
        let (mut stream, mut out) = (stream(), EventBuffer::default());
        assert_eq!(stream.response_id(), None);
        let _ = push(&mut stream, &created(), &mut out);
        let _ = push(&mut stream, &message("added", 0, "in_progress"), &mut out);
        assert_eq!(stream.response_id().as_deref(), Some("resp_1"));
        let _ = push(&mut stream, &message("done", 0, "completed"), &mut out);
        let _ = push(&mut stream, &message("added", 1, "in_progress"), &mut out);
        stream.add_event("response.interrupt.accepted", "\"response_id\":\"resp_1\"", &mut out);
        stream.interrupt("interrupted", &mut out).unwrap();
        let events = events(&out);
        let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6]);
        let [.., discarded, last] = &events[..] else { panic!("{events:?}") };
        assert_eq!(
            (&discarded["type"], &discarded["item_id"]),
            (&json!("response.output_item.interrupted"), &json!("msg_1"))
        );
        assert_eq!(last["type"], "response.incomplete");
        let response = &last["response"];
        assert_eq!(response["incomplete_details"], json!({"reason": "interrupted"}));
        assert_eq!(
            (&response["id"], &response["end_turn"], &response["status"]),
            (&json!("resp_1"), &json!(false), &json!("incomplete"))
        );
        assert_eq!(
            response["output"].as_array().unwrap().iter().map(|item| &item["id"]).collect::<Vec<_>>(),
            ["msg_0"]
        );
        assert_eq!(push(&mut stream, &message("done", 1, "completed"), &mut out), Flow::Done);
        assert_eq!(out.iter().count(), 7, "nothing follows");
        assert!(stream.response().is_some(), "it can be stored");
    }

    #[test]
    fn a_reply_that_has_not_begun_can_end_too() {
        for is_interrupted in [false, true] {
            let (mut stream, mut out) = (stream(), EventBuffer::default());
            let ended = match is_interrupted {
                true => stream.interrupt("interrupted", &mut out),
                false => stream.complete_empty(&mut out),
            };
            assert!(ended.is_ok());
            let events = events(&out);
            let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
            let last = if is_interrupted { "response.incomplete" } else { "response.completed" };
            assert_eq!(kinds, ["response.created", last]);
            for event in &events {
                let response = &event["response"];
                assert_eq!(
                    (&response["id"], &response["previous_response_id"]),
                    (&json!("resp_0"), &json!("resp_before"))
                );
                for member in [
                    "object",
                    "created_at",
                    "status",
                    "model",
                    "output",
                    "error",
                    "incomplete_details",
                    "instructions",
                    "metadata",
                    "parallel_tool_calls",
                    "temperature",
                    "tool_choice",
                    "tools",
                    "top_p",
                    "usage",
                ] {
                    assert!(response.get(member).is_some(), "{member}");
                }
            }
        }
    }

    #[test]
    fn a_reply_stops_after_an_item_unless_it_has_calls() {
        let (mut stream, mut out) = (stream(), EventBuffer::default());
        let _ = push(&mut stream, &created(), &mut out);
        let call = json!({"id": "fc_1", "type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"});
        let _ = push(&mut stream, &message("added", 0, "in_progress"), &mut out);
        let mut with_call = stream.clone();
        stream.stop_after_item("steered");
        assert_eq!(push(&mut stream, &message("done", 0, "completed"), &mut out), Flow::Done);
        let last = events(&out).pop().unwrap();
        assert_eq!(last["response"]["incomplete_details"]["reason"], "steered");

        let mut out = EventBuffer::default();
        let _ = push(&mut with_call, &message("done", 0, "completed"), &mut out);
        with_call.stop_after_item("steered");
        for kind in ["added", "done"] {
            let event = json!({"type": format!("response.output_item.{kind}"), "output_index": 1, "item": call});
            assert_eq!(push(&mut with_call, &event, &mut out), Flow::Continue, "{kind}");
        }
        let completed = json!({"type": "response.completed", "response": {"id": "resp_1", "output": []}});
        assert_eq!(push(&mut with_call, &completed, &mut out), Flow::Done);
        assert_eq!(events(&out).pop().unwrap()["type"], "response.completed");
    }
}
