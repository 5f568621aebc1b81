//! Where the tokens of a login are stored.

pub(crate) mod any;
pub(crate) mod codex_cli;
pub(crate) mod credentials;
pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod secret_backend;

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use crate::tokens::Tokens;

/// Stores the tokens of one login.
///
/// Methods block briefly; the manager calls those that read or write tokens on a blocking thread. Several processes may
/// share a store: a process that changes it holds the lock from before it reads the tokens until it has written them.
pub trait TokenStore: Send + Sync + 'static {
    /// Proof of holding the store's lock; dropping it releases the lock.
    type Lock: Send + Sync + 'static;

    /// Reads the tokens; `Ok(None)` if there are none.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] and [`StoreError::Corrupt`]: tell the user; nothing has been changed.
    fn load(&self) -> Result<Option<Tokens>, StoreError>;

    /// Acquires the lock; `Ok(None)` if another process holds it: try again later.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`] if the store cannot be locked at all.
    fn try_lock(&self) -> Result<Option<Self::Lock>, StoreError>;

    /// Checks, by writing, that [`TokenStore::save`] can be expected to succeed. Called before a single-use token is
    /// sent.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`]: do not send the token unless there is no other way.
    fn probe(&self, lock: &Self::Lock) -> Result<(), StoreError>;

    /// Writes the tokens durably and atomically: a reader gets the old ones or these, even after a crash.
    ///
    /// # Errors
    /// [`StoreError`]: the old tokens are still in place; keep the new ones in memory and try again.
    fn save(&self, lock: &Self::Lock, tokens: &Tokens) -> Result<(), StoreError>;

    /// Deletes the tokens and returns whether there were any.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`]: they are still there.
    fn remove(&self, lock: &Self::Lock) -> Result<bool, StoreError>;

    /// Returns a version that differs whenever the stored tokens may have changed. Must be cheap (one `stat`), because
    /// it is called before every request.
    fn version(&self) -> StoreVersion;

    /// Returns the store's name for messages, such as its path.
    fn location(&self) -> String;

    /// Returns the command that puts a new login into the store, for messages.
    fn login_command(&self) -> &'static str {
        "codex-proxy login"
    }
}

/// The state of a store, only for comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreVersion([u64; 5]);

impl StoreVersion {
    /// The version of an empty store.
    pub const ABSENT: Self = Self([0; 5]);

    /// Creates a version from whatever changes when the tokens do.
    #[must_use]
    pub const fn new(parts: [u64; 5]) -> Self {
        Self(parts)
    }
}

/// A failed operation on a store; the message names the path and the next step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The credentials exist but cannot be read.
    #[error("cannot read the credentials in {}: {reason}; {advice}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's message.
        reason: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// The credentials do not parse. The file stays in place; the next save renames it to `….corrupt-N`.
    #[error("the credentials in {} are damaged ({reason}): run `codex-proxy login` (it keeps a copy of the damaged file)", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong, without quoting the content.
        reason: String,
    },
    /// The credentials cannot be written; the stored ones are unchanged.
    #[error("cannot write the credentials to {}: {reason}; free space or make the directory writable", .path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's message.
        reason: String,
    },
    /// Another process has held the lock for too long.
    #[error("another codex-proxy has held the lock of {} for too long: end it, then try again", .path.display())]
    Locked {
        /// The store.
        path: PathBuf,
    },
}

/// Checks that tokens can be stored, before a user goes through a login.
///
/// # Errors
/// [`StoreError`] if they could not. Damaged credentials are no obstacle: the next save keeps a copy of them.
pub fn check_writable<S: TokenStore>(store: &S) -> Result<(), StoreError> {
    if let Err(error @ StoreError::Unreadable { .. }) = store.load() {
        return Err(error);
    }
    // If the lock is taken, the process that holds it can write here.
    store.try_lock()?.map_or(Ok(()), |lock| store.probe(&lock))
}

/// Waits for the store's lock, trying again after pauses of 10 to 200 ms.
///
/// # Errors
/// [`StoreError::Locked`] if it is still taken after `wait`, or the error of [`TokenStore::try_lock`].
pub async fn wait_for_lock<S: TokenStore>(store: &S, wait: Duration) -> Result<S::Lock, StoreError> {
    let deadline = Instant::now() + wait;
    let mut pause = Duration::from_millis(10);
    loop {
        // Opening a file and trying its lock takes no longer than the `stat` before every request.
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
