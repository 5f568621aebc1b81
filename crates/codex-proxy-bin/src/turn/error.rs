//! Maps the failures of a turn, in login, connection and backend, to a [`codex_translate::Error`] for the client.

use codex_auth::AuthError;
use codex_translate::{Error, ErrorKind};
use codex_upstream::{SendError, UpstreamError, WorkspaceRouteError};

/// Returns the error for a panic anywhere in a request.
pub(crate) fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "internal error in codex-proxy; see its log")
}

/// Returns the error for a proxy without a usable login.
pub fn from_auth(error: &AuthError) -> Error {
    let told = |kind| Error::new(kind, error.to_string());
    match error {
        AuthError::Temporary { retry_after, .. } => {
            told(ErrorKind::Overloaded).with_code("login_refresh_failed").with_retry_after(*retry_after)
        }
        AuthError::AccountChanged => told(ErrorKind::Overloaded).with_code("account_changed"),
        AuthError::NotLoggedIn { .. } | AuthError::LoginExpired { .. } | AuthError::Store(_) | _ => {
            told(ErrorKind::Authentication)
        }
    }
}

/// Returns the error for a turn without a reply.
pub fn from_send(error: &SendError) -> Error {
    match error {
        SendError::Transport(error) => from_transport(error),
        SendError::Refused { failure, .. } => from_fault(failure.error.clone()),
        _ => Error::new(ErrorKind::Internal, error.to_string()),
    }
}

/// Returns the error for a request that failed even after retries.
pub fn of_last_try(error: &SendError) -> Error {
    let told = from_send(error);
    if error.is_retried() { told.after_retries() } else { told }
}

/// Returns the error for a failed connection.
pub fn from_transport(error: &UpstreamError) -> Error {
    let kind = match error {
        UpstreamError::InvalidRequest { .. } => ErrorKind::InvalidRequest,
        UpstreamError::Timeout { .. } => ErrorKind::Timeout,
        UpstreamError::Body { .. } => ErrorKind::Truncated,
        UpstreamError::TooLarge { .. } => ErrorKind::Protocol,
        UpstreamError::Connect { .. }
        | UpstreamError::WebSocketUnavailable { .. }
        | UpstreamError::Tls { .. }
        | UpstreamError::Proxy { .. }
        | UpstreamError::Closed { .. }
        | _ => ErrorKind::Server,
    };
    Error::new(kind, error.to_string())
}

/// Returns the error for a workspace that cannot be reached.
pub fn from_route(error: &WorkspaceRouteError) -> Error {
    Error::new(ErrorKind::Permission, error.to_string()).with_code("deactivated_workspace")
}

/// Returns the backend's fault, with the next step if the backend does not name it.
pub(crate) fn from_fault(error: Error) -> Error {
    if error.kind() != ErrorKind::Authentication {
        return error;
    }
    let message = error.message().trim_end_matches('.');
    let message = format!("the backend rejected the login: {message}; run `codex-proxy login`");
    error.with_message(message)
}
