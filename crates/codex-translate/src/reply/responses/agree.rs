//! Events and items whose texts differ from what was said: they are made to agree with it, or, in a whole response, it
//! with them (`reply/ending.rs`).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::entry::OutputEntry;
use super::part::{Part, TextPiece};
use super::stream::ResponseStream;
use crate::error::Error;
use crate::json::{Node, Object, ObjectEdit, Text, find, list, members, members_of};
use crate::outcome::Finish;
use crate::reply::ending::{Ending, arguments_of, check_same};
use crate::reply::limit::OutputLimiter;
use crate::responses::{CallKind, ItemBody, ItemKind, OutputItem, OutputPart, TextKind};

impl ResponseStream {
    /// Returns the JSON of a finished item, with the id that it began with, and with the texts and annotations that
    /// were said.
    ///
    /// # Errors
    /// A bug in this crate: the item was parsed before.
    pub(super) fn agreeing_item(
        &self,
        place: usize,
        item: &OutputItem<'_>,
        json: Cow<'_, str>,
    ) -> Result<String, Error> {
        let entry = &self.output.items()[place];
        let [id, content, summary, arguments, input] =
            members(&json, ["id", "content", "summary", "arguments", "input"])?;
        let mut edit = ObjectEdit::new(&json);
        set_known_id(entry, &item.id, id, &mut edit);
        match &item.body {
            ItemBody::Call { kind, arguments: whole, .. } => {
                if !entry.arguments.is(whole.unwrap_or(Text::Plain(""))) {
                    let (key, found) = match kind {
                        CallKind::Function => ("arguments", arguments),
                        CallKind::Custom => ("input", input),
                    };
                    edit.set(key, found, entry.arguments.to_json());
                }
            }
            ItemBody::Message { .. } | ItemBody::Reasoning { .. } => {
                let lists = match entry.kind {
                    ItemKind::Reasoning => &[
                        ("summary", summary, &[TextKind::Summary][..]),
                        ("content", content, &[TextKind::Reasoning][..]),
                    ][..],
                    ItemKind::Message | ItemKind::Call(_) | ItemKind::Image | ItemKind::Other => {
                        &[("content", content, &[TextKind::Text, TextKind::Refusal][..])][..]
                    }
                };
                for (key, found, kinds) in lists {
                    if !agrees(entry, item, kinds) {
                        edit.set(key, *found, agreeing_list(entry, *found, kinds)?);
                    }
                }
            }
            ItemBody::Image { .. } | ItemBody::WebSearch { .. } | ItemBody::Other(_) => {}
        }
        Ok(if edit.is_empty() { json.into_owned() } else { edit.text() })
    }

    /// Returns a finished part with the text that was said; `None` if it has that text.
    ///
    /// # Errors
    /// A bug in this crate: the part was parsed before.
    pub(super) fn agreeing_part(
        &self,
        place: usize,
        text_kind: TextKind,
        index: u64,
        part: &RawValue,
    ) -> Result<Option<String>, Error> {
        agreeing_part(&self.output.items()[place], text_kind, index, part)
    }

    /// Processes a repetition of a finished item.
    ///
    /// # Errors
    /// It is a call with other arguments.
    pub(super) fn repeat_item(
        &mut self,
        place: usize,
        again: &OutputItem<'_>,
        json: Cow<'_, str>,
    ) -> Result<(), Error> {
        let known = self.output.items()[place].json().to_owned();
        let known: &RawValue = serde_json::from_str(&known).map_err(|error| Error::protocol(error.to_string()))?;
        let known = OutputItem::read(known)?;
        if !is_revised(&known, again) {
            // What a stream has said to be done stays.
            return if self.is_whole { self.complete_item(place, &json) } else { Ok(()) };
        }
        if self.is_whole {
            let is_too_long = self.fresh_limiter.clone().is_some_and(|limiter| exceeds(limiter, again));
            if is_too_long {
                return Ok(());
            }
            let [id] = members(&json, ["id"])?;
            let mut edit = ObjectEdit::new(&json);
            set_known_id(&self.output.items()[place], &again.id, id, &mut edit);
            let json = edit.text();
            return self.output.finish(place, json);
        }
        if let (ItemBody::Call { kind, arguments: Some(said), .. }, ItemBody::Call { arguments: Some(whole), .. }) =
            (&known.body, &again.body)
        {
            return check_same(*kind, *said, *whole);
        }
        self.output.item(place).is_revised = true;
        Ok(())
    }

    /// Adds to a finished item what only its repetition has, such as the data of an image.
    ///
    /// # Errors
    /// The output is too large.
    fn complete_item(&mut self, place: usize, again: &str) -> Result<(), Error> {
        let unreadable = |error: serde_json::Error| Error::protocol(error.to_string());
        let known = self.output.items()[place].json().to_owned();
        let Object(members) = serde_json::from_str(&known).map_err(unreadable)?;
        let Object(again) = serde_json::from_str(again).map_err(unreadable)?;
        let type_name = |members| find(members, "type").map(RawValue::get);
        if type_name(&members) != type_name(&again) {
            return Ok(());
        }
        let mut edit = ObjectEdit::new(&known);
        for (key, raw) in &again {
            let found = find(&members, key);
            let is_missing = found.is_none_or(|found| Node::root(found).is_blank());
            // The last event tells what became of the item.
            let is_newer = key == "status" && found.is_some_and(|found| found.get() != raw.get());
            if (is_missing || is_newer) && !Node::root(raw).is_blank() {
                edit.set(key, found, raw.get().to_owned());
            }
        }
        if edit.is_empty() { Ok(()) } else { self.output.finish(place, edit.text()) }
    }

