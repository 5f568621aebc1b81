//! What a client expects before, between and after what upstream has sent, event by event.

use serde_json::value::RawValue;

use super::output::Stage;
use super::say::{Said, delta_kind};
use super::stream::{ResponseStream, State};
use crate::error::Error;
use crate::json::{ObjectEdit, Text, members_of, number, word};
use crate::outcome::Finish;
use crate::reply::sink::EventSink;
use crate::responses::{Envelope, ItemKind, OutputPart, Piece, PlainDelta, PlainSaid, TextKind};

impl ResponseStream {
    /// Passes on a delta to which nothing but its number has to be done, as is true of nearly all; false, and nothing has
    /// happened, if there is more to do.
    pub(super) fn pass_delta(&mut self, delta: &PlainDelta<'_>, sink: &mut impl EventSink) -> Result<bool, Error> {
        let index = match delta.said {
            PlainSaid::Text(piece) => piece.output_index,
            PlainSaid::Call { output_index, .. } => output_index,
        };
        if !matches!(self.state, State::Open) || self.cutter.is_some() || !delta.is_placed {
            return Ok(false);
        }
        // Upstream's index is the client's, too, unless upstream has left one out.
        let place = self.output.place(index).filter(|place| *place as u64 == index && !self.output.is_done(*place));
        let Some(place) = place else { return Ok(false) };
        let item = &self.output.items()[place];
        match delta.said {
            PlainSaid::Text(Piece { channel, part, text, .. }) if item.has_part(channel, part) => {
                self.output.say(place, channel, part, text)?;
            }
            PlainSaid::Call { kind, payload, .. }
                if item.kind == ItemKind::Call(kind)
                    && !item.missed
                    && item.payload.stage != Stage::Done
                    && !payload.is_empty() =>
            {
                self.output.call_with(place, payload)?;
            }
            PlainSaid::Text(_) | PlainSaid::Call { .. } => return Ok(false),
        }
        self.writer.pass_delta(delta, sink);
        Ok(true)
    }

    /// More of a text.
    pub(super) fn delta(
        &mut self,
        envelope: &Envelope<'_>,
        piece: &Piece<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let place = self.known_for(piece.channel, piece.output_index, envelope, sink)?;
        if self.output.is_done(place) {
            return Ok(None);
        }
        self.say(&Said::of(piece, place), Some(envelope), sink)
    }

    /// All of a text.
    pub(super) fn text_done(
        &mut self,
        envelope: &Envelope<'_>,
        piece: &Piece<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let place = self.known_for(piece.channel, piece.output_index, envelope, sink)?;
        if self.output.is_done(place) {
            return Ok(None);
        }
        if let Some(finish) = self.complete_text(&Said::of(piece, place), sink)? {
            return Ok(Some(finish));
        }
        if let Some(part) =
            self.output.item(place).part(piece.channel, piece.part).filter(|part| part.stage == Stage::Open)
        {
            part.stage = Stage::TextDone;
            let kind = delta_kind(piece.channel).replace(".delta", ".done");
            let edit = self.placed(envelope, place, Some((piece.channel, piece.part)));
            self.writer.pass(envelope, &kind, Some(place), edit, sink);
        }
        Ok(None)
    }

    /// More of what a tool is called with. Before the call is known nothing can be said: its end will say it all.
    pub(super) fn call_delta(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        payload: Text<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let Some(place) = self.output.place(index) else {
            self.output.miss(index)?;
            return Ok(None);
        };
        let item = &self.output.items()[place];
        if item.missed || item.payload.stage == Stage::Done {
            return Ok(None);
        }
        self.call_with(place, payload, Some(envelope), sink)
    }

    /// All of what a tool is called with.
    pub(super) fn call_done(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        payload: Text<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let Some(place) = self.output.place(index).filter(|place| !self.output.is_done(*place)) else {
            return Ok(None);
        };
        if self.output.items()[place].payload.stage == Stage::Done {
            return Ok(None);
        }
        if let Some(finish) = self.complete_payload(place, payload, sink)? {
            return Ok(Some(finish));
        }
        self.output.item(place).payload.stage = Stage::Done;
        let mut edit = self.placed(envelope, place, None);
        if let Some(name) = word(envelope.name).filter(|_| !self.tools.is_unchanged()) {
            edit.set("name", envelope.name, Text::Plain(self.tools.to_client(&name)).to_json());
        }
        self.writer.pass(envelope, &envelope.kind(), Some(place), edit, sink);
        Ok(None)
    }

