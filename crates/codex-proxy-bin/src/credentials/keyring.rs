//! The operating system's keyring as a vault, where the program was built with it.

#[cfg(feature = "keyring")]
pub(crate) use built_in::Keyring;
#[cfg(not(feature = "keyring"))]
pub(crate) use left_out::Keyring;

#[cfg(feature = "keyring")]
mod built_in {
    use std::fmt;
    use std::path::Path;

    use codex_auth::{Vault, VaultError};
    use keyring::{Entry, Error};
    use zeroize::Zeroizing;

    const SERVICE: &str = "codex-proxy";

    /// An entry of the keyring: one for each home directory.
    pub(crate) struct Keyring {
        entry: Entry,
        probe: Entry,
        user: String,
    }

    impl Keyring {
        /// Names the entry of a home directory. Reads and writes nothing.
        ///
        /// # Errors
        /// There is no keyring to speak to.
        pub(crate) fn open(home: &Path) -> Result<Self, VaultError> {
            let user = home.display().to_string();
            let entry = Entry::new(SERVICE, &user).map_err(|error| told(&error))?;
            let probe = Entry::new(SERVICE, &format!("{user} (probe)")).map_err(|error| told(&error))?;
            Ok(Self { entry, probe, user })
        }
    }

    impl fmt::Debug for Keyring {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Keyring").field("user", &self.user).finish_non_exhaustive()
        }
    }

    impl Vault for Keyring {
        fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
            match self.entry.get_secret() {
                Ok(secret) => Ok(Some(Zeroizing::new(secret))),
                Err(Error::NoEntry) => Ok(None),
                Err(error) => Err(told(&error)),
            }
        }

        fn set(&self, secret: &[u8]) -> Result<(), VaultError> {
            self.entry.set_secret(secret).map_err(|error| told(&error))
        }

        fn delete(&self) -> Result<bool, VaultError> {
            match self.entry.delete_credential() {
                Ok(()) => Ok(true),
                Err(Error::NoEntry) => Ok(false),
                Err(error) => Err(told(&error)),
            }
        }

        fn probe(&self) -> Result<(), VaultError> {
            let written = self.probe.set_secret(b"probe").and_then(|()| self.probe.delete_credential());
            written.map_err(|error| told(&error))
        }

        fn location(&self) -> String {
            format!("the keyring ({SERVICE}, {})", self.user)
        }
    }

    /// The library's words, but where it would quote the secret.
    fn told(error: &Error) -> VaultError {
        if matches!(error, Error::BadEncoding(_) | Error::BadDataFormat(..)) {
            return VaultError("the keyring's entry is malformed".to_owned());
        }
        match Entry::store_status() {
            Err(cause) => VaultError(format!("there is no keyring to speak to ({cause})")),
            Ok(()) => VaultError(error.to_string()),
        }
    }
}

#[cfg(not(feature = "keyring"))]
mod left_out {
    use std::path::Path;

    use codex_auth::{Vault, VaultError};
    use zeroize::Zeroizing;

    /// Nothing: there is no value of this type.
    #[derive(Debug)]
    pub(crate) enum Keyring {}

    impl Keyring {
        /// Fails.
        ///
        /// # Errors
        /// Always: the settings do not let anybody come here.
        pub(crate) fn open(_: &Path) -> Result<Self, VaultError> {
            Err(VaultError("this codex-proxy was built without the keyring".to_owned()))
        }
    }

    impl Vault for Keyring {
        fn get(&self) -> Result<Option<Zeroizing<Vec<u8>>>, VaultError> {
            match *self {}
        }

        fn set(&self, _: &[u8]) -> Result<(), VaultError> {
            match *self {}
        }

        fn delete(&self) -> Result<bool, VaultError> {
            match *self {}
        }

        fn probe(&self) -> Result<(), VaultError> {
            match *self {}
        }

        fn location(&self) -> String {
            match *self {}
        }
    }
}
