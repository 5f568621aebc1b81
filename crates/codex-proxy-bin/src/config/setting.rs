//! The description of a setting, and a value given for one.

use std::fmt;
use std::path::PathBuf;

use url::Url;
use zeroize::Zeroizing;

use crate::config::values::Values;

/// One setting, described in one place. The rows are in `table.rs`.
pub struct Setting {
    /// The name, which is also the key in the file.
    pub name: &'static str,
    /// The long flag of the commands that accept it, such as `--port`.
    pub flag: Option<&'static str>,
    /// The environment variables; the first one that is set wins.
    pub env: &'static [&'static str],
    /// Whether it may appear in the file.
    pub in_file: bool,
    /// How it may be written in the file, in addition to plain text.
    pub shape: ValueShape,
    /// The values it accepts, for the documentation and for errors: "a port". Empty if there are `choices`.
    pub accepts: &'static str,
    /// The words it accepts, if it accepts no others; for the documentation and shell completion.
    pub choices: &'static [&'static str],
    /// The default, written as a user would; empty if there is none.
    pub default: &'static str,
    /// The default in words, as Markdown, if it depends on the command; otherwise empty.
    pub default_in_words: &'static str,
    /// How much of its value may be shown.
    pub redaction: Redaction,
    /// Whether SIGHUP reloads it.
    pub reloads: bool,
    /// A sentence or two for the documentation.
    pub about: &'static str,
    /// Parses a value, which is never empty, into the configuration; the error says what is wrong with it.
    pub(super) set: fn(&mut Values, &str) -> Result<(), String>,
}

/// How a value may be written in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueShape {
    /// A string, a number, `true` or `false`.
    One,
    /// A path, which may start with `~/`.
    Path,
    /// Also an array of these; elsewhere the items are separated by commas.
    List,
    /// Also a table of these; elsewhere `key=value` pairs separated by commas.
    Table,
}

/// How much of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// All of it.
    None,
    /// A URL without its password.
    Password,
    /// Only whether it is set.
    All,
}

/// The defaults of a row.
pub(super) const EMPTY: Setting = Setting {
    name: "",
    flag: None,
    env: &[],
    in_file: true,
    shape: ValueShape::One,
    accepts: "",
    choices: &[],
    default: "",
    default_in_words: "",
    redaction: Redaction::None,
    reloads: false,
    about: "",
    set: |_, _| Ok(()),
};

impl Setting {
    /// Parses a value into `values`; an empty one changes nothing. The error says what is wrong with it.
    pub(super) fn apply(&self, values: &mut Values, text: &str) -> Result<(), String> {
        if text.is_empty() { Ok(()) } else { (self.set)(values, text) }
    }

    /// Returns the name that a user would look for: the variable, if any, otherwise the name.
    pub(super) fn title(&self) -> &'static str {
        self.env.first().copied().unwrap_or(self.name)
    }

    /// Returns the name in the file; if it cannot be there, the one that a user would look for.
    pub(super) fn name_in_file(&self) -> &'static str {
        if self.in_file { self.name } else { self.title() }
    }

    /// Returns the values it accepts, in words.
    pub fn accepts(&self) -> String {
        let quoted: Vec<_> = self.choices.iter().map(|choice| format!("`{choice}`")).collect();
        match quoted.split_last() {
            None => self.accepts.to_owned(),
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingSource {
    /// The program that embeds the proxy.
    Code,
    /// A flag, by its long name.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The configuration file, at a line counted from 1.
    File(PathBuf, usize),
    /// None: it is the default.
    Default,
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code => f.write_str("code"),
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(name) => f.write_str(name),
            Self::File(path, line) => write!(f, "{} line {line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value given for a setting, as text whatever its source. It may be a secret: `Debug` shows only what may be shown.
#[derive(Clone)]
pub struct SettingValue {
    /// The setting.
    pub setting: &'static Setting,
    /// Where it was given.
    pub source: SettingSource,
    pub(super) text: Zeroizing<String>,
}

impl SettingValue {
    pub(super) fn new(setting: &'static Setting, source: SettingSource, text: String) -> Self {
        Self { setting, source, text: Zeroizing::new(text) }
    }

    /// Returns the value as it may be shown.
    pub fn shown(&self) -> String {
        match self.setting.redaction {
            Redaction::None => self.text.to_string(),
            Redaction::Password => without_password(&self.text),
            Redaction::All if self.text.is_empty() => String::new(),
            Redaction::All => "(set)".to_owned(),
        }
    }

    /// Returns the value itself, which may be a secret.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the start of an error about this value.
    pub(super) fn place(&self) -> String {
        match &self.source {
            source @ (SettingSource::Flag(_) | SettingSource::Environment(_)) => source.to_string(),
            source @ SettingSource::File(..) => format!("{source}: {}", self.setting.name),
            SettingSource::Code => self.setting.name.to_owned(),
            SettingSource::Default => self.setting.title().to_owned(),
        }
    }
}

impl fmt::Debug for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.setting.name, self.shown(), self.source)
    }
}

/// Replaces the password in a URL. Text that may contain one but cannot be parsed is hidden entirely.
pub(super) fn without_password(text: &str) -> String {
    const HIDDEN: &str = "(set)";
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => match url.set_password(Some("***")) {
            Ok(()) => url.to_string(),
            Err(()) => HIDDEN.to_owned(),
        },
        Ok(url) if url.has_host() => text.to_owned(),
        _ if text.contains('@') => HIDDEN.to_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_not_shown() {
        assert_eq!(without_password("http://ada:secret@proxy.example:3128"), "http://ada:***@proxy.example:3128/");
        assert_eq!(without_password("http://proxy.example:3128"), "http://proxy.example:3128");
        assert_eq!(without_password("ada:secret@proxy.example"), "(set)");
        assert_eq!(without_password("proxy.example:3128"), "proxy.example:3128");
    }
}
