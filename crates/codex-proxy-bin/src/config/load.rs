//! Reads the settings of flags, environment and configuration file.

use std::ffi::OsString;

use crate::config::Config;
#[cfg(feature = "program")]
use crate::config::environment::Environment;
use crate::config::error::ConfigError;
use crate::config::file::{self, ConfigFile};
use crate::config::given::{SettingSource, SettingValue};
#[cfg(feature = "program")]
use crate::config::setting::Setting;
use crate::config::sources::{Loaded, Sources};
use crate::config::table::SETTINGS;
use crate::config::values::Values;

impl Config {
    /// Reads the settings from the environment and the configuration file, as the program does.
    ///
    /// ```
    /// use codex_proxy::Config;
    ///
    /// # fn main() -> Result<(), codex_proxy::ConfigError> {
    /// let config = Config::from_env(std::env::vars_os())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_env(
        env: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Result<Self, ConfigError> {
        Self::load(&[], env)
    }

    /// Reads the settings from code, the environment and the configuration file. Those from code are given by name and
    /// override the others, as the program's flags do.
    ///
    /// ```
    /// use codex_proxy::Config;
    ///
    /// # fn main() -> Result<(), codex_proxy::ConfigError> {
    /// let variables = [("HOME", "/nonexistent"), ("CODEX_PROXY_PORT", "9000")];
    /// let config = Config::load(&[("api_key", "secret"), ("port", "9001")], variables)?;
    /// assert_eq!(config.addresses()[0].to_string(), "0.0.0.0:9001");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A setting is invalid; a name is not a setting, in `settings`, in the file, or of a variable that starts with
    /// `CODEX_PROXY_`; or `settings` contains a name twice. The message names it and where it was set. Nothing has been
    /// opened or bound yet.
    pub fn load(
        settings: &[(&str, &str)],
        env: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Result<Self, ConfigError> {
        let env = env.into_iter().collect();
        Self::from_sources(Sources::collect(settings, |_| SettingSource::Code, None, &env)?)
    }

    /// Does the same for the program, whose settings from code are flags.
    ///
    /// # Errors
    /// As [`Config::load`].
    #[cfg(feature = "program")]
    pub(crate) fn from_flags(flags: &[(&str, &str)], env: &Environment) -> Result<Self, ConfigError> {
        let source = |setting: &'static Setting| setting.flag.map_or(SettingSource::Code, SettingSource::Flag);
        Self::from_sources(Sources::collect(flags, source, Some("codex-proxy config show"), env)?)
    }

    /// Reads the file again, under the same settings from code and environment. A configuration that was built in code
    /// has no file and is returned unchanged.
    ///
    /// [`Setting::reloads`] says which of the new values a running server adopts.
    ///
    /// # Errors
    /// As [`Config::load`]; the previous settings stay in effect.
    pub fn reloaded(&self) -> Result<Self, ConfigError> {
        match &self.loaded {
            Some(loaded) => Self::from_sources(loaded.sources.clone()),
            None => Ok(self.clone()),
        }
    }

    /// Returns the value of every setting, set or default, in the order of the documentation; none for a configuration
    /// that was built in code.
    pub fn given(&self) -> &[SettingValue] {
        self.loaded.as_ref().map_or(&[], |loaded| &loaded.given)
    }

    fn from_sources(sources: Sources) -> Result<Self, ConfigError> {
        let file = match sources.file() {
            Some((path, must_exist)) => file::read(&path, must_exist, sources.list)?,
            None => ConfigFile::default(),
        };
        let mut values = Values { user_home: sources.user_home.clone(), ..Values::default() };
        let mut given = Vec::with_capacity(SETTINGS.len());
        for setting in SETTINGS {
            let is_wanted = |given: &&SettingValue| given.setting.name == setting.name && !given.text.is_empty();
            let value = sources.given.iter().chain(&file.given).find(is_wanted).cloned();
            let value =
                value.unwrap_or_else(|| SettingValue::new(setting, SettingSource::Default, setting.default.to_owned()));
            setting.apply(&mut values, &value.text).map_err(|problem| ConfigError::new(value.place(), problem))?;
            given.push(value);
        }
        let mut config = Self::from_values(values)?;
        config.warnings.extend(file.warning);
        config.loaded = Some(Loaded { sources, given });
        Ok(config)
    }
}
