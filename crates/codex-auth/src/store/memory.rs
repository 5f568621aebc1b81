//! A store in memory.

use std::sync::{Arc, Mutex};

use crate::lock::lock;
use crate::store::{StoreError, StoreVersion, TokenStore};
use crate::tokens::Tokens;

/// Stores tokens in memory: for tests, and for embedders that get tokens from elsewhere.
///
/// Clones share the tokens and the lock, as processes share a file.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<MemoryStoreState>>,
}

#[derive(Debug, Default)]
struct MemoryStoreState {
    tokens: Option<Tokens>,
    changes: u64,
    locked: bool,
}

impl MemoryStore {
    /// Returns a store that holds the tokens.
    #[must_use]
    pub fn with_tokens(tokens: Tokens) -> Self {
        let store = Self::default();
        store.set_tokens(Some(tokens));
        store
    }

    /// Replaces the tokens, as a login by another process does.
    pub fn set_tokens(&self, tokens: Option<Tokens>) {
        self.with(|shared| {
            shared.tokens = tokens;
            shared.changes += 1;
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut MemoryStoreState) -> T) -> T {
        act(&mut lock(&self.shared))
    }
}

impl TokenStore for MemoryStore {
    type Lock = MemoryLock;

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        Ok(self.with(|shared| shared.tokens.clone()))
    }

    fn try_lock(&self) -> Result<Option<MemoryLock>, StoreError> {
        let free = self.with(|shared| !std::mem::replace(&mut shared.locked, true));
        Ok(free.then(|| MemoryLock(self.clone())))
    }

    fn probe(&self, _: &MemoryLock) -> Result<(), StoreError> {
        Ok(())
    }

    fn save(&self, _: &MemoryLock, tokens: &Tokens) -> Result<(), StoreError> {
        self.set_tokens(Some(tokens.clone()));
        Ok(())
    }

    fn remove(&self, _: &MemoryLock) -> Result<bool, StoreError> {
        let held = self.with(|shared| shared.tokens.is_some());
        self.set_tokens(None);
        Ok(held)
    }

    fn version(&self) -> StoreVersion {
        self.with(|shared| match &shared.tokens {
            Some(_) => StoreVersion::new([shared.changes, 0, 0, 0, 0]),
            None => StoreVersion::ABSENT,
        })
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}

/// The lock of a [`MemoryStore`].
#[derive(Debug)]
pub struct MemoryLock(MemoryStore);

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.with(|shared| shared.locked = false);
    }
}
