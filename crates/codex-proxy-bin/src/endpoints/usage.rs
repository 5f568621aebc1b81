//! `GET /v1/usage`.

use std::time::SystemTime;

use codex_auth::TokenStore;
use codex_translate::Error;
use codex_upstream::Upstream;
use http::{Response, StatusCode};

use crate::app::App;
use crate::reply::{self, Body};

/// Tells what is left of the plan, not older than a minute unless the backend does not answer.
///
/// # Errors
/// Nothing is known: there is no usable login, or the backend does not answer.
pub(crate) async fn usage<U: Upstream, S: TokenStore>(app: &App<U, S>) -> Result<Response<Body>, Error> {
    let told = app.usage().await?;
    let mut response = reply::json(StatusCode::OK, &told.to_json(SystemTime::now()));
    reply::never_cached(response.headers_mut());
    Ok(response)
}
