//! `GET /openapi.json`: the description of this API, in OpenAPI 3.1. It needs no key and reveals nothing about the
//! account.
//!
//! Written by hand, and checked by tests: `tests/it/openapi.rs`, and schemathesis in `clients/openapi`.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use serde_json::json;

use crate::reply::ReplyBody;

const DESCRIPTION: &str = include_str!("openapi.json");

/// Where the description says that the API is, unless the app is mounted under a path.
const SERVERS: &str = r#""servers": [{"url": "/"}]"#;

/// Returns the description of an app that is mounted at `prefix`.
pub(crate) fn openapi(prefix: &str) -> Response<ReplyBody> {
    let text = if prefix.is_empty() {
        Bytes::from_static(DESCRIPTION.as_bytes())
    } else {
        DESCRIPTION.replacen(SERVERS, &format!(r#""servers": {}"#, json!([{"url": prefix}])), 1).into()
    };
    let mut response = Response::new(ReplyBody::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
