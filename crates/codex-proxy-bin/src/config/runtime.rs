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
pub struct Terms {
    /// Who may call.
    pub access: Access,
    /// The user's own names for models.
    pub aliases: ModelAliases,
    /// How much of everything.
    pub limits: Limits,
}

impl Terms {
    /// Takes the reloadable settings from `config`.
    pub fn of(config: &Config) -> Self {
        Self { access: config.access.clone(), aliases: config.aliases.clone(), limits: config.limits }
    }
}

/// The settings in force, and the slots that they bound.
#[derive(Debug)]
pub struct InForce {
    terms: Mutex<Arc<Terms>>,
    slots: Slots,
}

impl InForce {
    /// Puts the first settings in force.
    pub fn new(terms: Terms) -> Self {
        let slots = Slots::new(terms.limits.turns, terms.limits.queue);
        Self { terms: Mutex::new(Arc::new(terms)), slots }
    }

    /// Returns the settings in force; a request uses those that it began under.
    pub fn now(&self) -> Arc<Terms> {
        Arc::clone(&lock(&self.terms))
    }

    /// Replaces the settings; running requests are not affected.
    pub fn replace(&self, terms: Terms) {
        self.slots.resize(terms.limits.turns, terms.limits.queue);
        *lock(&self.terms) = Arc::new(terms);
    }

    /// Returns the slots for requests.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }
}
