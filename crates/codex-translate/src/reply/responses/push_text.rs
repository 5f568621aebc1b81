//! Adding to texts: items and parts that are announced before their first delta, and deltas up to the caller's limit.

use std::borrow::Cow;

use super::agree::set_known_id;
use super::beginning::{made_up_id, unannounced};
use super::part::TextPiece;
use super::stream::ResponseStream;
use crate::error::Error;
use crate::json::{ObjectEdit, Text, members, present, word};
use crate::outcome::Finish;
use crate::reply::sink::EventSink;
use crate::responses::{CallKind, ENCRYPTED, Envelope, ItemBody, ItemKind, OutputItem, TextKind};

impl ResponseStream {
    /// Returns the place of the item at `index`; an unknown item is announced as `beginning` describes it.
    pub(super) fn announce(
        &mut self,
        index: u64,
        beginning: impl FnOnce() -> Result<String, Error>,
        sink: &mut impl EventSink,
    ) -> Result<usize, Error> {
        if let Some(place) = self.output.place(index) {
            return Ok(place);
        }
        let json = self.with_id(beginning()?.into())?.into_owned();
        let place = self.output.add(index, json.clone())?;
        self.writer.add("response.output_item.added", &format!("\"output_index\":{place},\"item\":{json}"), sink);
        Ok(place)
    }

    /// Returns the place of the item that the text of an event belongs to; an unknown item is announced.
    pub(super) fn announce_for_text(
        &mut self,
        text_kind: TextKind,
        index: u64,
        envelope: &Envelope<'_>,
        sink: &mut impl EventSink,
    ) -> Result<usize, Error> {
        self.announce(index, || Ok(unannounced(text_kind, word(envelope.item_id).as_deref())), sink)
    }

