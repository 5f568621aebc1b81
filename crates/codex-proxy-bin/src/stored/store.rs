//! The stored responses, and their eviction.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use lru::LruCache;
use memchr::memmem::Finder;

use crate::sync::lock;

/// The approximate size of an entry in addition to its texts.
const ENTRY_BYTES: usize = 256;

/// The stored responses of all callers.
#[derive(Debug)]
pub(crate) struct Stored {
    limit_bytes: usize,
    entries: Mutex<Entries>,
}

#[derive(Debug)]
struct Entries {
    /// By caller and id of the response, least recently used first.
    by_id: LruCache<(String, String), Arc<StoredResponse>>,
    bytes: usize,
}

/// One response, and the request that it answers.
#[derive(Debug)]
pub(crate) struct StoredResponse {
    /// The body of the request, as the client sent it.
    pub(crate) request: Bytes,
    /// The whole response, as JSON.
    pub(crate) response: String,
}

impl Stored {
    /// Makes an empty store of at most `limit_bytes`.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self { limit_bytes, entries: Mutex::new(Entries { by_id: LruCache::unbounded(), bytes: 0 }) }
    }

    /// Returns whether anything is stored.
    pub(crate) fn is_in_use(&self) -> bool {
        self.limit_bytes > 0
    }

    /// Returns whether an entry of this size may be stored: more than a quarter of the limit would evict too much.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        bytes <= self.limit_bytes / 4 && self.is_in_use()
    }

    /// Stores a response for `caller`, unless it is too large.
    pub(crate) fn insert(&self, caller: &str, id: &str, entry: StoredResponse) {
        let size = entry.size();
        if !self.has_room_for(size) {
            tracing::debug!(size, "the response is too large to store");
            return;
        }
        let mut entries = self.entries();
        entries.bytes += size;
        if let Some(before) = entries.by_id.put((caller.to_owned(), id.to_owned()), Arc::new(entry)) {
            entries.bytes -= before.size();
        }
        while entries.bytes > self.limit_bytes
            && let Some((_, oldest)) = entries.by_id.pop_lru()
        {
            entries.bytes -= oldest.size();
        }
    }

    /// Returns the response `id` of `caller`, and marks it as used.
    pub(crate) fn get(&self, caller: &str, id: &str) -> Option<Arc<StoredResponse>> {
        self.entries().by_id.get(&(caller.to_owned(), id.to_owned())).cloned()
    }

    /// Deletes the response `id` of `caller`; false if there is none.
    pub(crate) fn delete(&self, caller: &str, id: &str) -> bool {
        let mut entries = self.entries();
        let Some(entry) = entries.by_id.pop(&(caller.to_owned(), id.to_owned())) else { return false };
        entries.bytes -= entry.size();
        true
    }

    /// Returns what `pick` finds in the responses of `caller` whose text contains `word`, most recently used first.
    pub(crate) fn find<T>(&self, caller: &str, word: &str, pick: impl Fn(&StoredResponse) -> Option<T>) -> Option<T> {
        let word = Finder::new(word);
        let entries = self.entries();
        let mut own = entries.by_id.iter().filter(|((of, _), _)| of == caller).map(|(_, entry)| entry);
        own.find_map(|entry| word.find(entry.response.as_bytes()).and_then(|_| pick(entry)))
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        lock(&self.entries)
    }
}

impl StoredResponse {
    fn size(&self) -> usize {
        self.request.len() + self.response.len() + ENTRY_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize) -> StoredResponse {
        StoredResponse { request: Bytes::from(vec![b'x'; bytes]), response: String::new() }
    }

    #[test]
    fn a_response_belongs_to_its_caller() {
        let stored = Stored::new(1 << 20);
        stored.insert("ada", "resp_1", entry(1));
        assert!(stored.get("ada", "resp_1").is_some() && stored.get("bob", "resp_1").is_none());
        assert!(!stored.delete("bob", "resp_1") && stored.delete("ada", "resp_1") && !stored.delete("ada", "resp_1"));
        assert!(stored.get("ada", "resp_1").is_none());
    }

    #[test]
    fn the_least_recently_used_is_evicted_first() {
        let stored = Stored::new(10 * (1000 + ENTRY_BYTES));
        (0..10).for_each(|n| stored.insert("", &n.to_string(), entry(1000)));
        assert!(stored.get("", "0").is_some());
        stored.insert("", "10", entry(1000));
        assert!(stored.get("", "0").is_some() && stored.get("", "1").is_none() && stored.get("", "10").is_some());
        // Storing the same id again replaces the response.
        stored.insert("", "10", entry(1000));
        assert!(stored.get("", "2").is_some());
        assert_eq!((0..11).filter(|n| stored.delete("", &n.to_string())).count(), 10);
        assert_eq!(stored.entries().bytes, 0);
    }

    #[test]
    fn what_is_too_large_is_not_stored_and_evicts_nothing() {
        let stored = Stored::new(4000);
        stored.insert("", "small", entry(100));
        stored.insert("", "large", entry(1000));
        assert!(stored.get("", "small").is_some() && stored.get("", "large").is_none());
        assert!(stored.has_room_for(1000) && !stored.has_room_for(1001));
        assert!(!Stored::new(0).is_in_use() && !Stored::new(0).has_room_for(0));
    }
}
