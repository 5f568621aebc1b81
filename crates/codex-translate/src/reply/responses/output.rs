//! The output of a reply, as far as it has arrived.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use crate::bounds::{MAX_OUTPUT_BYTES, MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS};
use crate::error::Error;
use crate::json::{ObjectEdit, Text, is_json, members, word};
use crate::reply::ending::is_blank;
use crate::reply::match_items::{CallIndexes, KnownItem, match_items, too_many_items};
use crate::responses::{CallKind, ItemKind, OutputItem, TextKind, required_input};

/// The items of a reply. Their places have no gaps, whatever upstream's indexes are.
#[derive(Clone, Debug, Default)]
pub(super) struct Output {
    items: Vec<OutputEntry>,
    /// Maps upstream's index to the place in `items`.
    places: BTreeMap<u64, usize>,
    call_indexes: CallIndexes,
    /// Upstream's indexes of calls for which something arrived before the name.
    missed: BTreeSet<u64>,
    texts: usize,
    bytes: usize,
}

/// One item.
#[derive(Clone, Debug)]
pub(super) struct OutputEntry {
    pub(super) id: String,
    pub(super) kind: ItemKind,
    /// The item as it was last written, with the caller's names.
    json: String,
    /// The whole item, if the client gets only a part of it.
    whole: Option<String>,
    pub(super) stage: Stage,
    /// In the order of their indexes.
    parts: Vec<Part>,
    /// The arguments of a call, as far as they have arrived.
    pub(super) arguments: EscapedText,
    /// Some of the arguments arrived before the call: only the last event has all of them.
    pub(super) missed: bool,
    /// Whether the finished item has a text.
    has_text: bool,
    /// Whether the backend has ended a text of it with another value than it had sent.
    pub(super) is_revised: bool,
}

/// The state of an item, a part or the arguments of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    #[default]
    Open,
    /// The text is complete; the part around it is still open. Of arguments: the call has ended without saying what
    /// they are.
    TextDone,
    Done,
}

/// One text of an item.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) text_kind: TextKind,
    pub(super) index: u64,
    pub(super) stage: Stage,
    pub(super) text: EscapedText,
    annotations: Vec<Box<RawValue>>,
}

/// A text as it stands between the quotes of a JSON string.
#[derive(Clone, Debug, Default)]
pub(super) struct EscapedText {
    escaped: Vec<u8>,
    pub(super) stage: Stage,
}

impl Output {
    /// Returns the place of the item that upstream has at `index`, if it is known.
    pub(super) fn place(&self, index: u64) -> Option<usize> {
        self.places.get(&self.call_indexes.first_of(index)).copied()
    }

    /// Returns the place of the item that upstream describes at `index`, if it is known, maybe from another index.
    ///
    /// # Errors
    /// There are too many items.
    pub(super) fn find(&mut self, index: u64, item: &OutputItem<'_>) -> Result<Option<usize>, Error> {
        let is_taken = self.places.contains_key(&index);
        let first = self.call_indexes.index_of(index, item, is_taken)?;
        if first != index {
            // Its deltas may have come first.
            self.missed.remove(&index);
        }
        Ok(self.places.get(&first).copied())
    }

    /// Returns whether a call that has another index is said again at this one.
    pub(super) fn is_repeat(&self, index: u64) -> bool {
        self.call_indexes.is_repeat(index)
    }

    /// Adds the item that upstream has at `index`; a known item stays unchanged.
    ///
    /// # Errors
    /// There are too many items, or the JSON is not an item.
    pub(super) fn add(&mut self, index: u64, json: String) -> Result<usize, Error> {
        let place = self.items.len();
        match self.places.entry(index) {
            Entry::Occupied(known) => Ok(*known.get()),
            Entry::Vacant(_) if place >= MAX_OUTPUT_ITEMS => Err(too_many_items()),
            Entry::Vacant(new) => {
                let item = OutputEntry { missed: self.missed.remove(&index), ..OutputEntry::new(json)? };
                let added = item.json.len();
                new.insert(place);
                self.items.push(item);
                self.grow(added)?;
                Ok(place)
            }
        }
    }

