//! Connections that outlive the request that they came by.

use tokio::sync::watch;

/// The WebUpgradedConnections that are open. They outlive the request that opened them, so the server asks them to end.
#[derive(Debug)]
pub(crate) struct UpgradedConnections {
    stopping: watch::Sender<bool>,
}

impl Default for UpgradedConnections {
    fn default() -> Self {
        Self { stopping: watch::Sender::new(false) }
    }
}

impl UpgradedConnections {
    /// Returns what an upgraded connection listens to: true once it is to end. The connection counts as open until it drops this.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Asks all to end after the turn they are in, and waits until they have.
    pub(crate) async fn drain(&self) {
        self.stopping.send_replace(true);
        self.stopping.closed().await;
    }
}
