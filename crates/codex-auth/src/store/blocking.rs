//! Stores that block, called on blocking threads.

use std::sync::Arc;

use crate::store::{StoreError, StoreVersion, TokenStore};
use crate::tokens::Tokens;

/// A [`TokenStore`] whose methods block, such as a file, the system's keyring or an embedded database.
///
/// Types that are also `Clone` are [`TokenStore`]s, and so is an `Arc` of any. Clones must be the same store.
///
/// [`version`](Self::version), [`location`](Self::location) and [`login_command`](Self::login_command) are called on
/// the runtime's async threads, the other methods on its threads for blocking tasks. A call there runs to its end, with
/// the lock held, even if the future of the [`TokenStore`] method is dropped; a lock whose future was
/// dropped is released at once.
///
/// A type with both traits in scope needs `BlockingStore::load(&store)` or `TokenStore::load(&store)`: import the trait
/// whose methods you call.
///
/// ```
/// use codex_auth::{BlockingStore, StoreError, StoreVersion, Tokens};
///
/// /// Tokens that an administrator has put into a file, which only this program reads and nothing writes.
/// #[derive(Clone)]
/// struct ReadOnly(std::path::PathBuf);
///
/// impl ReadOnly {
///     fn error(&self, reason: String) -> StoreError {
///         StoreError::Other { location: self.location(), reason, advice: "ask the administrator".to_owned() }
///     }
/// }
///
/// impl BlockingStore for ReadOnly {
///     type Lock = ();
///
///     fn load(&self) -> Result<Option<Tokens>, StoreError> {
///         let document = std::fs::read(&self.0).map_err(|error| self.error(error.to_string()))?;
///         Tokens::from_json(&document).map(Some).map_err(|error| self.error(error.to_string()))
///     }
///
///     fn try_lock(&self) -> Result<Option<()>, StoreError> {
///         Ok(Some(()))
///     }
///
///     fn probe(&self, (): &()) -> Result<(), StoreError> {
///         Err(self.error("it is read-only".to_owned()))
///     }
///
///     fn save(&self, lock: &(), _: &Tokens) -> Result<(), StoreError> {
///         self.probe(lock)
///     }
///
///     fn remove(&self, lock: &()) -> Result<bool, StoreError> {
///         self.probe(lock).map(|()| false)
///     }
///
///     fn version(&self) -> StoreVersion {
///         StoreVersion::from(1)
///     }
///
///     fn location(&self) -> String {
///         self.0.display().to_string()
///     }
///
///     fn login_command(&self) -> String {
///         "myapp sign-in".to_owned()
///     }
/// }
///
/// fn is_a_token_store(_: impl codex_auth::TokenStore) {}
/// is_a_token_store(ReadOnly("tokens.json".into()));
/// ```
pub trait BlockingStore: Send + Sync + 'static {
    /// Proof of holding the store's lock; dropping it releases the lock.
    type Lock: Send + Sync + 'static;

    /// As [`TokenStore::load`].
    ///
    /// # Errors
    /// [`StoreError`]: tell the user; nothing has been changed.
    fn load(&self) -> Result<Option<Tokens>, StoreError>;

    /// As [`TokenStore::try_lock`]: must not wait for the lock.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be locked at all.
    fn try_lock(&self) -> Result<Option<Self::Lock>, StoreError>;

    /// As [`TokenStore::probe`].
    ///
    /// # Errors
    /// [`StoreError`]: do not send the token unless there is no other way.
    fn probe(&self, lock: &Self::Lock) -> Result<(), StoreError>;

    /// As [`TokenStore::save`].
    ///
    /// # Errors
    /// [`StoreError`]: the old tokens are still in place; keep the new ones in memory and try again.
    fn save(&self, lock: &Self::Lock, tokens: &Tokens) -> Result<(), StoreError>;

    /// As [`TokenStore::remove`].
    ///
    /// # Errors
    /// [`StoreError`]: they are still there.
    fn remove(&self, lock: &Self::Lock) -> Result<bool, StoreError>;

    /// As [`TokenStore::version`]. Must be cheap (one `stat`, one atomic load), because it is called on an async thread
    /// before every request.
    fn version(&self) -> StoreVersion;

    /// As [`TokenStore::location`].
    fn location(&self) -> String;

    /// As [`TokenStore::login_command`].
    fn login_command(&self) -> String;
}

impl<S: BlockingStore> BlockingStore for Arc<S> {
    type Lock = S::Lock;

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        self.as_ref().load()
    }

    fn try_lock(&self) -> Result<Option<S::Lock>, StoreError> {
        self.as_ref().try_lock()
    }

    fn probe(&self, lock: &S::Lock) -> Result<(), StoreError> {
        self.as_ref().probe(lock)
    }

    fn save(&self, lock: &S::Lock, tokens: &Tokens) -> Result<(), StoreError> {
        self.as_ref().save(lock, tokens)
    }

    fn remove(&self, lock: &S::Lock) -> Result<bool, StoreError> {
        self.as_ref().remove(lock)
    }

    fn version(&self) -> StoreVersion {
        self.as_ref().version()
    }

    fn location(&self) -> String {
        self.as_ref().location()
    }

    fn login_command(&self) -> String {
        self.as_ref().login_command()
    }
}

impl<S: BlockingStore + Clone> TokenStore for S {
    /// Shared with the call that needs it, which thus holds the lock to its end.
    type Lock = Arc<S::Lock>;

    async fn load(&self) -> Result<Option<Tokens>, StoreError> {
        run(self, BlockingStore::load).await
    }

    async fn try_lock(&self) -> Result<Option<Self::Lock>, StoreError> {
        run(self, |store| Ok(BlockingStore::try_lock(store)?.map(Arc::new))).await
    }

    async fn probe(&self, lock: &Self::Lock) -> Result<(), StoreError> {
        let lock = Arc::clone(lock);
        run(self, move |store| BlockingStore::probe(store, &lock)).await
    }

    async fn save(&self, lock: &Self::Lock, tokens: &Tokens) -> Result<(), StoreError> {
        let (lock, tokens) = (Arc::clone(lock), tokens.clone());
        run(self, move |store| BlockingStore::save(store, &lock, &tokens)).await
    }

    async fn remove(&self, lock: &Self::Lock) -> Result<bool, StoreError> {
        let lock = Arc::clone(lock);
        run(self, move |store| BlockingStore::remove(store, &lock)).await
    }

    async fn version(&self) -> StoreVersion {
        BlockingStore::version(self)
    }

    fn location(&self) -> String {
        BlockingStore::location(self)
    }

    fn login_command(&self) -> String {
        BlockingStore::login_command(self)
    }
}

/// Runs `call` on a blocking thread, to its end. A panic goes on in the caller, as if it had run here.
async fn run<S, T>(store: &S, call: impl FnOnce(&S) -> Result<T, StoreError> + Send + 'static) -> Result<T, StoreError>
where
    S: BlockingStore + Clone,
    T: Send + 'static,
{
    let held = store.clone();
    match tokio::task::spawn_blocking(move || call(&held)).await {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoreError::Other {
                location: BlockingStore::location(store),
                reason: "the runtime is shutting down".to_owned(),
                advice: "start the program again".to_owned(),
            }),
        },
    }
}