    /// Records that a part of the call at `index` arrived, which cannot be passed on before the call has a name.
    ///
    /// # Errors
    /// There are too many such calls.
    pub(super) fn note_missed(&mut self, index: u64) -> Result<(), Error> {
        self.missed.insert(index);
        if self.missed.len() <= MAX_OUTPUT_ITEMS { Ok(()) } else { Err(too_many_items()) }
    }

    /// Returns upstream's index of each item in the output of a terminal event.
    ///
    /// # Errors
    /// No index is left for an unknown item.
    pub(super) fn match_items(&self, output: &[OutputItem<'_>]) -> Result<Vec<u64>, Error> {
        if output.is_empty() {
            return Ok(Vec::new());
        }
        let known = self.places.iter().map(|(index, place)| Ok((*index, self.items[*place].identity()?)));
        match_items(known.collect::<Result<Vec<_>, Error>>()?.into_iter(), output)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn items(&self) -> &[OutputEntry] {
        &self.items
    }

    pub(super) fn item(&mut self, place: usize) -> &mut OutputEntry {
        &mut self.items[place]
    }

    /// Replaces the text of a part.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn replace_text(
        &mut self,
        place: usize,
        text_kind: TextKind,
        index: u64,
        text: Text<'_>,
    ) -> Result<(), Error> {
        let added = self.items[place].part(text_kind, index).map_or(0, |part| part.text.replace(text));
        self.grow(added)
    }

    /// Replaces the arguments of the call at `place`.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn replace_arguments(&mut self, place: usize, text: Text<'_>) -> Result<(), Error> {
        let added = self.items[place].arguments.replace(text);
        self.grow(added)
    }

    /// Returns how many items have ended with another text than they had.
    pub(super) fn revised(&self) -> usize {
        self.items.iter().filter(|item| item.is_revised).count()
    }

    /// Returns whether there is more than messages and reasoning without a text.
    pub(super) fn has_content(&self) -> bool {
        self.items.iter().any(|item| match item.kind {
            ItemKind::Message | ItemKind::Reasoning => item.has_text || item.parts.iter().any(Part::has_text),
            ItemKind::Call(_) | ItemKind::Image | ItemKind::Other => true,
        })
    }

    /// Returns whether a call is incomplete.
    pub(super) fn has_cut_call(&self) -> bool {
        !self.missed.is_empty() || self.items.iter().any(OutputEntry::is_cut_call)
    }

    pub(super) fn is_done(&self, place: usize) -> bool {
        self.items[place].stage == Stage::Done
    }

    /// Adds a part to the item at `place`; returns false if the item has it.
    ///
    /// # Errors
    /// The reply has too many parts.
    pub(super) fn add_part(&mut self, place: usize, text_kind: TextKind, index: u64) -> Result<bool, Error> {
        if self.texts >= MAX_OUTPUT_TEXTS && self.items[place].find_part(text_kind, index).is_none() {
            return Err(Error::protocol(format!("the reply has more than {MAX_OUTPUT_TEXTS} texts")));
        }
        let is_new = self.items[place].add_part(text_kind, index);
        self.texts += usize::from(is_new);
        Ok(is_new)
    }

