//! Where the tokens of a login are stored.

pub(crate) mod any;
pub(crate) mod blocking;
pub(crate) mod codex_cli;
pub(crate) mod document;
pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod secret_backend;

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::later;
use crate::tokens::Tokens;

/// The login command of a store that was not given one, for messages.
pub(crate) const UNNAMED_LOGIN_COMMAND: &str = "the program's login command";

/// Stores the tokens of one login.
///
/// Several processes may share a store: a process that changes it holds the lock from before it reads the tokens until
/// it has written them.
///
/// A store that can wait without blocking, such as a database, implements this trait, with `async fn`. A store that
/// blocks, such as a file, implements [`BlockingStore`](crate::BlockingStore) instead and gets this trait from it.
///
/// # Where methods run
/// Methods run on the runtime's async threads, so they must not block. The manager calls each except [`version`] from
/// a task of its own, which callers cannot cancel. A panic is an error like any other: it ends neither the manager's
/// tasks nor its callers, and a token that is valid, or has just been issued, stays in use.
///
/// | Method | When the manager drops its future | Time limit |
/// |---|---|---|
/// | [`version`], [`load`], [`probe`] | after the time limit | [`store_wait`] |
/// | [`try_lock`] | after the time limit | [`lock_wait`], all attempts together |
/// | [`save`] | never | none: set one in the store |
///
/// Outside of the manager, a future lives as long as its caller lets it: dropping a login drops its [`save`]. Whenever
/// a future is dropped, the store must stay whole: the tokens are the old or the new ones, and a lock that was not
/// returned is released, at the latest when it expires.
///
/// [`version`]: Self::version
/// [`load`]: Self::load
/// [`probe`]: Self::probe
/// [`try_lock`]: Self::try_lock
/// [`save`]: Self::save
/// [`store_wait`]: crate::RefreshPolicy::store_wait
/// [`lock_wait`]: crate::RefreshPolicy::lock_wait
///
/// # Example
/// A store in one process, whose lock is a mutex of tokio; the guard of a `std` mutex is neither `Send` nor `'static`.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use codex_auth::{StoreError, StoreVersion, TokenStore, Tokens};
/// use tokio::sync::OwnedMutexGuard;
///
/// #[derive(Default)]
/// struct Row {
///     document: Mutex<(u64, Option<Vec<u8>>)>,
///     lock: Arc<tokio::sync::Mutex<()>>,
/// }
///
/// impl TokenStore for Row {
///     type Lock = OwnedMutexGuard<()>;
///
///     async fn load(&self) -> Result<Option<Tokens>, StoreError> {
///         let document = self.document.lock().unwrap().1.clone();
///         let damaged = |error: codex_auth::ParseTokensError| StoreError::Corrupt {
///             location: self.location(),
///             reason: error.to_string(),
///             advice: format!("run `{}`", self.login_command()),
///         };
///         document.map(|document| Tokens::from_json(&document).map_err(damaged)).transpose()
///     }
///
///     async fn try_lock(&self) -> Result<Option<Self::Lock>, StoreError> {
///         Ok(self.lock.clone().try_lock_owned().ok())
///     }
///
///     async fn probe(&self, _: &Self::Lock) -> Result<(), StoreError> {
///         Ok(())
///     }
///
///     async fn save(&self, _: &Self::Lock, tokens: &Tokens) -> Result<(), StoreError> {
///         let mut document = self.document.lock().unwrap();
///         *document = (document.0 + 1, Some(tokens.to_json().to_vec()));
///         Ok(())
///     }
///
///     async fn remove(&self, _: &Self::Lock) -> Result<bool, StoreError> {
///         let mut document = self.document.lock().unwrap();
///         let removed = document.1.take().is_some();
///         document.0 += 1;
///         Ok(removed)
///     }
///
///     async fn version(&self) -> StoreVersion {
///         self.document.lock().unwrap().0.into()
///     }
///
///     fn location(&self) -> String {
///         "the row".to_owned()
///     }
///
///     fn login_command(&self) -> String {
///         "myapp sign-in --profile work".to_owned()
///     }
/// }
/// ```
pub trait TokenStore: Send + Sync + 'static {
    /// Proof of holding the store's lock; dropping it releases the lock.
    type Lock: Send + Sync + 'static;

    /// Reads the tokens; `Ok(None)` if there are none.
    ///
    /// # Errors
    /// [`StoreError`]: tell the user; nothing has been changed.
    fn load(&self) -> impl Future<Output = Result<Option<Tokens>, StoreError>> + Send;

    /// Tries to acquire the lock; `Ok(None)` if another process holds it: try again later.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be locked at all.
    fn try_lock(&self) -> impl Future<Output = Result<Option<Self::Lock>, StoreError>> + Send;

    /// Checks, by writing, that [`TokenStore::save`] can be expected to succeed. Called before a single-use token is
    /// sent.
    ///
    /// # Errors
    /// [`StoreError`]: do not send the token unless there is no other way.
    fn probe(&self, lock: &Self::Lock) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Writes the tokens durably and atomically: a reader gets the old ones or these, even after a crash.
    ///
    /// # Errors
    /// [`StoreError`]: the old tokens are still in place; keep the new ones in memory and try again.
    fn save(&self, lock: &Self::Lock, tokens: &Tokens) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Deletes the tokens and returns whether there were any.
    ///
    /// # Errors
    /// [`StoreError`]: they are still there.
    fn remove(&self, lock: &Self::Lock) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Returns a version that differs whenever the stored tokens may have changed.
    ///
    /// Called before every request. Concurrent requests share one call unless it completes at once. A store for which
    /// this is too much can return a version that is a second old; changes are then noticed a second later. A version
    /// never comes back, and a store that cannot answer returns the last one that it knows.
    fn version(&self) -> impl Future<Output = StoreVersion> + Send;

    /// Returns the store's name for messages, such as its path. The manager reads it once.
    fn location(&self) -> String;

    /// Returns the command that puts a new login into the store, for messages: any text that fits between "run `" and
    /// "`", such as `myapp sign-in --profile work`. The manager reads it once.
    fn login_command(&self) -> String;
}

