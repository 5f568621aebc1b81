//! The settings from code, flags and environment.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::given::{SettingSource, SettingValue};
use crate::config::names;
use crate::config::names::ListCommand;
use crate::config::setting::Setting;
use crate::config::table::SETTINGS;
use crate::config::values::expand_home;

/// The settings from code or flags, and from the environment. Kept, so that the file can be reloaded under them.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    /// Those from code or flags first.
    pub(super) given: Vec<SettingValue>,
    pub(super) user_home: Option<PathBuf>,
    pub(super) list: ListCommand,
}

/// How a configuration was read.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    pub(super) sources: Sources,
    /// The value of every setting.
    pub(super) given: Vec<SettingValue>,
}

impl Sources {
    /// Collects `settings`, which have the given `source`, and those of the environment.
    ///
    /// # Errors
    /// A name is not a setting, or is given twice in `settings`.
    pub(super) fn collect(
        settings: &[(&str, &str)],
        source: fn(&'static Setting) -> SettingSource,
        list: ListCommand,
        env: &Environment,
    ) -> Result<Self, ConfigError> {
        let mut given: Vec<SettingValue> = Vec::with_capacity(settings.len());
        for (name, text) in settings {
            let setting = names::in_code(name, list).map_err(|problem| ConfigError::new("Config::load", problem))?;
            if given.iter().any(|other| other.setting.name == setting.name) {
                return Err(ConfigError::new("Config::load", format!("`{name}` is given twice")));
            }
            given.push(SettingValue::new(setting, source(setting), text.trim().to_owned()));
        }
        // Empty values are ignored everywhere.
        for (name, _) in env.iter().filter(|(name, value)| !value.is_empty() && !names::is_of_a_service(name, value)) {
            names::in_environment(name, list).map_err(|problem| ConfigError::new("environment", problem))?;
        }
        for setting in SETTINGS {
            for name in setting.env {
                let set = env.get(name).filter(|text| !names::is_of_a_service(OsStr::new(name), text));
                let Some(text) = set else { continue };
                let text = text.to_str().ok_or_else(|| ConfigError::new(*name, "is not valid UTF-8"))?;
                given.push(SettingValue::new(setting, SettingSource::Environment(name), text.trim().to_owned()));
            }
        }
        Ok(Self { given, user_home: env.user_home(), list })
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
