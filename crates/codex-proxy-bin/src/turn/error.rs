//! Maps the failures of a turn, in login, connection and backend, to a [`codex_translate::Error`] for the client.

use codex_auth::AuthError;
use codex_translate::{Error, ErrorKind};
use codex_upstream::{Failure, FailureKind, SendError, UpstreamError, WorkspaceRouteError};

/// The error for a panic anywhere in a request.
pub(crate) fn of_panic() -> Error {
    Error::new(ErrorKind::Internal, "internal error in codex-proxy; see its log")
}

/// The error for a proxy without a usable login.
pub fn of_auth(error: &AuthError) -> Error {
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

/// The error for a turn without a reply.
pub fn of_send(error: &SendError) -> Error {
    match error {
        SendError::Transport(error) => of_transport(error),
        SendError::Refused { failure, .. } => of_failure(failure),
        _ => Error::new(ErrorKind::Internal, error.to_string()),
    }
}

/// The error for a request that failed even after retries.
pub fn of_last_try(error: &SendError) -> Error {
    let told = of_send(error);
    if error.is_tried_again() { told.after_retries() } else { told }
}

/// The error for a failed connection.
pub fn of_transport(error: &UpstreamError) -> Error {
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

/// The error for a workspace that cannot be reached.
pub fn of_route(error: &WorkspaceRouteError) -> Error {
    Error::new(ErrorKind::Permission, error.to_string()).with_code("deactivated_workspace")
}

fn of_failure(failure: &Failure) -> Error {
    let kind = kind_of(failure.kind);
    let mut error = Error::new(kind, told(failure));
    if failure.kind == FailureKind::Challenge {
        error = error.with_code("cloudflare_challenge");
    } else if failure.kind == FailureKind::ClientTooOld {
        error = error.with_code("client_version_too_old");
    } else if let Some(code) = failure.code.as_deref().filter(|_| error.code().is_none() || kind == ErrorKind::Server) {
        error = error.with_code(code);
    }
    // The backend does not name the parameter for an unknown model; OpenAI's API does.
    let param = failure.param.as_deref().or_else(|| (kind == ErrorKind::ModelNotFound).then_some("model"));
    if let Some(param) = param {
        error = error.with_param(param);
    }
    match failure.retry_after {
        Some(after) => error.with_retry_after(after),
        None => error,
    }
}

/// Returns the backend's message, and the next step if it does not say it.
fn told(failure: &Failure) -> String {
    if failure.kind != FailureKind::Unauthorized {
        return failure.message.clone();
    }
    let message = failure.message.trim_end_matches('.');
    format!("the backend rejected the login: {message}; run `codex-proxy login`")
}

fn kind_of(kind: FailureKind) -> ErrorKind {
    match kind {
        FailureKind::ClientTooOld | FailureKind::InvalidRequest | FailureKind::ItemNotFound => {
            ErrorKind::InvalidRequest
        }
        FailureKind::ContentPolicy => ErrorKind::PolicyRefused,
        FailureKind::ContextLength => ErrorKind::ContextLengthExceeded,
        FailureKind::Forbidden | FailureKind::Workspace => ErrorKind::Permission,
        FailureKind::ModelNotFound => ErrorKind::ModelNotFound,
        FailureKind::Overloaded => ErrorKind::Overloaded,
        FailureKind::PlanExcludes | FailureKind::QuotaExhausted => ErrorKind::QuotaExceeded,
        FailureKind::RateLimit => ErrorKind::RateLimited,
        FailureKind::Unauthorized => ErrorKind::Authentication,
        FailureKind::UsageLimit => ErrorKind::UsageLimit,
        FailureKind::Challenge | FailureKind::NotFound | FailureKind::Redirect | FailureKind::Server | _ => {
            ErrorKind::Server
        }
    }
}