    /// An annotation of a text.
    pub(super) fn annotation(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        part: u64,
        annotation: &RawValue,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let place = self.known_for(TextKind::Text, index, envelope, sink)?;
        if !self.output.is_done(place) {
            self.open_part(place, TextKind::Text, part, sink)?;
            self.output.annotate(place, part, annotation)?;
            let edit = self.placed(envelope, place, Some((TextKind::Text, part)));
            self.writer.pass(envelope, &envelope.kind(), Some(place), edit, sink);
        }
        Ok(None)
    }

    /// An event that is passed on as it is, but for its numbers; some of them open or close a part.
    pub(super) fn other(
        &mut self,
        envelope: &Envelope<'_>,
        kind: &str,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let Some(event) = PartEvent::read(envelope, kind)? else {
            let index = envelope.output_index.and_then(|raw| raw.get().parse().ok());
            let place = index.and_then(|index| self.output.place(index));
            // SDKs would look for what is not in the event, and for the item of a part whose type is not known here.
            let is_open = place.is_some_and(|place| !self.output.is_done(place));
            if !is_known(kind) && (!is_part(kind) || is_open) {
                self.writer.pass(envelope, kind, place, ObjectEdit::new(envelope.json), sink);
            }
            return Ok(None);
        };
        let place = self.known_for(event.channel, number(envelope.output_index)?, envelope, sink)?;
        if self.output.is_done(place) {
            return Ok(None);
        }
        let pass = match event.stage {
            Stage::Open => self.output.add_part(place, event.channel, event.part)?,
            Stage::TextDone | Stage::Done => {
                let said = Said { place, channel: event.channel, part: event.part, text: event.text };
                if let Some(finish) = self.complete_text(&said, sink)? {
                    return Ok(Some(finish));
                }
                self.end_text(place, event.channel, event.part, sink);
                let part = self.output.item(place).part(event.channel, event.part);
                part.is_some_and(|part| std::mem::replace(&mut part.stage, Stage::Done) < Stage::Done)
            }
        };
        if pass {
            let edit = self.placed(envelope, place, Some((event.channel, event.part)));
            self.writer.pass(envelope, kind, Some(place), edit, sink);
        }
        Ok(None)
    }
}

/// An event that opens or closes a part.
struct PartEvent<'a> {
    channel: TextKind,
    part: u64,
    stage: Stage,
    text: Text<'a>,
}

impl<'a> PartEvent<'a> {
    /// Reads an event of the type `kind`; `None` if it is another.
    ///
    /// # Errors
    /// The part is not in its usual form.
    fn read(envelope: &Envelope<'a>, kind: &str) -> Result<Option<Self>, Error> {
        let Some(part) = envelope.part.filter(|_| is_part(kind)) else { return Ok(None) };
        let stage = if kind.ends_with(".added") { Stage::Open } else { Stage::Done };
        let (channel, text) = if kind.contains("summary") {
            let [text] = members_of(part, ["text"])?;
            (TextKind::Summary, text.map_or(Ok(Text::Plain("")), Text::of)?)
        } else {
            match OutputPart::read(part)? {
                OutputPart::Text { text, .. } => (TextKind::Text, text),
                OutputPart::Refusal(text) => (TextKind::Refusal, text),
                OutputPart::Reasoning(text) => (TextKind::Reasoning, text),
                OutputPart::Other => return Ok(None),
            }
        };
        let part = if channel == TextKind::Summary { envelope.summary_index } else { envelope.content_index };
        Ok(Some(Self { channel, part: number(part)?, stage, text }))
    }
}

/// Whether events of this type are `Event::Other` only if they come without what they are about.
fn is_known(kind: &str) -> bool {
    matches!(kind, "response.output_item.added" | "response.output_item.done" | "response.output_text.annotation.added")
}

/// Whether events of this type open or close a part.
fn is_part(kind: &str) -> bool {
    matches!(
        kind,
        "response.content_part.added"
            | "response.content_part.done"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done"
    )
}
