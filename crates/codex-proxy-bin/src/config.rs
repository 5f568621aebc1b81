//! The settings, read once at the start. Nothing else reads the environment.

use std::ffi::OsString;
use std::path::PathBuf;

use codex_auth::AuthConfig;
use codex_upstream::{
    ClientConfig, DEFAULT_ORIGINATOR, DEFAULT_VERSION, Emulation, Identity, ModelAliases, ProxyConfig,
    UnknownEmulation, UnusableIdentity,
};
use url::{Host, Url};

use crate::access::Access;
use crate::limits::Limits;

mod access;
mod surroundings;

/// A look into the environment; a parameter so that tests need not change the process's own.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where the program keeps its own login.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// In `credentials.json`.
    #[default]
    File,
    /// In the operating system's keyring.
    Keyring,
}

/// What the environment says. Flags of a command are added by the command.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where credentials and caches are kept (`CODEX_PROXY_HOME`, default `~/.codex-proxy`).
    pub home: PathBuf,
    /// Where the program's own login is kept (`CODEX_PROXY_CREDENTIALS`, default `file`).
    pub kept: Kept,
    /// Where the Codex CLI keeps its own login (`CODEX_HOME`, default `~/.codex`); `None` without a home directory.
    pub codex_home: Option<PathBuf>,
    /// The backend's base URL (`CODEX_PROXY_UPSTREAM_URL`).
    pub upstream: Url,
    /// The auth server's base URL (`CODEX_PROXY_AUTH_URL`).
    pub auth: Url,
    /// PEM text of root certificates to trust beside the built-in ones (`CODEX_PROXY_CA`, `SSL_CERT_FILE`).
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// The way out (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), for login, refresh and API alike.
    pub proxy: ProxyConfig,
    /// What connections look like (`CODEX_PROXY_EMULATE`), for login, refresh and API alike.
    pub emulation: Emulation,
    /// The keys that callers must present (`CODEX_PROXY_API_KEY`, `CODEX_PROXY_API_KEYS_FILE`), without which only this machine
    /// is served, and the web pages that may call (`CODEX_PROXY_CORS_ORIGINS`).
    pub access: Access,
    /// How much of everything (`CODEX_PROXY_MAX_BODY_MIB`, `_REQUESTS`, `_QUEUE`, `_CONNECTIONS`).
    pub limits: Limits,
    /// The client that the backend and the auth server see (`CODEX_PROXY_CLIENT_VERSION`, `CODEX_PROXY_ORIGINATOR`).
    pub identity: Identity,
    /// The names that the user gives to models (`CODEX_PROXY_ALIASES`), as in `work=gpt-5.5-high,small=gpt-6-luna`.
    pub aliases: ModelAliases,
    /// What is logged (`CODEX_PROXY_LOG`): a level, or a filter of tracing-subscriber's `EnvFilter`; the command's own choice if
    /// not set.
    pub log: Option<String>,
    /// Why no browser can be opened here, if that is so (`BROWSER`, `DISPLAY`, `SSH_CONNECTION` and the like).
    pub no_browser: Option<&'static str>,
}

/// A setting that cannot be used; names the setting and what it takes.
#[derive(Debug, thiserror::Error)]
#[error("{setting}: {problem}")]
pub struct ConfigError {
    setting: &'static str,
    problem: String,
}

impl Config {
    /// Reads the settings from `env`.
    ///
    /// # Errors
    /// A setting is malformed: the message names it. Nothing has been opened or bound yet.
    pub fn from_env(env: Env<'_>) -> Result<Self, ConfigError> {
        Ok(Self {
            home: home(env)?,
            kept: kept(env)?,
            codex_home: codex_home(env),
            upstream: base_url(env, "CODEX_PROXY_UPSTREAM_URL", "https://chatgpt.com/backend-api")?,
            auth: base_url(env, "CODEX_PROXY_AUTH_URL", "https://auth.openai.com")?,
            extra_roots_pem: extra_roots(env)?,
            proxy: proxy(env)?,
            emulation: emulation(env)?,
            access: access::access(env)?,
            limits: access::limits(env)?,
            identity: identity(env)?,
            aliases: access::aliases(env)?,
            log: text(env, "CODEX_PROXY_LOG")?.filter(|log| !log.is_empty()),
            no_browser: surroundings::without_browser(env, surroundings::is_container()),
        })
    }

    /// The settings of the client that speaks to the backend and the auth server.
    pub fn client(&self) -> ClientConfig {
        ClientConfig {
            emulation: self.emulation,
            extra_roots_pem: self.extra_roots_pem.clone(),
            proxy: self.proxy.clone(),
            ..ClientConfig::default()
        }
    }

