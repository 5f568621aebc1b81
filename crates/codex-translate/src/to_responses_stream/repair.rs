//! What a client expects before, between and after what upstream has sent.

use std::borrow::Cow;

use super::output::{Kind, Stage, unannounced};
use super::{EventSink, ResponseStream};
use crate::error::Error;
use crate::reply::Finish;
use crate::responses::{CallKind, Channel, Envelope, OutputItem, OutputPart, Piece, number, word};
use crate::splice::{Edits, members};
use crate::text::Text;

impl ResponseStream {
    /// More of a text.
    pub(super) fn delta(
        &mut self,
        envelope: &Envelope<'_>,
        piece: &Piece<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let place = self.known_for(piece.channel, piece.output_index, envelope, sink)?;
        let text = Said { place, channel: piece.channel, part: piece.part, text: piece.text };
        self.say(&text, Some(envelope), sink)
    }

    /// All of a text.
    pub(super) fn text_done(
        &mut self,
        envelope: &Envelope<'_>,
        piece: &Piece<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let place = self.known_for(piece.channel, piece.output_index, envelope, sink)?;
        let text = Said { place, channel: piece.channel, part: piece.part, text: piece.text };
        if let Some(finish) = self.complete_text(&text, sink)? {
            return Ok(Some(finish));
        }
        if let Some(part) = self.output.item(place).part(piece.channel, piece.part) {
            part.stage = part.stage.max(Stage::TextDone);
        }
        let kind = delta_kind(piece.channel).replace(".delta", ".done");
        self.writer.pass(envelope, &kind, Some(place), Edits::new(envelope.json), sink);
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
        match self.output.place(index) {
            Some(place) => self.call_with(place, payload, Some(envelope), sink),
            None => Ok(None),
        }
    }

    /// All of what a tool is called with.
    pub(super) fn call_done(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        payload: Text<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let Some(place) = self.output.place(index) else { return Ok(None) };
        if let Some(finish) = self.complete_payload(place, payload, sink)? {
            return Ok(Some(finish));
        }
        self.output.item(place).payload.stage = Stage::Done;
        let mut edits = Edits::new(envelope.json);
        if let Some(name) = word(envelope.name).filter(|_| !self.tools.is_unchanged()) {
            edits.set("name", envelope.name, Text::Plain(self.tools.to_client(&name)).to_json());
        }
        self.writer.pass(envelope, &envelope.kind(), Some(place), edits, sink);
        Ok(None)
    }

    /// Says what of an item has not come in events before its end.
    pub(super) fn complete_item(
        &mut self,
        place: usize,
        item: &OutputItem<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        if self.output.items()[place].stage == Stage::Done {
            return Ok(None);
        }
        match item {
            OutputItem::Message { content, .. } => {
                for (part, content) in (0..).zip(content) {
                    let (channel, text) = match content {
                        OutputPart::Text { text, .. } => (Channel::Text, *text),
                        OutputPart::Refusal(text) => (Channel::Refusal, *text),
                        OutputPart::Other => continue,
                    };
                    if let Some(finish) = self.complete_part(&Said { place, channel, part, text }, sink)? {
                        return Ok(Some(finish));
                    }
                }
            }
            OutputItem::Reasoning { summary, .. } => {
                for (part, text) in (0..).zip(summary) {
                    let text = Said { place, channel: Channel::Summary, part, text: *text };
                    if let Some(finish) = self.complete_part(&text, sink)? {
                        return Ok(Some(finish));
                    }
                }
            }
            OutputItem::Call { payload, .. } => {
                if let Some(finish) = self.complete_payload(place, payload.unwrap_or(Text::Plain("")), sink)? {
                    return Ok(Some(finish));
                }
                self.close_payload(place, sink);
            }
            OutputItem::Image { .. } | OutputItem::Other(_) => {}
        }
        self.close_parts(place, sink);
        Ok(None)
    }

