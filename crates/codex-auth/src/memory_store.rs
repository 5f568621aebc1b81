//! A store that forgets.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{StoreError, TokenStore, Tokens, Version};

/// Keeps tokens in memory: for tests, and for embedders that get tokens from elsewhere.
///
/// Clones share the tokens and the lock, as processes share a file.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    tokens: Option<Tokens>,
    changes: u64,
    locked: bool,
}

impl MemoryStore {
    /// Returns a store that holds the tokens.
    #[must_use]
    pub fn holding(tokens: Tokens) -> Self {
        let store = Self::default();
        store.put(Some(tokens));
        store
    }

    /// Replaces what the store holds, as a login by another process does.
    pub fn put(&self, tokens: Option<Tokens>) {
        self.with(|shared| {
            shared.tokens = tokens;
            shared.changes += 1;
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut Shared) -> T) -> T {
        act(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
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
        self.put(Some(tokens.clone()));
        Ok(())
    }

    fn remove(&self, _: &MemoryLock) -> Result<bool, StoreError> {
        let held = self.with(|shared| shared.tokens.is_some());
        self.put(None);
        Ok(held)
    }

    fn version(&self) -> Version {
        self.with(|shared| match &shared.tokens {
            Some(_) => Version::new([shared.changes, 0, 0, 0, 0]),
            None => Version::ABSENT,
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
