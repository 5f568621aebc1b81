//! Credentials in a place for secrets, such as the operating system's keyring.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::store::blocking::BlockingStore;
use crate::store::document::ParseTokensError;
use crate::store::file::{FileLock, FileStore};
use crate::store::{StoreError, StoreVersion, UNNAMED_LOGIN_COMMAND};
use crate::tokens::Tokens;

/// A place that stores one secret of a few kilobytes, such as an entry of the operating system's keyring.
///
/// Methods may block: [`SecretStore`] calls all except [`location`](Self::location) on the runtime's threads for
/// blocking tasks.
pub trait SecretBackend: Send + Sync + 'static {
    /// Reads the secret; `Ok(None)` if there is none.
    ///
    /// # Errors
    /// [`SecretBackendError`]: tell the user; nothing has been changed.
    fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretBackendError>;

    /// Replaces the secret: a reader gets the old one or this one.
    ///
    /// # Errors
    /// [`SecretBackendError`]: the old secret is still there.
    fn set(&self, secret: &[u8]) -> Result<(), SecretBackendError>;

    /// Deletes the secret and returns whether there was one.
    ///
    /// # Errors
    /// [`SecretBackendError`]: it is still there.
    fn delete(&self) -> Result<bool, SecretBackendError>;

    /// Checks, by writing something else, that [`SecretBackend::set`] can be expected to succeed.
    ///
    /// # Errors
    /// [`SecretBackendError`]: it would fail.
    fn probe(&self) -> Result<(), SecretBackendError>;

    /// Returns the backend's name for messages.
    fn location(&self) -> String;

    /// Returns what the user can do if the backend fails.
    fn advice(&self) -> String {
        "check that it can be reached".to_owned()
    }
}

/// A backend's description of a failure, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretBackendError(pub String);

/// Stores the tokens in a [`SecretBackend`], in the format of [`FileStore`].
///
/// A backend has no lock, and checking it for changes before every request would be slow. A file without secrets, the
/// change marker, provides both: it is replaced after each change of the secret, and its lock file is the lock. If a
/// crash prevents the replacement, other processes still read the backend under the lock before they use a refresh
/// token.
///
/// ```
/// use std::sync::Mutex;
///
/// use codex_auth::{BlockingStore, SecretBackend, SecretBackendError, SecretStore};
/// use zeroize::Zeroizing;
///
/// /// The secret service of an imaginary system.
/// #[derive(Default)]
/// struct Safe(Mutex<Option<Vec<u8>>>);
///
/// impl SecretBackend for Safe {
///     fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretBackendError> {
///         Ok(self.0.lock().unwrap().clone().map(Zeroizing::new))
///     }
///
///     fn set(&self, secret: &[u8]) -> Result<(), SecretBackendError> {
///         *self.0.lock().unwrap() = Some(secret.to_vec());
///         Ok(())
///     }
///
///     fn delete(&self) -> Result<bool, SecretBackendError> {
///         Ok(self.0.lock().unwrap().take().is_some())
///     }
///
///     fn probe(&self) -> Result<(), SecretBackendError> {
///         Ok(())
///     }
///
///     fn location(&self) -> String {
///         "the safe".to_owned()
///     }
/// }
///
/// let store = SecretStore::new(Safe::default(), "/run/user/1000/myapp/login.changed");
/// let store = store.with_login_command("myapp sign-in");
/// assert!(store.load()?.is_none());
/// # Ok::<(), codex_auth::StoreError>(())
/// ```
#[derive(Debug)]
pub struct SecretStore<B> {
    backend: Arc<B>,
    change_marker: FileStore,
    login_command: Arc<str>,
}

impl<B> Clone for SecretStore<B> {
    fn clone(&self) -> Self {
        Self {
            backend: Arc::clone(&self.backend),
            change_marker: self.change_marker.clone(),
            login_command: Arc::clone(&self.login_command),
        }
    }
}

impl<B: SecretBackend> SecretStore<B> {
    /// Creates a store in `backend`, with the change marker at the given path, which need not exist.
    pub fn new(backend: B, change_marker: impl AsRef<Path>) -> Self {
        Self {
            backend: Arc::new(backend),
            change_marker: FileStore::new(change_marker.as_ref()),
            login_command: UNNAMED_LOGIN_COMMAND.into(),
        }
    }

    /// Sets the command that logs in, for messages.
    #[must_use]
    pub fn with_login_command(self, command: impl Into<String>) -> Self {
        Self { login_command: command.into().into(), ..self }
    }

    fn unreadable(&self, error: &SecretBackendError) -> StoreError {
        let advice = self.backend.advice();
        StoreError::Unreadable { location: self.backend.location(), reason: error.to_string(), advice }
    }

    fn unwritable(&self, error: &SecretBackendError) -> StoreError {
        let advice = self.backend.advice();
        StoreError::Unwritable { location: self.backend.location(), reason: error.to_string(), advice }
    }

    fn corrupt(&self, error: &ParseTokensError) -> StoreError {
        let advice = format!("run `{}`, which replaces them", self.login_command);
        StoreError::Corrupt { location: self.backend.location(), reason: error.to_string(), advice }
    }
}

