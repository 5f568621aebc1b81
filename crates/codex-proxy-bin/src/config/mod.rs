//! The settings. Flags override environment variables, which override `config.toml`, which overrides the defaults.
//!
//! `table.rs` has a row for each setting, from which everything else is derived; `builder.rs` sets the same in code.
//! The environment is an argument, which `program.rs` passes in. Never what a setting does: that is up to the wing
//! whose value it is.

use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_auth::{AuthConfig, TokenStore};
use codex_client::{Client, ClientBuilder};
use codex_upstream::{
    ClientIdentity, Emulation, HttpUpstreamConfig, ModelAliases, ModelCacheConfig, ProxyConfig, TransportChoice,
};
use url::Url;

use crate::admission::access::Access;
use crate::request::limits::Limits;
use crate::server::listen::Address;

mod builder;
#[cfg(feature = "program")]
mod docs;
#[cfg(feature = "config-file")]
pub(crate) mod environment;
mod error;
#[cfg(feature = "config-file")]
mod file;
#[cfg(feature = "config-file")]
mod given;
#[cfg(feature = "config-file")]
mod load;
#[cfg(feature = "config-file")]
mod names;
#[cfg(feature = "config-file")]
pub(crate) mod nearest;
pub(crate) mod runtime;
mod setting;
#[cfg(feature = "config-file")]
mod sources;
mod table;
mod values;

pub use builder::ConfigBuilder;
#[cfg(feature = "program")]
pub(crate) use docs::markdown;
pub use error::ConfigError;
#[cfg(feature = "config-file")]
pub use given::{SettingSource, SettingValue};
pub use setting::{Redaction, Setting, ValueShape};
#[cfg(feature = "config-file")]
use sources::Loaded;
pub(crate) use table::SETTINGS;
use values::Values;
pub use values::{CredentialStorage, LogFormat};

/// The settings in effect: built in code with [`Config::builder`], or read as the program does with [`Config::load`]
/// and [`Config::from_env`]. [`Config::into_builder`] changes some of them.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address or host name to listen on.
    pub(crate) host: String,
    /// The port to listen on; 0 picks a free one.
    pub(crate) port: u16,
    /// Where credentials and caches are stored.
    home: Option<PathBuf>,
    /// Where the program's own login is stored.
    pub(crate) credential_storage: CredentialStorage,
    /// The Codex CLI's directory; `None` without a home directory.
    codex_home: Option<PathBuf>,
    /// The backend's base URL.
    pub(crate) upstream: Url,
    /// The auth server's base URL.
    pub(crate) auth: Url,
    /// PEM text of root certificates to trust in addition to the built-in ones.
    pub(crate) extra_roots_pem: Vec<Vec<u8>>,
    /// The outbound proxy, for login, refresh and API alike.
    pub(crate) proxy: ProxyConfig,
    /// The fingerprint of connections, for login, refresh and API alike.
    pub(crate) emulation: Emulation,
    /// The addresses to listen on, if not `host` and `port`.
    listen: Vec<Address>,
    /// The keys that callers must send (without any, only this machine is served), and the web pages that may call.
    pub(crate) access: Access,
    /// The limits.
    pub(crate) limits: Limits,
    /// The transport of turns to the backend.
    pub(crate) transport: TransportChoice,
    /// The maximum total size of stored responses.
    pub(crate) stored_bytes: usize,
    /// How long the backend may be silent.
    pub(crate) upstream_timeout: Duration,
    /// The client identity that the backend sees.
    pub(crate) identity: ClientIdentity,
    /// The user's own names for models.
    pub(crate) aliases: ModelAliases,
    /// The log filter: a level, or a filter of tracing-subscriber's `EnvFilter`; `None` for the command's default.
    pub(crate) log: Option<String>,
    /// The format of the log.
    pub(crate) log_format: LogFormat,
    /// Whether the servers are simulated, so that no real login is sent to them.
    pub(crate) is_simulated: bool,
    /// Warnings about the settings, to be logged once logging works.
    warnings: Vec<String>,
    /// How the settings were read, unless they were built in code.
    #[cfg(feature = "config-file")]
    loaded: Option<Loaded>,
}

impl Config {
    fn defaults() -> Result<Self, ConfigError> {
        let mut values = Values::default();
        for setting in SETTINGS {
            let applied = setting.apply(&mut values, setting.default);
            applied.map_err(|problem| ConfigError::new(setting.name, problem))?;
        }
        Self::from_values(values)
    }

    fn from_values(values: Values) -> Result<Self, ConfigError> {
        let required = |url: Option<Url>, name| url.ok_or_else(|| ConfigError::new(name, "is not set"));
        Ok(Self {
            host: values.host,
            port: values.port,
            home: values.home,
            credential_storage: values.credential_storage,
            codex_home: values.codex_home,
            upstream: required(values.upstream, "upstream_url")?,
            auth: required(values.auth, "auth_url")?,
            extra_roots_pem: values.extra_roots_pem,
            proxy: values.proxy,
            emulation: values.emulation,
            listen: values.listen,
            access: values.access,
            limits: values.limits,
            transport: values.transport,
            stored_bytes: values.stored_bytes,
            upstream_timeout: values.upstream_timeout,
            identity: values.identity,
            aliases: values.aliases,
            log: values.log,
            log_format: values.log_format,
            is_simulated: false,
            warnings: Vec::new(),
            #[cfg(feature = "config-file")]
            loaded: None,
        })
    }