    /// Adds to the text of a part.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn push_text(
        &mut self,
        place: usize,
        text_kind: TextKind,
        index: u64,
        text: Text<'_>,
    ) -> Result<(), Error> {
        let added = self.items[place].part(text_kind, index).map_or(0, |part| part.text.push(text));
        self.grow(added)
    }

    /// Adds an annotation to a part.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn annotate(&mut self, place: usize, index: u64, annotation: &RawValue) -> Result<(), Error> {
        if let Some(part) = self.items[place].part(TextKind::Text, index) {
            part.annotations.push(annotation.to_owned());
        }
        self.grow(annotation.get().len())
    }

    /// Adds to the arguments of the call at `place`.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn push_arguments(&mut self, place: usize, text: Text<'_>) -> Result<(), Error> {
        let added = self.items[place].arguments.push(text);
        self.grow(added)
    }

    /// Ends the item at `place` with the JSON `json`.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn finish(&mut self, place: usize, json: String) -> Result<(), Error> {
        let item = &mut self.items[place];
        let kept =
            item.parts.iter().map(Part::kept_bytes).sum::<usize>() + item.arguments.escaped.len() + item.json.len();
        self.bytes = self.bytes.saturating_sub(kept);
        item.has_text |= item.parts.iter().any(Part::has_text);
        item.parts = Vec::new();
        item.arguments = EscapedText { stage: Stage::Done, ..EscapedText::default() };
        item.stage = Stage::Done;
        item.json = json;
        let added = item.json.len();
        self.grow(added)
    }

    /// Returns whether the client owes a result for one of the completed items.
    pub(super) fn requires_input(&self) -> bool {
        self.items.iter().any(|item| item.is_done() && required_input(&item.json).is_some())
    }

    /// Returns the completed items as a JSON array.
    pub(super) fn to_json(&self) -> String {
        self.list(|item| &item.json)
    }

    /// Keeps the whole of the finished item at `place`, of which the client gets a part.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn keep_whole(&mut self, place: usize, json: &str) -> Result<(), Error> {
        self.items[place].whole = Some(json.to_owned());
        self.grow(json.len())
    }

    /// Returns the completed items as a JSON array, whole; `None` if the client gets them so.
    pub(super) fn to_stored_json(&self) -> Option<String> {
        self.items
            .iter()
            .any(|item| item.whole.is_some())
            .then(|| self.list(|item| item.whole.as_ref().unwrap_or(&item.json)))
    }

    fn list<'a>(&'a self, json: impl Fn(&'a OutputEntry) -> &'a String) -> String {
        let done = self.items.iter().filter(|item| item.stage == Stage::Done);
        let items: Vec<_> = done.map(|item| json(item).as_str()).collect();
        format!("[{}]", items.join(","))
    }

    fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes;
        if self.bytes <= MAX_OUTPUT_BYTES {
            return Ok(());
        }
        Err(Error::protocol(format!("the reply is larger than {} MiB", MAX_OUTPUT_BYTES >> 20)))
    }
}

impl OutputEntry {
    pub(super) fn new(json: String) -> Result<Self, Error> {
        let [kind, id] = members(&json, ["type", "id"])?;
        let kind = ItemKind::from_word(&word(kind).unwrap_or_default());
        let id = word(id).unwrap_or_default().into_owned();
        Ok(Self {
            id,
            kind,
            json,
            whole: None,
            stage: Stage::Open,
            parts: Vec::new(),
            arguments: EscapedText::default(),
            missed: false,
            has_text: false,
            is_revised: false,
        })
    }

    fn identity(&self) -> Result<KnownItem<'_>, Error> {
        let [type_name, call_id] = members(&self.json, ["type", "call_id"])?;
        let text = |found| word(found).unwrap_or_default();
        Ok(KnownItem { id: (&*self.id).into(), call_id: text(call_id), type_name: text(type_name) })
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Adds a part; returns false if the item has it.
    pub(super) fn add_part(&mut self, text_kind: TextKind, index: u64) -> bool {
        let key = |part: &Part| (part.index, part.text_kind);
        let Err(at) = self.parts.binary_search_by_key(&(index, text_kind), key) else { return false };
        let part = Part { text_kind, index, stage: Stage::Open, text: EscapedText::default(), annotations: Vec::new() };
        self.parts.insert(at, part);
        true
    }

    /// Returns the texts of the item, by their indexes.
    pub(super) fn parts(&self) -> Vec<(TextKind, u64)> {
        self.parts.iter().map(|part| (part.text_kind, part.index)).collect()
    }

    /// Returns the JSON of the item as it was last written.
    pub(super) fn json(&self) -> &str {
        &self.json
    }

