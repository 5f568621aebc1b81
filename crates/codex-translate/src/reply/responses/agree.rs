//! Events and items whose texts differ from what was said: they are made to agree with it, or, in a whole response, it
//! with them (`reply/ending.rs`).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::output::{OutputEntry, Part};
use super::push_text::TextPiece;
use super::stream::ResponseStream;
use crate::error::Error;
use crate::json::{ObjectEdit, Text, list, members, members_of};
use crate::outcome::Finish;
use crate::reply::ending::{Ending, arguments_of, check_same};
use crate::reply::limit::OutputLimiter;
use crate::responses::{CallKind, ItemBody, ItemKind, OutputItem, OutputPart, TextKind};

impl ResponseStream {
    /// Returns the JSON of a finished item, with the texts that were said.
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
        let [content, summary, arguments, input] = members(&json, ["content", "summary", "arguments", "input"])?;
        let mut edit = ObjectEdit::new(&json);
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
            return Ok(());
        }
        if self.is_whole {
            let is_too_long = self.fresh_limiter.clone().is_some_and(|limiter| exceeds(limiter, again));
            return if is_too_long { Ok(()) } else { self.output.finish(place, json.into_owned()) };
        }
        if let (ItemBody::Call { kind, arguments: Some(said), .. }, ItemBody::Call { arguments: Some(whole), .. }) =
            (&known.body, &again.body)
        {
            return check_same(*kind, *said, *whole);
        }
        self.output.item(place).is_revised = true;
        Ok(())
    }

    /// Replaces a text of a whole response, up to the caller's limit.
    pub(super) fn replace_text(&mut self, piece: &TextPiece<'_>) -> Result<Option<Finish>, Error> {
        let (text, cut) = self.within_limit(piece.text, piece.text_kind == TextKind::Text);
        self.output.replace_text(piece.place, piece.text_kind, piece.part, Text::Plain(&text))?;
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

/// Returns whether the texts of these kinds that were said are those of the finished item.
fn agrees(entry: &OutputEntry, item: &OutputItem<'_>, kinds: &[TextKind]) -> bool {
    let texts: Vec<_> = item.texts().into_iter().filter(|(text_kind, ..)| kinds.contains(text_kind)).collect();
    let is_said = |(text_kind, index, text): &(TextKind, u64, Text<'_>)| {
        entry.find_part(*text_kind, *index).is_some_and(|part| part.text.is(*text))
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
    let [found] = members_of(json, [key])?;
    if part.text.is(found.map_or(Ok(Text::Plain("")), Text::of)?) {
        return Ok(None);
    }
    let mut edit = ObjectEdit::new(json.get());
    edit.set(key, found, part.text.to_json());
    Ok(Some(edit.text()))
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
