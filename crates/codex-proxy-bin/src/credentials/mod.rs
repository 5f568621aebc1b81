//! Where the program stores its own login: a file, or the operating system's keyring. Never how a login is made or
//! refreshed.

#[cfg(feature = "program")]
mod keyring;
#[cfg(feature = "program")]
pub(crate) mod store;

/// The command that logs in to the program's own store.
pub(crate) const LOGIN_COMMAND: &str = "codex-proxy login";
