//! A store whose kind is chosen at run time.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::store::{StoreError, StoreVersion, TokenStore};
use crate::tokens::Tokens;

/// A store whose kind is chosen at run time. Clones are the same store.
///
/// A program that can store its login in several places uses this type for all of them, so that generic code is
/// compiled once.
///
/// ```
/// use codex_auth::{AnyStore, FileStore, MemoryStore, TokenStore};
///
/// let in_memory = std::env::args().any(|arg| arg == "--ephemeral");
/// let store = if in_memory {
///     AnyStore::new(MemoryStore::default())
/// } else {
///     AnyStore::new(FileStore::new("/home/ada/.config/myapp/login.json").with_login_command("myapp sign-in"))
/// };
/// println!("the login is in {}", store.location());
/// ```
#[derive(Clone)]
pub struct AnyStore(Arc<dyn DynStore>);

/// The lock of an [`AnyStore`]. Only that store and its clones accept it.
pub struct AnyLock {
    lock: Box<DynLock>,
    /// Dropped after the lock.
    store: Arc<dyn DynStore>,
}

impl AnyStore {
    /// Wraps a store of any kind.
    pub fn new<S: TokenStore>(store: S) -> Self {
        Self(Arc::new(store))
    }

    /// Returns the lock as its store created it. The lock of another store proves nothing here.
    fn own<'a>(&self, lock: &'a AnyLock) -> Result<&'a DynLock, StoreError> {
        if Arc::ptr_eq(&self.0, &lock.store) { Ok(&*lock.lock) } else { Err(foreign_lock(TokenStore::location(self))) }
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

type DynLock = dyn Any + Send + Sync;

/// [`TokenStore`] with a single type of lock, and of future for each method.
trait DynStore: Send + Sync {
    fn load(&self) -> BoxFuture<'_, Result<Option<Tokens>, StoreError>>;
    fn try_lock(&self) -> BoxFuture<'_, Result<Option<Box<DynLock>>, StoreError>>;
    fn probe<'a>(&'a self, lock: &'a DynLock) -> BoxFuture<'a, Result<(), StoreError>>;
    fn save<'a>(&'a self, lock: &'a DynLock, tokens: &'a Tokens) -> BoxFuture<'a, Result<(), StoreError>>;
    fn remove<'a>(&'a self, lock: &'a DynLock) -> BoxFuture<'a, Result<bool, StoreError>>;
    fn version(&self) -> BoxFuture<'_, StoreVersion>;
    fn location(&self) -> String;
    fn login_command(&self) -> String;
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl<S: TokenStore> DynStore for S {
    fn load(&self) -> BoxFuture<'_, Result<Option<Tokens>, StoreError>> {
        Box::pin(TokenStore::load(self))
    }

    fn try_lock(&self) -> BoxFuture<'_, Result<Option<Box<DynLock>>, StoreError>> {
        Box::pin(async { Ok(TokenStore::try_lock(self).await?.map(|lock| -> Box<DynLock> { Box::new(lock) })) })
    }

    fn probe<'a>(&'a self, lock: &'a DynLock) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { TokenStore::probe(self, own(self, lock)?).await })
    }

    fn save<'a>(&'a self, lock: &'a DynLock, tokens: &'a Tokens) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async { TokenStore::save(self, own(self, lock)?, tokens).await })
    }

    fn remove<'a>(&'a self, lock: &'a DynLock) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async { TokenStore::remove(self, own(self, lock)?).await })
    }

    fn version(&self) -> BoxFuture<'_, StoreVersion> {
        Box::pin(TokenStore::version(self))
    }

    fn location(&self) -> String {
        TokenStore::location(self)
    }

    fn login_command(&self) -> String {
        TokenStore::login_command(self)
    }
}

fn own<'a, S: TokenStore>(store: &S, lock: &'a DynLock) -> Result<&'a S::Lock, StoreError> {
    lock.downcast_ref().ok_or_else(|| foreign_lock(TokenStore::location(store)))
}

fn foreign_lock(location: String) -> StoreError {
    StoreError::Other {
        location,
        reason: "the lock belongs to another store".to_owned(),
        advice: "use the lock with the store that returned it".to_owned(),
    }
}

impl TokenStore for AnyStore {
    type Lock = AnyLock;

    async fn load(&self) -> Result<Option<Tokens>, StoreError> {
        DynStore::load(&*self.0).await
    }

    async fn try_lock(&self) -> Result<Option<AnyLock>, StoreError> {
        let lock = DynStore::try_lock(&*self.0).await?;
        Ok(lock.map(|lock| AnyLock { lock, store: Arc::clone(&self.0) }))
    }

    async fn probe(&self, lock: &AnyLock) -> Result<(), StoreError> {
        DynStore::probe(&*self.0, self.own(lock)?).await
    }

    async fn save(&self, lock: &AnyLock, tokens: &Tokens) -> Result<(), StoreError> {
        DynStore::save(&*self.0, self.own(lock)?, tokens).await
    }

    async fn remove(&self, lock: &AnyLock) -> Result<bool, StoreError> {
        DynStore::remove(&*self.0, self.own(lock)?).await
    }

    async fn version(&self) -> StoreVersion {
        DynStore::version(&*self.0).await
    }

    fn location(&self) -> String {
        DynStore::location(&*self.0)
    }

    fn login_command(&self) -> String {
        DynStore::login_command(&*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{AnyStore, TokenStore, Tokens};
    use crate::{CodexCliStore, FileStore, MemoryStore, Secret};

    #[tokio::test]
    async fn any_store_behaves_as_the_store_in_it() {
        let memory = MemoryStore::default();
        let store = AnyStore::new(memory.clone());
        assert_eq!((store.location(), store.login_command()), (memory.location(), memory.login_command()));
        let lock = store.try_lock().await.unwrap().unwrap();
        assert!(store.try_lock().await.unwrap().is_none() && memory.try_lock().await.unwrap().is_none());
        store.probe(&lock).await.unwrap();
        store.save(&lock, &Tokens::new(Secret::new("token".to_owned()))).await.unwrap();
        assert!(memory.tokens().is_some() && store.load().await.unwrap().is_some());
        assert_eq!(memory.version().await, store.version().await);
        assert!(store.remove(&lock).await.unwrap() && memory.tokens().is_none());
        drop(lock);
        assert!(memory.try_lock().await.unwrap().is_some());
    }

    #[tokio::test]
    async fn the_lock_of_another_store_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name| AnyStore::new(FileStore::new(directory.path().join(name)));
        let store = file("b.json");
        let others =
            [AnyStore::new(CodexCliStore::new("auth.json")), AnyStore::new(MemoryStore::default()), file("a.json")];
        for other in others {
            let lock = other.try_lock().await.unwrap().unwrap();
            assert!(store.probe(&lock).await.is_err() && store.remove(&lock).await.is_err());
            assert!(store.save(&lock, &Tokens::new(Secret::new("token"))).await.is_err());
        }
        let lock = store.try_lock().await.unwrap().unwrap();
        store.clone().probe(&lock).await.unwrap();
    }
}
