//! Building replies: JSON, HTML, redirects and streams.

use std::io;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::TryStreamExt as _;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::{Value, json};

/// The body of every reply.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// No reply is sent: the connection (or, over HTTP/2, the stream) is reset.
#[derive(Debug, thiserror::Error)]
#[error("the simulator drops this connection on purpose")]
pub(crate) struct Dropped;

pub(crate) fn json(status: StatusCode, value: &Value) -> Response<Body> {
    with_type(status, "application/json", value.to_string())
}

pub(crate) fn html(status: StatusCode, page: String) -> Response<Body> {
    with_type(status, "text/html; charset=utf-8", page)
}

pub(crate) fn text(status: StatusCode, text: &str) -> Response<Body> {
    with_type(status, "text/plain; charset=utf-8", text.to_owned())
}

pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = status;
    response
}

pub(crate) fn not_found() -> Response<Body> {
    json(StatusCode::NOT_FOUND, &json!({"detail": "Not Found"}))
}

/// Returns a 405 that lists the methods the path allows.
pub(crate) fn method_not_allowed(allowed: &str) -> Response<Body> {
    let mut response = json(StatusCode::METHOD_NOT_ALLOWED, &json!({"detail": "Method Not Allowed"}));
    set(&mut response, "allow", allowed);
    response
}

/// Returns a 302 to `location`, which sends a browser back to the client.
pub(crate) fn redirect(location: &str) -> Response<Body> {
    let mut response = empty(StatusCode::FOUND);
    if let Ok(value) = HeaderValue::from_str(location) {
        response.headers_mut().insert(LOCATION, value);
    }
    response
}

/// Returns a 200 whose body is `frames`; an error among them resets the connection.
pub(crate) fn stream(frames: impl Stream<Item = Result<Bytes, io::Error>> + Send + 'static) -> Response<Body> {
    Response::new(StreamBody::new(frames.map_ok(Frame::data)).boxed_unsync())
}

/// Sets a header. An invalid value is left out: names and values come from this crate.
pub(crate) fn set(response: &mut Response<Body>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}

fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Response<Body> {
    let mut response = empty(status);
    *response.body_mut() = full(Bytes::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
