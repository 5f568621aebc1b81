//! The beginning of a reply: `response.created` comes first, and nothing is written before the turn has clearly
//! started.

use super::stream::{ResponseStream, StreamState};
use super::writer::KEEPALIVE;
use crate::bounds::MAX_EARLY_BYTES;
use crate::error::Error;
use crate::json::ObjectEdit;
use crate::plan::KeepaliveStyle;
use crate::reply::event_buffer::EventBuffer;
use crate::reply::sink::EventSink;
use crate::responses::{Envelope, Event, RawEvent};

const CREATED: &str = "response.created";

impl ResponseStream {
    /// Buffers what belongs to the beginning of the reply, and writes the beginning before the first other event.
    /// Returns whether `envelope` was buffered or written with it.
    pub(super) fn buffer_prelude(
        &mut self,
        envelope: &Envelope<'_>,
        event: &Event<'_>,
        sink: &mut impl EventSink,
    ) -> Result<bool, Error> {
        let StreamState::Buffering(prelude) = &mut self.state else { return Ok(false) };
        // While nothing was written, the caller can answer with a status.
        let is_empty =
            matches!(event, Event::Incomplete(ended, reason) if !reason.is_given() && ended.output.is_empty());
        if is_empty || matches!(event, Event::Failed(_)) {
            return Ok(false);
        }
        // The backend's private events, and events without a type, do not show that the turn has started.
        let is_beginning =
            matches!(event, Event::Opened) || matches!(event, Event::Other(_)) && !is_about_the_turn(&envelope.kind());
        if !is_beginning {
            let prelude = std::mem::take(prelude);
            self.write_prelude(prelude, Some(envelope), sink)?;
            return Ok(false);
        }
        prelude.push(RawEvent::new(envelope.json));
        let is_released = !self.is_held && matches!(event, Event::Opened);
        if is_released || prelude.bytes() > MAX_EARLY_BYTES {
            let prelude = std::mem::take(prelude);
            self.write_prelude(prelude, None, sink)?;
        }
        Ok(true)
    }

    /// Stops holding back the beginning of the reply, and writes what is held back if the turn has begun. Otherwise its
    /// beginning is written as soon as it arrives.
    ///
    /// # Errors
    /// The beginning cannot be read.
    pub fn release(&mut self, sink: &mut impl EventSink) -> Result<(), Error> {
        self.is_held = false;
        let StreamState::Buffering(prelude) = &mut self.state else { return Ok(()) };
        if !prelude.iter().any(|event| is_about_the_turn(&event.kind())) {
            return Ok(());
        }
        let prelude = std::mem::take(prelude);
        self.write_prelude(prelude, None, sink).inspect_err(|error| self.fail(error.clone()))
    }

    /// Writes a `keepalive`, with the next number, if the client reads it; returns whether it was written. Call it only
    /// after [`ResponseStream::release`].
    pub fn write_keepalive(&mut self, sink: &mut impl EventSink) -> bool {
        let is_running = matches!(self.state, StreamState::Buffering(_) | StreamState::Open);
        let is_written = is_running && self.keepalive == KeepaliveStyle::Event;
        if is_written {
            self.writer.add_keepalive(sink);
        }
        is_written
    }

    /// Passes on a `keepalive` of upstream if the client reads it and the reply has begun.
    pub(super) fn pass_keepalive(&mut self, envelope: &Envelope<'_>, sink: &mut impl EventSink) {
        if self.keepalive == KeepaliveStyle::Event && matches!(self.state, StreamState::Open) {
            self.writer.pass(envelope, KEEPALIVE, None, ObjectEdit::new(envelope.json), sink);
        }
    }

    /// Writes the beginning of the reply: the buffered events in `prelude`; `next` is the first event after them.
    pub(super) fn write_prelude(
        &mut self,
        prelude: EventBuffer,
        next: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<(), Error> {
        self.state = StreamState::Open;
        // All of them were parsed before they were buffered.
        let prelude: Vec<_> = prelude.iter().filter_map(|event| Envelope::parse(event.json()).ok().flatten()).collect();
        match prelude.iter().find(|event| event.kind() == CREATED) {
            Some(created) if self.template.read(created.response, &self.tools).is_ok() => {
                self.pass_response(created, CREATED, sink);
            }
            _ => {
                // Otherwise the response of a later event, reset to its beginning. One that cannot be parsed is
                // ignored.
                let later = prelude.iter().chain(next).find_map(|event| event.response);
                let _ = self.template.read(later, &self.tools);
                self.template.begin();
                self.writer.add(CREATED, &format!("\"response\":{}", self.template.json()), sink);
            }
        }
        for event in &prelude {
            let kind = event.kind();
            if is_about_the_turn(&kind) {
                self.opened(event, &kind, sink)?;
            } else {
                self.writer.pass(event, &kind, None, ObjectEdit::new(event.json), sink);
            }
        }
        Ok(())
    }

    /// Writes `response.in_progress` and its like. A second `response.created` would be a second reply.
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

/// Returns whether events of this type belong to the public protocol, and not only to the backend.
fn is_about_the_turn(kind: &str) -> bool {
    kind.starts_with("response.") && kind != "response.metadata"
}
