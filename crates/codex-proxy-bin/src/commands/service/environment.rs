//! The service's settings: `service.env` in the proxy's home, readable by its owner alone.
//!
//! A service does not see what a shell exports. So what flags and environment say when it is installed is kept here, in the
//! form of systemd's `EnvironmentFile=`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::commands::CommandError;
use crate::commands::service::files::write_private;
use crate::config::{Config, SettingSource, ValueShape};

const KEY: &str = "CODEX_PROXY_API_KEY";

/// Variables with their values, some of which are secrets.
#[derive(Default)]
pub(super) struct Environment(BTreeMap<String, Zeroizing<String>>);

impl Environment {
    /// The file of the service's settings.
    pub(super) fn file(config: &Config) -> PathBuf {
        config.home.join("service.env")
    }

    /// What an earlier installation left.
    pub(super) fn read(path: &Path) -> Result<Self, CommandError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self(entries(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(CommandError::Other(format!("cannot read {} ({error})", path.display()))),
        }
    }

    /// Takes over what flags and environment say; returns the names. What the configuration file says, the service reads there.
    pub(super) fn adopt(&mut self, config: &Config) -> Vec<&'static str> {
        let mut adopted = Vec::new();
        for given in config.given() {
            let is_here = matches!(given.source, SettingSource::Flag(_) | SettingSource::Environment(_));
            let Some(name) = given.setting.env.first().filter(|_| is_here) else { continue };
            let text =
                if given.setting.shape == ValueShape::Path { absolute(given.text()) } else { given.text().to_owned() };
            self.0.insert((*name).to_owned(), Zeroizing::new(text));
            adopted.push(*name);
        }
        adopted
    }

    /// Makes a key if none is set up; returns it if so.
    pub(super) fn ensure_key(&mut self, config: &Config) -> Result<Option<Zeroizing<String>>, CommandError> {
        if self.0.contains_key(KEY) || config.has_key() {
            return Ok(None);
        }
        let key = Zeroizing::new(random_key()?);
        self.0.insert(KEY.to_owned(), key.clone());
        Ok(Some(key))
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), CommandError> {
        let mut text =
            Zeroizing::new(String::from("# Made by `codex-proxy service install`, which keeps what is here.\n"));
        for (name, value) in self.iter() {
            text.push_str(&format!("{name}={}\n", quoted(value)));
        }
        write_private(path, &text)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

fn absolute(path: &str) -> String {
    std::path::absolute(path)
        .ok()
        .and_then(|path| path.into_os_string().into_string().ok())
        .unwrap_or_else(|| path.to_owned())
}

/// 256 bits in hexadecimal digits, which need no quotes anywhere.
fn random_key() -> Result<String, CommandError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(CommandError::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// In double quotes, systemd takes a character after a backslash as it is (systemd.exec(5), `EnvironmentFile=`).
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        if matches!(character, '"' | '\\' | '`' | '$') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    text
}

fn entries(text: &str) -> BTreeMap<String, Zeroizing<String>> {
    let mut entries = BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        // Several keys stand on lines of their own within one value.
        let mut whole = Zeroizing::new(line.to_owned());
        while is_open(&whole) {
            let Some(line) = lines.next() else { break };
            whole.push('\n');
            whole.push_str(line);
        }
        entries.extend(entry(&whole));
    }
    entries
}

/// Whether a double quote was opened that is closed on a later line.
fn is_open(text: &str) -> bool {
    let value = text.split_once('=').filter(|_| !text.trim_start().starts_with(['#', ';']));
    let Some(inner) = value.and_then(|(_, value)| value.strip_prefix('"')) else { return false };
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '"' => return false,
            _ => {}
        }
    }
    true
}

/// A line that [`quoted`] wrote, or one that a user wrote without quotes.
fn entry(line: &str) -> Option<(String, Zeroizing<String>)> {
    let line = line.trim();
    let (name, value) = line.split_once('=').filter(|_| !line.starts_with(['#', ';']))?;
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Some((name.to_owned(), Zeroizing::new(value.trim_matches('\'').to_owned())));
    };
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        text.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    Some((name.to_owned(), Zeroizing::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_file() {
        let values = ["", "plain", "a b", "\"", "\\", "$HOME `id`", "'", "a=b,c=d", "ü", "one\ntwo", "\"\n\\\n"];
        let named =
            values.iter().enumerate().map(|(index, value)| (format!("NAME{index:02}"), (*value).to_owned().into()));
        let environment = Environment(named.collect());
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("service.env");
        environment.write(&file).unwrap();
        let read = Environment::read(&file).unwrap();
        assert_eq!(read.iter().map(|(_, value)| value).collect::<Vec<_>>(), values);
        assert_eq!(entry("NAME=by hand").unwrap().1.as_str(), "by hand");
        assert_eq!(entry("NAME='by hand'").unwrap().1.as_str(), "by hand");
        assert!(entry("# NAME=x").is_none() && entry("").is_none());
    }

    #[test]
    fn a_key_is_long_and_never_the_same() {
        let (one, other) = (random_key().unwrap(), random_key().unwrap());
        assert!(one.len() == 64 && one != other && one.bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}
