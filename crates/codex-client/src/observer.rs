//! Observers of turns, to log and count them.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use codex_translate::{Error, Summary};

/// Observes retries and refreshes, over all turns of a client.
///
/// Calls must return at once: a refresh waits for them before it stores its tokens.
pub trait TurnObserver: Debug + Send + Sync + 'static {
    /// Called when a request was sent to the backend again.
    fn retried(&self);

    /// Called after a refresh of the login's tokens, successful or not.
    fn refreshed(&self, outcome: RefreshOutcome);
}

/// The outcome of a refresh of the login's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// New tokens.
    Refreshed,
    /// A rejection, which ends the login.
    Refused,
    /// No usable reply.
    Failed,
}

/// Observes one reply. `()` observes nothing.
pub trait ReplyObserver: Send + Sync + Unpin + 'static {
    /// Called when output of the reply was handed to the client's connection.
    fn sent(&self);

    /// Called when the reply is complete.
    fn completed(&self, summary: &Summary);

    /// Called when the reply ends with an error.
    fn failed(&self, error: &Error);
}

/// All observers of a client. A panic in one of them affects nothing: what it observes holds a rotated token.
#[derive(Clone, Debug)]
pub(crate) struct Observers(Arc<[Arc<dyn TurnObserver>]>);

impl From<Vec<Arc<dyn TurnObserver>>> for Observers {
    fn from(observers: Vec<Arc<dyn TurnObserver>>) -> Self {
        Self(observers.into())
    }
}

impl Observers {
    pub(crate) fn retried(&self) {
        self.each(|observer| observer.retried());
    }

    pub(crate) fn refreshed(&self, outcome: RefreshOutcome) {
        self.each(|observer| observer.refreshed(outcome));
    }

    fn each(&self, tell: impl Fn(&dyn TurnObserver)) {
        for observer in &*self.0 {
            if catch_unwind(AssertUnwindSafe(|| tell(&**observer))).is_err() {
                tracing::error!("an observer of turns panicked");
            }
        }
    }
}

impl ReplyObserver for () {
    fn sent(&self) {}

    fn completed(&self, _: &Summary) {}

    fn failed(&self, _: &Error) {}
}
