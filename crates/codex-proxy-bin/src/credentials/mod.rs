//! Where the program stores its own login: a file, or the operating system's keyring. Never how a login is made or
//! refreshed.

mod keyring;
pub(crate) mod store;
