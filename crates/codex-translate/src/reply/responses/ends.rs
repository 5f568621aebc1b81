//! The ends of texts, parts and items, and what upstream says only there.

use super::output::Stage;
use super::say::{Said, delta_kind, index_key};
use super::stream::ResponseStream;
use crate::error::Error;
use crate::json::Text;
use crate::outcome::Finish;
use crate::reply::sink::EventSink;
use crate::responses::{CallKind, ItemBody, ItemKind, OutputItem, OutputPart, TextKind};

impl ResponseStream {
    /// Says what of an item has not come in events before its end.
    pub(super) fn complete_item(
        &mut self,
        place: usize,
        item: &OutputItem<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        match &item.body {
            ItemBody::Message { content, .. } => {
                for (part, content) in (0..).zip(content) {
                    let (channel, text) = match content {
                        OutputPart::Text { text, .. } => (TextKind::Text, *text),
                        OutputPart::Refusal(text) => (TextKind::Refusal, *text),
                        OutputPart::Reasoning(_) | OutputPart::Other => continue,
                    };
                    if let Some(finish) = self.complete_part(&Said { place, channel, part, text }, sink)? {
                        return Ok(Some(finish));
                    }
                }
            }
            ItemBody::Reasoning { summary, .. } => {
                for (part, text) in (0..).zip(summary) {
                    let text = Said { place, channel: TextKind::Summary, part, text: *text };
                    if let Some(finish) = self.complete_part(&text, sink)? {
                        return Ok(Some(finish));
                    }
                }
            }
            ItemBody::Call { payload, .. } => {
                if let Some(finish) = self.complete_payload(place, payload.unwrap_or(Text::Plain("")), sink)? {
                    return Ok(Some(finish));
                }
                self.close_payload(place, sink);
            }
            ItemBody::Image { .. } | ItemBody::Other(_) => {}
        }
        self.close_parts(place, sink);
        Ok(None)
    }

    /// Closes every item that upstream has left open.
    pub(super) fn close_items(&mut self, status: &str, sink: &mut impl EventSink) -> Result<(), Error> {
        for place in 0..self.output.len() {
            if self.output.is_done(place) {
                continue;
            }
            self.close_payload(place, sink);
            self.close_parts(place, sink);
            let json = self.output.items()[place].put_together(status)?;
            self.end_item(place, json, sink)?;
        }
        Ok(())
    }

    /// Ends an item as it is in `json`.
    pub(super) fn end_item(&mut self, place: usize, json: String, sink: &mut impl EventSink) -> Result<(), Error> {
        self.writer.add("response.output_item.done", &format!("\"output_index\":{place},\"item\":{json}"), sink);
        self.output.finish(place, json)
    }

    /// Says the end of a text that its deltas have left out.
    pub(super) fn complete_text(
        &mut self,
        said: &Said<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        self.open_part(said.place, said.channel, said.part, sink)?;
        let seen = self.output.item(said.place).part(said.channel, said.part).map_or(0, |part| part.text.bytes);
        if said.text.decoded_len() <= seen {
            return Ok(None);
        }
        match said.text.decode().get(seen..) {
            Some(rest) => {
                let cut = self.say(&Said { text: Text::Plain(rest), ..*said }, None, sink)?;
                if cut.is_none() {
                    self.flush(sink)?;
                }
                Ok(cut)
            }
            None => Ok(None),
        }
    }

    /// The same, and closes the part.
    fn complete_part(&mut self, said: &Said<'_>, sink: &mut impl EventSink) -> Result<Option<Finish>, Error> {
        let cut = self.complete_text(said, sink)?;
        if cut.is_none() {
            self.close_part(said.place, said.channel, said.part, sink);
        }
        Ok(cut)
    }

    pub(super) fn complete_payload(
        &mut self,
        place: usize,
        payload: Text<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let sent = &self.output.items()[place].payload;
        if sent.stage == Stage::Done {
            return Ok(None);
        }
        match payload.decode().get(sent.bytes..).filter(|rest| !rest.is_empty()) {
            Some(rest) => self.call_with(place, Text::Plain(rest), None, sink),
            None => Ok(None),
        }
    }

    fn close_parts(&mut self, place: usize, sink: &mut impl EventSink) {
        for (channel, part) in self.output.items()[place].parts() {
            self.close_part(place, channel, part, sink);
        }
    }

    /// Says the ends of a part that upstream has not.
    fn close_part(&mut self, place: usize, channel: TextKind, index: u64, sink: &mut impl EventSink) {
        self.end_text(place, channel, index, sink);
        let Some(part) = self.output.item(place).part(channel, index) else { return };
        let is_closed = std::mem::replace(&mut part.stage, Stage::Done) == Stage::Done;
        let kind = match channel {
            TextKind::Text | TextKind::Refusal => "response.content_part.done",
            TextKind::Summary => "response.reasoning_summary_part.done",
            TextKind::Reasoning => return,
        };
        if !is_closed {
            let part = part.to_json();
            let members = format!("{},\"{}\":{index},\"part\":{part}", self.about(place), index_key(channel));
            self.writer.add(kind, &members, sink);
        }
    }

    /// Says the end of a text that upstream has not.
    pub(super) fn end_text(&mut self, place: usize, channel: TextKind, index: u64, sink: &mut impl EventSink) {
        let part = self.output.item(place).part(channel, index);
        let Some(part) = part.filter(|part| part.stage == Stage::Open) else { return };
        part.stage = Stage::TextDone;
        let text = part.text.to_json();
        let kind = delta_kind(channel).replace(".delta", ".done");
        let name = if channel == TextKind::Refusal { "refusal" } else { "text" };
        let logprobs = if channel == TextKind::Text { ",\"logprobs\":[]" } else { "" };
        let about = self.about(place);
        self.writer.add(
            &kind,
            &format!("{about},\"{}\":{index},\"{name}\":{text}{logprobs}", index_key(channel)),
            sink,
        );
    }

    /// Says the end of what a tool is called with, if upstream has not.
    fn close_payload(&mut self, place: usize, sink: &mut impl EventSink) {
        let about = self.about(place);
        let item = self.output.item(place);
        let (kind, key) = match item.kind {
            ItemKind::Call(CallKind::Function) => ("response.function_call_arguments.done", "arguments"),
            ItemKind::Call(CallKind::Custom) => ("response.custom_tool_call_input.done", "input"),
            ItemKind::Message | ItemKind::Reasoning | ItemKind::Image | ItemKind::Other => return,
        };
        if item.payload.stage < Stage::Done {
            item.payload.stage = Stage::Done;
            let payload = item.payload.to_json();
            self.writer.add(kind, &format!("{about},\"{key}\":{payload}"), sink);
        }
    }
}
