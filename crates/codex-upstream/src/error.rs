//! Why a reply did not arrive, or not completely.

/// The phase of a request in which a timeout occurred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimeoutPhase {
    /// The connection: DNS lookup, TCP, proxy and TLS handshake.
    Connect,
    /// The head of the reply.
    Head,
    /// The next piece of the reply's body.
    Body,
}

/// A reply that did not arrive, or not completely.
///
/// Messages name the host and the next step. They contain no credentials: neither the bearer nor a proxy's password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamError {
    /// No connection to the backend; nothing was sent.
    #[error("cannot connect to {host}: {reason}; check the network and the proxy settings")]
    Connect {
        /// The backend's host.
        host: String,
        /// The message of the operating system or the resolver.
        reason: String,
    },
    /// The TLS handshake failed; nothing was sent.
    #[error(
        "TLS handshake with {host} failed: {reason}; behind a TLS-inspecting proxy, add its root certificate to the extra roots"
    )]
    Tls {
        /// The backend's host.
        host: String,
        /// The message of the TLS library.
        reason: String,
    },
    /// The configured proxy refused or failed; nothing was sent.
    #[error("the proxy did not connect to {host}: {reason}; check its address and credentials")]
    Proxy {
        /// The backend's host.
        host: String,
        /// The proxy's answer.
        reason: String,
    },
    /// The backend, or something between, does not accept a WebSocket; the turn was not started.
    #[error("{host} does not accept WebSocket connections: {reason}; use the transport `auto` or `http`")]
    WebSocketUnavailable {
        /// The backend's host.
        host: String,
        /// The backend's answer.
        reason: String,
        /// Whether a later attempt may succeed.
        is_transient: bool,
    },
    /// The backend closed a WebSocket properly instead of answering. So it refuses some turns, without a reason
    /// (`docs/backend.md §4`); the turn was not started.
    #[error(
        "{host} closed the WebSocket before it answered: {reason}; over HTTP it gives a reason: use the transport `auto` or `http`"
    )]
    Unanswered {
        /// The backend's host.
        host: String,
        /// How it closed the WebSocket.
        reason: String,
    },
    /// No data arrived within the configured time.
    #[error("{} {host} timed out; try again, or raise the timeout", phase_name(*phase))]
    Timeout {
        /// The backend's host.
        host: String,
        /// The phase in which it occurred.
        phase: TimeoutPhase,
    },
    /// The connection ended before the head of the reply; the backend may have seen the request.
    #[error("{host} closed the connection before it answered: {reason}; try again")]
    Closed {
        /// The backend's host.
        host: String,
        /// The error of the connection.
        reason: String,
    },
    /// The connection failed during the reply's body.
    #[error("the reply from {host} was cut off: {reason}; try again")]
    Body {
        /// The backend's host.
        host: String,
        /// The error of the connection.
        reason: String,
    },
    /// The reply is larger than its reader allows.
    #[error("the reply is larger than {limit_bytes} bytes; raise the limit if it is legitimate")]
    TooLarge {
        /// The limit that was exceeded.
        limit_bytes: usize,
    },
    /// The request cannot be sent as it is; nothing was sent.
    #[error("the request cannot be sent: {reason}")]
    InvalidRequest {
        /// What is wrong with it, and what to change.
        reason: String,
    },
}

impl UpstreamError {
    /// Returns whether the backend provably did not act on the request, so sending it again cannot do anything twice.
    #[must_use]
    pub fn before_dispatch(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::Proxy { .. }
            | Self::WebSocketUnavailable { .. }
            | Self::Unanswered { .. }
            | Self::InvalidRequest { .. } => true,
            Self::Timeout { phase, .. } => *phase == TimeoutPhase::Connect,
            Self::Closed { .. } | Self::Body { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// Returns whether a later attempt can succeed without a change, because the network may have been at fault.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::WebSocketUnavailable { is_transient, .. } => *is_transient,
            Self::Connect { .. }
            | Self::Proxy { .. }
            | Self::Timeout { .. }
            | Self::Closed { .. }
            | Self::Body { .. } => true,
            Self::Tls { .. } | Self::Unanswered { .. } | Self::TooLarge { .. } | Self::InvalidRequest { .. } => false,
        }
    }
}

fn phase_name(phase: TimeoutPhase) -> &'static str {
    match phase {
        TimeoutPhase::Connect => "connecting to",
        TimeoutPhase::Head => "waiting for an answer from",
        TimeoutPhase::Body => "waiting for more of the reply from",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_before_the_request_count_as_before_dispatch() {
        let host = || "chatgpt.com".to_owned();
        let reason = || "why".to_owned();
        let rows = [
            (UpstreamError::Connect { host: host(), reason: reason() }, true, true),
            (UpstreamError::Tls { host: host(), reason: reason() }, true, false),
            (UpstreamError::Proxy { host: host(), reason: reason() }, true, true),
            (UpstreamError::WebSocketUnavailable { host: host(), reason: reason(), is_transient: true }, true, true),
            (UpstreamError::WebSocketUnavailable { host: host(), reason: reason(), is_transient: false }, true, false),
            (UpstreamError::Unanswered { host: host(), reason: reason() }, true, false),
            (UpstreamError::Timeout { host: host(), phase: TimeoutPhase::Connect }, true, true),
            (UpstreamError::Timeout { host: host(), phase: TimeoutPhase::Head }, false, true),
            (UpstreamError::Timeout { host: host(), phase: TimeoutPhase::Body }, false, true),
            (UpstreamError::Closed { host: host(), reason: reason() }, false, true),
            (UpstreamError::Body { host: host(), reason: reason() }, false, true),
            (UpstreamError::TooLarge { limit_bytes: 1 }, false, false),
            (UpstreamError::InvalidRequest { reason: reason() }, true, false),
        ];
        for (error, before_dispatch, transient) in rows {
            assert_eq!(error.before_dispatch(), before_dispatch, "{error}");
            assert_eq!(error.is_transient(), transient, "{error}");
        }
    }
}
