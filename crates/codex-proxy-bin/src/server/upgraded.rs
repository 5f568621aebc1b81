//! Connections that outlive the request that opened them.

use tokio::sync::watch;

/// The open WebSockets. They outlive the request that opened them, so the server tells them when to end.
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
    /// Returns what an upgraded connection watches: true once it has to end. The connection counts as open until it
    /// drops this.
    pub(crate) fn subscribe(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Tells all connections to end after their current turn, and waits until they have.
    pub(crate) async fn drain(&self) {
        self.stopping.send_replace(true);
        self.stopping.closed().await;
    }
}
