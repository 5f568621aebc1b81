//! Where credentials are kept.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::Tokens;

/// Keeps the tokens of one login.
///
/// Methods block, briefly; the manager calls those that read or write tokens on a blocking thread. A store is shared by
/// processes: whoever changes it holds its lock from before the tokens were read until they are written.
pub trait TokenStore: Send + Sync + 'static {
    /// Proof of holding the store's lock; dropping it releases the lock.
    type Lock: Send + Sync + 'static;

    /// Reads the tokens; `Ok(None)` when there are none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unreadable`] and [`StoreError::Corrupt`]: tell the user; nothing has been changed.
    fn load(&self) -> Result<Option<Tokens>, StoreError>;

    /// Takes the lock; `Ok(None)` when somebody else holds it: ask again later.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unwritable`] when there can be no lock at all.
    fn try_lock(&self) -> Result<Option<Self::Lock>, StoreError>;

    /// Proves, by writing, that [`TokenStore::save`] can be expected to succeed. Asked before a single-use token is
    /// spent.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unwritable`]: do not spend the token unless there is no other way.
    fn probe(&self, lock: &Self::Lock) -> Result<(), StoreError>;

    /// Writes the tokens durably and atomically: a reader sees the old ones or these, also after a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError`]: the old tokens are still in place; keep the new ones in memory and try again.
    fn save(&self, lock: &Self::Lock, tokens: &Tokens) -> Result<(), StoreError>;

    /// Deletes the tokens and returns whether there were any.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unwritable`]: they are still there.
    fn remove(&self, lock: &Self::Lock) -> Result<bool, StoreError>;

    /// Returns a mark that differs whenever the stored tokens may have changed. Must be cheap (one `stat`), for it is
    /// asked before every request.
    fn version(&self) -> StoreVersion;

    /// Names the store in messages.
    fn location(&self) -> String;

    /// Names the command that puts a new login into the store, for messages.
    fn login_command(&self) -> &'static str {
        "codex-proxy login"
    }
}

/// A mark of a store's state, only good for comparing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreVersion([u64; 5]);

impl StoreVersion {
    /// The mark of a store that holds nothing.
    pub const ABSENT: Self = Self([0; 5]);

    /// Makes a mark of whatever changes when the tokens do.
    #[must_use]
    pub const fn new(mark: [u64; 5]) -> Self {
        Self(mark)
    }
}

/// A store that cannot do what was asked; the message names the path and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The credentials exist but cannot be read.
    #[error("cannot read the credentials in {}: {reason}; {advice}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The credentials do not parse. The file is left in place; the next save keeps it aside as `….corrupt-N`.
    #[error("the credentials in {} are damaged ({reason}): run `codex-proxy login` (the damaged file is kept aside)", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong; quotes nothing of the content.
        reason: String,
    },
    /// The credentials cannot be written; those stored before are untouched.
    #[error("cannot write the credentials to {}: {reason}; free space or make the directory writable", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Another process has held the lock for too long.
    #[error("another codex-proxy has held {} for too long: end it, then try again", .path.display())]
    Locked {
        /// The store.
        path: PathBuf,
    },
}

/// Finds out whether tokens can be stored, before somebody takes the trouble of a login.
///
/// # Errors
///
/// [`StoreError`] when they could not. Damaged credentials are no obstacle: the next save keeps them aside.
pub fn check_writable<S: TokenStore>(store: &S) -> Result<(), StoreError> {
    if let Err(error @ StoreError::Unreadable { .. }) = store.load() {
        return Err(error);
    }
    // Whoever holds the lock can write here.
    store.try_lock()?.map_or(Ok(()), |lock| store.probe(&lock))
}

/// Waits for the store's lock, asking again after pauses of 10 to 200 ms.
///
/// # Errors
///
/// [`StoreError::Locked`] when it is still held after `wait`, or what [`TokenStore::try_lock`] says.
pub async fn wait_for_lock<S: TokenStore>(store: &S, wait: Duration) -> Result<S::Lock, StoreError> {
    let deadline = Instant::now() + wait;
    let mut pause = Duration::from_millis(10);
    loop {
        // Opening a file and asking for its lock takes no longer than the `stat` before every request.
        if let Some(lock) = store.try_lock()? {
            return Ok(lock);
        }
        if Instant::now() >= deadline {
            return Err(StoreError::Locked { path: store.location().into() });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(200));
    }
}
