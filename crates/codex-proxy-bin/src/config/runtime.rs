//! The settings that SIGHUP reloads; running requests continue under the old ones.

use std::sync::{Arc, Mutex};

use codex_upstream::ModelAliases;

use crate::admission::access::Access;
use crate::admission::slots::Slots;
use crate::config::Config;
use crate::request::limits::Limits;
use crate::sync::lock;

/// The settings that can change while the program runs.
#[derive(Clone, Debug, Default)]
pub struct RuntimeConfig {
    /// Who may call.
    pub access: Access,
    /// The user's own names for models.
    pub aliases: ModelAliases,
    /// The limits.
    pub limits: Limits,
}

impl RuntimeConfig {
    /// Takes the reloadable settings from `config`.
    pub fn from_config(config: &Config) -> Self {
        Self { access: config.access.clone(), aliases: config.aliases.clone(), limits: config.limits }
    }
}

/// The settings in force, and the slots that they limit.
#[derive(Debug)]
pub struct Reloadable {
    config: Mutex<Arc<RuntimeConfig>>,
    slots: Slots,
}

impl Reloadable {
    /// Puts the first settings in force.
    pub fn new(config: RuntimeConfig) -> Self {
        let slots = Slots::new(config.limits.turns, config.limits.queue);
        Self { config: Mutex::new(Arc::new(config)), slots }
    }

    /// Returns the settings in force; a request uses those that it began under.
    pub fn current(&self) -> Arc<RuntimeConfig> {
        Arc::clone(&lock(&self.config))
    }

    /// Replaces the settings; running requests are not affected.
    pub fn replace(&self, config: RuntimeConfig) {
        self.slots.resize(config.limits.turns, config.limits.queue);
        *lock(&self.config) = Arc::new(config);
    }

    /// Returns the slots for requests.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }
}
