//! The ends of texts, parts and items, and what upstream sends only there (`reply/ending.rs`).

use super::part::{Stage, TextPiece};
use super::push_text::{delta_kind, index_key};
use super::stream::ResponseStream;
use crate::error::Error;
use crate::json::{Text, is_json};
use crate::outcome::Finish;
use crate::reply::ending::{Ending, NO_ARGUMENTS, arguments_of, check_same, cut_call, is_blank};
use crate::reply::sink::EventSink;
use crate::responses::{CallKind, ItemBody, ItemKind, OutputItem, TextKind};

impl ResponseStream {
    /// Writes what only the end of an item contains, and ends its parts. The item may have been listed before its end,
    /// unless it `is_finished`.
    pub(super) fn finish_item(
        &mut self,
        place: usize,
        item: &OutputItem<'_>,
        is_finished: bool,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        for (text_kind, part, text) in item.texts() {
            if let Some(finish) = self.finish_part(&TextPiece { place, text_kind, part, text }, sink)? {
                return Ok(Some(finish));
            }
        }
        if let ItemBody::Call { kind, arguments, .. } = &item.body {
            let arguments = arguments_of(*kind, arguments.unwrap_or(Text::Plain("")));
            let mut cut = self.finish_arguments(place, arguments, sink)?;
            let has_ended = is_finished || self.output.items()[place].arguments.stage == Stage::TextDone;
            if cut.is_none() && has_ended {
                if self.lacks_arguments(place, item) {
                    return Err(cut_call());
                }
                cut = self.fill_call(place, sink)?;
            }
            if cut.is_some() {
                return Ok(cut);
            }
            self.write_arguments_done(place, sink);
        }
        self.finish_open_parts(place, sink);
        Ok(None)
    }

    /// Ends every item that upstream has left open.
    pub(super) fn finish_open_items(&mut self, status: &str, sink: &mut impl EventSink) -> Result<(), Error> {
        for place in 0..self.output.len() {
            if self.output.is_done(place) {
                continue;
            }
            self.write_arguments_done(place, sink);
            self.finish_open_parts(place, sink);
            let json = self.output.items()[place].put_together(status)?;
            self.write_item_done(place, json, sink)?;
        }
        Ok(())
    }

    /// Ends an item with the JSON `json`.
    pub(super) fn write_item_done(
        &mut self,
        place: usize,
        json: String,
        sink: &mut impl EventSink,
    ) -> Result<(), Error> {
        self.writer.add("response.output_item.done", &format!("\"output_index\":{place},\"item\":{json}"), sink);
        self.output.finish(place, json)
    }

    /// Writes the end of a text that its deltas have left out.
    pub(super) fn finish_text(
        &mut self,
        piece: &TextPiece<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        self.open_part(piece.place, piece.text_kind, piece.part, sink)?;
        let item = self.output.item(piece.place);
        let Some(part) = item.part(piece.text_kind, piece.part) else { return Ok(None) };
        match Ending::of(part.text.as_text(), piece.text) {
            Ending::Same => Ok(None),
            Ending::More(rest) if part.stage == Stage::Open => {
                let cut = self.push_text(&TextPiece { text: Text::Plain(&rest), ..*piece }, None, sink)?;
                if cut.is_none() {
                    self.flush(sink)?;
                }
                Ok(cut)
            }
            Ending::More(_) | Ending::Other if self.is_whole => self.replace_text(piece),
            Ending::More(_) | Ending::Other => {
                item.is_revised = true;
                Ok(None)
            }
        }
    }

    /// Writes the end of a text that its deltas have left out, and ends the part.
    fn finish_part(&mut self, piece: &TextPiece<'_>, sink: &mut impl EventSink) -> Result<Option<Finish>, Error> {
        let cut = self.finish_text(piece, sink)?;
        if cut.is_none() {
            self.write_part_done(piece.place, piece.text_kind, piece.part, sink);
        }
        Ok(cut)
    }

    /// Writes the end of the arguments that their deltas have left out.
    ///
    /// # Errors
    /// They are other arguments than those that were written.
    pub(super) fn finish_arguments(
        &mut self,
        place: usize,
        arguments: Text<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let item = &self.output.items()[place];
        let sent = &item.arguments;
        match (Ending::of(sent.as_text(), arguments), item.kind) {
            (Ending::Same, _) => Ok(None),
            (Ending::More(rest), _) if sent.stage < Stage::Done => {
                self.push_arguments(place, Text::Plain(&rest), None, sink)
            }
            (Ending::More(_) | Ending::Other, ItemKind::Call(_)) if self.is_whole => {
                self.replace_arguments(place, arguments)
            }
            (Ending::More(_) | Ending::Other, ItemKind::Call(kind)) => {
                check_same(kind, sent.as_text(), arguments).map(|()| None)
            }
            // Nothing was written, so it would be more.
            (Ending::More(_) | Ending::Other, _) => Ok(None),
        }
    }

