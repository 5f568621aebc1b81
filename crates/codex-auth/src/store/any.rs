//! A store whose kind is chosen at run time.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use crate::store::{StoreError, StoreVersion, TokenStore};
use crate::tokens::Tokens;

/// A store whose kind is chosen at run time. Clones are the same store.
///
/// A program that can store its login in several places uses this type for all of them, so that generic code is
/// compiled once.
#[derive(Clone)]
pub struct AnyStore(Arc<dyn DynStore>);

/// The lock of an [`AnyStore`].
pub struct AnyLock(Box<dyn Any + Send + Sync>);

impl AnyStore {
    /// Wraps a store of any kind.
    pub fn new<S: TokenStore>(store: S) -> Self {
        Self(Arc::new(store))
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AnyStore").field(&TokenStore::location(self)).finish()
    }
}

impl fmt::Debug for AnyLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyLock").finish_non_exhaustive()
    }
}

/// [`TokenStore`] with a single lock type.
trait DynStore: Send + Sync {
    fn load(&self) -> Result<Option<Tokens>, StoreError>;
    fn try_lock(&self) -> Result<Option<AnyLock>, StoreError>;
    fn probe(&self, lock: &AnyLock) -> Result<(), StoreError>;
    fn save(&self, lock: &AnyLock, tokens: &Tokens) -> Result<(), StoreError>;
    fn remove(&self, lock: &AnyLock) -> Result<bool, StoreError>;
    fn version(&self) -> StoreVersion;
    fn location(&self) -> String;
    fn login_command(&self) -> &'static str;
}

impl<S: TokenStore> DynStore for S {
    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        TokenStore::load(self)
    }

    fn try_lock(&self) -> Result<Option<AnyLock>, StoreError> {
        Ok(TokenStore::try_lock(self)?.map(|lock| AnyLock(Box::new(lock))))
    }

    fn probe(&self, lock: &AnyLock) -> Result<(), StoreError> {
        TokenStore::probe(self, own(self, lock)?)
    }

    fn save(&self, lock: &AnyLock, tokens: &Tokens) -> Result<(), StoreError> {
        TokenStore::save(self, own(self, lock)?, tokens)
    }

    fn remove(&self, lock: &AnyLock) -> Result<bool, StoreError> {
        TokenStore::remove(self, own(self, lock)?)
    }

    fn version(&self) -> StoreVersion {
        TokenStore::version(self)
    }

    fn location(&self) -> String {
        TokenStore::location(self)
    }

    fn login_command(&self) -> &'static str {
        TokenStore::login_command(self)
    }
}

/// Returns the lock as its store created it. The lock of another kind of store proves nothing here.
fn own<'a, S: TokenStore>(store: &S, lock: &'a AnyLock) -> Result<&'a S::Lock, StoreError> {
    lock.0.downcast_ref().ok_or_else(|| StoreError::Unwritable {
        path: TokenStore::location(store).into(),
        reason: "the lock belongs to another store".to_owned(),
    })
}

impl TokenStore for AnyStore {
    type Lock = AnyLock;

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        DynStore::load(&*self.0)
    }

    fn try_lock(&self) -> Result<Option<AnyLock>, StoreError> {
        DynStore::try_lock(&*self.0)
    }

    fn probe(&self, lock: &AnyLock) -> Result<(), StoreError> {
        DynStore::probe(&*self.0, lock)
    }

    fn save(&self, lock: &AnyLock, tokens: &Tokens) -> Result<(), StoreError> {
        DynStore::save(&*self.0, lock, tokens)
    }

    fn remove(&self, lock: &AnyLock) -> Result<bool, StoreError> {
        DynStore::remove(&*self.0, lock)
    }

    fn version(&self) -> StoreVersion {
        DynStore::version(&*self.0)
    }

    fn location(&self) -> String {
        DynStore::location(&*self.0)
    }

    fn login_command(&self) -> &'static str {
        DynStore::login_command(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{AnyStore, TokenStore, Tokens};
    use crate::{CodexCliStore, MemoryStore, Secret};

    #[test]
    fn any_store_behaves_as_the_store_in_it() {
        let memory = MemoryStore::default();
        let store = AnyStore::new(memory.clone());
        assert_eq!((store.location(), store.login_command()), (memory.location(), memory.login_command()));
        let lock = store.try_lock().unwrap().unwrap();
        assert!(store.try_lock().unwrap().is_none() && memory.try_lock().unwrap().is_none());
        store.probe(&lock).unwrap();
        store.save(&lock, &Tokens::new(Secret::new("token".to_owned()))).unwrap();
        assert!(memory.load().unwrap().is_some() && store.load().unwrap().is_some());
        assert_eq!(memory.version(), store.version());
        assert!(store.remove(&lock).unwrap() && memory.load().unwrap().is_none());
        drop(lock);
        assert!(memory.try_lock().unwrap().is_some());
    }

    #[test]
    fn the_lock_of_another_kind_of_store_is_rejected() {
        let lock = AnyStore::new(CodexCliStore::new("auth.json")).try_lock().unwrap().unwrap();
        let store = AnyStore::new(MemoryStore::default());
        assert!(store.probe(&lock).is_err() && store.remove(&lock).is_err());
    }
}