    /// What the auth server is told of this program: the same as the backend.
    pub fn auth_config(&self) -> AuthConfig {
        AuthConfig { originator: self.identity.originator.clone(), ..AuthConfig::new(self.auth.clone()) }
    }

    /// The file with the login's tokens.
    pub fn credentials_path(&self) -> PathBuf {
        self.home.join("credentials.json")
    }

    /// The file that tells when the tokens in the keyring change.
    pub fn keyring_mark_path(&self) -> PathBuf {
        self.home.join("credentials.keyring")
    }

    /// The file with the Codex CLI's tokens.
    ///
    /// # Errors
    /// There is no home directory to look in.
    pub fn codex_auth_path(&self) -> Result<PathBuf, ConfigError> {
        let home = self.codex_home.as_ref().ok_or_else(|| ConfigError {
            setting: "CODEX_HOME",
            problem: "there is no home directory (HOME is not set); set it to the Codex CLI's directory".to_owned(),
        })?;
        Ok(home.join("auth.json"))
    }

    /// The file with the last model catalogue.
    pub fn catalogue_path(&self) -> PathBuf {
        self.home.join("models.json")
    }
}

fn home(env: Env<'_>) -> Result<PathBuf, ConfigError> {
    path(env, "CODEX_PROXY_HOME").or_else(|| Some(user_home(env)?.join(".codex-proxy"))).ok_or_else(|| ConfigError {
        setting: "CODEX_PROXY_HOME",
        problem: "there is no home directory (HOME is not set); set it to a directory for the credentials".to_owned(),
    })
}

fn kept(env: Env<'_>) -> Result<Kept, ConfigError> {
    const SETTING: &str = "CODEX_PROXY_CREDENTIALS";
    let problem = |problem: String| ConfigError { setting: SETTING, problem };
    match text(env, SETTING)?.as_deref().map(str::trim) {
        None | Some("" | "file") => Ok(Kept::File),
        Some("keyring") if cfg!(feature = "keyring") => Ok(Kept::Keyring),
        Some("keyring") => Err(problem(
            "this codex-proxy was built without the keyring; build it with `--features keyring`, or choose `file`"
                .to_owned(),
        )),
        Some(other) => Err(problem(format!("`{other}` is no place for credentials; choose `file` or `keyring`"))),
    }
}

fn codex_home(env: Env<'_>) -> Option<PathBuf> {
    path(env, "CODEX_HOME").or_else(|| Some(user_home(env)?.join(".codex")))
}

fn user_home(env: Env<'_>) -> Option<PathBuf> {
    path(env, "HOME").or_else(|| path(env, "USERPROFILE"))
}

fn path(env: Env<'_>, setting: &str) -> Option<PathBuf> {
    env(setting).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn base_url(env: Env<'_>, setting: &'static str, default: &str) -> Result<Url, ConfigError> {
    let value = text(env, setting)?.filter(|value| !value.trim().is_empty());
    let value = value.as_deref().unwrap_or(default).trim().trim_end_matches('/');
    let problem = |problem: String| ConfigError { setting, problem };
    let url = Url::parse(value).map_err(|error| problem(format!("`{value}` is not a URL ({error})")))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(problem(format!(
            "`{value}` would send the login's token in the clear; use https (plain http is \
             accepted for this machine only)"
        ))),
        other => Err(problem(format!("`{other}` is not a scheme for a backend; use https"))),
    }
}

/// Whether a URL's host is this machine; only there may the bearer travel without TLS.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

fn extra_roots(env: Env<'_>) -> Result<Vec<Vec<u8>>, ConfigError> {
    let mut roots = Vec::new();
    for setting in ["CODEX_PROXY_CA", "SSL_CERT_FILE"] {
        let Some(path) = env(setting).filter(|path| !path.is_empty()).map(PathBuf::from) else { continue };
        match std::fs::read(&path) {
            Ok(pem) => roots.push(pem),
            Err(error) => {
                let problem = format!("cannot read the certificates in {} ({error})", path.display());
                return Err(ConfigError { setting, problem });
            }
        }
    }
    Ok(roots)
}

fn emulation(env: Env<'_>) -> Result<Emulation, ConfigError> {
    const SETTING: &str = "CODEX_PROXY_EMULATE";
    match text(env, SETTING)?.filter(|name| !name.is_empty()) {
        Some(name) => {
            name.parse().map_err(|error: UnknownEmulation| ConfigError { setting: SETTING, problem: error.to_string() })
        }
        None => Ok(Emulation::default()),
    }
}

