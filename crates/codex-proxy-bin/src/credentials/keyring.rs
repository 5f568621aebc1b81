//! The operating system's keyring as a secret backend, if the program was built with it.

#[cfg(feature = "keyring")]
pub(crate) use built_in::Keyring;
#[cfg(not(feature = "keyring"))]
pub(crate) use left_out::Keyring;

#[cfg(feature = "keyring")]
mod built_in {
    use std::fmt;
    use std::path::Path;

    use codex_auth::{SecretBackend, SecretBackendError};
    use keyring::{Entry, Error};
    use zeroize::Zeroizing;

    const SERVICE: &str = "codex-proxy";

    /// An entry of the keyring: one per home directory.
    pub(crate) struct Keyring {
        entry: Entry,
        probe: Entry,
        user: String,
    }

    impl Keyring {
        /// Names the entry of a home directory. Reads and writes nothing.
        ///
        /// # Errors
        /// There is no keyring service.
        pub(crate) fn open(home: &Path) -> Result<Self, SecretBackendError> {
            let user = home.display().to_string();
            let entry = Entry::new(SERVICE, &user).map_err(|error| backend_error(&error))?;
            let probe = Entry::new(SERVICE, &format!("{user} (probe)")).map_err(|error| backend_error(&error))?;
            Ok(Self { entry, probe, user })
        }
    }

    impl fmt::Debug for Keyring {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Keyring").field("user", &self.user).finish_non_exhaustive()
        }
    }

    impl SecretBackend for Keyring {
        fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretBackendError> {
            match self.entry.get_secret() {
                Ok(secret) => Ok(Some(Zeroizing::new(secret))),
                Err(Error::NoEntry) => Ok(None),
                Err(error) => Err(backend_error(&error)),
            }
        }

        fn set(&self, secret: &[u8]) -> Result<(), SecretBackendError> {
            self.entry.set_secret(secret).map_err(|error| backend_error(&error))
        }

        fn delete(&self) -> Result<bool, SecretBackendError> {
            match self.entry.delete_credential() {
                Ok(()) => Ok(true),
                Err(Error::NoEntry) => Ok(false),
                Err(error) => Err(backend_error(&error)),
            }
        }

        fn probe(&self) -> Result<(), SecretBackendError> {
            let written = self.probe.set_secret(b"probe").and_then(|()| self.probe.delete_credential());
            written.map_err(|error| backend_error(&error))
        }

        fn location(&self) -> String {
            format!("the keyring ({SERVICE}, {})", self.user)
        }

        fn advice(&self) -> String {
            "unlock the keyring, or store the credentials in a file".to_owned()
        }
    }

    /// Uses the library's message, except where it would quote the secret.
    fn backend_error(error: &Error) -> SecretBackendError {
        if matches!(error, Error::BadEncoding(_) | Error::BadDataFormat(..)) {
            return SecretBackendError("the keyring's entry is malformed".to_owned());
        }
        match Entry::store_status() {
            Err(cause) => SecretBackendError(format!("cannot reach the keyring ({cause})")),
            Ok(()) => SecretBackendError(error.to_string()),
        }
    }
}

#[cfg(not(feature = "keyring"))]
mod left_out {
    use std::path::Path;

    use codex_auth::{SecretBackend, SecretBackendError};
    use zeroize::Zeroizing;

    /// There is no value of this type.
    #[derive(Debug)]
    pub(crate) enum Keyring {}

    impl Keyring {
        /// Fails.
        ///
        /// # Errors
        /// Always: the settings have already rejected the keyring.
        pub(crate) fn open(_: &Path) -> Result<Self, SecretBackendError> {
            Err(SecretBackendError("this codex-proxy was built without keyring support".to_owned()))
        }
    }

    impl SecretBackend for Keyring {
        fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>, SecretBackendError> {
            match *self {}
        }

        fn set(&self, _: &[u8]) -> Result<(), SecretBackendError> {
            match *self {}
        }

        fn delete(&self) -> Result<bool, SecretBackendError> {
            match *self {}
        }

        fn probe(&self) -> Result<(), SecretBackendError> {
            match *self {}
        }

        fn location(&self) -> String {
            match *self {}
        }
    }
}
