//! What a service manager is told of the program (sd_notify(3)). Nobody is told where there is none: without `NOTIFY_SOCKET`.

/// What the program is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Ready,
    Reloading,
    Stopping,
}

/// Tells the service manager what the program is doing.
#[cfg(unix)]
pub(crate) fn tell(phase: Phase) {
    use sd_notify::NotifyState;
    let state = match phase {
        Phase::Ready => Ok(vec![NotifyState::Ready]),
        // `Type=notify-reload` wants to know when the reload began.
        Phase::Reloading => NotifyState::monotonic_usec_now().map(|now| vec![NotifyState::Reloading, now]),
        Phase::Stopping => Ok(vec![NotifyState::Stopping]),
    };
    if let Err(error) = state.and_then(|state| sd_notify::notify(&state)) {
        tracing::warn!(%error, ?phase, "cannot tell the service manager");
    }
}

/// Tells a service manager that watches (`WatchdogSec=`) that the program is alive, for as long as it is polled.
#[cfg(unix)]
pub(crate) async fn keep_watchdog_quiet() {
    let Some(patience) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(patience / 2);
    loop {
        ticks.tick().await;
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
            tracing::warn!(%error, "cannot tell the service manager's watchdog");
        }
    }
}

#[cfg(not(unix))]
pub(crate) fn tell(_: Phase) {}

#[cfg(not(unix))]
pub(crate) async fn keep_watchdog_quiet() {
    std::future::pending().await
}
