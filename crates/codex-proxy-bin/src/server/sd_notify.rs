//! Notifies a service manager of the program's state (sd_notify(3)). Does nothing without `NOTIFY_SOCKET`.

/// The program's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Ready,
    Reloading,
    Stopping,
}

/// Notifies the service manager of the program's state.
#[cfg(unix)]
pub(crate) fn notify(phase: Phase) {
    use sd_notify::NotifyState;
    let state = match phase {
        Phase::Ready => Ok(vec![NotifyState::Ready]),
        // `Type=notify-reload` needs the time at which the reload began.
        Phase::Reloading => NotifyState::monotonic_usec_now().map(|now| vec![NotifyState::Reloading, now]),
        Phase::Stopping => Ok(vec![NotifyState::Stopping]),
    };
    if let Err(error) = state.and_then(|state| sd_notify::notify(&state)) {
        tracing::warn!(%error, ?phase, "cannot notify the service manager");
    }
}

/// Pings the service manager's watchdog (`WatchdogSec=`), if there is one, for as long as this is polled.
#[cfg(unix)]
pub(crate) async fn ping_watchdog() {
    let Some(interval) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(interval / 2);
    loop {
        ticks.tick().await;
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
            tracing::warn!(%error, "cannot notify the service manager's watchdog");
        }
    }
}

#[cfg(not(unix))]
pub(crate) fn notify(_: Phase) {}

#[cfg(not(unix))]
pub(crate) async fn ping_watchdog() {
    std::future::pending().await
}
