//! The identity of items: what stands for a stored item, and what was sent twice.
//!
//! The backend stores nothing and takes no ids (docs/backend.md §2.7). Before ids are dropped, they show which items
//! are one: clients return an item in full and refer to it, or refer to it twice.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind};
use crate::json::{Members, Node, TextBuf, find, is_same_value};
use crate::notice::Notices;
use crate::paths::ItemOrigin;
use crate::responses::{ContentPart, InputItem, Opaque, OutputContent};

/// The ids of the items that were read, and where those items are.
#[derive(Debug, Default)]
pub(super) struct KnownItems<'a> {
    /// Those that the caller has sent, or referred to.
    own: HashMap<Cow<'a, str>, Range<usize>>,
    /// Those of the stored conversation. Each was another item when it was stored, whatever its id.
    stored: HashMap<Cow<'a, str>, Range<usize>>,
}

impl<'a> KnownItems<'a> {
    /// Records that the items from `start` on were read from the item `id`, and removes them if the caller has sent
    /// that item before.
    ///
    /// Two items with one id are one item if they have the same content. Elsewhere, one id may stand for many items:
    /// openai-agents gives all items of other providers one, and the AI SDK makes a message of each part of a message.
    pub(super) fn add(
        &mut self,
        id: Cow<'a, str>,
        origin: ItemOrigin,
        items: &mut Vec<InputItem>,
        start: usize,
        notices: &mut Notices,
    ) {
        if origin == ItemOrigin::Stored {
            self.stored.insert(id, start..items.len());
            return;
        }
        let first = match self.own.entry(id) {
            Entry::Vacant(vacant) => {
                vacant.insert(start..items.len());
                return;
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        if is_again(items, first.clone(), start) {
            notices.repaired("input[]", "dropped an item with the `id` of an earlier one: they are one item");
            keep_readable(items, first.clone(), start);
            items.truncate(start);
        } else if first.end == start {
            first.end = items.len();
        }
    }

    /// Returns the id that the call with the item id `id` shares with its output.
    pub(super) fn call_id(&self, id: &str, items: &[InputItem]) -> Option<String> {
        let is_called = || items.iter().any(|item| item.call_id() == Some(id));
        self.call_of_item(id, items).or_else(|| is_called().then(|| id.to_owned()))
    }

    /// Returns the `call_id` of the call with the item id `id`.
    pub(super) fn call_of_item(&self, id: &str, items: &[InputItem]) -> Option<String> {
        let of_item = self.own.get(id).or_else(|| self.stored.get(id)).and_then(|range| items.get(range.clone()));
        of_item.into_iter().flatten().find_map(InputItem::call_id).map(str::to_owned)
    }
}

/// Returns the id of an item with these members. An empty one is none.
pub(super) fn id_of<'a>(members: &Members<'a>) -> Option<Cow<'a, str>> {
    Node::root(find(members, "id")?).str().ok().filter(|id| !id.is_empty())
}

/// Returns the error for an item that is given by its id alone and is not stored, in OpenAI's words (docs/backend.md
/// §2.7).
pub(super) fn not_found(id: &str) -> Error {
    let message = format!(
        "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to \
         true, or remove this item from your input."
    );
    Error::new(ErrorKind::NotFound, message).with_param("input")
}

/// Returns whether the items from `start` on are those at `first`, or a part of them.
fn is_again(items: &[InputItem], first: Range<usize>, start: usize) -> bool {
    let (Some(first), Some(again)) = (items.get(first), items.get(start..)) else { return false };
    // An item that became nothing, such as an empty message, is not missed.
    again.is_empty()
        || first.windows(again.len()).any(|same| same.iter().zip(again).all(|(one, other)| is_one(one, other)))
}

/// Returns whether two items are one.
pub(super) fn is_one(one: &InputItem, other: &InputItem) -> bool {
    match (one, other) {
        // Each copy may have a part of the summary, which is not for the model.
        (InputItem::Reasoning(one), InputItem::Reasoning(other)) => {
            match (&one.encrypted_content, &other.encrypted_content) {
                (Some(one), Some(other)) => one == other,
                (None, _) | (_, None) => true,
            }
        }
        // Clients write arguments with other spacing.
        (InputItem::Call(one), InputItem::Call(other)) => {
            (one.kind, &one.call_id, &one.name) == (other.kind, &other.call_id, &other.name)
                && (one.input == other.input || is_same_value(&one.input, &other.input))
        }
        (InputItem::Output(one), InputItem::Output(other)) => {
            one == other
                || (one.kind, &one.call_id) == (other.kind, &other.call_id)
                    && texts(&one.content).is_some_and(|one| Some(one) == texts(&other.content))
        }
        (InputItem::Message(one), InputItem::Message(other)) => {
            (&one.role, &one.content) == (&other.role, &other.content)
        }
        (InputItem::Opaque(one), InputItem::Opaque(other)) => {
            let content = |item: &Opaque| -> BTreeMap<String, Value> {
                let members = item.members.iter().filter(|(key, _)| key != "status");
                members.map(|(key, raw)| (key.clone(), parsed(raw))).collect()
            };
            content(one) == content(other)
        }
        _ => false,
    }
}

/// Returns the texts of an output, if it has nothing else: they may be written as one text or as parts.
fn texts(output: &OutputContent) -> Option<Vec<&TextBuf>> {
    match output {
        OutputContent::Text(text) => Some(vec![text]),
        OutputContent::Parts(parts) => {
            parts.iter().map(|part| if let ContentPart::Text(text) = part { Some(text) } else { None }).collect()
        }
    }
}

/// Parses a value; one that is nested too deeply is its text.
fn parsed(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into())
}

/// Keeps the encrypted reasoning of the copy at `start` if the first one has none.
fn keep_readable(items: &mut [InputItem], first: Range<usize>, start: usize) {
    let (before, again) = items.split_at_mut(start);
    if let (Some([InputItem::Reasoning(first)]), [InputItem::Reasoning(again)]) = (before.get_mut(first), again)
        && first.encrypted_content.is_none()
    {
        std::mem::swap(first, again);
    }
}