    /// Processes an end of a text that comes after the end of its item, which it says again with that text.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn repeat_text(&mut self, piece: &TextPiece<'_>) -> Result<(), Error> {
        if piece.text.is_empty() {
            return Ok(());
        }
        let mut entry = OutputEntry::new(self.output.items()[piece.place].json().to_owned())?;
        entry.add_part(piece.text_kind, piece.part);
        if let Some(part) = entry.part(piece.text_kind, piece.part) {
            part.text.push(piece.text);
        }
        let [content, summary] = members(entry.json(), ["content", "summary"])?;
        let (key, found, kinds) = match piece.text_kind {
            TextKind::Summary => ("summary", summary, &[TextKind::Summary][..]),
            TextKind::Reasoning => ("content", content, &[TextKind::Reasoning][..]),
            TextKind::Text | TextKind::Refusal => ("content", content, &[TextKind::Text, TextKind::Refusal][..]),
        };
        self.repeat_with(piece.place, entry.json(), key, found, agreeing_list(&entry, found, kinds)?)
    }

    /// Does the same for the arguments of a call.
    ///
    /// # Errors
    /// They are another value, or the output is too large.
    pub(super) fn repeat_arguments(&mut self, place: usize, arguments: Text<'_>) -> Result<(), Error> {
        let key = match self.output.items()[place].kind {
            ItemKind::Call(CallKind::Function) => "arguments",
            ItemKind::Call(CallKind::Custom) => "input",
            ItemKind::Message | ItemKind::Reasoning | ItemKind::Image | ItemKind::Other => return Ok(()),
        };
        let json = self.output.items()[place].json().to_owned();
        let [found] = members(&json, [key])?;
        self.repeat_with(place, &json, key, found, arguments.to_json())
    }

    fn repeat_with(
        &mut self,
        place: usize,
        json: &str,
        key: &'static str,
        found: Option<&RawValue>,
        value: String,
    ) -> Result<(), Error> {
        let mut edit = ObjectEdit::new(json);
        edit.set(key, found, value);
        let json = edit.text();
        let again: &RawValue = serde_json::from_str(&json).map_err(|error| Error::protocol(error.to_string()))?;
        self.repeat_item(place, &OutputItem::read(again)?, Cow::Borrowed(&json))
    }

    /// Replaces a text of a whole response, up to the caller's limit.
    pub(super) fn replace_text(&mut self, piece: &TextPiece<'_>) -> Result<Option<Finish>, Error> {
        let (text, cut) = self.within_limit(piece.text, piece.text_kind == TextKind::Text);
        self.output.replace_text(&TextPiece { text: Text::Plain(&text), ..*piece })?;
        Ok(cut)
    }

    /// Replaces the arguments of a call of a whole response, up to the caller's limit.
    pub(super) fn replace_arguments(&mut self, place: usize, arguments: Text<'_>) -> Result<Option<Finish>, Error> {
        let (arguments, cut) = self.within_limit(arguments, false);
        self.output.replace_arguments(place, Text::Plain(&arguments))?;
        Ok(cut)
    }

    /// Returns how much of a text that replaces another is within the caller's limit, and the finish if that is not
    /// all. The limiter has counted the other text, so it starts again with this one.
    fn within_limit<'t>(&mut self, text: Text<'t>, is_content: bool) -> (Cow<'t, str>, Option<Finish>) {
        let Some(mut limiter) = self.fresh_limiter.clone() else { return (text.decode(), None) };
        let mut taken = String::new();
        let cut = match is_content {
            true => limiter.content(text, |more| more.push_to(&mut taken)),
            false => limiter.other(text, |more| more.push_to(&mut taken)),
        };
        if cut.is_none() {
            limiter.flush(|more| more.push_to(&mut taken));
        }
        (self.limiter, self.held) = (Some(limiter), None);
        (Cow::Owned(taken), cut)
    }
}

/// Gives an item the id that it began with: the events name it by that one.
pub(super) fn set_known_id(entry: &OutputEntry, id: &str, found: Option<&RawValue>, edit: &mut ObjectEdit<'_>) {
    if !entry.id.is_empty() && id != entry.id {
        edit.set("id", found, Text::Plain(&entry.id).to_json());
    }
}