impl<B: SecretBackend> BlockingStore for SecretStore<B> {
    type Lock = FileLock;

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        let content = self.backend.get().map_err(|error| self.unreadable(&error))?;
        let Some(content) = content else { return Ok(None) };
        Tokens::from_json(&content).map(Some).map_err(|error| self.corrupt(&error))
    }

    fn try_lock(&self) -> Result<Option<FileLock>, StoreError> {
        self.change_marker.try_lock()
    }

    fn probe(&self, lock: &FileLock) -> Result<(), StoreError> {
        self.backend.probe().map_err(|error| self.unwritable(&error))?;
        self.change_marker.probe(lock)
    }

    fn save(&self, _: &FileLock, tokens: &Tokens) -> Result<(), StoreError> {
        // A secret that cannot be read has no members to preserve.
        let previous = self.backend.get().ok().flatten().unwrap_or_default();
        let content = tokens.to_json_over(&previous);
        self.backend.set(&content).map_err(|error| self.unwritable(&error))?;
        // For people who open it.
        let place = self.backend.location();
        let marker = format!("The credentials are in {place}. This file tells other processes when they change.\n");
        self.change_marker.replace(marker.as_bytes())
    }

    fn remove(&self, lock: &FileLock) -> Result<bool, StoreError> {
        let held = self.backend.delete().map_err(|error| self.unwritable(&error))?;
        self.change_marker.remove(lock)?;
        Ok(held)
    }

    fn version(&self) -> StoreVersion {
        self.change_marker.version()
    }

    fn location(&self) -> String {
        self.backend.location()
    }

    fn login_command(&self) -> String {
        self.login_command.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct TestBackend {
        secret: Arc<Mutex<Option<Vec<u8>>>>,
        is_locked: Arc<AtomicBool>,
    }

    impl TestBackend {
        fn open<T>(&self, act: impl FnOnce(&mut Option<Vec<u8>>) -> T) -> Result<T, SecretBackendError> {
            if self.is_locked.load(Ordering::Relaxed) {
                return Err(SecretBackendError("it is locked".to_owned()));
            }
            Ok(act(&mut self.secret.lock().unwrap_or_else(PoisonError::into_inner)))
        }
    }

    impl SecretBackend for TestBackend {
        fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretBackendError> {
            self.open(|secret| secret.clone().map(Zeroizing::new))
        }

        fn set(&self, secret: &[u8]) -> Result<(), SecretBackendError> {
            self.open(|held| *held = Some(secret.to_vec()))
        }

        fn delete(&self) -> Result<bool, SecretBackendError> {
            self.open(|secret| secret.take().is_some())
        }

        fn probe(&self) -> Result<(), SecretBackendError> {
            self.open(|_| ())
        }

        fn location(&self) -> String {
            "the backend".to_owned()
        }
    }

    fn tokens(number: u8) -> Tokens {
        let mut tokens = Tokens::new(format!("SECRET-access-{number}").into());
        tokens.refresh_token = Some(format!("SECRET-refresh-{number}").into());
        tokens
    }

    fn save(store: &SecretStore<TestBackend>, tokens: &Tokens) -> Result<(), StoreError> {
        let lock = store.try_lock()?.expect("the lock is free");
        store.save(&lock, tokens)
    }

    #[test]
    fn tokens_come_back_and_every_change_replaces_the_change_marker() {
        let directory = tempfile::tempdir().unwrap();
        let (backend, change_marker) = (TestBackend::default(), directory.path().join("home/credentials.keyring"));
        let [store, other] = [0, 1].map(|_| SecretStore::new(backend.clone(), &change_marker));
        assert!(store.load().unwrap().is_none() && store.version() == StoreVersion::ABSENT);
        let mut versions = vec![other.version()];
        for number in [1, 2] {
            save(&store, &tokens(number)).unwrap();
            let loaded = other.load().unwrap().unwrap();
            assert_eq!(loaded.refresh_token.unwrap().expose(), format!("SECRET-refresh-{number}"));
            assert!(!versions.contains(&other.version()));
            versions.push(other.version());
        }
        let lock = store.try_lock().unwrap().unwrap();
        assert!(other.try_lock().unwrap().is_none(), "one lock for all processes");
        store.probe(&lock).unwrap();
        assert!(store.remove(&lock).unwrap() && !store.remove(&lock).unwrap());
        assert!(other.load().unwrap().is_none() && other.version() == StoreVersion::ABSENT);
    }

    #[test]
    fn no_token_is_in_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let store = SecretStore::new(TestBackend::default(), directory.path().join("credentials.keyring"));
        save(&store, &tokens(1)).unwrap();
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let content = std::fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(!content.contains("SECRET"), "{content}");
        }
    }

    #[test]
    fn a_locked_backend_is_named_and_loses_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let backend = TestBackend::default();
        let store = SecretStore::new(backend.clone(), directory.path().join("credentials.keyring"));
        save(&store, &tokens(1)).unwrap();
        backend.is_locked.store(true, Ordering::Relaxed);
        let error = store.load().unwrap_err();
        assert!(matches!(&error, StoreError::Unreadable { location, .. } if location == "the backend"), "{error}");
        assert!(matches!(save(&store, &tokens(2)), Err(StoreError::Unwritable { .. })));
        let lock = store.try_lock().unwrap().unwrap();
        assert!(store.probe(&lock).is_err() && store.remove(&lock).is_err());
        backend.is_locked.store(false, Ordering::Relaxed);
        assert_eq!(store.load().unwrap().unwrap().access_token.expose(), "SECRET-access-1");
    }

    #[test]
    fn unknown_members_survive_and_damage_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let backend = TestBackend::default();
        let store = SecretStore::new(backend.clone(), directory.path().join("credentials.keyring"));
        backend.set(br#"{"access_token": "a", "note": "kept"}"#).unwrap();
        save(&store, &tokens(1)).unwrap();
        assert!(String::from_utf8(backend.get().unwrap().unwrap().to_vec()).unwrap().contains("kept"));
        backend.set(b"SECRET{").unwrap();
        let error = store.load().unwrap_err();
        assert!(matches!(error, StoreError::Corrupt { .. }) && !error.to_string().contains("SECRET"), "{error}");
        save(&store, &tokens(2)).unwrap();
        assert!(store.load().unwrap().is_some());
    }
}
