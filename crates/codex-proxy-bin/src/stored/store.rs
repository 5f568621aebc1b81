//! The stored responses, and their eviction.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use codex_translate::responses::{ItemForm, ItemHead};
use lru::LruCache;
use serde_json::value::RawValue;

use super::items::ItemText;
use super::response::{NewResponse, StoredResponse, chain_bytes, made_up};
use crate::sync::lock;

/// How many deleted responses are known as such, for connections that remember them.
const MAX_DELETED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The stored responses of all callers.
#[derive(Debug)]
pub(crate) struct Stored {
    limit_bytes: usize,
    /// The memory of everything that is stored, and of what running turns continue.
    total: Arc<AtomicUsize>,
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct Entries {
    /// By caller and id of the response, least recently used first.
    by_id: LruCache<(String, String), Arc<StoredResponse>>,
    /// What was deleted last, by caller and id.
    deleted: LruCache<(String, String), ()>,
    /// The items of each caller.
    by_item: HashMap<String, BTreeMap<ItemKey, ItemPlace>>,
    number: u64,
}

/// An item's id, whether it is an output, and the number of the response: the last one is the newest output.
type ItemKey = (String, bool, u64);

/// Where an item is.
#[derive(Debug)]
struct ItemPlace {
    response: Arc<StoredResponse>,
    at: usize,
}

impl Stored {
    /// Makes an empty store of at most `limit_bytes`.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        let entries = Entries {
            by_id: LruCache::unbounded(),
            deleted: LruCache::new(MAX_DELETED),
            by_item: HashMap::new(),
            number: 0,
        };
        Self { limit_bytes, total: Arc::default(), entries: Mutex::new(entries) }
    }

    /// Returns whether anything is stored.
    pub(crate) fn is_in_use(&self) -> bool {
        self.limit_bytes > 0
    }

    /// Returns how large the response to a request of `request_bytes` may be that continues `previous`: a response and
    /// the whole conversation before it count towards the limit. If it is not larger, [`insert`](Self::insert) stores
    /// it.
    ///
    /// # Errors
    /// The response cannot be stored, for the reason given.
    pub(crate) fn room_for(&self, request_bytes: usize, previous: Option<&StoredResponse>) -> Result<usize, String> {
        // What was evicted while turns continue it is still in memory.
        if self.bytes() > self.limit_bytes.saturating_mul(2) {
            return Err("too many running requests continue stored responses".to_owned());
        }
        let room = self.limit_bytes.checked_sub(chain_bytes(request_bytes, previous));
        room.filter(|room| *room > 0).ok_or_else(|| self.too_large())
    }

    /// Returns why a response is not stored.
    pub(crate) fn too_large(&self) -> String {
        match self.limit_bytes >> 20 {
            0 => format!("the response and its conversation are larger than {} bytes", self.limit_bytes),
            limit => format!("the response and its conversation are larger than {limit} MiB"),
        }
    }

    /// Stores a response for `caller`, unless it is too large; the least recently used are evicted.
    pub(crate) fn insert(&self, caller: &str, new: NewResponse<'_>) -> bool {
        if new.chain_bytes() > self.limit_bytes {
            return false;
        }
        let number = {
            let mut entries = self.entries();
            entries.number += 1;
            entries.number
        };
        let response = Arc::new(new.into_stored(number, &self.total));
        let items = indexed(&response).collect::<Vec<_>>();
        let mut entries = self.entries();
        let before = entries.by_id.put((caller.to_owned(), response.id.clone()), Arc::clone(&response));
        if let Some(before) = before {
            entries.forget_items(caller, &before);
        }
        if !items.is_empty() {
            entries.by_item.entry(caller.to_owned()).or_default().extend(items);
        }
        // It was promised to be stored, so it stays even if running turns hold too much of what was evicted.
        while self.bytes() > self.limit_bytes
            && entries.by_id.len() > 1
            && let Some(((caller, _), oldest)) = entries.by_id.pop_lru()
        {
            entries.forget_items(&caller, &oldest);
        }
        true
    }

    /// Returns the response `id` of `caller`, and marks it as used.
    pub(crate) fn get(&self, caller: &str, id: &str) -> Option<Arc<StoredResponse>> {
        self.entries().by_id.get(&(caller.to_owned(), id.to_owned())).cloned()
    }

    /// Returns whether the response `id` of `caller` is stored.
    pub(crate) fn has(&self, caller: &str, id: &str) -> bool {
        self.entries().by_id.contains(&(caller.to_owned(), id.to_owned()))
    }

    /// Returns whether the caller has deleted the response `id`, as far as that is still known.
    pub(crate) fn is_deleted(&self, caller: &str, id: &str) -> bool {
        self.entries().deleted.contains(&(caller.to_owned(), id.to_owned()))
    }

    /// Deletes the response `id` of `caller`; false if there is none.
    pub(crate) fn delete(&self, caller: &str, id: &str) -> bool {
        let mut entries = self.entries();
        let Some((key, entry)) = entries.by_id.pop_entry(&(caller.to_owned(), id.to_owned())) else { return false };
        entries.forget_items(caller, &entry);
        entries.deleted.put(key, ());
        true
    }

    /// Returns the item `id` of the caller's responses or of their requests.
    pub(super) fn item(&self, caller: &str, id: &str) -> Option<Box<RawValue>> {
        let (response, text, at) = {
            let entries = self.entries();
            let keys = (id.to_owned(), false, 0)..=(id.to_owned(), true, u64::MAX);
            let found = entries.by_item.get(caller).and_then(|items| items.range(keys).next_back());
            match found {
                Some(((_, true, _), ItemPlace { response, at })) => (Arc::clone(response), output as TextOf, *at),
                Some(((_, false, _), ItemPlace { response, at })) => (Arc::clone(response), input as TextOf, *at),
                None => {
                    let (response, at) = made_up(id)?;
                    let response = entries.by_id.peek(&(caller.to_owned(), response))?;
                    let item = response.input.item(at)?;
                    ItemHead::read(item).id.is_none().then(|| (Arc::clone(response), input as TextOf, at))?
                }
            }
        };
        RawValue::from_string(text(&response).item(at)?.to_owned()).ok()
    }

    /// Returns whether no memory is taken.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        let entries = self.entries();
        self.bytes() == 0 && entries.by_id.is_empty() && entries.by_item.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        lock(&self.entries)
    }
}

type TextOf = fn(&StoredResponse) -> &ItemText;

fn input(response: &StoredResponse) -> &ItemText {
    &response.input
}

fn output(response: &StoredResponse) -> &ItemText {
    &response.output
}

/// Returns the items that are found by their own ids. One that is only an id itself is none.
fn indexed(response: &Arc<StoredResponse>) -> impl Iterator<Item = (ItemKey, ItemPlace)> {
    [(false, &response.input), (true, &response.output)].into_iter().flat_map(move |(is_output, items)| {
        items.iter().enumerate().filter_map(move |(at, item)| {
            let head = ItemHead::read(item);
            let id = head.id.filter(|_| head.form != ItemForm::Reference)?.into_owned();
            Some(((id, is_output, response.number), ItemPlace { response: Arc::clone(response), at }))
        })
    })
}

impl Entries {
    fn forget_items(&mut self, caller: &str, response: &Arc<StoredResponse>) {
        let Some(items) = self.by_item.get_mut(caller) else { return };
        for (key, _) in indexed(response) {
            items.remove(&key);
        }
        if items.is_empty() {
            self.by_item.remove(caller);
        }
    }
}
