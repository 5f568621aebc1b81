//! A panic ends only the reply in which it occurs, and whoever reads it gets the error.

use std::panic::AssertUnwindSafe;
use std::task::Poll;

use codex_translate::Error;
use futures_util::FutureExt as _;

use crate::error;

/// Turns a panic of `future` into an error.
///
/// # Errors
/// As `future`, or it panicked.
pub(crate) async fn caught<T>(future: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    AssertUnwindSafe(future).catch_unwind().await.unwrap_or_else(|_| Err(error::panicked()))
}

/// Turns a panic of `poll` into an error. A state that the panic left inconsistent may be used again only to write the
/// error.
pub(crate) fn caught_poll<T>(poll: impl FnOnce() -> Poll<Result<T, Error>>) -> Poll<Result<T, Error>> {
    std::panic::catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|_| Poll::Ready(Err(error::panicked())))
}
