//! The settings: one row each, from which the reading, `config show` and `docs/configuration.md` follow.
//!
//! To add a setting, add a row here and a field to [`Config`], with its starting value in `Config::blank`. If a flag gives it,
//! name the flag in the row and hand it on in `Command::settings` (`args.rs`). Then bring the documentation up to date with
//! `cargo run -p codex-proxy-bin -- config docs > docs/configuration.md`; a test tells when it is behind. A row's `set` gets text
//! that is not empty, whatever its source, and its errors complete the sentence "CODEX_PROXY_X: …".

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use codex_upstream::Identity;
use url::{Host, Url};

use super::setting::{Form, PLAIN, Setting, Shown};
use super::{Config, Kept, LogFormat};
use crate::admission::keys::ApiKeys;

/// Every setting, in the order of the documentation.
pub static SETTINGS: &[Setting] = &[
    Setting {
        name: "host",
        flag: Some("--host"),
        env: &["CODEX_PROXY_HOST"],
        takes: "an address or a host name",
        default: "0.0.0.0",
        about: "Where the proxy listens. Without a key, only programs on this machine are served all the same.",
        set: |config, text| {
            config.host = text.to_owned();
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "port",
        flag: Some("--port"),
        env: &["CODEX_PROXY_PORT"],
        takes: "a port; 0 takes a free one",
        default: "8787",
        about: "The port that the proxy listens on.",
        set: |config, text| {
            config.port = text.parse().map_err(|_| format!("`{text}` is not a port; choose one from 1 to 65535"))?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "listen",
        flag: Some("--listen"),
        env: &["CODEX_PROXY_LISTEN"],
        form: Form::List,
        takes: "addresses, separated by commas: `host:port` or `unix:/path`",
        about: "Where the proxy listens instead of `host` and `port`. A unix socket is for its owner alone, and counts as this \
                machine. Sockets from a service manager (`LISTEN_FDS`) go before both.",
        set: |config, text| {
            let addresses = text.split(',').map(str::trim).filter(|address| !address.is_empty());
            config.listen = addresses.map(str::parse).collect::<Result<_, _>>().map_err(said)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "api_key",
        env: &["CODEX_PROXY_API_KEY"],
        takes: "a key, or several, one a line",
        shown: Shown::Masked,
        reloads: true,
        about: "The key that callers must present. Without one, only programs on this machine are served. The key `codex-proxy`, \
                which everybody knows, counts on private networks only.",
        set: |config, text| {
            let keys: ApiKeys = text.parse().unwrap_or_default();
            config.access.keys = std::mem::take(&mut config.access.keys).and(keys);
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "api_keys_file",
        env: &["CODEX_PROXY_API_KEYS_FILE"],
        form: Form::Path,
        takes: "a file",
        reloads: true,
        about: "A file with more keys, one a line; lines that begin with `#` are passed over.",
        set: read_keys,
        ..PLAIN
    },
    Setting {
        name: "cors_origins",
        env: &["CODEX_PROXY_CORS_ORIGINS"],
        form: Form::List,
        takes: "origins, separated by commas, as in `https://chat.example,app://obsidian.md`; `*` for all",
        reloads: true,
        about: "The web pages that may call, beside those of this machine. `*` lets all pages that have a key read replies, and \
                lets none in without.",
        set: |config, text| {
            config.access.origins = text.parse().map_err(said)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "max_body_mib",
        env: &["CODEX_PROXY_MAX_BODY_MIB"],
        takes: "a number from 1 to 1024",
        default: "64",
        reloads: true,
        about: "The largest request body in MiB, before and after decoding. Those above 1 MiB wait when there are more than 512 MiB of \
                them at the same time.",
        set: |config, text| {
            config.limits.body_bytes = number(text, 1..=1024)? << 20;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "max_requests",
        env: &["CODEX_PROXY_MAX_REQUESTS"],
        takes: "a number from 1 to 100000",
        default: "10000",
        reloads: true,
        about: "How many requests are answered at the same time.",
        set: |config, text| {
            config.limits.turns = number(text, 1..=100_000)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "max_queue",
        env: &["CODEX_PROXY_MAX_QUEUE"],
        takes: "a number up to 100000",
        default: "1024",
        reloads: true,
        about: "How many more wait for their turn, for half a minute at most; further ones are told to come back later (503).",
        set: |config, text| {
            config.limits.queue = number(text, 0..=100_000)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "max_connections",
        env: &["CODEX_PROXY_MAX_CONNECTIONS"],
        takes: "a number from 1 to 100000",
        default: "20000",
        reloads: true,
        about: "How many connections are open at the same time.",
        set: |config, text| {
            config.limits.connections = number(text, 1..=100_000)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "stored_mib",
        env: &["CODEX_PROXY_STORED_MIB"],
        takes: "a number up to 4096; 0 keeps none",
        default: "32",
        about: "How many MiB of responses are kept in memory, for clients that send `previous_response_id` or `item_reference`. A \
                request with `store: false` is never kept.",
        set: |config, text| {
            config.stored_bytes = number(text, 0..=4096)? << 20;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "aliases",
        env: &["CODEX_PROXY_ALIASES"],
        form: Form::Table,
        takes: "names with the models they stand for, as in `work=gpt-5.5-high,small=gpt-6-luna`",
        reloads: true,
        about: "Your own names for models. A model that your account has always means itself.",
        set: |config, text| {
            config.aliases = text.parse().map_err(said)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "log",
        env: &["CODEX_PROXY_LOG"],
        takes: "`error`, `warn`, `info`, `debug`, or a filter such as `codex_auth=debug`",
        about: "What is logged to standard error. Without it, `serve` and `login` log `info`, and the other commands `warn`.",
        set: |config, text| {
            config.log = Some(text.to_owned());
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "log_format",
        flag: Some("--log-format"),
        env: &["CODEX_PROXY_LOG_FORMAT"],
        choices: &["text", "json"],
        default: "text",
        about: "How the log is written: lines for people, or a JSON object on each line.",
        set: |config, text| {
            config.log_format = match text {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                other => return Err(format!("`{other}` is no format for the log; choose `text` or `json`")),
            };
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "home",
        env: &["CODEX_PROXY_HOME"],
        in_file: false,
        form: Form::Path,
        takes: "a directory",
        default: "~/.codex-proxy",
        about: "Where `credentials.json`, `config.toml` and the model cache are kept.",
        set: |config, text| {
            let none = "there is no home directory (HOME is not set); set it to a directory for the credentials";
            config.home = config.path(text).ok_or(none)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "config",
        flag: Some("--config"),
        env: &["CODEX_PROXY_CONFIG"],
        in_file: false,
        form: Form::Path,
        takes: "a file",
        about: "The configuration file, which then has to exist. Without it, `config.toml` in the home is read if it is there.",
        // Read before the others: see `Sources::file`.
        ..PLAIN
    },
    Setting {
        name: "credentials",
        env: &["CODEX_PROXY_CREDENTIALS"],
        choices: &["file", "keyring"],
        default: "file",
        about: "Where the login is kept. The operating system's keyring has to be built in: `cargo install --features keyring`.",
        set: |config, text| {
            config.kept = kept(text)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "codex_home",
        env: &["CODEX_HOME"],
        form: Form::Path,
        takes: "a directory",
        default: "~/.codex",
        about: "Where the Codex CLI keeps the `auth.json` that `--from-codex` reads.",
        set: |config, text| {
            config.codex_home = config.path(text);
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "emulate",
        flag: Some("--emulate"),
        env: &["CODEX_PROXY_EMULATE"],
        choices: &["chrome", "codex", "none"],
        default: "chrome",
        about: "What TLS and HTTP/2 look like to the servers: Chrome, the official client, or the library itself.",
        set: |config, text| {
            config.emulation = text.parse().map_err(said)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "transport",
        flag: Some("--transport"),
        env: &["CODEX_PROXY_TRANSPORT"],
        choices: &["http", "websocket", "auto"],
        default: "http",
        about: "How turns reach the backend; auto uses a WebSocket for the models that prefer it, and HTTP where none can be had.",
        set: |config, text| {
            config.transport = text.parse().map_err(said)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "upstream_timeout",
        env: &["CODEX_PROXY_UPSTREAM_TIMEOUT"],
        takes: "a number of seconds from 1 to 86400",
        default: "600",
        about: "How long the backend may send nothing before a reply counts as broken off. Reasoning is silent for minutes at times.",
        set: |config, text| {
            config.upstream_timeout = Duration::from_secs(number(text, 1..=86_400)? as u64);
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "client_version",
        env: &["CODEX_PROXY_CLIENT_VERSION"],
        takes: "a version",
        default: codex_upstream::DEFAULT_VERSION,
        about: "The Codex version that the proxy claims to be; a newer one, when the backend asks for it, opens newer models.",
        set: |config, text| {
            config.identity = Identity::configured(&config.identity.originator, text).map_err(said)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "originator",
        env: &["CODEX_PROXY_ORIGINATOR"],
        takes: "a name",
        default: codex_upstream::DEFAULT_ORIGINATOR,
        about: "The kind of Codex client that the proxy claims to be.",
        set: |config, text| {
            config.identity = Identity::configured(text, &config.identity.version).map_err(said)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "upstream_url",
        env: &["CODEX_PROXY_UPSTREAM_URL"],
        takes: "an https URL",
        default: "https://chatgpt.com/backend-api",
        about: "The backend; plain http on this machine only. Workspaces with an https origin of their own are reached there.",
        set: |config, text| {
            config.upstream = base_url(text)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "auth_url",
        env: &["CODEX_PROXY_AUTH_URL"],
        takes: "an https URL",
        default: "https://auth.openai.com",
        about: "The auth server; plain http on this machine only.",
        set: |config, text| {
            config.auth = base_url(text)?;
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "ca",
        env: &["CODEX_PROXY_CA"],
        form: Form::Path,
        takes: "a file",
        about: "PEM file of root certificates to trust beside the built-in ones.",
        set: trust,
        ..PLAIN
    },
    Setting {
        name: "ssl_cert_file",
        env: &["SSL_CERT_FILE"],
        in_file: false,
        form: Form::Path,
        takes: "a file",
        about: "As `ca`, and beside it; other programs read this variable, too.",
        set: trust,
        ..PLAIN
    },
    // The lower-case spellings win, as in curl.
    Setting {
        name: "https_proxy",
        env: &["https_proxy", "HTTPS_PROXY"],
        takes: "a URL: `http://`, `https://`, `socks5://` or `socks5h://`, with `user:password@` if needed",
        shown: Shown::WithoutPassword,
        about: "The way out, for login, refresh and API alike.",
        set: |config, text| {
            config.proxy.https = Some(text.to_owned());
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "all_proxy",
        env: &["all_proxy", "ALL_PROXY"],
        takes: "a URL, as `https_proxy`",
        shown: Shown::WithoutPassword,
        about: "The way out where `https_proxy` is not set.",
        set: |config, text| {
            config.proxy.all = Some(text.to_owned());
            Ok(())
        },
        ..PLAIN
    },
    Setting {
        name: "no_proxy",
        env: &["no_proxy", "NO_PROXY"],
        form: Form::List,
        takes: "host names, separated by commas",
        about: "The hosts that are reached without the proxy.",
        set: |config, text| {
            config.proxy.no_proxy = Some(text.to_owned());
            Ok(())
        },
        ..PLAIN
    },
];

fn said(error: impl Display) -> String {
    error.to_string()
}

fn kept(text: &str) -> Result<Kept, String> {
    match text {
        "file" => Ok(Kept::File),
        "keyring" if cfg!(feature = "keyring") => Ok(Kept::Keyring),
        "keyring" => {
            Err("this codex-proxy was built without the keyring; build it with `--features keyring`, or choose `file`"
                .to_owned())
        }
        other => Err(format!("`{other}` is no place for credentials; choose `file` or `keyring`")),
    }
}

fn base_url(text: &str) -> Result<Url, String> {
    let text = text.trim_end_matches('/');
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL ({error})"))?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(&url) => Ok(url),
        "http" => Err(format!(
            "`{text}` would send the login's token in the clear; use https (plain http is accepted for this machine only)"
        )),
        other => Err(format!("`{other}` is not a scheme for a backend; use https")),
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

fn number(text: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("`{text}` is no number from {} to {}", range.start(), range.end()))
}

fn read_keys(config: &mut Config, text: &str) -> Result<(), String> {
    let path = config.path(text).unwrap_or_else(|| PathBuf::from(text));
    let unread = |error| format!("cannot read the keys in {} ({error})", path.display());
    let keys = ApiKeys::of_file(&std::fs::read_to_string(&path).map_err(unread)?);
    if keys.is_empty() {
        // Whoever names a file wants keys to be asked for.
        return Err(format!("there is no key in {}; write one a line", path.display()));
    }
    config.access.keys = std::mem::take(&mut config.access.keys).and(keys);
    Ok(())
}

fn trust(config: &mut Config, text: &str) -> Result<(), String> {
    let path = config.path(text).unwrap_or_else(|| PathBuf::from(text));
    let unread = |error| format!("cannot read the certificates in {} ({error})", path.display());
    config.extra_roots_pem.push(std::fs::read(&path).map_err(unread)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::admission::keys::Match;
    use crate::request::limits::Limits;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let env = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into());
            found.or_else(|| (name == "HOME").then(|| "/nonexistent".into()))
        };
        Config::from_env(&env).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_come_from_the_environment_and_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys");
        let name = file.to_str().unwrap();
        std::fs::write(&file, "# laptop\nsecond\n").unwrap();
        let config_of = |keys| config(&[("CODEX_PROXY_API_KEY", keys), ("CODEX_PROXY_API_KEYS_FILE", name)]);
        let keys = config_of("a,b\nc").unwrap().access.keys;
        assert_eq!(keys.len(), 3);
        for key in ["a,b", "c", "second"] {
            assert_eq!(keys.find(key.as_bytes()), Some(Match::Secret), "{key}");
        }
        std::fs::write(&file, "# none yet\n").unwrap();
        let error = config_of("a").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_API_KEYS_FILE: there is no key in"), "{error}");
        let error = config(&[("CODEX_PROXY_API_KEYS_FILE", "/does/not/exist")]).unwrap_err();
        assert!(error.contains("cannot read the keys in /does/not/exist"), "{error}");
    }

    #[test]
    fn limits_are_numbers_in_their_range_and_default_to_the_servers_own() {
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
            assert!(error.starts_with(&format!("{setting}: `{value}` is no number")), "{error}");
        }
    }

    #[test]
    fn what_is_no_address_and_no_origin_is_named() {
        let config_of = |setting, value| config(&[(setting, value)]);
        assert_eq!(config_of("CODEX_PROXY_LISTEN", "[::1]:1, unix:/s").unwrap().listen.len(), 2);
        let error = config_of("CODEX_PROXY_LISTEN", "localhost").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_LISTEN: `localhost` is no address"), "{error}");
        let error = config_of("CODEX_PROXY_CORS_ORIGINS", "https://a.example, b.example").unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_CORS_ORIGINS: `b.example` is no origin"), "{error}");
    }

    #[test]
    fn names_are_told_apart_and_rows_are_complete() {
        let mut seen = HashSet::new();
        for setting in SETTINGS {
            let names = [setting.name].into_iter().chain(setting.flag).chain(setting.env.iter().copied());
            for name in names.collect::<HashSet<_>>() {
                assert!(!name.is_empty() && seen.insert(name), "{name} is named twice");
            }
            assert!(setting.takes.is_empty() != setting.choices.is_empty(), "{}", setting.name);
            assert!(!setting.env.is_empty() && setting.about.ends_with('.'), "{}", setting.name);
            assert!(setting.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{}", setting.name);
        }
    }
}
