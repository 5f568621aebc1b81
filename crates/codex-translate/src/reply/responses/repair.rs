//! The events that a client expects before, between and after those of upstream.

use serde_json::value::RawValue;

use super::part::{Stage, TextPiece};
use super::push_text::delta_kind;
use super::stream::{ResponseStream, StreamState};
use crate::error::Error;
use crate::json::{ObjectEdit, Text, members_of, number, word};
use crate::outcome::Finish;
use crate::reply::ending::arguments_of;
use crate::reply::sink::EventSink;
use crate::responses::{CompactDelta, DeltaContent, Envelope, ItemKind, OutputPart, TextDelta, TextKind};

impl ResponseStream {
    /// Passes on a delta that needs only another number, as nearly all deltas do. Returns false, and does nothing, if
    /// the delta needs more.
    pub(super) fn pass_delta(&mut self, delta: &CompactDelta<'_>, sink: &mut impl EventSink) -> Result<bool, Error> {
        let index = match delta.content {
            DeltaContent::Text(piece) => piece.output_index,
            DeltaContent::Call { output_index, .. } => output_index,
        };
        if !matches!(self.state, StreamState::Open) || self.limiter.is_some() || !delta.is_placed {
            return Ok(false);
        }
        // Upstream's index is also the client's, unless upstream has skipped one.
        let place = self.output.place(index).filter(|place| *place as u64 == index && !self.output.is_done(*place));
        let Some(place) = place else { return Ok(false) };
        let item = &self.output.items()[place];
        match delta.content {
            DeltaContent::Text(piece) if item.has_open_text(piece.text_kind, piece.part) => {
                self.output.push_text(&TextPiece::of(&piece, place))?;
            }
            DeltaContent::Call { kind, arguments, output_index }
                if item.kind == ItemKind::Call(kind)
                    && !self.output.is_repeat(output_index)
                    && !item.missed
                    && item.arguments.stage == Stage::Open
                    && !arguments.is_empty() =>
            {
                self.output.push_arguments(place, arguments)?;
            }
            DeltaContent::Text(_) | DeltaContent::Call { .. } => return Ok(false),
        }
        self.writer.pass_delta(delta, sink);
        Ok(true)
    }

    /// Adds to a text.
    pub(super) fn delta(
        &mut self,
        envelope: &Envelope<'_>,
        piece: &TextDelta<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let place = self.announce_for_text(piece.text_kind, piece.output_index, envelope, sink)?;
        let item = &self.output.items()[place];
        let is_closed = item.find_part(piece.text_kind, piece.part).is_some_and(|part| part.stage != Stage::Open);
        if item.is_done() || is_closed {
            return Ok(None);
        }
        self.push_text(&TextPiece::of(piece, place), Some(envelope), sink)
    }

    /// Ends a text.
    pub(super) fn text_done(
        &mut self,
        envelope: &Envelope<'_>,
        piece: &TextDelta<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let place = self.announce_for_text(piece.text_kind, piece.output_index, envelope, sink)?;
        if self.output.is_done(place) {
            return self.repeat_text(&TextPiece::of(piece, place)).map(|()| None);
        }
        if let Some(finish) = self.finish_text(&TextPiece::of(piece, place), sink)? {
            return Ok(Some(finish));
        }
        if let Some(part) =
            self.output.item(place).part(piece.text_kind, piece.part).filter(|part| part.stage == Stage::Open)
        {
            part.stage = Stage::TextDone;
            let said = (!part.text.is(piece.text)).then(|| part.text.to_json());
            let kind = delta_kind(piece.text_kind).replace(".delta", ".done");
            let mut edit = self.placed(envelope, place, Some((piece.text_kind, piece.part)));
            if let Some(said) = said {
                match piece.text_kind {
                    TextKind::Refusal => edit.set("refusal", envelope.refusal, said),
                    TextKind::Text | TextKind::Summary | TextKind::Reasoning => edit.set("text", envelope.text, said),
                }
            }
            self.writer.pass(envelope, &kind, Some(place), edit, sink);
        }
        Ok(None)
    }

    /// Adds to the arguments of a call. Nothing is written before the call is announced: its last event has all
    /// arguments.
    pub(super) fn call_delta(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        arguments: Text<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let Some(place) = self.output.place(index) else {
            self.output.note_missed(index)?;
            return Ok(None);
        };
        let is_repeat = self.output.is_repeat(index);
        let item = self.output.item(place);
        if item.missed || item.arguments.stage != Stage::Open {
            return Ok(None);
        }
        if is_repeat {
            // The ends of a call that is said again tell whether something is missing.
            item.missed = item.arguments.as_text().is_empty();
            return Ok(None);
        }
        self.push_arguments(place, arguments, Some(envelope), sink)
    }

