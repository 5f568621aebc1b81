//! A value given for a setting, and where.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use crate::config::setting::{Redaction, Setting, without_password};

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
    #[cfg(feature = "program")]
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
