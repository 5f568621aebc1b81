//! The settings from flags and environment.

use std::path::PathBuf;

use crate::config::detect::{self, Env};
use crate::config::error::ConfigError;
use crate::config::setting::{SettingSource, SettingValue};
use crate::config::table::SETTINGS;
use crate::config::values::expand_home;

/// The settings from flags and environment. Kept, so that the file can be reloaded under them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// The flags first.
    pub(super) given: Vec<SettingValue>,
    pub(super) user_home: Option<PathBuf>,
    pub(super) user_config: Option<PathBuf>,
    pub(super) no_browser: Option<&'static str>,
    pub(super) no_color: bool,
}

impl Sources {
    pub(super) fn collect(flags: &[(&str, &str)], env: Env<'_>) -> Result<Self, ConfigError> {
        let mut given = Vec::new();
        for setting in SETTINGS {
            let Some(flag) = setting.flag else { continue };
            let texts = flags.iter().filter(|(name, _)| *name == setting.name);
            given.extend(
                texts.map(|(_, text)| SettingValue::new(setting, SettingSource::Flag(flag), text.trim().to_owned())),
            );
        }
        for setting in SETTINGS {
            for name in setting.env {
                let Some(text) = env(name) else { continue };
                let text = text
                    .into_string()
                    .map_err(|_| ConfigError { place: (*name).to_owned(), problem: "is not valid UTF-8".to_owned() })?;
                given.push(SettingValue::new(setting, SettingSource::Environment(name), text.trim().to_owned()));
            }
        }
        let directory = |name: &&str| env(name).filter(|path| !path.is_empty()).map(PathBuf::from);
        let user_home = ["HOME", "USERPROFILE"].iter().find_map(directory);
        // The XDG base directories: a relative path is ignored.
        let user_config = directory(&"XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        Ok(Self {
            given,
            user_config: user_config.or_else(|| Some(user_home.as_ref()?.join(".config"))),
            user_home,
            no_browser: detect::without_browser(env, detect::is_container()),
            no_color: detect::without_color(env),
        })
    }

    /// Returns the configuration file, and whether it must exist. Without a home directory there is none.
    pub(super) fn file(&self) -> Option<(PathBuf, bool)> {
        match self.text("config") {
            "" => Some((self.path(self.text("home"))?.join("config.toml"), false)),
            path => Some((self.path(path).unwrap_or_else(|| PathBuf::from(path)), true)),
        }
    }

    /// Returns the value of a setting that the file cannot contain, or its default.
    fn text(&self, name: &str) -> &str {
        let given = self.given.iter().find(|given| given.setting.name == name && !given.text.is_empty());
        let default = || SETTINGS.iter().find(|setting| setting.name == name).map_or("", |setting| setting.default);
        given.map_or_else(default, |given| given.text.as_str())
    }

    fn path(&self, text: &str) -> Option<PathBuf> {
        expand_home(text, self.user_home.as_deref())
    }
}
