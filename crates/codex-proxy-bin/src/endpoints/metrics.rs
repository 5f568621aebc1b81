//! `GET /metrics`.

use std::time::SystemTime;

use bytes::Bytes;
use codex_auth::TokenStore;
use codex_upstream::Upstream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};

use crate::app::App;
use crate::reply::{self, Body};
use crate::telemetry::metrics::Now;

/// Writes all metrics. Asks nobody: the quota is what the last replies told.
pub(crate) async fn metrics<U: Upstream, S: TokenStore>(app: &App<U, S>) -> Response<Body> {
    let now = Now {
        live: &app.journal.live(),
        queued: app.terms.slots().waiting(),
        is_login_usable: app.tokens.status().await.is_usable(),
        quota: &app.known_quota.told().quota,
        now: SystemTime::now(),
    };
    let text = app.journal.metrics.to_text(&now);
    let mut response = Response::new(Full::new(Bytes::from(text)).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    reply::never_cached(headers);
    response
}
