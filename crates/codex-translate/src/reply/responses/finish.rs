//! The ends of texts, parts and items, and what upstream sends only there.

use super::output::Stage;
use super::push_text::{TextPiece, delta_kind, index_key};
use super::stream::ResponseStream;
use crate::error::Error;
use crate::json::Text;
use crate::outcome::Finish;
use crate::reply::sink::EventSink;
use crate::responses::{CallKind, ItemBody, ItemKind, OutputItem, OutputPart, TextKind};

impl ResponseStream {
    /// Writes what only the end of an item contains, and ends its parts.
    pub(super) fn finish_item(
        &mut self,
        place: usize,
        item: &OutputItem<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        match &item.body {
            ItemBody::Message { content, .. } => {
                for (part, content) in (0..).zip(content) {
                    let (text_kind, text) = match content {
                        OutputPart::Text { text, .. } => (TextKind::Text, *text),
                        OutputPart::Refusal(text) => (TextKind::Refusal, *text),
                        OutputPart::Reasoning(_) | OutputPart::Other => continue,
                    };
                    if let Some(finish) = self.finish_part(&TextPiece { place, text_kind, part, text }, sink)? {
                        return Ok(Some(finish));
                    }
                }
            }
            ItemBody::Reasoning { summary, .. } => {
                for (part, text) in (0..).zip(summary) {
                    let text = TextPiece { place, text_kind: TextKind::Summary, part, text: *text };
                    if let Some(finish) = self.finish_part(&text, sink)? {
                        return Ok(Some(finish));
                    }
                }
            }
            ItemBody::Call { arguments, .. } => {
                if let Some(finish) = self.finish_arguments(place, arguments.unwrap_or(Text::Plain("")), sink)? {
                    return Ok(Some(finish));
                }
                self.write_arguments_done(place, sink);
            }
            ItemBody::Image { .. } | ItemBody::WebSearch { .. } | ItemBody::Other(_) => {}
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
        let seen = self.output.item(piece.place).part(piece.text_kind, piece.part).map_or(0, |part| part.text.bytes);
        if piece.text.decoded_len() <= seen {
            return Ok(None);
        }
        match piece.text.decode().get(seen..) {
            Some(rest) => {
                let cut = self.push_text(&TextPiece { text: Text::Plain(rest), ..*piece }, None, sink)?;
                if cut.is_none() {
                    self.flush(sink)?;
                }
                Ok(cut)
            }
            None => Ok(None),
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

    pub(super) fn finish_arguments(
        &mut self,
        place: usize,
        arguments: Text<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let sent = &self.output.items()[place].arguments;
        if sent.stage == Stage::Done {
            return Ok(None);
        }
        match arguments.decode().get(sent.bytes..).filter(|rest| !rest.is_empty()) {
            Some(rest) => self.push_arguments(place, Text::Plain(rest), None, sink),
            None => Ok(None),
        }
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
    fn write_arguments_done(&mut self, place: usize, sink: &mut impl EventSink) {
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