    /// Returns whether callers need a key.
    pub fn has_key(&self) -> bool {
        !self.access.keys.is_empty()
    }

    /// Returns the addresses to listen on.
    pub fn addresses(&self) -> Vec<Address> {
        if self.listen.is_empty() { vec![Address::Tcp(self.host.clone(), self.port)] } else { self.listen.clone() }
    }

    /// Returns the backend's base URL.
    pub fn upstream_url(&self) -> &Url {
        &self.upstream
    }

    /// Returns the auth server's base URL.
    pub fn auth_url(&self) -> &Url {
        &self.auth
    }

    /// Returns where the program's own login is stored.
    pub fn credential_storage(&self) -> CredentialStorage {
        self.credential_storage
    }

    /// Returns the log filter, a level or a filter of tracing-subscriber's `EnvFilter`, if one is set.
    pub fn log(&self) -> Option<&str> {
        self.log.as_deref()
    }

    /// Returns the format of the log.
    pub fn log_format(&self) -> LogFormat {
        self.log_format
    }

    /// Returns warnings about the settings, to be logged once logging works.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Logs a warning for each server that is not ChatGPT's own: tokens of the real login may be sent to it by mistake.
    pub(crate) fn warn_of_other_servers(&self) {
        for warning in self.other_servers() {
            tracing::warn!("{warning}");
        }
    }

    fn other_servers(&self) -> Vec<String> {
        let servers = [
            ("upstream_url", &self.upstream, "the backend", "the login's access token"),
            ("auth_url", &self.auth, "the auth server", "the login's refresh token"),
        ];
        let other = servers.into_iter().filter(|_| !self.is_simulated).filter_map(|(name, url, server, token)| {
            let own = SETTINGS.iter().find(|setting| setting.name == name)?.default;
            if table::base_url(own).as_ref() == Ok(url) {
                return None;
            }
            let url = setting::without_password(url.as_str());
            Some(format!("{server} is {url}, not {own} ({name}): {token} is sent there"))
        });
        other.collect()
    }

    /// Starts the client that these settings describe, of the login in `store`: servers, connections, identity,
    /// transport, and the cached model catalogue if there is a home directory.
    pub fn client_builder(&self, store: impl TokenStore) -> ClientBuilder {
        self.configured(Client::builder(store))
    }

    /// Gives `client` these settings, for one that shares the tokens of the embedder
    /// ([`Client::builder_sharing`](codex_client::Client::builder_sharing)).
    pub fn configured(&self, client: ClientBuilder) -> ClientBuilder {
        client
            .base_url(self.upstream.clone())
            .auth(self.auth_config())
            .identity(self.identity.clone())
            .transport(self.transport)
            .http(self.http())
            .models(ModelCacheConfig { file: self.catalogue_path(), ..ModelCacheConfig::default() })
    }

    /// Returns the settings of connections to the backend and the auth server.
    pub fn http(&self) -> HttpUpstreamConfig {
        HttpUpstreamConfig {
            emulation: self.emulation,
            extra_roots_pem: self.extra_roots_pem.clone(),
            proxy: self.proxy.clone(),
            read_timeout: self.upstream_timeout,
            ..HttpUpstreamConfig::default()
        }
    }

    /// Returns the settings of the auth server, which sees the official client's own name, whatever the originator of
    /// turns is.
    pub fn auth_config(&self) -> AuthConfig {
        let user_agent = Some(self.identity.startup_user_agent.clone());
        AuthConfig { user_agent, ..AuthConfig::new(self.auth.clone()) }
    }

    /// Returns the directory for credentials and caches.
    ///
    /// # Errors
    /// There is none: the setting is not set, and there is no home directory.
    pub fn home(&self) -> Result<&Path, ConfigError> {
        let unset = || ConfigError::new("home", "is not set; set it to a directory for the credentials");
        self.home.as_deref().ok_or_else(unset)
    }

    /// Returns the path of the login's tokens.
    ///
    /// # Errors
    /// As [`Config::home`].
    pub fn credentials_path(&self) -> Result<PathBuf, ConfigError> {
        Ok(self.home()?.join("credentials.json"))
    }

    /// Returns the path of the file that changes whenever the tokens in the keyring do.
    #[cfg(feature = "program")]
    pub(crate) fn keyring_mark_path(&self) -> Result<PathBuf, ConfigError> {
        Ok(self.home()?.join("credentials.keyring"))
    }

    /// Returns the path of the Codex CLI's tokens.
    ///
    /// # Errors
    /// There is no home directory.
    pub fn codex_auth_path(&self) -> Result<PathBuf, ConfigError> {
        let home = self.codex_home.as_ref().ok_or_else(|| {
            ConfigError::new(
                "CODEX_HOME",
                "there is no home directory (HOME is not set); set it to the Codex CLI's directory",
            )
        })?;
        Ok(home.join("auth.json"))
    }

    /// Returns the path of the cached model catalogue; without a home directory there is no cache.
    pub fn catalogue_path(&self) -> Option<PathBuf> {
        Some(self.home.as_ref()?.join("models.json"))
    }
}

#[cfg(test)]
mod tests;