    /// Returns whether the item has the part, and its text has not ended.
    pub(super) fn has_open_text(&self, text_kind: TextKind, index: u64) -> bool {
        self.find_part(text_kind, index).is_some_and(|part| part.stage == Stage::Open)
    }

    pub(super) fn find_part(&self, text_kind: TextKind, index: u64) -> Option<&Part> {
        let at = self.parts.binary_search_by_key(&(index, text_kind), |part| (part.index, part.text_kind)).ok()?;
        self.parts.get(at)
    }

    /// Returns the parts in the order of their indexes.
    pub(super) fn all_parts(&self) -> &[Part] {
        &self.parts
    }

    pub(super) fn part(&mut self, text_kind: TextKind, index: u64) -> Option<&mut Part> {
        let at = self.parts.binary_search_by_key(&(index, text_kind), |part| (part.index, part.text_kind)).ok()?;
        self.parts.get_mut(at)
    }

    /// Returns whether the item is a call whose arguments are incomplete.
    fn is_cut_call(&self) -> bool {
        let ItemKind::Call(kind) = self.kind else { return false };
        self.stage != Stage::Done
            && match self.arguments.stage {
                Stage::Open => true,
                Stage::TextDone => kind == CallKind::Function && !is_json(&self.arguments.as_text().decode()),
                Stage::Done => false,
            }
    }

    /// Returns whether this is a function that is called without arguments.
    pub(super) fn is_bare_call(&self) -> bool {
        self.kind == ItemKind::Call(CallKind::Function) && is_blank(self.arguments.as_text())
    }

    /// Builds the completed item from its deltas.
    ///
    /// # Errors
    /// A bug in this crate: the item was parsed before.
    pub(super) fn put_together(&self, status: &str) -> Result<String, Error> {
        let [status_now, content, summary, arguments, input] =
            members(&self.json, ["status", "content", "summary", "arguments", "input"])?;
        let mut edit = ObjectEdit::new(&self.json);
        let texts = |text_kinds: &[TextKind]| {
            let parts = self.parts.iter().filter(|part| text_kinds.contains(&part.text_kind));
            format!("[{}]", parts.map(Part::to_json).collect::<Vec<_>>().join(","))
        };
        match self.kind {
            ItemKind::Message => edit.set("content", content, texts(&[TextKind::Text, TextKind::Refusal])),
            ItemKind::Reasoning => {
                edit.set("summary", summary, texts(&[TextKind::Summary]));
                if self.parts.iter().any(|part| part.text_kind == TextKind::Reasoning) {
                    edit.set("content", content, texts(&[TextKind::Reasoning]));
                }
            }
            ItemKind::Call(CallKind::Function) => edit.set("arguments", arguments, self.arguments.to_json()),
            ItemKind::Call(CallKind::Custom) => edit.set("input", input, self.arguments.to_json()),
            ItemKind::Image | ItemKind::Other => {}
        }
        // Reasoning has no status (docs/backend.md §3.3).
        if self.kind != ItemKind::Reasoning {
            edit.set("status", status_now, format!("\"{status}\""));
        }
        Ok(edit.text())
    }
}

impl Part {
    /// Returns the completed part.
    pub(super) fn to_json(&self) -> String {
        let text = self.text.to_json();
        match self.text_kind {
            TextKind::Text => {
                let annotations = self.annotations_json();
                format!("{{\"type\":\"output_text\",\"annotations\":{annotations},\"logprobs\":[],\"text\":{text}}}")
            }
            TextKind::Refusal => format!("{{\"type\":\"refusal\",\"refusal\":{text}}}"),
            TextKind::Summary => format!("{{\"type\":\"summary_text\",\"text\":{text}}}"),
            TextKind::Reasoning => format!("{{\"type\":\"reasoning_text\",\"text\":{text}}}"),
        }
    }

    pub(super) fn has_text(&self) -> bool {
        !self.text.escaped.is_empty()
    }

    /// Returns how many annotations came as events.
    pub(super) fn annotations(&self) -> usize {
        self.annotations.len()
    }

