//! A store in memory.

use std::sync::{Arc, Mutex};

use crate::lock::lock;
use crate::store::{StoreError, StoreVersion, TokenStore, UNNAMED_LOGIN_COMMAND};
use crate::tokens::Tokens;

/// Stores tokens in memory: for tests, and for embedders that get tokens from elsewhere.
///
/// Clones share the tokens and the lock, as processes share a file.
///
/// ```
/// use codex_auth::{MemoryStore, Secret, Tokens};
///
/// let store = MemoryStore::with_tokens(Tokens::new(Secret::new("access")));
/// assert!(store.tokens().is_some());
/// store.set_tokens(None); // logs out
/// ```
#[derive(Clone, Debug)]
pub struct MemoryStore {
    shared: Arc<Mutex<MemoryStoreState>>,
    login_command: Arc<str>,
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

    /// Sets the command that logs in, for messages.
    #[must_use]
    pub fn with_login_command(self, command: impl Into<String>) -> Self {
        Self { login_command: command.into().into(), ..self }
    }

    /// Returns the tokens, if there are any.
    #[must_use]
    pub fn tokens(&self) -> Option<Tokens> {
        self.with(|shared| shared.tokens.clone())
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

impl Default for MemoryStore {
    fn default() -> Self {
        Self { shared: Arc::default(), login_command: UNNAMED_LOGIN_COMMAND.into() }
    }
}

/// No method waits.
impl TokenStore for MemoryStore {
    type Lock = MemoryLock;

    async fn load(&self) -> Result<Option<Tokens>, StoreError> {
        Ok(self.tokens())
    }

    async fn try_lock(&self) -> Result<Option<MemoryLock>, StoreError> {
        let free = self.with(|shared| !std::mem::replace(&mut shared.locked, true));
        Ok(free.then(|| MemoryLock(self.clone())))
    }

    async fn probe(&self, _: &MemoryLock) -> Result<(), StoreError> {
        Ok(())
    }

    async fn save(&self, _: &MemoryLock, tokens: &Tokens) -> Result<(), StoreError> {
        self.set_tokens(Some(tokens.clone()));
        Ok(())
    }

    async fn remove(&self, _: &MemoryLock) -> Result<bool, StoreError> {
        let held = self.tokens().is_some();
        self.set_tokens(None);
        Ok(held)
    }

    async fn version(&self) -> StoreVersion {
        self.with(|shared| match &shared.tokens {
            Some(_) => shared.changes.into(),
            None => StoreVersion::ABSENT,
        })
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn login_command(&self) -> String {
        self.login_command.to_string()
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
