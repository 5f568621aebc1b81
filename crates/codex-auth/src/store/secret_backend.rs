//! Credentials in a place for secrets, such as the operating system's keyring.

use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::store::file::{FileLock, FileStore};
use crate::store::{StoreError, StoreVersion, TokenStore, credentials};
use crate::tokens::Tokens;

/// A place that stores one secret of a few kilobytes, such as an entry of the operating system's keyring.
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
}

/// A backend's description of a failure, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SecretBackendError(pub String);

/// What the user can do about a backend that fails.
const ADVICE: &str = "unlock the keyring, or store the credentials in a file";

/// The content of the change marker, for people who open it.
const CHANGE_MARKER: &[u8] = b"The credentials are in the keyring. This file tells other processes when they change.\n";

/// Stores the tokens in a [`SecretBackend`], in the format of [`FileStore`].
///
/// A backend has no lock, and checking it for changes before every request would be slow. A file without secrets, the
/// change marker, provides both: it is replaced after each change of the secret, and its lock file is the lock. If a
/// crash prevents the replacement, other processes still read the backend under the lock before they use a refresh
/// token.
#[derive(Debug)]
pub struct SecretStore<B> {
    backend: Arc<B>,
    change_marker: FileStore,
}

impl<B> Clone for SecretStore<B> {
    fn clone(&self) -> Self {
        Self { backend: Arc::clone(&self.backend), change_marker: self.change_marker.clone() }
    }
}

impl<B: SecretBackend> SecretStore<B> {
    /// Creates a store in `backend`, with the change marker at the given path, which need not exist.
    pub fn new(backend: B, change_marker: impl AsRef<Path>) -> Self {
        Self { backend: Arc::new(backend), change_marker: FileStore::new(change_marker.as_ref()) }
    }

    fn unreadable(&self, reason: String, advice: &'static str) -> StoreError {
        StoreError::Unreadable { path: self.backend.location().into(), reason, advice }
    }

    fn unwritable(&self, error: &SecretBackendError) -> StoreError {
        StoreError::Unwritable { path: self.backend.location().into(), reason: error.to_string() }
    }
}

impl<B: SecretBackend> TokenStore for SecretStore<B> {
    type Lock = FileLock;

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        let content = self.backend.get().map_err(|error| self.unreadable(error.to_string(), ADVICE))?;
        let Some(content) = content else { return Ok(None) };
        let damaged = |reason| self.unreadable(reason, "run `codex-proxy logout`, then `codex-proxy login`");
        credentials::parse(&content).map(Some).map_err(damaged)
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
        let previous = self.backend.get().ok().flatten();
        let content = Zeroizing::new(credentials::render(previous.as_ref().map(|content| content.as_slice()), tokens));
        self.backend.set(&content).map_err(|error| self.unwritable(&error))?;
        self.change_marker.replace(CHANGE_MARKER)
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
        assert!(matches!(&error, StoreError::Unreadable { path, .. } if path == Path::new("the backend")), "{error}");
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
        assert!(matches!(error, StoreError::Unreadable { .. }) && !error.to_string().contains("SECRET"), "{error}");
        save(&store, &tokens(2)).unwrap();
        assert!(store.load().unwrap().is_some());
    }
}
