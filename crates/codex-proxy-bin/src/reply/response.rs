//! Replies, and the one place that turns an error into one.

use std::convert::Infallible;

use bytes::Bytes;
use codex_translate::dialect::{self, ErrorReply};
use codex_translate::{Dialect, Error, ErrorKind, Notice, NoticeKind};
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_VERSION, UPGRADE,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use crate::admission::access::Denied;
use crate::admission::advice::Advice;
use crate::reply::body::ReplyBody;
use crate::request::official_client::is_official_client;
use crate::route::{Unserved, in_words};
use crate::telemetry::request_log::RequestGuard;

/// The maximum size of a header of notices.
const MAX_NOTICES_BYTES: usize = 2048;

/// Returns a reply with a JSON body.
pub fn json(status: StatusCode, value: &impl Serialize) -> Response<ReplyBody> {
    match serde_json::to_vec(value) {
        Ok(body) => with_json(status, body),
        Err(error) => from_error(&Error::new(ErrorKind::Internal, format!("cannot write the reply as JSON: {error}"))),
    }
}

/// Reports the reply's end to `guard`. The reply to a `HEAD` request has no body.
pub(crate) fn logged(mut response: Response<ReplyBody>, guard: RequestGuard, is_head: bool) -> Response<ReplyBody> {
    guard.answered(response.status().as_u16());
    response.body_mut().set_request(guard, is_head);
    response
}

/// Returns a reply without a body.
pub(crate) fn no_content() -> Response<ReplyBody> {
    empty(StatusCode::NO_CONTENT)
}

/// Returns the reply that upgrades the connection to a WebSocket; `accept` proves that the key was read (RFC 6455
/// §4.2.2).
pub(crate) fn switching_protocols(accept: HeaderValue) -> Response<ReplyBody> {
    let mut response = empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Returns the reply to a WebSocket handshake of a version other than 13.
pub(crate) fn unsupported_websocket_version() -> Response<ReplyBody> {
    upgrade_required("unsupported WebSocket version; use version 13")
}

/// Returns the reply to a request without an upgrade at a path that only accepts WebSockets (RFC 9110 §15.5.22).
pub(crate) fn websocket_only() -> Response<ReplyBody> {
    upgrade_required("this path accepts GET only for WebSocket upgrades; use POST for requests")
}

fn upgrade_required(message: &str) -> Response<ReplyBody> {
    let error = Error::new(ErrorKind::InvalidRequest, message).with_code("upgrade_required");
    let mut response = with_status(StatusCode::UPGRADE_REQUIRED, &error);
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    response
}

fn empty(status: StatusCode) -> Response<ReplyBody> {
    let mut response = Response::new(ReplyBody::default());
    *response.status_mut() = status;
    response
}

/// Returns the reply to a request whose head did not arrive, as bytes of HTTP/1.1: hyper writes none without a request.
pub(crate) fn request_timeout_bytes() -> Vec<u8> {
    let error = Error::new(ErrorKind::SlowRequest, "timed out reading the request headers; send the request again");
    let body = error.to_json();
    let head = format!(
        "HTTP/1.1 408 Request Timeout\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

/// Returns the reply to a probe: 200 if all is well, else 503.
pub(crate) fn probe_result(is_well: bool, value: &impl Serialize) -> Response<ReplyBody> {
    json(if is_well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, value)
}

/// Returns a 200 with a stream of server-sent events.
pub fn event_stream<B>(body: B) -> Response<ReplyBody>
where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let mut response = Response::new(ReplyBody::stream(body));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // nginx and similar proxies would otherwise buffer the stream.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// Adds the header that forbids caching: the reply is valid only now, and only for this caller.
pub(crate) fn never_cached(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
}

/// Adds the headers that name what the translation changed: `x-codex-proxy-dropped`, `-clamped`, `-emulated`,
/// `-repaired`. What they list already stays.
pub fn add_notices(headers: &mut HeaderMap, notices: &[Notice]) {
    for (kind, name) in [
        (NoticeKind::Dropped, "x-codex-proxy-dropped"),
        (NoticeKind::Clamped, "x-codex-proxy-clamped"),
        (NoticeKind::Emulated, "x-codex-proxy-emulated"),
        (NoticeKind::Repaired, "x-codex-proxy-repaired"),
    ] {
        let of_kind = notices.iter().filter(|notice| notice.kind == kind);
        let known = headers.get(name).and_then(|list| list.to_str().ok()).unwrap_or_default();
        if let Some(value) = listed(known, of_kind) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Adds the notices to the `known` ones of a header, as far as they fit: some clients accept at most 16 KiB of headers
/// in total.
fn listed<'a>(known: &str, notices: impl Iterator<Item = &'a Notice>) -> Option<HeaderValue> {
    let mut list = known.to_owned();
    for notice in notices {
        let separator = if list.is_empty() { "" } else { ", " };
        let entry = format!("{separator}{notice}");
        if list.len() + entry.len() > MAX_NOTICES_BYTES {
            list.push_str(", ...");
            break;
        }
        list.push_str(&entry);
    }
    (!list.is_empty()).then(|| HeaderValue::from_str(&list).ok()).flatten()
}

/// Returns the reply for `error` in OpenAI's shape, for paths without a dialect.
pub fn from_error(error: &Error) -> Response<ReplyBody> {
    error_in(&dialect::RESPONSES, error)
}

/// Returns the reply for `error` in `dialect`, with the headers by which SDKs decide whether to retry.
pub(crate) fn error_in(dialect: &Dialect, error: &Error) -> Response<ReplyBody> {
    let ErrorReply { status, body } = dialect.error(error);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_json(status, body);
    let headers = response.headers_mut();
    headers.extend(codex_client::error::headers(error));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"codex-proxy\""));
    }
    response
}

/// Rewords the error for the official client (docs/backend.md §3.6).
pub(crate) fn reworded_for(headers: &HeaderMap, error: Error) -> Error {
    if is_official_client(headers) { error.in_the_backends_words() } else { error }
}

/// Returns the reply for an unknown path below `prefix`, where the app is mounted.
pub fn not_found(prefix: &str, path: &str) -> Response<ReplyBody> {
    outside_prefix(prefix, &format!("{prefix}{path}"))
}

/// Returns the reply for a `path` that is not below `prefix`.
pub(crate) fn outside_prefix(prefix: &str, path: &str) -> Response<ReplyBody> {
    let message = format!(
        "unknown path `{path}`; try {prefix}/v1/chat/completions, {prefix}/v1/responses, {prefix}/v1/models or \
         {prefix}/health, and check that the base URL ends in /v1 once"
    );
    unknown_url(&message)
}

/// Returns the reply for a path below `prefix` that other servers have.
pub(crate) fn unserved(prefix: &str, path: &str, unserved: &Unserved) -> Response<ReplyBody> {
    let message = format!(
        "`{prefix}{path}` is not supported: {}; available are {prefix}/v1/chat/completions, {prefix}/v1/responses, \
         {prefix}/v1/images/generations and {prefix}/v1/models",
        unserved.why
    );
    if unserved.has_plain_errors {
        json(StatusCode::NOT_FOUND, &PlainError { error: &message })
    } else {
        unknown_url(&message)
    }
}

/// An error as Ollama's clients read it.
#[derive(Serialize)]
struct PlainError<'a> {
    error: &'a str,
}