    /// Returns them as a JSON array.
    pub(super) fn annotations_json(&self) -> String {
        let annotations: Vec<_> = self.annotations.iter().map(|annotation| annotation.get()).collect();
        format!("[{}]", annotations.join(","))
    }

    fn kept_bytes(&self) -> usize {
        self.text.escaped.len() + self.annotations.iter().map(|annotation| annotation.get().len()).sum::<usize>()
    }
}

impl EscapedText {
    /// Adds to the text; returns how many bytes were stored.
    pub(super) fn push(&mut self, text: Text<'_>) -> usize {
        let before = self.escaped.len();
        text.write_escaped(&mut self.escaped);
        self.escaped.len() - before
    }

    /// Replaces the text; returns how many bytes more were stored.
    fn replace(&mut self, text: Text<'_>) -> usize {
        let before = self.escaped.len();
        self.escaped.clear();
        self.push(text).saturating_sub(before)
    }

    pub(super) fn as_text(&self) -> Text<'_> {
        // Only whole strings were added.
        Text::Escaped(std::str::from_utf8(&self.escaped).unwrap_or_default())
    }

    /// Returns whether this is the text `other`.
    pub(super) fn is(&self, other: Text<'_>) -> bool {
        matches!(other, Text::Escaped(other) if other.as_bytes() == self.escaped)
            || self.as_text().decode() == other.decode()
    }

    /// Returns the text as a JSON string.
    pub(super) fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(self.escaped.len() + 2);
        json.push(b'"');
        json.extend_from_slice(&self.escaped);
        json.push(b'"');
        // Only whole strings were added.
        String::from_utf8(json).unwrap_or_else(|_| "\"\"".to_owned())
    }
}

/// Returns an item as it is when it begins: without its text, its arguments or its result.
///
/// # Errors
/// It is not an object.
pub(super) fn beginning_of(done: &str) -> Result<String, Error> {
    let [kind, status, content, summary, arguments, input, result] =
        members(done, ["type", "status", "content", "summary", "arguments", "input", "result"])?;
    let mut edit = ObjectEdit::new(done);
    let mut begin = |key: &str, found: Option<&RawValue>, value: &'static str| {
        if found.is_some() {
            edit.set(key, found, value);
        }
    };
    if word(kind).as_deref() != Some("reasoning") {
        begin("status", status, "\"in_progress\"");
    }
    begin("content", content, "[]");
    begin("summary", summary, "[]");
    begin("arguments", arguments, "\"\"");
    begin("input", input, "\"\"");
    begin("result", result, "null");
    Ok(edit.text())
}

/// Returns the item of a delta for which upstream has announced none.
pub(super) fn unannounced(text_kind: TextKind, id: Option<&str>, place: usize) -> String {
    let (prefix, rest) = match text_kind {
        TextKind::Text | TextKind::Refusal => {
            ("msg", "\"type\":\"message\",\"status\":\"in_progress\",\"content\":[],\"role\":\"assistant\"")
        }
        TextKind::Summary | TextKind::Reasoning => ("rs", "\"type\":\"reasoning\",\"summary\":[]"),
    };
    let id = id.map_or_else(|| format!("{prefix}_{place}"), str::to_owned);
    format!("{{\"id\":{},{rest}}}", Text::Plain(&id).to_json())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_limited_and_counts_what_is_stored() {
        let message = r#"{"type":"message","id":"m"}"#;
        let mut output = Output::default();
        output.add(7, message.to_owned()).unwrap();
        output.add_part(0, TextKind::Text, 0).unwrap();
        output.push_text(0, TextKind::Text, 0, Text::Plain("abc")).unwrap();
        assert_eq!(output.bytes, message.len() + 3);
        output.finish(0, "{}".to_owned()).unwrap();
        assert_eq!(output.bytes, 2, "what is replaced is not kept");
        output.bytes = MAX_OUTPUT_BYTES - message.len();
        output.add(8, message.to_owned()).unwrap();
        assert!(output.add(9, message.to_owned()).unwrap_err().message().contains("128 MiB"));
    }
}
