//! The prompt cache (`docs/backend.md` §2.6).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::bounded::Bounded;

/// The input tokens of the last request, by `prompt_cache_key` and `session-id`.
#[derive(Debug, Default)]
pub(crate) struct PromptCache(Bounded<u64, u64>);

impl PromptCache {
    /// Stores the input tokens of a request and returns those of the request before it, 0 if there is none.
    pub(crate) fn exchange(&mut self, key: &str, session: &str, input_tokens: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (key, session).hash(&mut hasher);
        let pair = hasher.finish();
        let cached = self.0.find(&pair).copied().unwrap_or(0);
        self.0.insert(pair, input_tokens);
        cached
    }
}