fn unknown_url(message: &str) -> Response<ReplyBody> {
    with_status(StatusCode::NOT_FOUND, &Error::new(ErrorKind::InvalidRequest, message).with_code("unknown_url"))
}

/// Returns the reply for a response that is not stored.
pub(crate) fn response_not_found(id: &str) -> Response<ReplyBody> {
    let message = format!(
        "Response with id '{id}' not found; it was not stored, was deleted, or was evicted; send the whole conversation"
    );
    with_status(StatusCode::NOT_FOUND, &Error::new(ErrorKind::InvalidRequest, message))
}

/// Returns the reply for a method that the path does not accept.
pub fn wrong_method(method: &str, path: &str, allowed: &str) -> Response<ReplyBody> {
    let message = format!("`{path}` accepts {}, not {method}", in_words(allowed));
    let error = Error::new(ErrorKind::InvalidRequest, message).with_code("method_not_allowed");
    let mut response = with_status(StatusCode::METHOD_NOT_ALLOWED, &error);
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// Returns the error for a rejected caller, with what `advice` names as the next step.
pub fn from_denied(denied: Denied, advice: &Advice) -> Error {
    let setting = advice.key_setting.as_deref();
    let (kind, code, message) = match denied {
        Denied::NoKey => {
            let key = setting.map_or_else(|| "it".to_owned(), |setting| format!("the value of {setting}"));
            let message = format!(
                "missing API key; send {key} as `Authorization: Bearer <key>`, `X-API-Key: <key>` or `api-key: <key>`"
            );
            (ErrorKind::Authentication, "missing_api_key", message)
        }
        Denied::WrongKey => {
            let next = setting.map(|setting| format!("; send one that is configured in codex-proxy ({setting})"));
            (ErrorKind::Authentication, "invalid_api_key", "invalid API key".to_owned() + &next.unwrap_or_default())
        }
        Denied::PublicKey => {
            let next = setting.map(|setting| format!("; set {setting} to a key of your own"));
            let message = "the key `codex-proxy` is public and accepted only from private networks";
            (ErrorKind::Permission, "public_api_key", message.to_owned() + &next.unwrap_or_default())
        }
        Denied::Remote => {
            let next = setting.map(|setting| format!("; start it with {setting} to serve others"));
            let message = "no API key is configured, so codex-proxy serves only programs on its own machine";
            (ErrorKind::Permission, "remote_without_api_key", message.to_owned() + &next.unwrap_or_default())
        }
        Denied::ForeignPage => {
            let key = setting.map(|setting| format!("start codex-proxy with {setting} and send the key"));
            let page = advice.origins_setting.as_ref().map(|setting| format!("name the page's origin in {setting}"));
            let next = key.into_iter().chain(page).collect::<Vec<_>>().join(", or ");
            let separator = if next.is_empty() { "" } else { ": " };
            let message = format!(
                "requests from web pages or to foreign host names require an API key of your own{separator}{next}"
            );
            (ErrorKind::Permission, "foreign_origin", message)
        }
        Denied::OtherOrigin => {
            let next = advice.origins_setting.as_ref().map(|setting| format!("; to allow them, add it to {setting}"));
            let message = "requests from web pages of this origin are not allowed";
            (ErrorKind::Permission, "foreign_origin", message.to_owned() + &next.unwrap_or_default())
        }
    };
    Error::new(kind, message).with_code(code)
}

fn with_status(status: StatusCode, error: &Error) -> Response<ReplyBody> {
    let mut response = from_error(error);
    *response.status_mut() = status;
    response
}

fn with_json(status: StatusCode, body: Vec<u8>) -> Response<ReplyBody> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
