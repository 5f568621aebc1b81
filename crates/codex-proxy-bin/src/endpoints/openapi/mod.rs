//! `GET /openapi.json`: the description of this API, in OpenAPI 3.1. It needs no key and reveals nothing about the
//! account.
//!
//! Written by hand, and checked by tests: `tests/it/openapi.rs`, and schemathesis in `clients/openapi`.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

use crate::reply::ReplyBody;

/// Returns the description.
pub(crate) fn openapi() -> Response<ReplyBody> {
    let text = Bytes::from_static(include_bytes!("openapi.json"));
    let mut response = Response::new(ReplyBody::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
