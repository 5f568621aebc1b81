//! The store of the program's own login.

use codex_auth::{
    BlockingStore, FileLock, FileStore, SecretBackendError, SecretStore, StoreError, StoreVersion, Tokens,
};

use crate::config::{Config, ConfigError, CredentialStorage};
use crate::credentials::LOGIN_COMMAND;
use crate::credentials::keyring::Keyring;

/// The program's own store, as the settings name it.
#[derive(Clone, Debug)]
pub(crate) struct OwnStore(StoreKind);

#[derive(Clone, Debug)]
enum StoreKind {
    File(FileStore),
    Keyring(SecretStore<Keyring>),
}

impl OwnStore {
    /// Opens the store. Reads and writes nothing.
    ///
    /// # Errors
    /// There is no home directory, or no keyring: start one, or store the credentials in a file.
    pub(crate) fn open(config: &Config) -> Result<Self, SecretBackendError> {
        let unset = |error: ConfigError| SecretBackendError(error.to_string());
        Ok(Self(match config.credential_storage() {
            CredentialStorage::File => {
                let store = FileStore::new(config.credentials_path().map_err(unset)?);
                StoreKind::File(store.with_login_command(LOGIN_COMMAND))
            }
            CredentialStorage::Keyring => {
                let advised = |SecretBackendError(why)| {
                    SecretBackendError(format!("{why}; start its service, or set CODEX_PROXY_CREDENTIALS=file"))
                };
                let keyring = Keyring::open(config.home().map_err(unset)?).map_err(advised)?;
                let store = SecretStore::new(keyring, config.keyring_mark_path().map_err(unset)?);
                StoreKind::Keyring(store.with_login_command(LOGIN_COMMAND))
            }
        }))
    }
}

impl BlockingStore for OwnStore {
    type Lock = FileLock;

    fn load(&self) -> Result<Option<Tokens>, StoreError> {
        match &self.0 {
            StoreKind::File(store) => store.load(),
            StoreKind::Keyring(store) => store.load(),
        }
    }

    fn try_lock(&self) -> Result<Option<FileLock>, StoreError> {
        match &self.0 {
            StoreKind::File(store) => store.try_lock(),
            StoreKind::Keyring(store) => store.try_lock(),
        }
    }

    fn probe(&self, lock: &FileLock) -> Result<(), StoreError> {
        match &self.0 {
            StoreKind::File(store) => store.probe(lock),
            StoreKind::Keyring(store) => store.probe(lock),
        }
    }

    fn save(&self, lock: &FileLock, tokens: &Tokens) -> Result<(), StoreError> {
        match &self.0 {
            StoreKind::File(store) => store.save(lock, tokens),
            StoreKind::Keyring(store) => store.save(lock, tokens),
        }
    }

    fn remove(&self, lock: &FileLock) -> Result<bool, StoreError> {
        match &self.0 {
            StoreKind::File(store) => store.remove(lock),
            StoreKind::Keyring(store) => store.remove(lock),
        }
    }

    fn version(&self) -> StoreVersion {
        match &self.0 {
            StoreKind::File(store) => store.version(),
            StoreKind::Keyring(store) => store.version(),
        }
    }

    fn location(&self) -> String {
        match &self.0 {
            StoreKind::File(store) => store.location(),
            StoreKind::Keyring(store) => store.location(),
        }
    }

    fn login_command(&self) -> String {
        match &self.0 {
            StoreKind::File(store) => store.login_command(),
            StoreKind::Keyring(store) => store.login_command(),
        }
    }
}
