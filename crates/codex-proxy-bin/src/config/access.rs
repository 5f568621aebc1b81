//! The settings of who may call, and of how much.

use codex_upstream::ModelAliases;

use crate::access::Access;
use crate::config::{ConfigError, Env, path, text};
use crate::keys::ApiKeys;
use crate::limits::Limits;
use crate::origin::{AllowedOrigins, UnusableOrigin};

/// Reads the keys and the trusted web pages.
pub(super) fn access(env: Env<'_>) -> Result<Access, ConfigError> {
    Ok(Access { keys: keys(env)?, origins: origins(env)? })
}

fn keys(env: Env<'_>) -> Result<ApiKeys, ConfigError> {
    const FILE: &str = "CODEX_PROXY_API_KEYS_FILE";
    let keys: ApiKeys = text(env, "CODEX_PROXY_API_KEY")?.unwrap_or_default().parse().unwrap_or_default();
    let Some(file) = path(env, FILE) else { return Ok(keys) };
    let problem = |problem: String| ConfigError { setting: FILE, problem };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| problem(format!("cannot read the keys in {} ({error})", file.display())))?;
    let of_file = ApiKeys::of_file(&text);
    if of_file.is_empty() {
        // Whoever names a file wants keys to be asked for.
        return Err(problem(format!("there is no key in {}; write one a line", file.display())));
    }
    Ok(keys.and(of_file))
}

fn origins(env: Env<'_>) -> Result<AllowedOrigins, ConfigError> {
    const SETTING: &str = "CODEX_PROXY_CORS_ORIGINS";
    let origins = text(env, SETTING)?.unwrap_or_default().parse();
    origins.map_err(|error: UnusableOrigin| ConfigError { setting: SETTING, problem: error.to_string() })
}

/// Reads the limits.
pub(super) fn limits(env: Env<'_>) -> Result<Limits, ConfigError> {
    let default = Limits::default();
    Ok(Limits {
        body_bytes: number(env, "CODEX_PROXY_MAX_BODY_MIB", default.body_bytes >> 20, 1..=1024)? << 20,
        turns: number(env, "CODEX_PROXY_MAX_REQUESTS", default.turns, 1..=100_000)?,
        queue: number(env, "CODEX_PROXY_MAX_QUEUE", default.queue, 0..=100_000)?,
        connections: number(env, "CODEX_PROXY_MAX_CONNECTIONS", default.connections, 1..=100_000)?,
        times: default.times,
    })
}

fn number(
    env: Env<'_>,
    setting: &'static str,
    default: usize,
    range: std::ops::RangeInclusive<usize>,
) -> Result<usize, ConfigError> {
    let Some(value) = text(env, setting)?.filter(|value| !value.trim().is_empty()) else { return Ok(default) };
    value.trim().parse().ok().filter(|number| range.contains(number)).ok_or_else(|| ConfigError {
        setting,
        problem: format!("`{value}` is no number from {} to {}", range.start(), range.end()),
    })
}

/// Reads the names that the user gives to models.
pub(super) fn aliases(env: Env<'_>) -> Result<ModelAliases, ConfigError> {
    const SETTING: &str = "CODEX_PROXY_ALIASES";
    let aliases = text(env, SETTING)?.unwrap_or_default().parse();
    aliases.map_err(|error: codex_upstream::UnusableAlias| ConfigError { setting: SETTING, problem: error.to_string() })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::config::Config;
    use crate::keys::Match;

    fn config(pairs: &[(&str, &str)]) -> Result<Config, String> {
        let env = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
            found.or_else(|| (name == "HOME").then(|| "/h".into()))
        };
        Config::from_env(&env).map_err(|error| error.to_string())
    }

    #[test]
    fn keys_come_from_the_environment_and_from_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys");
        let name = file.to_str().unwrap();
        std::fs::write(&file, "# laptop\nsecond\n").unwrap();
        let keys =
            config(&[("CODEX_PROXY_API_KEY", "a,b\nc"), ("CODEX_PROXY_API_KEYS_FILE", name)]).unwrap().access.keys;
        assert_eq!(keys.len(), 3);
        for key in ["a,b", "c", "second"] {
            assert_eq!(keys.find(key.as_bytes()), Some(Match::Secret), "{key}");
        }
        std::fs::write(&file, "# none yet\n").unwrap();
        let error = config(&[("CODEX_PROXY_API_KEYS_FILE", name)]).unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_API_KEYS_FILE: there is no key in"), "{error}");
        let error = config(&[("CODEX_PROXY_API_KEYS_FILE", "/does/not/exist")]).unwrap_err();
        assert!(error.contains("cannot read the keys in /does/not/exist"), "{error}");
    }

    #[test]
    fn an_empty_key_is_no_key() {
        assert!(config(&[]).unwrap().access.keys.is_empty());
        assert!(config(&[("CODEX_PROXY_API_KEY", "")]).unwrap().access.keys.is_empty());
        assert!(!config(&[("CODEX_PROXY_API_KEY", "k")]).unwrap().access.keys.is_empty());
    }

    #[test]
    fn a_page_that_is_no_origin_is_named() {
        let error = config(&[("CODEX_PROXY_CORS_ORIGINS", "https://a.example, b.example")]).unwrap_err();
        assert!(error.starts_with("CODEX_PROXY_CORS_ORIGINS: `b.example` is no origin"), "{error}");
    }

    #[test]
    fn limits_are_numbers_in_their_range() {
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
}
