//! Interrupting a turn while its reply is read.

use std::sync::Arc;

use tokio::sync::Notify;

/// Interrupts a turn over a WebSocket: an extension of its reply ([`http::Response::extensions`]).
///
/// The backend ends the turn with `response.incomplete`, and the connection serves the next one. If it does not within
/// a few seconds, or cannot, the connection is closed, which ends the turn as well, and the reply ends without a last
/// event.
///
/// Over HTTP there is no such extension: drop the reply instead.
#[derive(Clone, Debug, Default)]
pub struct TurnInterrupt(Arc<Notify>);

impl TurnInterrupt {
    /// Asks the backend to end the turn. Takes effect when the reply is read.
    pub fn request(&self) {
        self.0.notify_one();
    }

    /// Waits until the turn is to be interrupted.
    pub(crate) async fn requested(&self) {
        self.0.notified().await;
    }
}
