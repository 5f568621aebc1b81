//! The settings, one row each: parsing, `config show` and `docs/configuration.md` are derived from the rows.
//!
//! To add a setting, add a row here, a field to `Config` and `Values`, and a method to `ConfigBuilder`. If a flag sets
//! it, name the flag in the row and return it from `Args::settings` (`cli/args.rs`). Then update the documentation with
//! `cargo run -p codex-proxy-bin -- config docs > docs/configuration.md`; tests fail if something is missing. A row's
//! `set` gets non-empty text, whatever its source, and its errors continue the sentence "CODEX_PROXY_X: …".

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use codex_upstream::{ClientIdentity, check_base_url};
use url::Url;

use crate::admission::keys::ApiKeys;
use crate::config::setting::{EMPTY, Redaction, Setting, ValueShape};
use crate::config::values::{
    BODY_MIB, CONNECTIONS, CredentialStorage, LogFormat, QUEUE, REQUESTS, STORED_MIB, TIMEOUT_SECONDS, Values,
};

/// Every setting, in the order of the documentation.
pub(crate) static SETTINGS: &[Setting] = &[
    Setting {
        name: "host",
        flag: Some("--host"),
        env: &["CODEX_PROXY_HOST"],
        accepts: "an address or host name",
        default: "0.0.0.0",
        about: "The address to listen on. Whatever the address, without a key only programs on this machine are served.",
        set: |values, text| {
            values.host = text.to_owned();
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "port",
        flag: Some("--port"),
        env: &["CODEX_PROXY_PORT"],
        accepts: "a port, or 0 for a free one",
        default: "8787",
        about: "The port to listen on.",
        set: |values, text| {
            values.port =
                text.parse().map_err(|_| format!("invalid value `{text}`: expected a port from 0 to 65535"))?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "listen",
        flag: Some("--listen"),
        env: &["CODEX_PROXY_LISTEN"],
        shape: ValueShape::List,
        accepts: "comma-separated addresses, `host:port` or `unix:/path`",
        about: "Where to listen instead of `host` and `port`. A Unix socket is accessible only to its owner and counts as local. \
                Sockets passed by a service manager (`LISTEN_FDS`) take precedence over both.",
        set: |values, text| {
            let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
            values.listen = addresses.map(str::parse).collect::<Result<_, _>>().map_err(said)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "api_key",
        env: &["CODEX_PROXY_API_KEY"],
        accepts: "one or more keys, one per line",
        redaction: Redaction::All,
        reloads: true,
        about: "The key that callers must send. Without one, only programs on this machine are served. The key `codex-proxy` is \
                public, so it is accepted only from private networks.",
        set: |values, text| {
            let keys: ApiKeys = text.parse().unwrap_or_default();
            values.access.keys = std::mem::take(&mut values.access.keys).merge(keys);
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "api_keys_file",
        env: &["CODEX_PROXY_API_KEYS_FILE"],
        shape: ValueShape::Path,
        accepts: "a file",
        reloads: true,
        about: "A file with additional keys, one per line; lines that start with `#` are ignored.",
        set: read_keys,
        ..EMPTY
    },
    Setting {
        name: "cors_origins",
        env: &["CODEX_PROXY_CORS_ORIGINS"],
        shape: ValueShape::List,
        accepts: "comma-separated origins, such as `https://chat.example,app://obsidian.md`, or `*` for all",
        reloads: true,
        about: "The web pages that may send requests, in addition to pages served from this machine. `*` allows any page that sends \
                a key; without a key it allows none.",
        set: |values, text| {
            values.access.origins = text.parse().map_err(said)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "max_body_mib",
        env: &["CODEX_PROXY_MAX_BODY_MIB"],
        accepts: "a number from 1 to 1024",
        default: "64",
        reloads: true,
        about: "The largest request body in MiB, before and after decompression. Bodies larger than 1 MiB wait while such bodies \
                already use 512 MiB in total.",
        set: |values, text| {
            values.limits.body_bytes = number(text, BODY_MIB)? << 20;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "max_requests",
        env: &["CODEX_PROXY_MAX_REQUESTS"],
        accepts: "a number from 1 to 100000",
        default: "10000",
        reloads: true,
        about: "The maximum number of concurrent requests.",
        set: |values, text| {
            values.limits.turns = number(text, REQUESTS)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "max_queue",
        env: &["CODEX_PROXY_MAX_QUEUE"],
        accepts: "a number from 0 to 100000",
        default: "1024",
        reloads: true,
        about: "The maximum number of requests that wait for a free slot, for up to 30 seconds; further ones get 503.",
        set: |values, text| {
            values.limits.queue = number(text, QUEUE)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "max_connections",
        env: &["CODEX_PROXY_MAX_CONNECTIONS"],
        accepts: "a number from 1 to 100000",
        default: "20000",
        reloads: true,
        about: "The maximum number of open connections.",
        set: |values, text| {
            values.limits.connections = number(text, CONNECTIONS)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "stored_mib",
        env: &["CODEX_PROXY_STORED_MIB"],
        accepts: "a number from 0 (none) to 4096",
        default: "32",
        about: "How many MiB of responses to store in memory, for clients that send `previous_response_id` or `item_reference`. \
                A response counts together with the conversation before it; one that is larger than the limit is not stored, \
                and says so. Responses to requests with `store: false` are never stored.",
        set: |values, text| {
            values.stored_bytes = number(text, STORED_MIB)? << 20;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "aliases",
        env: &["CODEX_PROXY_ALIASES"],
        shape: ValueShape::Table,
        accepts: "comma-separated pairs, such as `work=gpt-5.5-high,small=gpt-6-luna`",
        reloads: true,
        about: "Your own names for models. An alias never overrides a model that your account has.",
        set: |values, text| {
            values.aliases = text.parse().map_err(said)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "log",
        env: &["CODEX_PROXY_LOG"],
        accepts: "`error`, `warn`, `info`, `debug`, or a filter such as `codex_auth=debug`",
        default_in_words: "`info` for `serve` and `login`, otherwise `warn`",
        about: "The log level on standard error.",
        set: |values, text| {
            values.log = Some(text.to_owned());
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "log_format",
        flag: Some("--log-format"),
        env: &["CODEX_PROXY_LOG_FORMAT"],
        choices: &["text", "json"],
        default: "text",
        about: "The format of the log: readable text, or one JSON object per line.",
        set: |values, text| {
            values.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                other => return Err(format!("invalid value `{other}`: expected `text` or `json`")),
            };
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "home",
        env: &["CODEX_PROXY_HOME"],
        in_file: false,
        shape: ValueShape::Path,
        accepts: "a directory",
        default: "~/.codex-proxy",
        about: "The directory for `credentials.json`, `config.toml` and the model cache.",
        set: |values, text| {
            values.home = values.path(text);
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "config",
        flag: Some("--config"),
        env: &["CODEX_PROXY_CONFIG"],
        in_file: false,
        shape: ValueShape::Path,
        accepts: "a file",
        about: "The configuration file, which must exist. By default, `config.toml` in the home directory of the proxy is read if it exists.",
        // Read before the others: see `Sources::file`.
        ..EMPTY
    },
    Setting {
        name: "credentials",
        env: &["CODEX_PROXY_CREDENTIALS"],
        choices: &["file", "keyring"],
        default: "file",
        about: "Where to store the login. The operating system's keyring requires a build with `cargo install --features keyring`.",
        set: |values, text| {
            values.credential_storage = credential_storage(text)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "codex_home",
        env: &["CODEX_HOME"],
        shape: ValueShape::Path,
        accepts: "a directory",
        default: "~/.codex",
        about: "The directory with the Codex CLI's `auth.json`, which `--from-codex` reads.",
        set: |values, text| {
            values.codex_home = values.path(text);
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "emulate",
        flag: Some("--emulate"),
        env: &["CODEX_PROXY_EMULATE"],
        choices: &["chrome", "codex", "none"],
        default: "chrome",
        about: "Which TLS and HTTP/2 fingerprint to use: Chrome's, the official client's, or the library's own.",
        set: |values, text| {
            values.emulation = text.parse().map_err(said)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "transport",
        flag: Some("--transport"),
        env: &["CODEX_PROXY_TRANSPORT"],
        choices: &["http", "websocket", "auto"],
        default: "http",
        about: "How requests reach the backend; `auto` uses a WebSocket for models that prefer it and falls back to HTTP.",
        set: |values, text| {
            values.transport = text.parse().map_err(said)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "upstream_timeout",
        env: &["CODEX_PROXY_UPSTREAM_TIMEOUT"],
        accepts: "a number of seconds from 1 to 86400",
        default: "600",
        about: "How long the backend may be silent before a reply counts as cut short. Models can reason for minutes without output.",
        set: |values, text| {
            values.upstream_timeout = Duration::from_secs(number(text, TIMEOUT_SECONDS)? as u64);
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "client_version",
        env: &["CODEX_PROXY_CLIENT_VERSION"],
        accepts: "a version",
        default: codex_upstream::DEFAULT_VERSION,
        about: "The Codex version to report to the backend; raise it when the backend requires a newer client for a model.",
        set: |values, text| {
            values.identity = ClientIdentity::configured(&values.identity.originator, text).map_err(said)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "originator",
        env: &["CODEX_PROXY_ORIGINATOR"],
        accepts: "a name",
        default: codex_upstream::DEFAULT_ORIGINATOR,
        about: "The kind of Codex client to report with turns; logins and refreshes always report `codex_cli_rs`.",
        set: |values, text| {
            values.identity = ClientIdentity::configured(text, &values.identity.version).map_err(said)?;
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "upstream_url",
        env: &["CODEX_PROXY_UPSTREAM_URL"],
        accepts: "an https URL",
        default: codex_upstream::BACKEND_URL,
        about: "The backend; plain http only on this machine. A workspace with its own https origin is contacted there instead.",
        set: |values, text| {
            values.upstream = Some(base_url(text)?);
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "auth_url",
        env: &["CODEX_PROXY_AUTH_URL"],
        accepts: "an https URL",
        default: codex_auth::ISSUER_URL,
        about: "The auth server; plain http only on this machine.",
        set: |values, text| {
            values.auth = Some(base_url(text)?);
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "ca",
        env: &["CODEX_PROXY_CA"],
        shape: ValueShape::Path,
        accepts: "a file",
        about: "A PEM file of root certificates to trust in addition to the built-in ones.",
        set: trust,
        ..EMPTY
    },
    Setting {
        name: "ssl_cert_file",
        env: &["SSL_CERT_FILE"],
        in_file: false,
        shape: ValueShape::Path,
        accepts: "a file",
        about: "Same as `ca`, in addition to it; other programs also use this variable.",
        set: trust,
        ..EMPTY
    },
    // The lower-case names take precedence, as in curl.
    Setting {
        name: "https_proxy",
        env: &["https_proxy", "HTTPS_PROXY"],
        accepts: "an `http://`, `https://`, `socks5://` or `socks5h://` URL, with `user:password@` if needed",
        redaction: Redaction::Password,
        about: "The proxy for login, refresh and API requests.",
        set: |values, text| {
            values.proxy.https = Some(text.to_owned());
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "all_proxy",
        env: &["all_proxy", "ALL_PROXY"],
        accepts: "a URL, as for `https_proxy`",
        redaction: Redaction::Password,
        about: "The proxy to use if `https_proxy` is not set.",
        set: |values, text| {
            values.proxy.all = Some(text.to_owned());
            Ok(())
        },
        ..EMPTY
    },
    Setting {
        name: "no_proxy",
        env: &["no_proxy", "NO_PROXY"],
        shape: ValueShape::List,
        accepts: "comma-separated host names",
        about: "Hosts to contact without the proxy.",
        set: |values, text| {
            values.proxy.no_proxy = Some(text.to_owned());
            Ok(())
        },
        ..EMPTY
    },
];

impl Setting {
    /// Returns every setting, in the order of the documentation.
    ///
    /// ```
    /// use codex_proxy::Setting;
    ///
    /// let port = Setting::all().iter().find(|setting| setting.name == "port");
    /// assert_eq!(port.map(|setting| setting.default), Some("8787"));
    /// ```
    pub fn all() -> &'static [Self] {
        SETTINGS
    }
}

fn said(error: impl Display) -> String {
    error.to_string()
}

fn credential_storage(text: &str) -> Result<CredentialStorage, String> {
    match text {
        "file" => Ok(CredentialStorage::File),
        "keyring" if cfg!(feature = "keyring") => Ok(CredentialStorage::Keyring),
        "keyring" => {
            Err("this codex-proxy was built without keyring support; build it with `--features keyring`, or use `file`"
                .to_owned())
        }
        other => Err(format!("invalid value `{other}`: expected `file` or `keyring`")),
    }
}

/// Parses the base URL of a server that gets the login's tokens.
pub(super) fn base_url(text: &str) -> Result<Url, String> {
    let text = text.trim_end_matches('/');
    let url = Url::parse(text).map_err(|error| format!("invalid URL `{text}`: {error}"))?;
    check_base_url(&url).map_err(|error| format!("`{text}` {error}"))?;
    Ok(url)
}

fn number(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| out_of_range(text, &range))
}

/// Says which numbers a setting accepts.
pub(super) fn out_of_range(value: impl Display, range: &RangeInclusive<usize>) -> String {
    format!("invalid value `{value}`: expected a number from {} to {}", range.start(), range.end())
}

fn read_keys(values: &mut Values, text: &str) -> Result<(), String> {
    let path = values.path(text).unwrap_or_else(|| PathBuf::from(text));
    let unread = |error| format!("cannot read the keys in {} ({error})", path.display());
    let keys = ApiKeys::parse_file(&std::fs::read_to_string(&path).map_err(unread)?);
    if keys.is_empty() {
        // A user who configures a file of keys expects that a key is required.
        return Err(format!("no key in {}; write one per line", path.display()));
    }
    values.access.keys = std::mem::take(&mut values.access.keys).merge(keys);
    Ok(())
}

fn trust(values: &mut Values, text: &str) -> Result<(), String> {
    let path = values.path(text).unwrap_or_else(|| PathBuf::from(text));
    let unread = |error| format!("cannot read the certificates in {} ({error})", path.display());
    values.extra_roots_pem.push(std::fs::read(&path).map_err(unread)?);
    Ok(())
}

#[cfg(test)]
#[cfg(feature = "config-file")]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::admission::keys::KeyMatch;
    use crate::config::Config;
    use crate::request::limits::Limits;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let env = pairs.iter().copied().chain([("HOME", "/nonexistent")]);
        Config::from_env(env).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_are_read_from_the_environment_and_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys");
        let name = file.to_str().unwrap();
        std::fs::write(&file, "# laptop\nsecond\n").unwrap();
        let config_of = |keys| config(&[("CODEX_PROXY_API_KEY", keys), ("CODEX_PROXY_API_KEYS_FILE", name)]);
        let keys = config_of("a,b\nc").unwrap().access.keys;
        assert_eq!(keys.len(), 3);
        for key in ["a,b", "c", "second"] {
            assert_eq!(keys.find(key.as_bytes()), Some(KeyMatch::Secret), "{key}");
        }
        std::fs::write(&file, "# none yet\n").unwrap();
        let error = config_of("a").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_API_KEYS_FILE: "), "{error}");
        let error = config(&[("CODEX_PROXY_API_KEYS_FILE", "/does/not/exist")]).unwrap_err();
        assert!(error.contains("/does/not/exist"), "{error}");
    }

    #[test]
    fn limits_are_numbers_within_their_range() {
        assert_eq!(config(&[]).unwrap().limits, Limits::default());
        let limits = config(&[("CODEX_PROXY_MAX_BODY_MIB", " 8 "), ("CODEX_PROXY_MAX_REQUESTS", "3")]).unwrap().limits;
        assert_eq!((limits.body_bytes, limits.turns), (8 << 20, 3));
        for (setting, value) in [
            ("CODEX_PROXY_MAX_BODY_MIB", "0"),
            ("CODEX_PROXY_MAX_BODY_MIB", "64MB"),
            ("CODEX_PROXY_MAX_REQUESTS", "0"),
            ("CODEX_PROXY_MAX_QUEUE", "-1"),
            ("CODEX_PROXY_MAX_CONNECTIONS", "1e3"),
        ] {
            let error = config(&[(setting, value)]).unwrap_err();
            assert!(error.starts_with(&format!("{setting}: ")) && error.contains(&format!("`{value}`")), "{error}");
        }
    }

    #[test]
    fn an_error_names_the_invalid_address_or_origin() {
        let config_of = |setting, value| config(&[(setting, value)]);
        assert_eq!(config_of("CODEX_PROXY_LISTEN", "[::1]:1, unix:/s").unwrap().listen.len(), 2);
        let error = config_of("CODEX_PROXY_LISTEN", "localhost").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_LISTEN: ") && error.contains("`localhost`"), "{error}");
        let error = config_of("CODEX_PROXY_CORS_ORIGINS", "https://a.example, b.example").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_CORS_ORIGINS: ") && error.contains("`b.example`"), "{error}");
    }

    #[test]
    fn names_are_unique_and_rows_are_complete() {
        let mut seen = HashSet::new();
        for setting in SETTINGS {
            let names = [setting.name].into_iter().chain(setting.flag).chain(setting.env.iter().copied());
            for name in names.collect::<HashSet<_>>() {
                assert!(!name.is_empty() && seen.insert(name), "{name} appears twice");
            }
            assert!(setting.accepts.is_empty() != setting.choices.is_empty(), "{}", setting.name);
            assert!(!setting.env.is_empty() && setting.about.ends_with('.'), "{}", setting.name);
            assert!(setting.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", setting.name);
        }
    }
}
