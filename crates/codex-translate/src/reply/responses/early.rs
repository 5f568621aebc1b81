//! Events held back until the first output.

use crate::reply::bounds::MAX_EARLY_BYTES;

/// Events that have come and have not gone out.
#[derive(Clone, Debug, Default)]
pub(super) struct Early {
    pub(super) events: Vec<String>,
    bytes: usize,
}

impl Early {
    /// Keeps an event; false if there is no more room.
    pub(super) fn push(&mut self, json: &str) -> bool {
        self.bytes += size_of::<String>() + json.len();
        self.events.push(json.to_owned());
        self.bytes <= MAX_EARLY_BYTES
    }
}
