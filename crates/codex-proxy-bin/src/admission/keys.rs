//! The keys that callers send. Only their hashes are stored, and every key is compared, so the time taken reveals
//! neither the length of a key nor how close a guess was.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// The key that the shipped systemd unit sets and the README names: it is public.
const WELL_KNOWN: &str = "codex-proxy";

/// The accepted keys; callers must send one of them. Has no `Display`; its `Debug` shows only their number.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ApiKeys(Vec<ApiKey>);

#[derive(Clone, Copy, PartialEq, Eq)]
struct ApiKey {
    hash: [u8; 32],
    is_well_known: bool,
}

/// The kind of key that a caller sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMatch {
    /// A secret one.
    Secret,
    /// The public one.
    WellKnown,
}

impl ApiKeys {
    /// Parses the keys of a file: one per line; empty lines and lines that begin with `#` are ignored.
    pub fn parse_file(text: &str) -> Self {
        Self(text.lines().map(str::trim).filter(|line| !line.starts_with('#')).filter_map(ApiKey::new).collect())
    }

    /// Adds the keys of `others`.
    #[must_use]
    pub fn merge(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Returns whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether the public key is among them.
    pub fn has_well_known(&self) -> bool {
        self.0.iter().any(|key| key.is_well_known)
    }

    /// Finds a key in constant time: it does not depend on which key matches, or nearly does.
    pub fn find(&self, presented: &[u8]) -> Option<KeyMatch> {
        let hash = hash(presented);
        let (mut secret, mut well_known) = (Choice::from(0), Choice::from(0));
        for key in &self.0 {
            let is_equal = key.hash.ct_eq(&hash);
            let found = if key.is_well_known { &mut well_known } else { &mut secret };
            *found |= is_equal;
        }
        match (bool::from(secret), bool::from(well_known)) {
            (true, _) => Some(KeyMatch::Secret),
            (false, true) => Some(KeyMatch::WellKnown),
            (false, false) => None,
        }
    }
}

/// Parses the keys of a setting: one per line, so a key may contain any character that a header can, commas and blanks
/// included.
impl FromStr for ApiKeys {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.lines().map(str::trim).filter_map(ApiKey::new).collect()))
    }
}

impl ApiKey {
    fn new(key: &str) -> Option<Self> {
        (!key.is_empty()).then(|| Self { hash: hash(key.as_bytes()), is_well_known: key == WELL_KNOWN })
    }
}

fn hash(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeys([{} redacted])", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_line_whatever_it_contains() {
        let keys: ApiKeys = "one, two\r\n\n  three four \n".parse().unwrap();
        assert_eq!(keys.len(), 2);
        assert_eq!(keys.find(b"one, two"), Some(KeyMatch::Secret));
        assert_eq!(keys.find(b"three four"), Some(KeyMatch::Secret));
        for wrong in ["one", "two", "three", "", "one, tw", "one, two "] {
            assert_eq!(keys.find(wrong.as_bytes()), None, "{wrong:?}");
        }
        assert!("".parse::<ApiKeys>().unwrap().is_empty() && "\n \n".parse::<ApiKeys>().unwrap().is_empty());
    }

    #[test]
    fn comments_in_a_file_of_keys_are_ignored() {
        let keys = ApiKeys::parse_file("# the laptop\nsecret\n\n#codex-proxy\n").merge("codex-proxy".parse().unwrap());
        assert_eq!(keys.len(), 2);
        assert_eq!(keys.find(b"# the laptop"), None);
        assert_eq!(keys.find(b"codex-proxy"), Some(KeyMatch::WellKnown));
        assert!(keys.has_well_known());
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", "hush".parse::<ApiKeys>().unwrap());
        assert_eq!(shown, "ApiKeys([1 redacted])");
    }
}
