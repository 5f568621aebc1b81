//! The settings. Flags override environment variables, which override `config.toml`, which overrides the defaults.
//!
//! `table.rs` has a row for each setting, from which everything else is derived. The environment is an argument, which
//! `program.rs` passes in. Never what a setting does: that is up to the wing whose value it is.

use std::path::PathBuf;
use std::time::Duration;

use codex_auth::AuthConfig;
use codex_upstream::{ClientConfig, ClientIdentity, Emulation, ModelAliases, ProxyConfig, TransportChoice};
use url::Url;

use crate::admission::access::Access;
use crate::request::limits::Limits;
use crate::server::listen::Address;

mod detect;
mod docs;
mod error;
mod file;
pub(crate) mod nearest;
pub(crate) mod runtime;
mod setting;
mod sources;
mod table;
mod values;

pub use detect::Env;
pub(crate) use docs::markdown;
pub use error::ConfigError;
use file::ConfigFile;
pub use setting::{Redaction, Setting, SettingSource, SettingValue, ValueShape};
use sources::Sources;
pub(crate) use table::SETTINGS;
use values::Values;
pub use values::{CredentialStorage, LogFormat};

/// The settings in effect. The row of the same name in `config/table.rs` describes each.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address or host name to listen on.
    pub host: String,
    /// The port to listen on; 0 picks a free one.
    pub port: u16,
    /// Where credentials and caches are stored.
    pub home: PathBuf,
    /// Where the program's own login is stored.
    pub credential_storage: CredentialStorage,
    /// The Codex CLI's directory; `None` without a home directory.
    pub codex_home: Option<PathBuf>,
    /// The backend's base URL.
    pub upstream: Url,
    /// The auth server's base URL.
    pub auth: Url,
    /// PEM text of root certificates to trust in addition to the built-in ones.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// The outbound proxy, for login, refresh and API alike.
    pub proxy: ProxyConfig,
    /// The fingerprint of connections, for login, refresh and API alike.
    pub emulation: Emulation,
    /// The addresses to listen on, if not `host` and `port`.
    pub listen: Vec<Address>,
    /// The keys that callers must send (without any, only this machine is served), and the web pages that may call.
    pub access: Access,
    /// The limits.
    pub limits: Limits,
    /// The transport of turns to the backend.
    pub transport: TransportChoice,
    /// The maximum total size of stored responses.
    pub stored_bytes: usize,
    /// How long the backend may be silent.
    pub upstream_timeout: Duration,
    /// The client identity that the backend and the auth server see.
    pub identity: ClientIdentity,
    /// The user's own names for models.
    pub aliases: ModelAliases,
    /// The log filter: a level, or a filter of tracing-subscriber's `EnvFilter`; `None` for the command's default.
    pub log: Option<String>,
    /// The format of the log.
    pub log_format: LogFormat,
    /// Why no browser can be opened here, if that is so (`BROWSER`, `DISPLAY`, `SSH_CONNECTION` and the like).
    pub no_browser: Option<&'static str>,
    /// The user's home directory (`HOME`, `USERPROFILE`).
    pub user_home: Option<PathBuf>,
    /// Where the user's programs keep their configuration (`XDG_CONFIG_HOME`, else `~/.config`).
    pub user_config: Option<PathBuf>,
    /// Whether to avoid colours even on a terminal (`NO_COLOR`, `TERM=dumb`).
    pub no_color: bool,
    /// Warnings about the settings, to be logged once logging works.
    pub warnings: Vec<String>,
    /// Where each value was set.
    pub provenance: Provenance,
}

/// Where the values of a [`Config`] were set.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    sources: Sources,
    given: Vec<SettingValue>,
}

impl Config {
    /// Reads the settings from the flags, each with the name of its setting, the environment, and the configuration
    /// file.
    ///
    /// # Errors
    /// A setting is invalid or unknown: the message names it and where it was set. Nothing has been opened or bound
    /// yet.
    pub fn load(flags: &[(&str, &str)], env: Env<'_>) -> Result<Self, ConfigError> {
        Self::from_sources(Sources::collect(flags, env)?)
    }

