//! What whoever runs turns can see of them, to log and to count.

use std::fmt::Debug;

use codex_translate::{Error, Summary};

/// Sees what happens on the way to the backend, over all turns.
pub trait TurnObserver: Debug + Send + Sync + 'static {
    /// A request was sent to the backend again.
    fn retried(&self);

    /// The login's tokens were refreshed, or were not.
    fn refreshed(&self, outcome: RefreshOutcome);
}

/// How a refresh of the login's tokens ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// With new tokens.
    Refreshed,
    /// With a refusal, which ends the login.
    Refused,
    /// Without a usable reply.
    Failed,
}

/// Sees one reply.
pub trait ReplyObserver: Send + Sync + Unpin + 'static {
    /// The reply is a stream.
    fn streams(&self);

    /// Output of the reply was handed to the client's connection.
    fn sent(&self);

    /// The reply is complete.
    fn completed(&self, summary: &Summary);

    /// The reply ends with an error.
    fn failed(&self, error: &Error);
}
