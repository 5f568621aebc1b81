//! Saying more: items and parts that are announced before their first delta, and deltas up to the end that the caller set.

use std::borrow::Cow;

use super::output::unannounced;
use super::stream::ResponseStream;
use crate::error::Error;
use crate::json::{ObjectEdit, Text, members, present, word};
use crate::outcome::Finish;
use crate::reply::sink::EventSink;
use crate::responses::{CallKind, Envelope, ItemBody, ItemKind, OutputItem, Piece, TextKind};

/// A text and where it belongs.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) place: usize,
    pub(super) channel: TextKind,
    pub(super) part: u64,
    pub(super) text: Text<'a>,
}

impl<'a> Said<'a> {
    pub(super) fn of(piece: &Piece<'a>, place: usize) -> Self {
        Self { place, channel: piece.channel, part: piece.part, text: piece.text }
    }
}

impl ResponseStream {
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
        channel: TextKind,
        index: u64,
        envelope: &Envelope<'_>,
        sink: &mut impl EventSink,
    ) -> Result<usize, Error> {
        let place = self.output.len();
        self.known(index, || Ok(unannounced(channel, word(envelope.item_id).as_deref(), place)), sink)
    }

    /// The JSON of an item with the caller's name of a tool, and with the words for its phase that clients know.
    ///
    /// # Errors
    /// It is not an object.
    pub(super) fn for_client<'j>(&self, item: &OutputItem<'j>) -> Result<Cow<'j, str>, Error> {
        let mut edit = ObjectEdit::new(item.json);
        match item.kind() {
            ItemKind::Message => {
                let [found] = members(item.json, ["phase"])?;
                if let (Some(said), false, ItemBody::Message { phase, .. }) =
                    (present(found), self.keep_phases, &item.body)
                    && word(Some(said)).as_deref() != Some(phase.as_str())
                {
                    // The AI SDK refuses a whole reply for an older or a newer word (docs/backend.md §3.3).
                    edit.set("phase", found, Text::Plain(phase.as_str()).to_json());
                }
            }
            ItemKind::Call(_) if !self.tools.is_unchanged() => {
                let [name] = members(item.json, ["name"])?;
                if let Some(wire) = word(name) {
                    edit.set("name", name, Text::Plain(self.tools.to_client(&wire)).to_json());
                }
            }
            ItemKind::Call(_) | ItemKind::Reasoning | ItemKind::Image | ItemKind::Other => {}
        }
        Ok(if edit.is_empty() { Cow::Borrowed(item.json) } else { Cow::Owned(edit.text()) })
    }

    /// Says what the cutter has held back.
    pub(super) fn flush(&mut self, sink: &mut impl EventSink) -> Result<(), Error> {
        let (Some(cutter), Some((place, part))) = (&mut self.cutter, self.held.take()) else { return Ok(()) };
        let mut held = String::new();
        cutter.flush(|text| text.push_to(&mut held));
        if held.is_empty() {
            return Ok(());
        }
        self.write_delta(&Said { place, channel: TextKind::Text, part, text: Text::Plain(&held) }, None, sink)
    }

    /// Says more of a text, up to the end that the caller set.
    pub(super) fn say(
        &mut self,
        said: &Said<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        if self.held.is_some_and(|held| said.channel != TextKind::Text || held != (said.place, said.part)) {
            self.flush(sink)?;
        }
        self.open_part(said.place, said.channel, said.part, sink)?;
        let is_reasoning = matches!(said.channel, TextKind::Summary | TextKind::Reasoning);
        let Some(cutter) = self.cutter.as_mut().filter(|_| !is_reasoning) else {
            self.write_delta(said, envelope, sink)?;
            return Ok(None);
        };
        let mut text = String::new();
        let cut = if said.channel == TextKind::Text {
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

    pub(super) fn call_with(
        &mut self,
        place: usize,
        payload: Text<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let ItemKind::Call(kind) = self.output.items()[place].kind else {
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
            self.write(name, place, None, payload, envelope, sink);
        }
        Ok(cut)
    }

    /// Announces a part that upstream has not.
    pub(super) fn open_part(
        &mut self,
        place: usize,
        channel: TextKind,
        part: u64,
        sink: &mut impl EventSink,
    ) -> Result<(), Error> {
        if !self.output.add_part(place, channel, part)? {
            return Ok(());
        }
        let (kind, key, empty) = match channel {
            TextKind::Text => (
                "response.content_part.added",
                "content_index",
                "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"\"}",
            ),
            TextKind::Refusal => {
                ("response.content_part.added", "content_index", "{\"type\":\"refusal\",\"refusal\":\"\"}")
            }
            TextKind::Summary => {
                ("response.reasoning_summary_part.added", "summary_index", "{\"type\":\"summary_text\",\"text\":\"\"}")
            }
            // The reasoning itself comes without parts (docs/backend.md §3.4).
            TextKind::Reasoning => return Ok(()),
        };
        let members = format!("{},\"{key}\":{part},\"part\":{empty}", self.about(place));
        self.writer.add(kind, &members, sink);
        Ok(())
    }

    /// Keeps a delta and writes it: upstream's event with the text in its place, or one of this side's own.
    pub(super) fn write_delta(
        &mut self,
        said: &Said<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<(), Error> {
        self.output.say(said.place, said.channel, said.part, said.text)?;
        self.write(delta_kind(said.channel), said.place, Some((said.channel, said.part)), said.text, envelope, sink);
        Ok(())
    }

    fn write(
        &mut self,
        kind: &str,
        place: usize,
        part: Option<(TextKind, u64)>,
        text: Text<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) {
        let Some(envelope) = envelope else {
            let part = part.map_or_else(String::new, |(channel, part)| {
                let logprobs = if channel == TextKind::Text { ",\"logprobs\":[]" } else { "" };
                format!(",\"{}\":{part}{logprobs}", index_key(channel))
            });
            self.writer.add(kind, &format!("{}{part},\"delta\":{}", self.about(place), text.to_json()), sink);
            return;
        };
        let mut edit = self.placed(envelope, place, part);
        // Upstream's own text is still what the event holds.
        if let Text::Plain(_) = text {
            edit.set("delta", envelope.delta, text.to_json());
        }
        self.writer.pass(envelope, kind, Some(place), edit, sink);
    }

    /// An event of upstream, with what it lacks of its place.
    pub(super) fn placed<'a>(
        &self,
        envelope: &Envelope<'a>,
        place: usize,
        part: Option<(TextKind, u64)>,
    ) -> ObjectEdit<'a> {
        let mut edit = ObjectEdit::new(envelope.json);
        if present(envelope.item_id).is_none() {
            edit.set("item_id", envelope.item_id, Text::Plain(&self.output.items()[place].id).to_json());
        }
        if let Some((channel, part)) = part {
            let found = match channel {
                TextKind::Summary => envelope.summary_index,
                TextKind::Text | TextKind::Refusal | TextKind::Reasoning => envelope.content_index,
            };
            if present(found).is_none() {
                edit.set(index_key(channel), found, part.to_string());
            }
        }
        edit
    }

    /// The members by which an event names its item.
    pub(super) fn about(&self, place: usize) -> String {
        format!("\"item_id\":{},\"output_index\":{place}", Text::Plain(&self.output.items()[place].id).to_json())
    }
}

pub(super) fn delta_kind(channel: TextKind) -> &'static str {
    match channel {
        TextKind::Text => "response.output_text.delta",
        TextKind::Refusal => "response.refusal.delta",
        TextKind::Summary => "response.reasoning_summary_text.delta",
        TextKind::Reasoning => "response.reasoning_text.delta",
    }
}

pub(super) fn index_key(channel: TextKind) -> &'static str {
    match channel {
        TextKind::Summary => "summary_index",
        TextKind::Text | TextKind::Refusal | TextKind::Reasoning => "content_index",
    }
}