    /// Returns whether a call has ended without saying what its arguments are, and they are not known from its deltas.
    pub(super) fn lacks_arguments(&self, place: usize, item: &OutputItem<'_>) -> bool {
        let ItemBody::Call { kind, arguments, .. } = &item.body else { return false };
        let entry = &self.output.items()[place];
        let said = entry.arguments.as_text();
        let is_cut = match is_blank(said) {
            true => entry.missed,
            false => *kind == CallKind::Function && !is_json(&said.decode()),
        };
        let is_told = arguments.is_some_and(|arguments| !arguments_of(*kind, arguments).is_empty());
        is_cut && !is_told && entry.arguments.stage < Stage::Done
    }

    /// Writes the arguments of every function that was called without any.
    pub(super) fn fill_calls(&mut self, sink: &mut impl EventSink) -> Result<Option<Finish>, Error> {
        for place in 0..self.output.len() {
            let item = &self.output.items()[place];
            if !item.is_done() && item.arguments.stage == Stage::TextDone {
                let cut = self.fill_call(place, sink)?;
                if cut.is_some() {
                    return Ok(cut);
                }
            }
        }
        Ok(None)
    }

    /// Writes the arguments of a function that was called without any: clients parse them as JSON.
    fn fill_call(&mut self, place: usize, sink: &mut impl EventSink) -> Result<Option<Finish>, Error> {
        let item = &self.output.items()[place];
        if !item.is_bare_call() || item.arguments.stage == Stage::Done {
            return Ok(None);
        }
        self.push_arguments(place, Text::Plain(NO_ARGUMENTS), None, sink)
    }

    fn finish_open_parts(&mut self, place: usize, sink: &mut impl EventSink) {
        for (text_kind, part) in self.output.items()[place].parts() {
            self.write_part_done(place, text_kind, part, sink);
        }
    }

    /// Ends a part that upstream has not ended.
    fn write_part_done(&mut self, place: usize, text_kind: TextKind, index: u64, sink: &mut impl EventSink) {
        self.write_text_done(place, text_kind, index, sink);
        let Some(part) = self.output.item(place).part(text_kind, index) else { return };
        let is_closed = std::mem::replace(&mut part.stage, Stage::Done) == Stage::Done;
        let kind = match text_kind {
            TextKind::Text | TextKind::Refusal => "response.content_part.done",
            TextKind::Summary => "response.reasoning_summary_part.done",
            TextKind::Reasoning => return,
        };
        if !is_closed {
            let part = part.to_json();
            let members = format!("{},\"{}\":{index},\"part\":{part}", self.about(place), index_key(text_kind));
            self.writer.add(kind, &members, sink);
        }
    }

    /// Ends a text that upstream has not ended.
    pub(super) fn write_text_done(&mut self, place: usize, text_kind: TextKind, index: u64, sink: &mut impl EventSink) {
        let part = self.output.item(place).part(text_kind, index);
        let Some(part) = part.filter(|part| part.stage == Stage::Open) else { return };
        part.stage = Stage::TextDone;
        let text = part.text.to_json();
        let kind = delta_kind(text_kind).replace(".delta", ".done");
        let name = if text_kind == TextKind::Refusal { "refusal" } else { "text" };
        let logprobs = if text_kind == TextKind::Text { ",\"logprobs\":[]" } else { "" };
        let about = self.about(place);
        self.writer.add(
            &kind,
            &format!("{about},\"{}\":{index},\"{name}\":{text}{logprobs}", index_key(text_kind)),
            sink,
        );
    }

    /// Ends the arguments of a call, if upstream has not ended them.
    pub(super) fn write_arguments_done(&mut self, place: usize, sink: &mut impl EventSink) {
        let about = self.about(place);
        let item = self.output.item(place);
        let (kind, key) = match item.kind {
            ItemKind::Call(CallKind::Function) => ("response.function_call_arguments.done", "arguments"),
            ItemKind::Call(CallKind::Custom) => ("response.custom_tool_call_input.done", "input"),
            ItemKind::Message | ItemKind::Reasoning | ItemKind::Image | ItemKind::Other => return,
        };
        if item.arguments.stage < Stage::Done {
            item.arguments.stage = Stage::Done;
            let arguments = item.arguments.to_json();
            self.writer.add(kind, &format!("{about},\"{key}\":{arguments}"), sink);
        }
    }
}
