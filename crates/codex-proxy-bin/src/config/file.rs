//! The configuration file.

use std::io;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use crate::config::error::ConfigError;
use crate::config::given::{SettingSource, SettingValue};
use crate::config::names;
use crate::config::names::ListCommand;
use crate::config::setting::{Redaction, Setting, ValueShape};

/// The contents of a configuration file.
#[derive(Default)]
pub(super) struct ConfigFile {
    pub(super) given: Vec<SettingValue>,
    /// A warning about the file.
    pub(super) warning: Option<String>,
}

/// Reads the file at `path`; a missing one is empty, unless it `must_exist`.
pub(super) fn read(path: &Path, must_exist: bool, list: ListCommand) -> Result<ConfigFile, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => return Ok(ConfigFile::default()),
        Err(error) => {
            return Err(ConfigError::new(path.display().to_string(), format!("cannot be read ({error})")));
        }
    };
    let given = parse(path, &text, list)?;
    let has_secret = given.iter().any(|value| value.setting.redaction == Redaction::All && !value.text.is_empty());
    let warning = (has_secret && is_open(path))
        .then(|| format!("{0} contains a key and is readable by others; run: chmod 600 {0}", path.display()));
    Ok(ConfigFile { given, warning })
}

fn parse(path: &Path, text: &str, list: ListCommand) -> Result<Vec<SettingValue>, ConfigError> {
    let error = |at: usize, problem: String| {
        ConfigError::new(SettingSource::File(path.to_owned(), line(text, at)).to_string(), problem)
    };
    let table = DeTable::parse(text).map_err(|wrong| {
        let at = wrong.span().map_or(text.len(), |span| span.start);
        error(at, wrong.message().to_owned())
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut given = Vec::with_capacity(entries.len());
    for (key, value) in entries {
        let at = key.span().start;
        let name = key.get_ref().as_ref();
        let setting = names::in_file(name, list).map_err(|problem| error(at, problem))?;
        let written = written(setting, value.get_ref()).map_err(|problem| error(at, format!("{name}: {problem}")))?;
        given.push(SettingValue::new(setting, SettingSource::File(path.to_owned(), line(text, at)), written));
    }
    Ok(given)
}

/// Returns the line, counted from 1, of the byte at `at`.
fn line(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}

/// Returns the value as the environment would write it, so one function parses it whatever its source.
fn written(setting: &Setting, value: &DeValue<'_>) -> Result<String, String> {
    match (setting.shape, value) {
        (ValueShape::List, DeValue::Array(items)) => {
            let items: Result<Vec<_>, _> = items.iter().map(|item| part(setting, item.get_ref())).collect();
            Ok(items?.join(","))
        }
        (ValueShape::Table, DeValue::Table(entries)) => {
            let mut written = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                written.push(format!("{}={}", key.get_ref(), part(setting, value.get_ref())?));
            }
            Ok(written.join(","))
        }
        (_, value) => scalar(value).ok_or_else(|| wrong_shape(setting, value)),
    }
}

/// Returns one of several values, which commas separate.
fn part(setting: &Setting, value: &DeValue<'_>) -> Result<String, String> {
    let text = scalar(value).ok_or_else(|| wrong_shape(setting, value))?;
    if text.contains(',') { Err("a value contains a comma, which separates values".to_owned()) } else { Ok(text) }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(is_on) => Some(is_on.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

fn wrong_shape(setting: &Setting, value: &DeValue<'_>) -> String {
    format!("expected {}, found {}", setting.accepts(), value.type_str())
}

#[cfg(unix)]
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o077 != 0)
}

/// Returns false: on other systems, a user's directories are private.
#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Result<Vec<String>, String> {
        let given = parse(Path::new("config.toml"), text, None).map_err(|error| error.to_string())?;
        Ok(given.iter().map(|value| format!("{}={}", value.setting.name, *value.text)).collect())
    }

    #[test]
    fn every_shape_becomes_the_text_of_the_environment() {
        let text = "port = 9000\nhost = \"::1\"\n[aliases]\nwork = \"gpt-5.5-high\"\nsmall = \"gpt-6-luna\"\n";
        assert_eq!(said(text).unwrap(), ["port=9000", "host=::1", "aliases=small=gpt-6-luna,work=gpt-5.5-high"]);
        assert_eq!(said("port = \"9000\"\naliases = \"a=b\"").unwrap(), ["port=9000", "aliases=a=b"]);
        assert_eq!(said("# nothing\n").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn errors_name_the_line() {
        for (text, says) in [
            ("\nport = 1\nprot = 9000\n", "config.toml line 3: `prot` is not a setting; did you mean `port`?"),
            ("zzzzzzzz = 1", "config.toml line 1: `zzzzzzzz` is not a setting"),
            ("CODEX_PROXY_PORT = 1", "config.toml line 1: `CODEX_PROXY_PORT` is not a setting; did you mean `port`?"),
            (
                "codex_proxy_hom = 1",
                "config.toml line 1: `codex_proxy_hom` is not a setting; did you mean `CODEX_PROXY_HOME`?",
            ),
            ("home = \"/h\"", "config.toml line 1: home cannot be set in a file; set CODEX_PROXY_HOME"),
            ("# x\nport = [1]", "config.toml line 2: port: expected a port"),
            ("[aliases]\na = \"b,c\"", "config.toml line 1: aliases: "),
            ("port = 1\nport = 2", "config.toml line 2: duplicate key"),
            ("port =", "config.toml line 1: "),
        ] {
            let error = said(text).unwrap_err();
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_a_warning() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        let warned = |text: &str, mode| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read(&path, true, None).unwrap().warning.is_some()
        };
        assert!(warned("api_key = \"k\"", 0o644));
        assert!(!warned("api_key = \"k\"", 0o600));
        assert!(!warned("api_key = \"\"\nport = 1", 0o644));
    }
}