/// Returns whether the texts of these kinds that were said are those of the finished item.
fn agrees(entry: &OutputEntry, item: &OutputItem<'_>, kinds: &[TextKind]) -> bool {
    let texts: Vec<_> = item.texts().into_iter().filter(|(text_kind, ..)| kinds.contains(text_kind)).collect();
    let is_said = |(text_kind, index, text): &(TextKind, u64, Text<'_>)| {
        let part = entry.find_part(*text_kind, *index);
        part.is_some_and(|part| part.text.is(*text) && part.annotations() <= annotations_of(item, *index))
    };
    let has_end =
        |text_kind: TextKind, index: u64| texts.iter().any(|(kind, at, _)| (*kind, *at) == (text_kind, index));
    let said = entry.all_parts().iter().filter(|part| kinds.contains(&part.text_kind) && part.has_text());
    texts.iter().all(is_said) && said.into_iter().all(|part| has_end(part.text_kind, part.index))
}

/// Returns the list of parts that a finished item has, with the texts of these kinds that were said.
fn agreeing_list(entry: &OutputEntry, found: Option<&RawValue>, kinds: &[TextKind]) -> Result<String, Error> {
    let mut parts: Vec<(u64, String)> = Vec::new();
    let mut ended = Vec::new();
    for (index, part) in (0..).zip(list(found)?) {
        let text_kind = match OutputPart::read(part)? {
            OutputPart::Text { .. } => Some(TextKind::Text),
            OutputPart::Refusal(_) => Some(TextKind::Refusal),
            OutputPart::Reasoning(_) => Some(TextKind::Reasoning),
            OutputPart::Other => None,
        };
        // The parts of a summary are of one kind, whatever they are called.
        let text_kind = if kinds == [TextKind::Summary] { Some(TextKind::Summary) } else { text_kind };
        let changed = match text_kind {
            Some(text_kind) => {
                ended.push((text_kind, index));
                agreeing_part(entry, text_kind, index, part)?
            }
            None => None,
        };
        parts.push((index, changed.unwrap_or_else(|| part.get().to_owned())));
    }
    let is_left_out = |part: &&Part| {
        kinds.contains(&part.text_kind) && part.has_text() && !ended.contains(&(part.text_kind, part.index))
    };
    parts.extend(entry.all_parts().iter().filter(is_left_out).map(|part| (part.index, part.to_json())));
    parts.sort_by_key(|(index, _)| *index);
    let parts: Vec<_> = parts.into_iter().map(|(_, part)| part).collect();
    Ok(format!("[{}]", parts.join(",")))
}

fn agreeing_part(
    entry: &OutputEntry,
    text_kind: TextKind,
    index: u64,
    json: &RawValue,
) -> Result<Option<String>, Error> {
    let Some(part) = entry.find_part(text_kind, index) else { return Ok(None) };
    let key = if text_kind == TextKind::Refusal { "refusal" } else { "text" };
    let [found, annotations] = members_of(json, [key, "annotations"])?;
    let mut edit = ObjectEdit::new(json.get());
    if !part.text.is(found.map_or(Ok(Text::Plain("")), Text::of)?) {
        edit.set(key, found, part.text.to_json());
    }
    // The client may have read some that the end leaves out.
    if list(annotations).map_or(0, |list| list.len()) < part.annotations() {
        edit.set("annotations", annotations, part.annotations_json());
    }
    Ok((!edit.is_empty()).then(|| edit.text()))
}

/// Returns how many annotations a part of a finished item has.
fn annotations_of(item: &OutputItem<'_>, index: u64) -> usize {
    let ItemBody::Message { content, .. } = &item.body else { return 0 };
    let part = usize::try_from(index).ok().and_then(|index| content.get(index));
    if let Some(OutputPart::Text { annotations, .. }) = part { annotations.len() } else { 0 }
}

/// Returns whether an item that is said again has another text.
fn is_revised(known: &OutputItem<'_>, again: &OutputItem<'_>) -> bool {
    let differs = |said: Option<Text<'_>>, whole: Text<'_>| {
        !whole.is_empty() && said.is_none_or(|said| Ending::of(said, whole) != Ending::Same)
    };
    if let (ItemBody::Call { arguments: said, .. }, ItemBody::Call { kind, arguments: Some(whole), .. }) =
        (&known.body, &again.body)
    {
        return differs(*said, arguments_of(*kind, *whole));
    }
    let known = known.texts();
    again.texts().into_iter().any(|(text_kind, index, text)| {
        let said = known.iter().find(|(kind, at, _)| (*kind, *at) == (text_kind, index));
        differs(said.map(|(_, _, said)| *said), text)
    })
}

/// Returns whether an item alone reaches the caller's limit.
fn exceeds(mut limiter: OutputLimiter, item: &OutputItem<'_>) -> bool {
    let mut texts = item.texts().into_iter();
    let mut of_call = None;
    if let ItemBody::Call { arguments: Some(arguments), .. } = &item.body {
        of_call = limiter.other(*arguments, |_| {});
    }
    of_call.is_some()
        || texts.any(|(text_kind, _, text)| match text_kind {
            TextKind::Text => limiter.content(text, |_| {}).is_some(),
            TextKind::Refusal => limiter.other(text, |_| {}).is_some(),
            TextKind::Summary | TextKind::Reasoning => false,
        })
}
