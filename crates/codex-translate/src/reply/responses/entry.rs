//! An item of the output, as far as it has arrived.

use serde_json::value::RawValue;

use super::part::{EscapedText, Part, Stage};
use crate::error::Error;
use crate::json::{ObjectEdit, is_json, members, word};
use crate::reply::ending::is_blank;
use crate::reply::match_items::{KnownItem, call_key, saying_of, saying_of_texts};
use crate::responses::{CallKind, ItemKind, OutputItem, TextKind};

/// One item.
#[derive(Clone, Debug)]
pub(super) struct OutputEntry {
    pub(super) id: String,
    pub(super) kind: ItemKind,
    /// The item as it was last written, with the caller's names.
    json: String,
    /// The whole item, if the client gets only a part of it.
    pub(super) whole: Option<String>,
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

    /// Returns how the item is identified.
    ///
    /// # Errors
    /// A bug in this crate: the item was parsed before.
    pub(super) fn identity(&self) -> Result<KnownItem<'_>, Error> {
        let [type_name, call_id, name] = members(&self.json, ["type", "call_id", "name"])?;
        let text = |found| word(found).unwrap_or_default();
        let call = call_key(&text(call_id), &text(name));
        Ok(KnownItem::new((&*self.id).into(), call, text(type_name)))
    }

    /// Returns what the item says. That of a text with another end is not known: its end is not stored.
    ///
    /// # Errors
    /// A bug in this crate: the item was parsed before.
    pub(super) fn saying(&self) -> Result<String, Error> {
        if self.is_revised {
            return Ok(String::new());
        }
        if !self.is_done() {
            let texts = self.parts.iter().map(|part| (part.text_kind, part.index, part.text.as_text()));
            return Ok(saying_of_texts(texts));
        }
        let item: &RawValue = serde_json::from_str(&self.json).map_err(|error| Error::protocol(error.to_string()))?;
        Ok(saying_of(&OutputItem::read(item)?))
    }

    /// Ends the item with the JSON `json`; returns how many bytes are no longer stored.
    pub(super) fn finish(&mut self, json: String) -> usize {
        let parts = std::mem::take(&mut self.parts);
        let kept = parts.iter().map(Part::kept_bytes).sum::<usize>() + self.arguments.kept_bytes() + self.json.len();
        self.has_text |= parts.iter().any(Part::has_text);
        self.arguments = EscapedText::default();
        self.arguments.stage = Stage::Done;
        self.stage = Stage::Done;
        self.json = json;
        kept
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Adds a part; returns false if the item has it.
    pub(super) fn add_part(&mut self, text_kind: TextKind, index: u64) -> bool {
        let key = |part: &Part| (part.index, part.text_kind);
        let Err(at) = self.parts.binary_search_by_key(&(index, text_kind), key) else { return false };
        self.parts.insert(at, Part::new(text_kind, index));
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
    pub(super) fn is_cut_call(&self) -> bool {
        let ItemKind::Call(kind) = self.kind else { return false };
        self.stage != Stage::Done
            && match self.arguments.stage {
                Stage::Open => true,
                Stage::TextDone => kind == CallKind::Function && !is_json(&self.arguments.as_text().decode()),
                Stage::Done => false,
            }
    }

    /// Returns whether there is more than a message or reasoning without a text.
    pub(super) fn has_content(&self) -> bool {
        match self.kind {
            ItemKind::Message | ItemKind::Reasoning => self.has_text || self.parts.iter().any(Part::has_text),
            ItemKind::Call(_) | ItemKind::Image | ItemKind::Other => true,
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
