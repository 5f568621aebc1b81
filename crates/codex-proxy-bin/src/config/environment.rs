//! Environment variables, as a value.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// The variables of an environment. An argument everywhere, so that tests need not change the process's own. They may
/// contain secrets, so there is no `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// Returns the value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(set, _)| is(set, name)).map(|(_, value)| value.as_os_str())
    }

    /// Returns whether a variable has a value, which an empty one has not.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_empty())
    }

    /// Returns the user's home directory (`HOME`, `USERPROFILE`).
    pub(crate) fn user_home(&self) -> Option<PathBuf> {
        ["HOME", "USERPROFILE"]
            .into_iter()
            .find(|name| self.has(name))
            .and_then(|name| self.get(name))
            .map(PathBuf::from)
    }

    /// Returns the variables in the order in which they were given.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.0.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Environment {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(variables: T) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Returns whether `set` is the variable `name`; Windows ignores case.
pub(super) fn is(set: &OsStr, name: &str) -> bool {
    if cfg!(windows) { set.eq_ignore_ascii_case(name) } else { set == name }
}
