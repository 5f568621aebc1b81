//! One stored response, and the conversation before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codex_translate::responses::ItemHead;

use super::items::ItemText;

/// The approximate size of an entry in addition to its texts.
pub(super) const ENTRY_BYTES: usize = 256;

/// The approximate size of what is needed to find an item by its id, in addition to the id.
const INDEXED_ITEM_BYTES: usize = 96;

/// A response, the input that it answers, and the response that it continues.
///
/// It holds the response that it continues, so it can be continued itself even if that one is deleted or evicted.
#[derive(Debug)]
pub(crate) struct StoredResponse {
    pub(super) id: String,
    /// The items of the request, without those of the conversation before it.
    pub(super) input: ItemText,
    /// The whole response, with the items of its output.
    pub(super) output: ItemText,
    pub(super) previous: Option<Arc<Self>>,
    /// Whether the caller gets the encrypted reasoning, which is always stored.
    pub(crate) encrypted_reasoning: bool,
    /// Whether the backend could not read the reasoning before its output.
    pub(super) is_reasoning_refused: bool,
    /// The size that counts towards the limit of one response: with all that it continues.
    pub(super) chain_bytes: usize,
    /// The number of responses that were stored before.
    pub(super) number: u64,
    _memory: Memory,
}

/// The memory that one response takes, for as long as anything holds it.
#[derive(Debug)]
struct Memory {
    bytes: usize,
    total: Arc<AtomicUsize>,
}

/// What is known of a response when it is stored.
#[derive(Debug)]
pub(crate) struct NewResponse<'a> {
    pub(crate) id: &'a str,
    /// The body of the request, with its own input only.
    pub(crate) request: &'a [u8],
    /// The whole response, as JSON.
    pub(crate) response: String,
    pub(crate) previous: Option<Arc<StoredResponse>>,
    pub(crate) encrypted_reasoning: bool,
    pub(crate) is_reasoning_refused: bool,
}

impl NewResponse<'_> {
    /// Returns the size that counts towards the limit.
    pub(super) fn chain_bytes(&self) -> usize {
        chain_bytes(self.request.len(), self.previous.as_deref()).saturating_add(self.response.len())
    }

    /// Takes the items, and counts the memory in `total`.
    pub(super) fn into_stored(self, number: u64, total: &Arc<AtomicUsize>) -> StoredResponse {
        let chain_bytes = self.chain_bytes();
        let (input, output) = (ItemText::of_request(self.request), ItemText::of_response(self.response));
        let indexed = |item: &str| ItemHead::read(item).id.map_or(0, |id| id.len() + INDEXED_ITEM_BYTES);
        let bytes = ENTRY_BYTES
            + input.bytes()
            + output.bytes()
            + input.iter().chain(output.iter()).map(indexed).sum::<usize>();
        StoredResponse {
            id: self.id.to_owned(),
            input,
            output,
            previous: self.previous,
            encrypted_reasoning: self.encrypted_reasoning,
            is_reasoning_refused: self.is_reasoning_refused,
            chain_bytes,
            number,
            _memory: Memory::take(bytes, total),
        }
    }
}

/// Returns the size of a request, and of the conversation before it.
pub(super) fn chain_bytes(request_bytes: usize, previous: Option<&StoredResponse>) -> usize {
    let before = previous.map_or(0, |previous| previous.chain_bytes);
    before.saturating_add(request_bytes).saturating_add(ENTRY_BYTES)
}

impl StoredResponse {
    /// Returns the id of the response.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Returns the response as JSON, with the encrypted reasoning.
    pub(crate) fn json(&self) -> &str {
        self.output.text()
    }

    /// Returns the response and those that it continues, oldest first.
    pub(super) fn chain(&self) -> Vec<&Self> {
        let mut chain = vec![self];
        while let Some(previous) = chain.last().and_then(|last| last.previous.as_deref()) {
            chain.push(previous);
        }
        chain.reverse();
        chain
    }

    /// Returns the id under which the caller knows the item of the input at `at`: its own, or one that is made up.
    pub(super) fn input_id<'a>(&self, at: usize, head: &ItemHead<'a>) -> String {
        match &head.id {
            Some(id) => id.clone().into_owned(),
            None => format!("msg_{}_{at}", self.id.trim_start_matches("resp_")),
        }
    }
}

/// Returns the id of a response and the place in its input that a made-up id names.
pub(super) fn made_up(id: &str) -> Option<(String, usize)> {
    let (response, at) = id.strip_prefix("msg_")?.rsplit_once('_')?;
    Some((format!("resp_{response}"), at.parse().ok()?))
}

impl Drop for StoredResponse {
    /// Drops a chain link by link: its recursion would be as deep as the chain is long.
    fn drop(&mut self) {
        let mut next = self.previous.take();
        while let Some(mut last) = next.and_then(Arc::into_inner) {
            next = last.previous.take();
        }
    }
}

impl Memory {
    fn take(bytes: usize, total: &Arc<AtomicUsize>) -> Self {
        total.fetch_add(bytes, Ordering::Relaxed);
        Self { bytes, total: Arc::clone(total) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