    /// Ends the arguments of a call.
    pub(super) fn call_done(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        arguments: Text<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let Some(place) = self.output.place(index) else { return Ok(None) };
        let mut arguments = arguments;
        if let ItemKind::Call(kind) = self.output.items()[place].kind {
            arguments = arguments_of(kind, arguments);
        }
        if self.output.is_done(place) {
            return self.repeat_arguments(place, arguments).map(|()| None);
        }
        if let Some(finish) = self.finish_arguments(place, arguments, sink)? {
            return Ok(Some(finish));
        }
        let item = self.output.item(place);
        if item.arguments.stage == Stage::Done {
            return Ok(None);
        }
        if arguments.is_empty() {
            // The end of the item may have them. The client learns of this end with that one.
            if !item.missed {
                item.arguments.stage = Stage::TextDone;
            }
            return Ok(None);
        }
        if self.output.is_repeat(index) {
            self.write_arguments_done(place, sink);
            return Ok(None);
        }
        let item = self.output.item(place);
        item.arguments.stage = Stage::Done;
        let said = (!item.arguments.is(arguments)).then(|| item.arguments.to_json());
        let mut edit = self.placed(envelope, place, None);
        if let Some(said) = said {
            match envelope.input {
                Some(input) => edit.set("input", Some(input), said),
                None => edit.set("arguments", envelope.arguments, said),
            }
        }
        if let Some(name) = word(envelope.name).filter(|_| !self.tools.is_unchanged()) {
            edit.set("name", envelope.name, Text::Plain(self.tools.to_client(&name)).to_json());
        }
        self.writer.pass(envelope, &envelope.kind(), Some(place), edit, sink);
        Ok(None)
    }

    /// Adds an annotation to a text.
    pub(super) fn annotation(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        part: u64,
        annotation: &RawValue,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let place = self.announce_for_text(TextKind::Text, index, envelope, sink)?;
        if !self.output.is_done(place) {
            self.open_part(place, TextKind::Text, part, sink)?;
            self.output.annotate(place, part, annotation)?;
            let edit = self.placed(envelope, place, Some((TextKind::Text, part)));
            self.writer.pass(envelope, &envelope.kind(), Some(place), edit, sink);
        }
        Ok(None)
    }

    /// Passes on an event with new numbers; some events open or close a part.
    pub(super) fn other(
        &mut self,
        envelope: &Envelope<'_>,
        kind: &str,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let Some(event) = PartEvent::read(envelope, kind)? else {
            let index = envelope.output_index.and_then(|raw| raw.get().parse().ok());
            let place = index.and_then(|index| self.output.place(index));
            // SDKs would look up members that the event lacks, and the item of a part whose type is not known here.
            let is_open = place.is_some_and(|place| !self.output.is_done(place));
            if !is_known(kind) && (!is_part(kind) || is_open) {
                self.writer.pass(envelope, kind, place, ObjectEdit::new(envelope.json), sink);
            }
            return Ok(None);
        };
        let place = self.announce_for_text(event.text_kind, number(envelope.output_index)?, envelope, sink)?;
        if self.output.is_done(place) {
            let piece = TextPiece { place, text_kind: event.text_kind, part: event.part, text: event.text };
            return self.repeat_text(&piece).map(|()| None);
        }
        let pass = match event.stage {
            Stage::Open => self.output.add_part(place, event.text_kind, event.part)?,
            Stage::TextDone | Stage::Done => {
                let piece = TextPiece { place, text_kind: event.text_kind, part: event.part, text: event.text };
                if let Some(finish) = self.finish_text(&piece, sink)? {
                    return Ok(Some(finish));
                }
                self.write_text_done(place, event.text_kind, event.part, sink);
                let part = self.output.item(place).part(event.text_kind, event.part);
                part.is_some_and(|part| std::mem::replace(&mut part.stage, Stage::Done) < Stage::Done)
            }
        };
        if pass {
            let mut edit = self.placed(envelope, place, Some((event.text_kind, event.part)));
            if let (Stage::Done, Some(part)) = (event.stage, envelope.part)
                && let Some(part) = self.agreeing_part(place, event.text_kind, event.part, part)?
            {
                edit.set("part", envelope.part, part);
            }
            self.writer.pass(envelope, kind, Some(place), edit, sink);
        }
        Ok(None)
    }
}

/// An event that opens or closes a part.
struct PartEvent<'a> {
    text_kind: TextKind,
    part: u64,
    stage: Stage,
    text: Text<'a>,
}

impl<'a> PartEvent<'a> {
    /// Parses an event of the type `kind`; `None` if the type is another.
    ///
    /// # Errors
    /// The part does not have its usual form.
    fn read(envelope: &Envelope<'a>, kind: &str) -> Result<Option<Self>, Error> {
        let Some(part) = envelope.part.filter(|_| is_part(kind)) else { return Ok(None) };
        let stage = if kind.ends_with(".added") { Stage::Open } else { Stage::Done };
        let (text_kind, text) = if kind.contains("summary") {
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
        let part = if text_kind == TextKind::Summary { envelope.summary_index } else { envelope.content_index };
        Ok(Some(Self { text_kind, part: number(part)?, stage, text }))
    }
}

/// Returns whether events of this type become `Event::Other` only if they lack what they are about.
fn is_known(kind: &str) -> bool {
    matches!(kind, "response.output_item.added" | "response.output_item.done" | "response.output_text.annotation.added")
}

/// Returns whether events of this type open or close a part.
fn is_part(kind: &str) -> bool {
    matches!(
        kind,
        "response.content_part.added"
            | "response.content_part.done"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done"
    )
}
