//! Maps the failures of a turn that codex-upstream does not map itself to the [`Error`] for whoever asked for it.

use codex_auth::AuthError;
use codex_translate::{Error, ErrorKind};
use codex_upstream::SendError;

/// Returns the error for a client without a usable login; the message names the command that logs in.
///
/// The other failures of a turn convert with `From`: `UpstreamError`, `SendError` and the like.
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

/// Returns the error for a panic in a request.
pub fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "internal error: the request panicked; see the log")
}

/// Returns the error for a request that failed even after retries.
pub(crate) fn of_last_try(error: SendError) -> Error {
    let is_retried = error.is_retried();
    let told = Error::from(error);
    if is_retried { told.after_retries() } else { told }
}

/// Returns the backend's fault, with the next step if the backend does not name it: `login` is the command that logs
/// in.
pub(crate) fn from_fault(error: Error, login: &str) -> Error {
    if error.kind() != ErrorKind::Authentication {
        return error;
    }
    let message = error.message().trim_end_matches('.');
    let message = format!("the backend rejected the login: {message}; run `{login}`");
    error.with_message(message)
}
