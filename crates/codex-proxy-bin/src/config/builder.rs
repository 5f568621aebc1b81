//! Builds a [`Config`] in code.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use codex_upstream::{ClientIdentity, Emulation, ModelAliases, ProxyConfig, TransportChoice};

use crate::admission::access::Access;
use crate::admission::keys::ApiKeys;
use crate::config::Config;
use crate::config::error::ConfigError;
use crate::config::table::{base_url, out_of_range};
use crate::config::values::{BODY_MIB, CONNECTIONS, QUEUE, REQUESTS, STORED_MIB, TIMEOUT_SECONDS};
use crate::request::limits::Limits;
use crate::server::listen::Address;

/// Builds a [`Config`], starting from the defaults or from another configuration.
///
/// An invalid value is an error of [`ConfigBuilder::build`], which names the setting; of several, the first.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ConfigBuilder(Result<Config, ConfigError>);

impl Config {
    /// Starts a configuration with the defaults of all settings. Reads neither the environment nor a file, and has no
    /// home directory: credentials and the cached model catalogue are stored in none.
    ///
    /// ```
    /// use codex_proxy::Config;
    ///
    /// # fn main() -> Result<(), codex_proxy::ConfigError> {
    /// let config = Config::builder().api_key("secret").upstream_url("https://gateway.example/api").build()?;
    /// assert!(config.has_key());
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder() -> ConfigBuilder {
        ConfigBuilder(Self::defaults())
    }

    /// Changes settings of this configuration. The result counts as built in code: [`Config::reloaded`] reads no file
    /// for it.
    ///
    /// ```
    /// use codex_proxy::Config;
    ///
    /// # fn main() -> Result<(), codex_proxy::ConfigError> {
    /// let loaded = Config::from_env([("HOME", "/nonexistent"), ("CODEX_PROXY_API_KEY", "secret")])?;
    /// let config = loaded.into_builder().max_requests(100).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_builder(self) -> ConfigBuilder {
        ConfigBuilder(Ok(Self {
            #[cfg(feature = "config-file")]
            loaded: None,
            ..self
        }))
    }
}

impl ConfigBuilder {
    /// Returns the configuration.
    ///
    /// # Errors
    /// A value is invalid; the message names its setting.
    pub fn build(self) -> Result<Config, ConfigError> {
        self.0
    }

    /// Sets the address or host name to listen on; by default, all addresses.
    pub fn host(self, host: impl Into<String>) -> Self {
        self.set(|config| config.host = host.into())
    }

    /// Sets the port to listen on; 0 picks a free one.
    pub fn port(self, port: u16) -> Self {
        self.set(|config| config.port = port)
    }

    /// Sets the addresses to listen on, instead of host and port.
    pub fn listen(self, addresses: impl IntoIterator<Item = Address>) -> Self {
        self.set(|config| config.listen = addresses.into_iter().collect())
    }

    /// Adds a key that callers may send, or several, one per line.
    pub fn api_key(self, key: impl AsRef<str>) -> Self {
        self.try_set("api_key", |config| {
            let keys: ApiKeys = key.as_ref().parse().unwrap_or_default();
            if keys.is_empty() {
                return Err("is empty".to_owned());
            }
            config.access.keys = std::mem::take(&mut config.access.keys).merge(keys);
            Ok(())
        })
    }

    /// Sets the web pages that may send requests, by their origins, such as `https://chat.example`; `*` allows any page
    /// that sends a key.
    pub fn cors_origins(self, origins: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.try_set("cors_origins", |config| {
            let origins: Vec<_> = origins.into_iter().map(|origin| origin.as_ref().to_owned()).collect();
            config.access.origins = origins.join(",").parse().map_err(|error| format!("{error}"))?;
            Ok(())
        })
    }

    /// Sets who may call: replaces the keys and the origins.
    pub fn access(self, access: Access) -> Self {
        self.set(|config| config.access = access)
    }

    /// Sets the maximum size of a request body in bytes, before and after decompression.
    pub fn max_body_bytes(self, bytes: usize) -> Self {
        self.number("max_body_bytes", bytes, 1..=BODY_MIB.end() << 20, |config| config.limits.body_bytes = bytes)
    }

    /// Sets the maximum number of concurrent requests.
    pub fn max_requests(self, requests: usize) -> Self {
        self.number("max_requests", requests, REQUESTS, |config| config.limits.turns = requests)
    }

    /// Sets the maximum number of requests that wait for a free slot.
    pub fn max_queue(self, requests: usize) -> Self {
        self.number("max_queue", requests, QUEUE, |config| config.limits.queue = requests)
    }

