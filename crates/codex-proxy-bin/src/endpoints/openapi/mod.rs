//! `GET /openapi.json`: the description of this API, in OpenAPI 3.1. It needs no key and reveals nothing about the
//! account.
//!
//! Written by hand, and checked by tests: `tests/it/openapi.rs`, and schemathesis in `clients/openapi`.

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use serde_json::json;

use crate::admission::advice::Advice;
use crate::reply::ReplyBody;

const DESCRIPTION: &str = include_str!("openapi.json");

/// Where the description says that the API is.
const SERVERS: &str = r#""servers": [{"url": "/"}]"#;

/// What it says of the key.
const KEY: &str = r#""The value of CODEX_PROXY_API_KEY. If it is not set, programs on the same machine need no key.""#;

/// Returns the description of an app that is mounted at `prefix`, with the name of the key that `advice` has.
pub(crate) fn openapi(prefix: &str, advice: &Advice) -> Response<ReplyBody> {
    let root = if prefix.is_empty() { "/" } else { prefix };
    let key = match &advice.key_setting {
        Some(setting) => {
            format!("The value of {setting}. If it is not set, programs on the same machine need no key.")
        }
        None => "A key that this server accepts.".to_owned(),
    };
    let text = DESCRIPTION
        .replacen(SERVERS, &format!(r#""servers": [{{"url": {}}}]"#, json!(root)), 1)
        .replacen(KEY, &json!(key).to_string(), 1)
        .into_bytes();
    let mut response = Response::new(ReplyBody::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
