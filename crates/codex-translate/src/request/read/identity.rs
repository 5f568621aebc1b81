//! The identity of items: what stands for a stored item, and what was sent twice.
//!
//! The backend stores nothing and takes no ids (docs/backend.md §2.7). Before ids are dropped, they show which items
//! are one: clients return an item in full and refer to it, or refer to it twice.

use std::borrow::Cow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::mem::discriminant;
use std::ops::Range;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::{Error, ErrorKind};
use crate::json::{Members, Node, find};
use crate::notice::Notices;
use crate::responses::{InputItem, Opaque};

/// The prefixes of the ids that OpenAI gives to items (docs/backend.md §2.7).
const PREFIXES: &[&str] =
    &["amsg_", "at_", "cmp_", "ctc_", "ctco_", "fc_", "fco_", "ig_", "lsh_", "msg_", "rs_", "tsc_", "tso_", "ws_"];

/// The ids of the items that were read, and where those items are.
#[derive(Debug, Default)]
pub(super) struct KnownItems<'a>(HashMap<Cow<'a, str>, Range<usize>>);

impl<'a> KnownItems<'a> {
    /// Records that the items from `start` on were read from the item `id`, and removes them if it was read before.
    ///
    /// Two items with one id are one item if they have the same content. Others are an error, as in the public API, if
    /// the id is one of OpenAI's: elsewhere, one id may stand for many items. A message that follows the one with its
    /// id is the rest of it: the AI SDK makes a message of each of its parts.
    ///
    /// # Errors
    /// Another item has the same id: a 400.
    pub(super) fn add(
        &mut self,
        id: Cow<'a, str>,
        items: &mut Vec<InputItem>,
        start: usize,
        notices: &mut Notices,
    ) -> Result<(), Error> {
        let first = match self.0.entry(id.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(start..items.len());
                return Ok(());
            }
            Entry::Occupied(occupied) => occupied.into_mut(),
        };
        if is_again(items, first.clone(), start) {
            notices.repaired("input[]", "dropped an item with the `id` of an earlier one: they are one item");
            keep_readable(items, first.clone(), start);
            items.truncate(start);
        } else if first.end == start && is_rest(items, first.clone(), start) {
            first.end = items.len();
        } else if is_alike(items, first.clone(), start) && PREFIXES.iter().any(|prefix| id.starts_with(prefix)) {
            // OpenAI's words.
            let message =
                format!("Duplicate item found with id {id}. Remove duplicate items from your input and try again.");
            return Err(Error::invalid("input", message));
        }
        Ok(())
    }

    /// Returns the id that the call with the item id `id` shares with its output.
    pub(super) fn call_id(&self, id: &str, items: &[InputItem]) -> Option<String> {
        let of_item = self.0.get(id).and_then(|range| items.get(range.clone()));
        let calls = of_item.into_iter().flatten().chain(items.iter().filter(|item| item.call_id() == Some(id)));
        calls.filter_map(InputItem::call_id).next().map(str::to_owned)
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

fn is_one(one: &InputItem, other: &InputItem) -> bool {
    match (one, other) {
        // Each copy may have a part of the summary, which is not for the model.
        (InputItem::Reasoning(_), InputItem::Reasoning(_)) => true,
        // Clients write arguments with other spacing.
        (InputItem::Call(one), InputItem::Call(other)) => (one.kind, &one.call_id) == (other.kind, &other.call_id),
        (InputItem::Output(one), InputItem::Output(other)) => one == other,
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

/// Returns whether the items from `start` on are of the same type as those at `first`.
fn is_alike(items: &[InputItem], first: Range<usize>, start: usize) -> bool {
    let kind = |at: usize| items.get(at).map(|item| (discriminant(item), item.opaque().map(|item| &item.kind)));
    !first.is_empty() && kind(first.start) == kind(start)
}

/// Parses a value; one that is nested too deeply is its text.
fn parsed(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into())
}

/// Returns whether the items from `start` on are the rest of the message at `first`.
fn is_rest(items: &[InputItem], first: Range<usize>, start: usize) -> bool {
    let message = |item: Option<&InputItem>| match item {
        Some(InputItem::Message(message)) => Some(message.role.clone()),
        _ => None,
    };
    let role = message(items.get(first.start));
    role.is_some() && items.iter().skip(start).all(|item| message(Some(item)) == role)
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
