//! The terms on which requests are served: what the program reads again on SIGHUP, while requests go on under the old ones.

use std::sync::{Arc, Mutex};

use codex_upstream::ModelAliases;

use crate::admission::access::Access;
use crate::admission::slots::Slots;
use crate::config::Config;
use crate::request::limits::Limits;
use crate::sync::lock;

/// What can change while the program runs.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Who may call.
    pub access: Access,
    /// The names that the user gives to models.
    pub aliases: ModelAliases,
    /// How much of everything.
    pub limits: Limits,
}

impl Terms {
    /// The terms that the settings name.
    pub fn of(config: &Config) -> Self {
        Self { access: config.access.clone(), aliases: config.aliases.clone(), limits: config.limits }
    }
}

/// The terms in force, and the slots that they bound.
#[derive(Debug)]
pub struct InForce {
    terms: Mutex<Arc<Terms>>,
    slots: Slots,
}

impl InForce {
    /// Puts the first terms in force.
    pub fn new(terms: Terms) -> Self {
        let slots = Slots::new(terms.limits.turns, terms.limits.queue);
        Self { terms: Mutex::new(Arc::new(terms)), slots }
    }

    /// The terms as they are now; a request keeps those that it began under.
    pub fn now(&self) -> Arc<Terms> {
        Arc::clone(&lock(&self.terms))
    }

    /// Replaces the terms; what runs goes on.
    pub fn replace(&self, terms: Terms) {
        self.slots.resize(terms.limits.turns, terms.limits.queue);
        *lock(&self.terms) = Arc::new(terms);
    }

    /// The slots of the requests that are answered.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }
}
