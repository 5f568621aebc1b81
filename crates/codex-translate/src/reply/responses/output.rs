//! The output of a reply, as far as it has arrived.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::entry::OutputEntry;
use super::part::TextPiece;
use crate::bounds::{MAX_OUTPUT_BYTES, MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS};
use crate::error::Error;
use crate::json::Text;
use crate::reply::match_items::{CallIndexes, match_items, too_many_items};
use crate::responses::{OutputItem, TextKind, required_input};

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
                let mut item = OutputEntry::new(json)?;
                item.missed = self.missed.remove(&index);
                let added = item.json().len();
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
        let saying = |index| self.place(index).map_or_else(|| Ok(String::new()), |place| self.items[place].saying());
        match_items(known.collect::<Result<Vec<_>, Error>>()?.into_iter(), saying, output)
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
    pub(super) fn replace_text(&mut self, piece: &TextPiece<'_>) -> Result<(), Error> {
        let part = self.items[piece.place].part(piece.text_kind, piece.part);
        let added = part.map_or(0, |part| part.text.replace(piece.text));
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
        self.items.iter().any(OutputEntry::has_content)
    }

    /// Returns whether a call is incomplete.
    pub(super) fn has_cut_call(&self) -> bool {
        !self.missed.is_empty() || self.items.iter().any(OutputEntry::is_cut_call)
    }

    pub(super) fn is_done(&self, place: usize) -> bool {
        self.items[place].is_done()
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
    pub(super) fn push_text(&mut self, piece: &TextPiece<'_>) -> Result<(), Error> {
        let part = self.items[piece.place].part(piece.text_kind, piece.part);
        let added = part.map_or(0, |part| part.text.push(piece.text));
        self.grow(added)
    }

    /// Adds an annotation to a part.
    ///
    /// # Errors
    /// The output is too large.
    pub(super) fn annotate(&mut self, place: usize, index: u64, annotation: &RawValue) -> Result<(), Error> {
        let added = self.items[place].part(TextKind::Text, index).map_or(0, |part| part.annotate(annotation));
        self.grow(added)
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
        let added = json.len();
        let kept = self.items[place].finish(json);
        self.bytes = self.bytes.saturating_sub(kept);
        self.grow(added)
    }

    /// Returns whether the client owes a result for one of the completed items.
    pub(super) fn requires_input(&self) -> bool {
        self.items.iter().any(|item| item.is_done() && required_input(item.json()).is_some())
    }

    /// Returns the completed items as a JSON array.
    pub(super) fn to_json(&self) -> String {
        self.list(OutputEntry::json)
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
            .then(|| self.list(|item| item.whole.as_deref().unwrap_or_else(|| item.json())))
    }

    fn list<'a>(&'a self, json: impl Fn(&'a OutputEntry) -> &'a str) -> String {
        let done = self.items.iter().filter(|item| item.is_done());
        let items: Vec<_> = done.map(json).collect();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_limited_and_counts_what_is_stored() {
        let message = r#"{"type":"message","id":"m"}"#;
        let mut output = Output::default();
        output.add(7, message.to_owned()).unwrap();
        output.add_part(0, TextKind::Text, 0).unwrap();
        let text = Text::Plain("abc");
        output.push_text(&TextPiece { place: 0, text_kind: TextKind::Text, part: 0, text }).unwrap();
        assert_eq!(output.bytes, message.len() + 3);
        output.finish(0, "{}".to_owned()).unwrap();
        assert_eq!(output.bytes, 2, "what is replaced is not kept");
        output.bytes = MAX_OUTPUT_BYTES - message.len();
        output.add(8, message.to_owned()).unwrap();
        assert!(output.add(9, message.to_owned()).unwrap_err().message().contains("128 MiB"));
    }
}