    /// Sets the maximum number of open connections.
    pub fn max_connections(self, connections: usize) -> Self {
        self.number("max_connections", connections, CONNECTIONS, |config| config.limits.connections = connections)
    }

    /// Sets all limits, including the time limits, for which there are no settings.
    pub fn limits(self, limits: Limits) -> Self {
        self.max_body_bytes(limits.body_bytes)
            .max_requests(limits.turns)
            .max_queue(limits.queue)
            .max_connections(limits.connections)
            .set(|config| config.limits.timeouts = limits.timeouts)
    }

    /// Sets how many bytes of responses to store in memory; 0 stores none.
    pub fn stored_bytes(self, bytes: usize) -> Self {
        self.number("stored_bytes", bytes, 0..=STORED_MIB.end() << 20, |config| config.stored_bytes = bytes)
    }

    /// Sets the user's own names for models.
    pub fn aliases(self, aliases: ModelAliases) -> Self {
        self.set(|config| config.aliases = aliases)
    }

    /// Sets the directory of [`Config::credentials_path`] and [`Config::catalogue_path`]. An [`App`](crate::App) caches
    /// the model catalogue there; where credentials are stored is up to the token store that it is given.
    pub fn home(self, directory: impl Into<PathBuf>) -> Self {
        self.set(|config| config.home = Some(directory.into()))
    }

    /// Sets the directory with the Codex CLI's `auth.json`.
    pub fn codex_home(self, directory: impl Into<PathBuf>) -> Self {
        self.set(|config| config.codex_home = Some(directory.into()))
    }

    /// Sets the fingerprint of connections, for login, refresh and API alike.
    pub fn emulation(self, emulation: Emulation) -> Self {
        self.set(|config| config.emulation = emulation)
    }

    /// Sets the transport of turns to the backend.
    pub fn transport(self, transport: TransportChoice) -> Self {
        self.set(|config| config.transport = transport)
    }

    /// Sets how long the backend may be silent before a reply counts as cut short.
    pub fn upstream_timeout(self, timeout: Duration) -> Self {
        self.try_set("upstream_timeout", |config| {
            if timeout.is_zero() || timeout > Duration::from_secs(*TIMEOUT_SECONDS.end() as u64) {
                return Err(out_of_range(timeout.as_secs(), &TIMEOUT_SECONDS));
            }
            config.upstream_timeout = timeout;
            Ok(())
        })
    }

    /// Sets the client identity that the backend sees. The auth server sees its version and operating system only.
    pub fn identity(self, identity: ClientIdentity) -> Self {
        self.try_set("identity", |config| {
            ClientIdentity::configured(&identity.originator, &identity.version).map_err(|error| error.to_string())?;
            config.identity = identity;
            Ok(())
        })
    }

    /// Sets the backend's base URL, as text or as a [`Url`](url::Url): https, or http on this machine.
    pub fn upstream_url(self, url: impl AsRef<str>) -> Self {
        self.try_set("upstream_url", |config| {
            config.upstream = base_url(url.as_ref())?;
            Ok(())
        })
    }

    /// Sets the auth server's base URL, as text or as a [`Url`](url::Url): https, or http on this machine.
    pub fn auth_url(self, url: impl AsRef<str>) -> Self {
        self.try_set("auth_url", |config| {
            config.auth = base_url(url.as_ref())?;
            Ok(())
        })
    }

    /// Adds root certificates to trust in addition to the built-in ones, as the text of a PEM file.
    pub fn ca_pem(self, pem: impl Into<Vec<u8>>) -> Self {
        self.set(|config| config.extra_roots_pem.push(pem.into()))
    }

    /// Sets the outbound proxy, for login, refresh and API alike.
    pub fn proxy(self, proxy: ProxyConfig) -> Self {
        self.set(|config| config.proxy = proxy)
    }

    fn number(self, name: &str, number: usize, range: RangeInclusive<usize>, set: impl FnOnce(&mut Config)) -> Self {
        self.try_set(name, |config| {
            if !range.contains(&number) {
                return Err(out_of_range(number, &range));
            }
            set(config);
            Ok(())
        })
    }

    fn set(self, set: impl FnOnce(&mut Config)) -> Self {
        Self(self.0.map(|mut config| {
            set(&mut config);
            config
        }))
    }

    fn try_set(self, name: &str, set: impl FnOnce(&mut Config) -> Result<(), String>) -> Self {
        Self(self.0.and_then(|mut config| {
            set(&mut config).map_err(|problem| ConfigError::new(name, problem))?;
            Ok(config)
        }))
    }
}
