//! The beginning of a reply: `response.created` first, and nothing before it is known how the turn goes.

use super::stream::{ResponseStream, State};
use crate::bounds::MAX_EARLY_BYTES;
use crate::error::Error;
use crate::json::ObjectEdit;
use crate::reply::event_buffer::EventBuffer;
use crate::reply::sink::EventSink;
use crate::responses::{Envelope, Event, RawEvent};

const CREATED: &str = "response.created";

impl ResponseStream {
    /// Sees to it that the reply begins as clients expect it. Whether `envelope` belongs to that beginning, and so is dealt
    /// with.
    pub(super) fn is_early(
        &mut self,
        envelope: &Envelope<'_>,
        event: &Event<'_>,
        sink: &mut impl EventSink,
    ) -> Result<bool, Error> {
        let State::Opening(early) = &mut self.state else { return Ok(false) };
        // As long as nothing has gone out the caller can answer with a status.
        if matches!(event, Event::Failed(_)) {
            return Ok(false);
        }
        // The backend's own events, and events of no type, say nothing about the turn.
        let is_beginning =
            matches!(event, Event::Opened) || matches!(event, Event::Other(kind) if !is_about_the_turn(kind));
        if !is_beginning {
            let early = std::mem::take(early);
            self.begin(early, Some(envelope), sink)?;
            return Ok(false);
        }
        early.push(RawEvent::new(envelope.json));
        if early.bytes() > MAX_EARLY_BYTES {
            let early = std::mem::take(early);
            self.begin(early, None, sink)?;
        }
        Ok(true)
    }

    /// Writes the beginning of the reply, in which `early` has come; `next` is the first event after it.
    pub(super) fn begin(
        &mut self,
        early: EventBuffer,
        next: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<(), Error> {
        self.state = State::Open;
        // Each of them was read before, and so can be read.
        let early: Vec<_> = early.iter().filter_map(|event| Envelope::parse(event.json()).ok().flatten()).collect();
        match early.iter().find(|event| event.kind() == CREATED) {
            Some(created) if self.template.read(created.response, &self.tools).is_ok() => {
                self.pass_response(created, CREATED, sink);
            }
            _ => {
                // The response of a later event, as it may have been when it began. What cannot be read tells nothing.
                let later = early.iter().chain(next).find_map(|event| event.response);
                let _ = self.template.read(later, &self.tools);
                self.template.begin();
                self.writer.add(CREATED, &format!("\"response\":{}", self.template.json()), sink);
            }
        }
        for event in &early {
            let kind = event.kind();
            if is_about_the_turn(&kind) {
                self.opened(event, &kind, sink)?;
            } else {
                self.writer.pass(event, &kind, None, ObjectEdit::new(event.json), sink);
            }
        }
        Ok(())
    }

    /// `response.in_progress` and its like. A second `response.created` would be a second reply.
    pub(super) fn opened(
        &mut self,
        envelope: &Envelope<'_>,
        kind: &str,
        sink: &mut impl EventSink,
    ) -> Result<(), Error> {
        if kind != CREATED {
            self.template.read(envelope.response, &self.tools)?;
            self.pass_response(envelope, kind, sink);
        }
        Ok(())
    }

    fn pass_response(&mut self, envelope: &Envelope<'_>, kind: &str, sink: &mut impl EventSink) {
        let mut edit = ObjectEdit::new(envelope.json);
        edit.set("response", envelope.response, self.template.json());
        self.writer.pass(envelope, kind, None, edit, sink);
    }
}

/// Whether events of this type belong to the protocol and not to the backend alone.
fn is_about_the_turn(kind: &str) -> bool {
    kind.starts_with("response.") && kind != "response.metadata"
}
