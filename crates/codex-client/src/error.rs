//! Maps the failures of a turn that codex-upstream does not map itself to the [`Error`] for whoever asked for it.

use std::time::Duration;

use codex_auth::{AuthError, StoreError};
use codex_translate::{Error, ErrorKind};
use codex_upstream::SendError;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};

/// OpenAI's SDKs check this header first when they decide whether to retry.
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// When to try again after a store that does not answer.
const STORE_PAUSE: Duration = Duration::from_secs(5);

/// Returns the error for a client without a usable login; the message names the command that logs in.
///
/// | Failure | Status | Code |
/// |---|---|---|
/// | not logged in, login ended | 401 | `upstream_login_required` |
/// | the store is damaged, unreadable or unwritable; its message says what to do | 401 | `upstream_login_required` |
/// | the store is locked, or [`StoreError::Other`] | 503 | `login_store_unavailable` |
/// | the auth server does not answer | 503 | `login_refresh_failed` |
/// | another account has logged in meanwhile | 503 | `account_changed` |
///
/// The other failures of a turn convert with `From`: `UpstreamError`, `SendError` and the like.
pub fn from_auth(error: &AuthError) -> Error {
    let told = |kind| Error::new(kind, error.to_string());
    match error {
        AuthError::Temporary { retry_after, .. } => {
            told(ErrorKind::Overloaded).with_code("login_refresh_failed").with_retry_after(*retry_after)
        }
        // Another process, a database that restarts: nothing that a client could correct.
        AuthError::Store(StoreError::Locked { .. } | StoreError::Other { .. }) => {
            told(ErrorKind::Overloaded).with_code("login_store_unavailable").with_retry_after(STORE_PAUSE)
        }
        AuthError::AccountChanged => told(ErrorKind::Overloaded).with_code("account_changed"),
        AuthError::NotLoggedIn { .. } | AuthError::LoginExpired { .. } | AuthError::Store(_) | _ => {
            told(ErrorKind::Authentication)
        }
    }
}

/// Returns the headers of a reply with this error, by which clients decide whether to send the request again:
/// `retry-after` in whole seconds, and OpenAI's `x-should-retry`.
///
/// ```
/// use std::time::Duration;
///
/// use codex_translate::{Error, ErrorKind};
///
/// let error = Error::new(ErrorKind::UsageLimit, "used up").with_retry_after(Duration::from_millis(1500));
/// let headers = codex_client::error::headers(&error);
/// assert_eq!((&headers["retry-after"], &headers["x-should-retry"]), (&"2".parse()?, &"false".parse()?));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn headers(error: &Error) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(after) = error.retry_after() {
        // Rounded up: a client that waits this long must not be early.
        let secs = after.as_secs().saturating_add((after.subsec_nanos() > 0).into());
        headers.insert(RETRY_AFTER, HeaderValue::from(secs));
    }
    // A used-up window stays used up, however soon an SDK retries; and an SDK's retries would multiply these.
    if matches!(error.kind(), ErrorKind::UsageLimit | ErrorKind::QuotaExceeded) || error.is_retried() {
        headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    headers
}

/// Returns the error for a panic in a request.
pub fn panicked() -> Error {
    Error::new(ErrorKind::Internal, "internal error: the request panicked; see the log")
}

/// Returns the error for a request that failed even after retries; `login` is the command that logs in.
pub(crate) fn of_last_try(error: SendError, login: &str) -> Error {
    let is_retried = error.is_retried();
    let told = from_fault(error.into(), login);
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
