//! `GET /metrics`.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use crate::app::App;
use crate::reply::{self, ReplyBody};
use crate::telemetry::metrics::Gauges;

/// Returns all metrics. Sends no requests: the quota is the one that the last replies reported.
pub(crate) async fn metrics(app: &App) -> Response<ReplyBody> {
    let gauges = Gauges {
        live: &app.request_log.live(),
        queued: app.runtime.slots().waiting(),
        is_login_usable: app.client.login_status().await.is_usable(),
        quota: &app.client.known_quota().quota,
        now: app.clock.now(),
    };
    let text = app.request_log.metrics.to_text(&gauges);
    let mut response = Response::new(ReplyBody::from(Bytes::from(text)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    reply::never_cached(headers);
    response
}