    /// Returns the JSON of the next item of the output with an id: its own, or one that is made up.
    ///
    /// # Errors
    /// It is not an object.
    pub(super) fn with_id<'j>(&self, json: Cow<'j, str>) -> Result<Cow<'j, str>, Error> {
        let [kind, id] = members(&json, ["type", "id"])?;
        if word(id).is_some_and(|id| !id.is_empty()) {
            return Ok(json);
        }
        let [response] = members(self.template.json(), ["id"])?;
        let (kind, response) = (word(kind).unwrap_or_default(), word(response).unwrap_or_default());
        let made_up = made_up_id(&kind, &response, self.output.len());
        let mut edit = ObjectEdit::new(&json);
        edit.set("id", id, Text::Plain(&made_up).to_json());
        Ok(Cow::Owned(edit.text()))
    }

    /// Returns the JSON of an item with the caller's name of a tool, and with a phase that clients know.
    ///
    /// # Errors
    /// It is not an object.
    pub(super) fn for_client<'j>(&self, item: &OutputItem<'j>) -> Result<Cow<'j, str>, Error> {
        let mut edit = ObjectEdit::new(item.json);
        match item.kind() {
            ItemKind::Message => {
                let [found] = members(item.json, ["phase"])?;
                if let (Some(piece), false, ItemBody::Message { phase, .. }) =
                    (present(found), self.keep_phases, &item.body)
                    && word(Some(piece)).as_deref() != Some(phase.as_str())
                {
                    // The AI SDK rejects a whole reply for an older or newer word (docs/backend.md §3.3).
                    edit.set("phase", found, Text::Plain(phase.as_str()).to_json());
                }
            }
            ItemKind::Call(_) if !self.tools.is_unchanged() => {
                let names = ["name", "namespace"];
                for (key, found) in names.into_iter().zip(members(item.json, names)?) {
                    if let Some(wire) = word(found) {
                        edit.set(key, found, Text::Plain(self.tools.to_client(&wire)).to_json());
                    }
                }
            }
            ItemKind::Reasoning if !self.encrypted_reasoning => {
                if let [Some(found)] = members(item.json, [ENCRYPTED])? {
                    edit.remove(ENCRYPTED, found);
                }
            }
            ItemKind::Call(_) | ItemKind::Reasoning | ItemKind::Image | ItemKind::Other => {}
        }
        Ok(if edit.is_empty() { Cow::Borrowed(item.json) } else { Cow::Owned(edit.text()) })
    }

    /// Keeps the whole of a finished item of which the client gets a part.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn keep_hidden(&mut self, place: usize, item: &OutputItem<'_>) -> Result<(), Error> {
        let has_hidden = !self.encrypted_reasoning
            && item.kind() == ItemKind::Reasoning
            && present(members(item.json, [ENCRYPTED])?[0]).is_some();
        if !has_hidden {
            return Ok(());
        }
        let [id] = members(item.json, ["id"])?;
        let mut edit = ObjectEdit::new(item.json);
        set_known_id(&self.output.items()[place], &item.id, id, &mut edit);
        self.output.keep_whole(place, &edit.text())
    }

    /// Writes what the limiter has held back.
    pub(super) fn flush(&mut self, sink: &mut impl EventSink) -> Result<(), Error> {
        let (Some(limiter), Some((place, part))) = (&mut self.limiter, self.held.take()) else { return Ok(()) };
        let mut held = String::new();
        limiter.flush(|text| text.push_to(&mut held));
        if held.is_empty() {
            return Ok(());
        }
        self.write_delta(&TextPiece { place, text_kind: TextKind::Text, part, text: Text::Plain(&held) }, None, sink)
    }

    /// Adds to a text, up to the caller's limit.
    pub(super) fn push_text(
        &mut self,
        piece: &TextPiece<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        if self.held.is_some_and(|held| piece.text_kind != TextKind::Text || held != (piece.place, piece.part)) {
            self.flush(sink)?;
        }
        self.open_part(piece.place, piece.text_kind, piece.part, sink)?;
        let is_reasoning = matches!(piece.text_kind, TextKind::Summary | TextKind::Reasoning);
        let Some(limiter) = self.limiter.as_mut().filter(|_| !is_reasoning) else {
            self.write_delta(piece, envelope, sink)?;
            return Ok(None);
        };
        let mut text = String::new();
        let cut = if piece.text_kind == TextKind::Text {
            self.held = Some((piece.place, piece.part));
            limiter.content(piece.text, |more| more.push_to(&mut text))
        } else {
            limiter.other(piece.text, |more| more.push_to(&mut text))
        };
        if !text.is_empty() {
            self.write_delta(&TextPiece { text: Text::Plain(&text), ..*piece }, envelope, sink)?;
        }
        Ok(cut)
    }

    pub(super) fn push_arguments(
        &mut self,
        place: usize,
        arguments: Text<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let ItemKind::Call(kind) = self.output.items()[place].kind else {
            return Err(Error::protocol(format!(
                "an event for tool-call arguments refers to output item {place}, which is not a tool call"
            )));
        };
        let (mut text, mut cut) = (Cow::Borrowed(""), None);
        if let Some(limiter) = &mut self.limiter {
            cut = limiter.other(arguments, |more| more.push_to(text.to_mut()));
        }
        let arguments = if self.limiter.is_some() { Text::Plain(&text) } else { arguments };
        if !arguments.is_empty() {
            self.output.push_arguments(place, arguments)?;
            let name = match kind {
                CallKind::Function => "response.function_call_arguments.delta",
                CallKind::Custom => "response.custom_tool_call_input.delta",
            };
            self.write(name, place, None, arguments, envelope, sink);
        }
        Ok(cut)
    }

    /// Announces a part that upstream has not announced.
    pub(super) fn open_part(
        &mut self,
        place: usize,
        text_kind: TextKind,
        part: u64,
        sink: &mut impl EventSink,
    ) -> Result<(), Error> {
        if !self.output.add_part(place, text_kind, part)? {
            return Ok(());
        }
        let (kind, key, empty) = match text_kind {
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

    /// Records a delta and writes it: as upstream's event with the text in its place, or as a new event.
    pub(super) fn write_delta(
        &mut self,
        piece: &TextPiece<'_>,
        envelope: Option<&Envelope<'_>>,
        sink: &mut impl EventSink,
    ) -> Result<(), Error> {
        self.output.push_text(piece)?;
        self.write(
            delta_kind(piece.text_kind),
            piece.place,
            Some((piece.text_kind, piece.part)),
            piece.text,
            envelope,
            sink,
        );
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
            let part = part.map_or_else(String::new, |(text_kind, part)| {
                let logprobs = if text_kind == TextKind::Text { ",\"logprobs\":[]" } else { "" };
                format!(",\"{}\":{part}{logprobs}", index_key(text_kind))
            });
            self.writer.add(kind, &format!("{}{part},\"delta\":{}", self.about(place), text.to_json()), sink);
            return;
        };
        let mut edit = self.placed(envelope, place, part);
        // Otherwise the event already holds upstream's text.
        if let Text::Plain(_) = text {
            edit.set("delta", envelope.delta, text.to_json());
        }
        self.writer.pass(envelope, kind, Some(place), edit, sink);
    }

    /// Returns upstream's event with the members of its place that it lacks.
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
        if let Some((text_kind, part)) = part {
            let found = match text_kind {
                TextKind::Summary => envelope.summary_index,
                TextKind::Text | TextKind::Refusal | TextKind::Reasoning => envelope.content_index,
            };
            if present(found).is_none() {
                edit.set(index_key(text_kind), found, part.to_string());
            }
        }
        edit
    }

    /// Returns the members by which an event names its item.
    pub(super) fn about(&self, place: usize) -> String {
        format!("\"item_id\":{},\"output_index\":{place}", Text::Plain(&self.output.items()[place].id).to_json())
    }
}

pub(super) fn delta_kind(text_kind: TextKind) -> &'static str {
    match text_kind {
        TextKind::Text => "response.output_text.delta",
        TextKind::Refusal => "response.refusal.delta",
        TextKind::Summary => "response.reasoning_summary_text.delta",
        TextKind::Reasoning => "response.reasoning_text.delta",
    }
}

pub(super) fn index_key(text_kind: TextKind) -> &'static str {
    match text_kind {
        TextKind::Summary => "summary_index",
        TextKind::Text | TextKind::Refusal | TextKind::Reasoning => "content_index",
    }
}