    /// Closes every item that upstream has left open.
    pub(super) fn close_items(&mut self, status: &str, sink: &mut impl EventSink) -> Result<(), Error> {
        for place in 0..self.output.len() {
            if self.output.items()[place].stage == Stage::Done {
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

    /// The place of the item at `index`; one that is not known is announced as `beginning` has it.
    pub(super) fn known(
        &mut self,
        index: u64,
        beginning: impl FnOnce() -> Result<String, Error>,
        sink: &mut impl EventSink,
    ) -> Result<usize, Error> {
        if let Some(place) = self.output.place(index) {
            return Ok(place);
        }
        let json = beginning()?;
        let place = self.output.add(index, json.clone())?;
        self.writer.add("response.output_item.added", &format!("\"output_index\":{place},\"item\":{json}"), sink);
        Ok(place)
    }

    /// The place of the item that the text of an event belongs to.
    pub(super) fn known_for(
        &mut self,
        channel: Channel,
        index: u64,
        envelope: &Envelope<'_>,
        sink: &mut impl EventSink,
    ) -> Result<usize, Error> {
        let place = self.output.len();
        self.known(index, || Ok(unannounced(channel, word(envelope.item_id).as_deref(), place)), sink)
    }

    /// Notes that a part begins or ends; false if upstream's event would be the second of its kind.
    pub(super) fn note_part(
        &mut self,
        place: usize,
        channel: Channel,
        part: u64,
        stage: Stage,
        sink: &mut impl EventSink,
    ) -> Result<bool, Error> {
        if self.output.items()[place].stage == Stage::Done {
            return Ok(true);
        }
        match stage {
            Stage::Open => self.output.add_part(place, channel, part),
            Stage::TextDone | Stage::Done => {
                self.open_part(place, channel, part, sink)?;
                if let Some(part) = self.output.item(place).part(channel, part) {
                    part.stage = stage;
                }
                Ok(true)
            }
        }
    }

    /// The JSON of an item under the caller's names.
    ///
    /// # Errors
    /// It is not an object.
    pub(super) fn tools_restored<'j>(&self, item: &'j str) -> Result<Cow<'j, str>, Error> {
        if self.tools.is_unchanged() {
            return Ok(Cow::Borrowed(item));
        }
        let [kind, name] = members(item, ["type", "name"])?;
        let is_call = CallKind::of_item(&word(kind).unwrap_or_default()).is_some();
        let Some(wire) = word(name).filter(|_| is_call) else { return Ok(Cow::Borrowed(item)) };
        let mut edits = Edits::new(item);
        edits.set("name", name, Text::Plain(self.tools.to_client(&wire)).to_json());
        Ok(Cow::Owned(edits.text()))
    }

    /// Says what the cutter has held back.
    pub(super) fn flush(&mut self, sink: &mut impl EventSink) -> Result<(), Error> {
        let (Some(cutter), Some((place, part))) = (&mut self.cutter, self.held.take()) else { return Ok(()) };
        let mut held = String::new();
        cutter.flush(|text| text.push_to(&mut held));
        if held.is_empty() {
            return Ok(());
        }
        self.write_delta(&Said { place, channel: Channel::Text, part, text: Text::Plain(&held) }, None, sink)
    }

    /// Says more of a text, up to the end that the caller set.
    fn say(
        &mut self,
        said: &Said<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        self.open_part(said.place, said.channel, said.part, sink)?;
        let is_reasoning = matches!(said.channel, Channel::Summary | Channel::Reasoning);
        let Some(cutter) = self.cutter.as_mut().filter(|_| !is_reasoning) else {
            self.write_delta(said, envelope, sink)?;
            return Ok(None);
        };
        let mut text = String::new();
        let cut = if said.channel == Channel::Text {
            self.held = Some((said.place, said.part));
            cutter.content(said.text, |more| more.push_to(&mut text))
        } else {
            cutter.other(said.text, |more| more.push_to(&mut text))
        };
        if !text.is_empty() {
            self.write_delta(&Said { text: Text::Plain(&text), ..*said }, envelope, sink)?;
        }
        Ok(cut)
    }

    fn call_with(
        &mut self,
        place: usize,
        payload: Text<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let Kind::Call(kind) = self.output.items()[place].kind else {
            return Err(Error::protocol(format!(
                "output item {place} of the reply is called although it is no tool call"
            )));
        };
        let (mut text, mut cut) = (Cow::Borrowed(""), None);
        if let Some(cutter) = &mut self.cutter {
            cut = cutter.other(payload, |more| more.push_to(text.to_mut()));
        }
        let payload = if self.cutter.is_some() { Text::Plain(&text) } else { payload };
        if !payload.is_empty() {
            self.output.call_with(place, payload)?;
            let name = match kind {
                CallKind::Function => "response.function_call_arguments.delta",
                CallKind::Custom => "response.custom_tool_call_input.delta",
            };
            self.write(name, place, "", payload, envelope, sink);
        }
        Ok(cut)
    }

    /// Says the end of a text that its deltas have left out.
    fn complete_text(&mut self, said: &Said<'_>, sink: &mut impl EventSink) -> Result<Option<Finish>, Error> {
        if self.output.items()[said.place].stage == Stage::Done {
            return Ok(None);
        }
        self.open_part(said.place, said.channel, said.part, sink)?;
        let seen = self.output.item(said.place).part(said.channel, said.part).map_or(0, |part| part.text.bytes);
        if said.text.decoded_len() <= seen {
            return Ok(None);
        }
        let whole = said.text.decode();
        match whole.get(seen..) {
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

    fn complete_payload(
        &mut self,
        place: usize,
        payload: Text<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let item = &self.output.items()[place];
        if item.stage == Stage::Done || item.payload.stage == Stage::Done {
            return Ok(None);
        }
        let whole = payload.decode();
        match whole.get(item.payload.bytes..).filter(|rest| !rest.is_empty()) {
            Some(rest) => self.call_with(place, Text::Plain(rest), None, sink),
            None => Ok(None),
        }
    }

    /// Announces a part that upstream has not.
    fn open_part(&mut self, place: usize, channel: Channel, part: u64, sink: &mut impl EventSink) -> Result<(), Error> {
        if self.output.items()[place].stage == Stage::Done || !self.output.add_part(place, channel, part)? {
            return Ok(());
        }
        let (kind, key, empty) = match channel {
            Channel::Text => (
                "response.content_part.added",
                "content_index",
                "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"\"}",
            ),
            Channel::Refusal => {
                ("response.content_part.added", "content_index", "{\"type\":\"refusal\",\"refusal\":\"\"}")
            }
            Channel::Summary => {
                ("response.reasoning_summary_part.added", "summary_index", "{\"type\":\"summary_text\",\"text\":\"\"}")
            }
            // The reasoning itself comes without parts (wire.md §3.4).
            Channel::Reasoning => return Ok(()),
        };
        let members = format!("{},\"{key}\":{part},\"part\":{empty}", self.about(place));
        self.writer.add(kind, &members, sink);
        Ok(())
    }

    fn close_parts(&mut self, place: usize, sink: &mut impl EventSink) {
        let parts: Vec<_> = self.output.items()[place].parts.iter().map(|part| (part.channel, part.index)).collect();
        for (channel, part) in parts {
            self.close_part(place, channel, part, sink);
        }
    }

    /// Says the ends of a part that upstream has not.
    fn close_part(&mut self, place: usize, channel: Channel, index: u64, sink: &mut impl EventSink) {
        let about = self.about(place);
        let Some(part) = self.output.item(place).part(channel, index) else { return };
        let stage = std::mem::replace(&mut part.stage, Stage::Done);
        let (text, whole) = (part.text.to_json(), part.to_json());
        let key = index_key(channel);
        if stage < Stage::TextDone {
            let kind = delta_kind(channel).replace(".delta", ".done");
            let name = if channel == Channel::Refusal { "refusal" } else { "text" };
            let logprobs = if channel == Channel::Text { ",\"logprobs\":[]" } else { "" };
            self.writer.add(&kind, &format!("{about},\"{key}\":{index},\"{name}\":{text}{logprobs}"), sink);
        }
        let kind = match channel {
            Channel::Text | Channel::Refusal => "response.content_part.done",
            Channel::Summary => "response.reasoning_summary_part.done",
            Channel::Reasoning => return,
        };
        if stage < Stage::Done {
            self.writer.add(kind, &format!("{about},\"{key}\":{index},\"part\":{whole}"), sink);
        }
    }

    /// Says the end of what a tool is called with, if upstream has not.
    fn close_payload(&mut self, place: usize, sink: &mut impl EventSink) {
        let about = self.about(place);
        let item = self.output.item(place);
        let (kind, key) = match item.kind {
            Kind::Call(CallKind::Function) => ("response.function_call_arguments.done", "arguments"),
            Kind::Call(CallKind::Custom) => ("response.custom_tool_call_input.done", "input"),
            Kind::Message | Kind::Reasoning | Kind::Other => return,
        };
        if item.payload.stage < Stage::Done {
            item.payload.stage = Stage::Done;
            let payload = item.payload.to_json();
            self.writer.add(kind, &format!("{about},\"{key}\":{payload}"), sink);
        }
    }

    /// Keeps a delta and writes it.
    fn write_delta(
        &mut self,
        said: &Said<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<(), Error> {
        self.output.say(said.place, said.channel, said.part, said.text)?;
        let logprobs = if said.channel == Channel::Text { ",\"logprobs\":[]" } else { "" };
        let more = format!(",\"{}\":{}{logprobs}", index_key(said.channel), said.part);
        self.write(delta_kind(said.channel), said.place, &more, said.text, envelope, sink);
        Ok(())
    }

    /// Writes a delta: upstream's event with the text in its place, or one of this side's own.
    fn write(
        &mut self,
        kind: &str,
        place: usize,
        more: &str,
        text: Text<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) {
        let Some(envelope) = envelope else {
            let members = format!("{}{more},\"delta\":{}", self.about(place), text.to_json());
            self.writer.add(kind, &members, sink);
            return;
        };
        let mut edits = Edits::new(envelope.json);
        // Upstream's own text is still what the event holds.
        if let Text::Plain(_) = text {
            edits.set("delta", envelope.delta, text.to_json());
        }
        self.writer.pass(envelope, kind, Some(place), edits, sink);
    }

    /// The members by which an event names its item.
    fn about(&self, place: usize) -> String {
        format!("\"item_id\":{},\"output_index\":{place}", Text::Plain(&self.output.items()[place].id).to_json())
    }
}

/// A text and where it belongs.
#[derive(Clone, Copy)]
struct Said<'a> {
    place: usize,
    channel: Channel,
    part: u64,
    text: Text<'a>,
}

/// The part that an event opens or closes.
///
/// # Errors
/// An index is no number.
pub(super) fn part_of(envelope: &Envelope<'_>, kind: &str) -> Result<Option<(Channel, u64, Stage)>, Error> {
    let stage = match kind.rsplit('.').next() {
        Some("added") => Stage::Open,
        Some("done") => Stage::Done,
        Some(_) | None => return Ok(None),
    };
    let (channel, part) = match kind.trim_end_matches(".added").trim_end_matches(".done") {
        "response.content_part" => {
            let [kind] = envelope.part.map_or(Ok([None]), |part| members(part.get(), ["type"]))?;
            let channel = match word(kind).as_deref() {
                Some("output_text" | "text") => Channel::Text,
                Some("refusal") => Channel::Refusal,
                Some("reasoning_text") => Channel::Reasoning,
                Some(_) | None => return Ok(None),
            };
            (channel, envelope.content_index)
        }
        "response.reasoning_summary_part" => (Channel::Summary, envelope.summary_index),
        _ => return Ok(None),
    };
    Ok(Some((channel, number(part)?, stage)))
}

fn delta_kind(channel: Channel) -> &'static str {
    match channel {
        Channel::Text => "response.output_text.delta",
        Channel::Refusal => "response.refusal.delta",
        Channel::Summary => "response.reasoning_summary_text.delta",
        Channel::Reasoning => "response.reasoning_text.delta",
    }
}

fn index_key(channel: Channel) -> &'static str {
    match channel {
        Channel::Summary => "summary_index",
        Channel::Text | Channel::Refusal | Channel::Reasoning => "content_index",
    }
}