    /// Reads the settings from the environment and the configuration file.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_env(env: Env<'_>) -> Result<Self, ConfigError> {
        Self::load(&[], env)
    }

    /// Reads the file again, under the same flags and environment.
    ///
    /// The server decides which of the new values it adopts: see [`Setting::reloads`].
    ///
    /// # Errors
    /// As [`Config::load`]; the previous settings stay in effect.
    pub fn reloaded(&self) -> Result<Self, ConfigError> {
        Self::from_sources(self.provenance.sources.clone())
    }

    /// Returns the value of every setting, set or default, in the order of the documentation.
    pub fn given(&self) -> &[SettingValue] {
        &self.provenance.given
    }

    fn from_sources(sources: Sources) -> Result<Self, ConfigError> {
        let file = match sources.file() {
            Some((path, must_exist)) => file::read(&path, must_exist)?,
            None => ConfigFile::default(),
        };
        let mut values = Values { user_home: sources.user_home.clone(), ..Values::default() };
        let mut given = Vec::with_capacity(SETTINGS.len());
        for setting in SETTINGS {
            let is_wanted = |given: &&SettingValue| given.setting.name == setting.name && !given.text.is_empty();
            let value = sources.given.iter().chain(&file.given).find(is_wanted).cloned();
            let value =
                value.unwrap_or_else(|| SettingValue::new(setting, SettingSource::Default, setting.default.to_owned()));
            if !value.text.is_empty() {
                (setting.set)(&mut values, &value.text)
                    .map_err(|problem| ConfigError { place: value.place(), problem })?;
            }
            given.push(value);
        }
        Self::new(values, file.warning.into_iter().collect(), Provenance { sources, given })
    }

    fn new(values: Values, warnings: Vec<String>, provenance: Provenance) -> Result<Self, ConfigError> {
        let required = |url: Option<Url>, place: &str| {
            url.ok_or_else(|| ConfigError { place: place.to_owned(), problem: "is not set".to_owned() })
        };
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
            no_browser: provenance.sources.no_browser,
            user_home: values.user_home,
            user_config: provenance.sources.user_config.clone(),
            no_color: provenance.sources.no_color,
            warnings,
            provenance,
        })
    }

    /// Returns whether callers need a key.
    pub fn has_key(&self) -> bool {
        !self.access.keys.is_empty()
    }

    /// Returns the settings of the client for the backend and the auth server.
    pub fn client(&self) -> ClientConfig {
        ClientConfig {
            emulation: self.emulation,
            extra_roots_pem: self.extra_roots_pem.clone(),
            proxy: self.proxy.clone(),
            read_timeout: self.upstream_timeout,
            ..ClientConfig::default()
        }
    }

    /// Returns the client identity for the auth server, the same as for the backend.
    pub fn auth_config(&self) -> AuthConfig {
        AuthConfig { originator: self.identity.originator.clone(), ..AuthConfig::new(self.auth.clone()) }
    }

    /// Returns the path of the login's tokens.
    pub fn credentials_path(&self) -> PathBuf {
        self.home.join("credentials.json")
    }

    /// Returns the path of the file that changes whenever the tokens in the keyring do.
    pub fn keyring_mark_path(&self) -> PathBuf {
        self.home.join("credentials.keyring")
    }

    /// Returns the path of the Codex CLI's tokens.
    ///
    /// # Errors
    /// There is no home directory.
    pub fn codex_auth_path(&self) -> Result<PathBuf, ConfigError> {
        let home = self.codex_home.as_ref().ok_or_else(|| ConfigError {
            place: "CODEX_HOME".to_owned(),
            problem: "there is no home directory (HOME is not set); set it to the Codex CLI's directory".to_owned(),
        })?;
        Ok(home.join("auth.json"))
    }

    /// Returns the path of the cached model catalogue.
    pub fn catalogue_path(&self) -> PathBuf {
        self.home.join("models.json")
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let env = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
        Config::from_env(&env).map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_the_real_backend_and_the_home_directory() {
        let config = config(&[("HOME", "/home/ada")]).unwrap();
        assert_eq!(config.credentials_path(), PathBuf::from("/home/ada/.codex-proxy/credentials.json"));
        assert_eq!(config.upstream.as_str(), "https://chatgpt.com/backend-api");
        assert_eq!(config.auth.as_str(), "https://auth.openai.com/");
        assert!(config.access.keys.is_empty());
        assert_eq!(config.codex_auth_path().unwrap(), PathBuf::from("/home/ada/.codex/auth.json"));
    }

    #[test]
    fn credentials_are_stored_only_where_the_build_supports_it() {
        let kept = |value| {
            config(&[("HOME", "/h"), ("CODEX_PROXY_CREDENTIALS", value)]).map(|config| config.credential_storage)
        };
        assert_eq!((kept(""), kept("file")), (Ok(CredentialStorage::File), Ok(CredentialStorage::File)));
        let error = kept("keychain").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_CREDENTIALS: ") && error.contains("`keyring`"), "{error}");
        match kept("keyring") {
            Ok(kept) => assert!(cfg!(feature = "keyring") && kept == CredentialStorage::Keyring),
            Err(error) => assert!(!cfg!(feature = "keyring") && error.contains("--features keyring"), "{error}"),
        }
    }

    #[test]
    fn the_codex_home_can_be_set_and_can_be_missing() {
        let moved = config(&[("HOME", "/home/ada"), ("CODEX_HOME", "/c")]).unwrap();
        assert_eq!(moved.codex_auth_path().unwrap(), PathBuf::from("/c/auth.json"));
        let error = config(&[("CODEX_PROXY_HOME", "/h")]).unwrap().codex_auth_path().unwrap_err();
        assert!(error.to_string().starts_with("CODEX_HOME: "), "{error}");
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for url in ["http://127.0.0.1:9/backend-api", "http://localhost:9", "http://[::1]:9/x/"] {
            assert!(config(&[("HOME", "/h"), ("CODEX_PROXY_UPSTREAM_URL", url)]).is_ok(), "{url}");
        }
        for url in ["http://chatgpt.com/backend-api", "http://127.0.0.1.evil.example", "ftp://127.0.0.1", "nonsense"] {
            let error = config(&[("HOME", "/h"), ("CODEX_PROXY_UPSTREAM_URL", url)]).unwrap_err();
            assert!(error.starts_with("CODEX_PROXY_UPSTREAM_URL: "), "{error}");
        }
    }

    #[test]
    fn an_empty_key_counts_as_none() {
        assert!(config(&[("HOME", "/h"), ("CODEX_PROXY_API_KEY", "")]).unwrap().access.keys.is_empty());
        assert!(!config(&[("HOME", "/h"), ("CODEX_PROXY_API_KEY", "k")]).unwrap().access.keys.is_empty());
    }

    #[test]
    fn turns_use_http_by_default() {
        let read = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_TRANSPORT", value)]);
        assert_eq!(read("").unwrap().transport, TransportChoice::Http);
        assert_eq!(read("auto").unwrap().transport, TransportChoice::Auto);
        let error = read("quic").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_TRANSPORT: "), "{error}");
    }

    #[test]
    fn the_defaults_of_the_table_are_those_of_the_code() {
        let config = config(&[("HOME", "/h")]).unwrap();
        assert_eq!(config.limits, Limits::default());
        assert_eq!(config.upstream_timeout, ClientConfig::default().read_timeout);
        assert_eq!(config.identity, ClientIdentity::default());
        assert_eq!((config.transport, config.emulation), (TransportChoice::default(), Emulation::default()));
        assert_eq!(config.log_format, LogFormat::default());
    }

    #[test]
    fn the_fingerprint_can_be_chosen() {
        let read = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_EMULATE", value)]);
        assert_eq!(read("").unwrap().client().emulation, Emulation::Chrome);
        assert_eq!(read("codex").unwrap().client().emulation, Emulation::Codex);
        let error = read("firefox").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_EMULATE: "), "{error}");
    }

    #[test]
    fn the_upstream_timeout_can_be_set() {
        let read = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_UPSTREAM_TIMEOUT", value)]);
        assert_eq!(read("").unwrap().client().read_timeout, ClientConfig::default().read_timeout);
        assert_eq!(read("5").unwrap().client().read_timeout, Duration::from_secs(5));
        let error = read("0").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_UPSTREAM_TIMEOUT: "), "{error}");
    }

    #[test]
    fn the_client_identity_is_one_value_for_both_servers() {
        let read = |name, value| config(&[("HOME", "/h"), (name, value)]);
        assert_eq!(read("CODEX_PROXY_ORIGINATOR", "").unwrap().identity, ClientIdentity::default());
        let config = read("CODEX_PROXY_ORIGINATOR", "codex_exec").unwrap();
        assert_eq!((&*config.identity.originator, &*config.auth_config().originator), ("codex_exec", "codex_exec"));
        assert_eq!(read("CODEX_PROXY_CLIENT_VERSION", "0.200.1").unwrap().identity.version, "0.200.1");
        for (name, value) in [("CODEX_PROXY_CLIENT_VERSION", "new"), ("CODEX_PROXY_ORIGINATOR", "a/b")] {
            let error = read(name, value).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn the_log_has_one_of_two_formats() {
        let read = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_LOG_FORMAT", value)]).map(|config| config.log_format);
        assert_eq!((read(""), read("json")), (Ok(LogFormat::Text), Ok(LogFormat::Json)));
        let error = read("xml").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_LOG_FORMAT: ") && error.contains("`json`"), "{error}");
    }

    #[test]
    fn the_error_names_an_invalid_alias() {
        let read = |aliases| config(&[("HOME", "/h"), ("CODEX_PROXY_ALIASES", aliases)]);
        assert_eq!(read("a=b").unwrap().aliases.iter().collect::<Vec<_>>(), [("a", "b")]);
        let error = read("a=b,c").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_ALIASES: "), "{error}");
    }

    #[test]
    fn the_error_names_missing_certificates() {
        let error = config(&[("HOME", "/h"), ("CODEX_PROXY_CA", "/does/not/exist.pem")]).unwrap_err();
        assert!(error.contains("CODEX_PROXY_CA") && error.contains("/does/not/exist.pem"), "{error}");
    }

    /// Returns a home directory with this configuration file.
    fn home(file: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), file).unwrap();
        home
    }

    #[test]
    fn flags_override_the_environment_which_overrides_the_file() {
        let home = home("port = 1\nhost = \"file\"\nlog = \"file\"");
        let env = |name: &str| match name {
            "CODEX_PROXY_HOME" => Some(home.path().as_os_str().to_owned()),
            "CODEX_PROXY_PORT" => Some(OsString::from("2")),
            "CODEX_PROXY_HOST" => Some(OsString::from("env")),
            _ => None,
        };
        let config = Config::load(&[("port", "3")], &env).unwrap();
        assert_eq!((config.port, &*config.host, config.log.as_deref()), (3, "env", Some("file")));
        assert_eq!(config.emulation, Emulation::Chrome);
        let sources: Vec<_> =
            config.given().iter().map(|given| (given.setting.name, given.source.to_string())).collect();
        let file = format!("{} line 3", home.path().join("config.toml").display());
        for expected in [("port", "--port"), ("host", "CODEX_PROXY_HOST"), ("log", &*file), ("emulate", "default")] {
            assert!(sources.contains(&(expected.0, expected.1.to_owned())), "{expected:?} in {sources:?}");
        }
    }

    #[test]
    fn an_error_names_where_the_value_was_set() {
        let home = home("\nport = \"many\"");
        let env = |name: &str| (name == "CODEX_PROXY_HOME").then(|| home.path().as_os_str().to_owned());
        let error = Config::load(&[], &env).unwrap_err().to_string();
        assert!(error.contains("config.toml line 2: port: ") && error.contains("`many`"), "{error}");
        let error = Config::load(&[("port", "70000")], &env).unwrap_err().to_string();
        assert!(error.starts_with("--port: ") && error.contains("`70000`"), "{error}");
    }

    #[test]
    fn a_named_file_must_exist() {
        let error = config(&[("HOME", "/h"), ("CODEX_PROXY_CONFIG", "/does/not/exist.toml")]).unwrap_err();
        assert!(error.starts_with("/does/not/exist.toml: "), "{error}");
        let home = home("port = 7");
        let file = home.path().join("config.toml");
        let named = Config::load(&[("config", file.to_str().unwrap())], &|_| None);
        // Without a home directory there is no directory for credentials, which is a different error.
        assert!(named.unwrap_err().to_string().starts_with("CODEX_PROXY_HOME: "));
        let named = config(&[("HOME", "/h"), ("CODEX_PROXY_CONFIG", file.to_str().unwrap())]).unwrap();
        assert_eq!(named.port, 7);
    }

    #[test]
    fn a_reload_reads_the_file_again_under_the_same_flags() {
        let home = home("aliases = \"a=b\"\nport = 1");
        let env = |name: &str| (name == "CODEX_PROXY_HOME").then(|| home.path().as_os_str().to_owned());
        let config = Config::load(&[("port", "3")], &env).unwrap();
        std::fs::write(home.path().join("config.toml"), "aliases = \"a=c\"\nport = 2").unwrap();
        let reloaded = config.reloaded().unwrap();
        assert_eq!(reloaded.aliases.iter().collect::<Vec<_>>(), [("a", "c")]);
        assert_eq!(reloaded.port, 3);
        std::fs::write(home.path().join("config.toml"), "alias = \"a=c\"").unwrap();
        assert!(config.reloaded().unwrap_err().to_string().contains("did you mean `aliases`?"));
    }

    #[test]
    fn debug_output_contains_no_secrets() {
        let set = [("HOME", "/h"), ("CODEX_PROXY_API_KEY", "hunter2"), ("HTTPS_PROXY", "http://ada:hunter2@p.example")];
        let config = config(&set).unwrap();
        assert!(config.given().iter().all(|given| !format!("{given:?}{}", given.shown()).contains("hunter2")));
        assert!(!format!("{:?}", config.provenance).contains("hunter2"));
    }
}
