//! Observers of turns, to log and count them.

use std::fmt::Debug;

use codex_translate::{Error, Summary};

/// Observes retries and refreshes, over all turns of a client. `()` observes nothing.
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
    /// Called when the reply is a stream.
    fn streams(&self);

    /// Called when output of the reply was handed to the client's connection.
    fn sent(&self);

    /// Called when the reply is complete.
    fn completed(&self, summary: &Summary);

    /// Called when the reply ends with an error.
    fn failed(&self, error: &Error);
}

impl TurnObserver for () {
    fn retried(&self) {}

    fn refreshed(&self, _: RefreshOutcome) {}
}

impl ReplyObserver for () {
    fn streams(&self) {}

    fn sent(&self) {}

    fn completed(&self, _: &Summary) {}

    fn failed(&self, _: &Error) {}
}
