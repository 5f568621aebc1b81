//! The values of the settings, as far as they have been read.

use std::ops::RangeInclusive;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};
use std::time::Duration;

use codex_upstream::{ClientIdentity, Emulation, ModelAliases, ProxyConfig, TransportChoice};
use url::Url;

use crate::admission::access::Access;
use crate::request::limits::Limits;
use crate::server::listen::Address;

/// The accepted values of the settings that are numbers, in the unit of the setting.
pub(super) const BODY_MIB: RangeInclusive<usize> = 1..=1024;
pub(super) const REQUESTS: RangeInclusive<usize> = 1..=100_000;
pub(super) const QUEUE: RangeInclusive<usize> = 0..=100_000;
pub(super) const CONNECTIONS: RangeInclusive<usize> = 1..=100_000;
pub(super) const STORED_MIB: RangeInclusive<usize> = 0..=4096;
pub(super) const TIMEOUT_SECONDS: RangeInclusive<usize> = 1..=86_400;

/// Where the program stores its own login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CredentialStorage {
    /// In `credentials.json`.
    #[default]
    File,
    /// In the operating system's keyring.
    Keyring,
}

/// The format of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// A JSON object on each line.
    Json,
}

/// What the rows of the table parse their values into; [`Config`](crate::config::Config) documents the fields. The
/// defaults are those of the table, so a field here starts empty.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) home: Option<PathBuf>,
    pub(super) credential_storage: CredentialStorage,
    pub(super) codex_home: Option<PathBuf>,
    pub(super) upstream: Option<Url>,
    pub(super) auth: Option<Url>,
    pub(super) extra_roots_pem: Vec<Vec<u8>>,
    pub(super) proxy: ProxyConfig,
    pub(super) emulation: Emulation,
    pub(super) listen: Vec<Address>,
    pub(super) access: Access,
    pub(super) limits: Limits,
    pub(super) transport: TransportChoice,
    pub(super) stored_bytes: usize,
    pub(super) upstream_timeout: Duration,
    pub(super) identity: ClientIdentity,
    pub(super) aliases: ModelAliases,
    pub(super) log: Option<String>,
    pub(super) log_format: LogFormat,
    /// The directory that `~` stands for.
    pub(super) user_home: Option<PathBuf>,
}

impl Values {
    /// Returns a path as a user writes it; `None` if it starts at a home directory that does not exist.
    pub(super) fn path(&self, text: &str) -> Option<PathBuf> {
        expand_home(text, self.user_home.as_deref())
    }
}

/// Replaces the `~` at the start of a path; `None` if there is no home directory for it.
pub(super) fn expand_home(text: &str, home: Option<&Path>) -> Option<PathBuf> {
    match text.strip_prefix('~') {
        Some("") => home.map(Path::to_owned),
        Some(rest) if rest.starts_with(['/', MAIN_SEPARATOR]) => Some(home?.join(&rest[1..])),
        _ => Some(PathBuf::from(text)),
    }
}