/// The state of a store, only for comparison.
///
/// ```
/// use codex_auth::StoreVersion;
///
/// let row_version = 0_u64;
/// assert_ne!(StoreVersion::from(row_version), StoreVersion::ABSENT);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreVersion(VersionKind);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum VersionKind {
    #[default]
    Absent,
    Number(u64),
    File([u64; 5]),
}

impl StoreVersion {
    /// The version of an empty store; differs from that of every number.
    pub const ABSENT: Self = Self(VersionKind::Absent);

    /// Creates the version of a file from what changes with its content.
    pub(crate) const fn of_file(parts: [u64; 5]) -> Self {
        Self(VersionKind::File(parts))
    }
}

impl From<u64> for StoreVersion {
    /// Creates the version of a store that counts its changes, such as the version of a row.
    fn from(number: u64) -> Self {
        Self(VersionKind::Number(number))
    }
}

/// A failed operation on a store; the message names the store and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The credentials exist but cannot be read.
    #[error("cannot read the credentials in {location}: {reason}; {advice}")]
    Unreadable {
        /// The store, as in [`TokenStore::location`].
        location: String,
        /// The system's message.
        reason: String,
        /// The next step.
        advice: String,
    },
    /// The credentials do not parse. A login may replace them.
    #[error("the credentials in {location} are damaged ({reason}): {advice}")]
    Corrupt {
        /// The store, as in [`TokenStore::location`].
        location: String,
        /// What is wrong, without quoting the content.
        reason: String,
        /// The next step.
        advice: String,
    },
    /// The credentials cannot be written; the stored ones are unchanged.
    #[error("cannot write the credentials to {location}: {reason}; {advice}")]
    Unwritable {
        /// The store, as in [`TokenStore::location`].
        location: String,
        /// The system's message.
        reason: String,
        /// The next step.
        advice: String,
    },
    /// Another process has held the lock for too long.
    #[error("another process has held the lock of {location} for too long: end it, then try again")]
    Locked {
        /// The store, as in [`TokenStore::location`].
        location: String,
    },
    /// Any other failure, such as that of a connection to a database.
    #[error("cannot use the credentials in {location}: {reason}; {advice}")]
    Other {
        /// The store, as in [`TokenStore::location`].
        location: String,
        /// What has failed, without secrets.
        reason: String,
        /// The next step.
        advice: String,
    },
}

impl StoreError {
    /// Creates the error of a store that does not answer.
    pub(crate) fn unanswered(location: String, wait: Duration) -> Self {
        let reason = format!("no answer within {} s", wait.as_secs());
        Self::Other { location, reason, advice: "check that the store can be reached".to_owned() }
    }

    /// Creates the error of a store whose code has a defect.
    pub(crate) fn panicked(location: String) -> Self {
        let advice = "report this to the program's authors".to_owned();
        Self::Other { location, reason: "the store panicked".to_owned(), advice }
    }
}

/// Checks that tokens can be stored, before a user goes through a login.
///
/// # Errors
/// [`StoreError`] if they could not. Damaged credentials are no obstacle: the next save replaces them.
pub async fn check_writable<S: TokenStore>(store: &S) -> Result<(), StoreError> {
    match store.load().await {
        Ok(_) | Err(StoreError::Corrupt { .. }) => {}
        Err(error) => return Err(error),
    }
    // If the lock is taken, the process that holds it can write here.
    match store.try_lock().await? {
        Some(lock) => store.probe(&lock).await,
        None => Ok(()),
    }
}

/// Waits for the store's lock, trying again after pauses of 10 to 200 ms.
///
/// # Errors
/// [`StoreError::Locked`] if it is still taken after `wait`, [`StoreError::Other`] if the store has not answered by
/// then, or the error of [`TokenStore::try_lock`].
pub async fn wait_for_lock<S: TokenStore>(store: &S, wait: Duration) -> Result<S::Lock, StoreError> {
    let deadline = later(Instant::now(), wait);
    let mut pause = Duration::from_millis(10);
    let mut is_taken = false;
    while let Ok(answer) = tokio::time::timeout_at(deadline, store.try_lock()).await {
        if let Some(lock) = answer? {
            return Ok(lock);
        }
        is_taken = true;
        if Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
    let location = store.location();
    Err(if is_taken { StoreError::Locked { location } } else { StoreError::unanswered(location, wait) })
}