fn identity(env: Env<'_>) -> Result<Identity, ConfigError> {
    const VERSION: &str = "CODEX_PROXY_CLIENT_VERSION";
    const ORIGINATOR: &str = "CODEX_PROXY_ORIGINATOR";
    let given = |setting| Ok(text(env, setting)?.filter(|value| !value.is_empty()));
    let (version, originator) = (given(VERSION)?, given(ORIGINATOR)?);
    let identity = Identity::configured(
        originator.as_deref().unwrap_or(DEFAULT_ORIGINATOR),
        version.as_deref().unwrap_or(DEFAULT_VERSION),
    );
    identity.map_err(|error| {
        let setting = if error == UnusableIdentity::Version { VERSION } else { ORIGINATOR };
        ConfigError { setting, problem: error.to_string() }
    })
}

/// The lower-case spellings win, as in curl.
fn proxy(env: Env<'_>) -> Result<ProxyConfig, ConfigError> {
    let either = |lower, upper| -> Result<Option<String>, ConfigError> {
        Ok(text(env, lower)?.or(text(env, upper)?).filter(|value| !value.trim().is_empty()))
    };
    Ok(ProxyConfig {
        https: either("https_proxy", "HTTPS_PROXY")?,
        all: either("all_proxy", "ALL_PROXY")?,
        no_proxy: either("no_proxy", "NO_PROXY")?,
    })
}

fn text(env: Env<'_>, setting: &'static str) -> Result<Option<String>, ConfigError> {
    env(setting)
        .map(OsString::into_string)
        .transpose()
        .map_err(|_| ConfigError { setting, problem: "is not valid UTF-8".to_owned() })
}

#[cfg(test)]
mod tests {
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
    fn the_place_of_the_credentials_is_one_that_was_built_in() {
        let kept = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_CREDENTIALS", value)]).map(|config| config.kept);
        assert_eq!((kept(""), kept("file")), (Ok(Kept::File), Ok(Kept::File)));
        let error = kept("keychain").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_CREDENTIALS: ") && error.contains("`keyring`"), "{error}");
        match kept("keyring") {
            Ok(kept) => assert!(cfg!(feature = "keyring") && kept == Kept::Keyring),
            Err(error) => assert!(!cfg!(feature = "keyring") && error.contains("--features keyring"), "{error}"),
        }
    }

    #[test]
    fn the_codex_home_moves_and_can_be_missing() {
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
    fn connections_look_as_they_are_told_to() {
        let read = |value| config(&[("HOME", "/h"), ("CODEX_PROXY_EMULATE", value)]);
        assert_eq!(read("").unwrap().client().emulation, Emulation::Chrome);
        assert_eq!(read("codex").unwrap().client().emulation, Emulation::Codex);
        let error = read("firefox").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_EMULATE: the emulations are"), "{error}");
    }

    #[test]
    fn the_client_identity_is_one_value_for_both_servers() {
        let read = |name, value| config(&[("HOME", "/h"), (name, value)]);
        assert_eq!(read("CODEX_PROXY_ORIGINATOR", "").unwrap().identity, Identity::default());
        let config = read("CODEX_PROXY_ORIGINATOR", "codex_exec").unwrap();
        assert_eq!((&*config.identity.originator, &*config.auth_config().originator), ("codex_exec", "codex_exec"));
        assert_eq!(read("CODEX_PROXY_CLIENT_VERSION", "0.200.1").unwrap().identity.version, "0.200.1");
        for (name, value) in [("CODEX_PROXY_CLIENT_VERSION", "new"), ("CODEX_PROXY_ORIGINATOR", "a/b")] {
            let error = read(name, value).unwrap_err();
            assert!(error.starts_with(name), "{error}");
        }
    }

    #[test]
    fn aliases_are_read_and_a_bad_one_is_named() {
        let read = |aliases| config(&[("HOME", "/h"), ("CODEX_PROXY_ALIASES", aliases)]);
        assert_eq!(read("a=b").unwrap().aliases.iter().collect::<Vec<_>>(), [("a", "b")]);
        let error = read("a=b,c").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_ALIASES: `c`"), "{error}");
    }

    #[test]
    fn missing_certificates_are_named() {
        let error = config(&[("HOME", "/h"), ("CODEX_PROXY_CA", "/does/not/exist.pem")]).unwrap_err();
        assert!(error.contains("CODEX_PROXY_CA") && error.contains("/does/not/exist.pem"), "{error}");
    }
}
