//! Messages of the backend: their kinds, and their HTTP equivalents (`docs/backend.md §4`).

use bytes::Bytes;
use codex_translate::backend::FaultReport;
use codex_translate::{Chunk, RawEvent};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Map, Value};

use crate::upstream::ChunkStream;

/// A message from the backend.
#[derive(Debug, Clone)]
pub(crate) struct SocketMessage {
    pub(crate) text: Bytes,
    pub(crate) kind: MessageKind,
}

/// What a message means for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageKind {
    /// Not part of a response: it may arrive before, during and after one.
    Notification,
    /// Part of a response.
    Event,
    /// The start of a response, which has its id.
    Created,
    /// The start of an item of the answer.
    ItemAdded,
    /// A complete item of the answer.
    ItemDone,
    /// The end of a complete response.
    Completed,
    /// The end of an incomplete or failed response.
    Ended,
    /// The response goes on although the client has interrupted it: its model cannot be interrupted.
    NotInterrupted,
    /// An error: there is no more of the response, and perhaps of the connection.
    Error,
}

impl SocketMessage {
    pub(crate) fn new(text: Bytes) -> Self {
        let event = RawEvent::new(std::str::from_utf8(&text).unwrap_or_default());
        let kind = match &*event.kind() {
            "response.created" => MessageKind::Created,
            "response.output_item.added" => MessageKind::ItemAdded,
            "response.output_item.done" => MessageKind::ItemDone,
            // Some backends call it `response.done` (docs/backend.md §3.1).
            "response.completed" | "response.done" => MessageKind::Completed,
            "response.incomplete" | "response.failed" => MessageKind::Ended,
            "response.interrupt.failed" => MessageKind::NotInterrupted,
            "error" => MessageKind::Error,
            "keepalive" | "response.metadata" => MessageKind::Notification,
            kind if kind.starts_with("codex.") || kind.starts_with("responsesapi.") => MessageKind::Notification,
            // A message that cannot be read is an error for the reader of the reply, as over HTTP.
            _ => MessageKind::Event,
        };
        Self { text, kind }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.text).unwrap_or_default()
    }

    /// Returns the headers in `response.metadata`, which replace those of HTTP.
    pub(crate) fn headers(&self) -> HeaderMap {
        match (self.kind, self.json().get("headers")) {
            (MessageKind::Notification, Some(Value::Object(headers))) => header_map(headers),
            _ => HeaderMap::new(),
        }
    }
}

/// A parsed `error` message.
#[derive(Debug)]
pub(crate) struct ErrorMessage {
    report: FaultReport,
    headers: HeaderMap,
    text: Bytes,
}

impl ErrorMessage {
    pub(crate) fn read(message: &SocketMessage) -> Self {
        Self {
            report: FaultReport::parse(&message.text),
            headers: message.json().get("headers").and_then(Value::as_object).map(header_map).unwrap_or_default(),
            text: message.text.clone(),
        }
    }

    /// Returns whether the backend does not know the response that the request continues.
    pub(crate) fn is_about_the_previous_response(&self) -> bool {
        let message = &self.report.message;
        self.report.code.as_deref() == Some("previous_response_not_found")
            || message.contains("previous_response_id")
            // The call was in that response.
            || message.starts_with("No tool call found for")
    }

    /// Returns whether the connection has reached its age limit, so a new one is needed.
    pub(crate) fn is_connection_limit(&self) -> bool {
        self.report.code.as_deref() == Some("websocket_connection_limit_reached")
    }

    /// Returns the equivalent HTTP answer, or `None` if the message has no status. `headers` are those of the
    /// connection.
    pub(crate) fn into_response(self, mut headers: HeaderMap) -> Option<Response<ChunkStream>> {
        let status = StatusCode::from_u16(self.report.status?).ok()?;
        headers.extend(self.headers);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = futures_util::stream::iter([Ok(Chunk::Bytes(self.text))]);
        let mut response = Response::new(Box::pin(body) as ChunkStream);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Some(response)
    }
}

/// Parses the headers of a message: names in any case, values that are strings, numbers or booleans. Others are
/// skipped.
fn header_map(headers: &Map<String, Value>) -> HeaderMap {
    let pairs = headers.iter().filter_map(|(name, value)| {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        Some((HeaderName::try_from(name.as_str()).ok()?, HeaderValue::try_from(text).ok()?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use codex_translate::ErrorKind;
    use serde_json::json;

    use super::*;
    use crate::failure::Failure;
    use crate::quota::Quota;
    use crate::upstream::read_to_end;

    fn message(text: &str) -> SocketMessage {
        SocketMessage::new(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn messages_are_told_apart_by_their_type() {
        let rows = [
            ("codex.rate_limits", MessageKind::Notification),
            ("response.metadata", MessageKind::Notification),
            ("keepalive", MessageKind::Notification),
            ("response.created", MessageKind::Created),
            ("response.in_progress", MessageKind::Event),
            ("response.interrupt.accepted", MessageKind::Event),
            ("response.interrupt.failed", MessageKind::NotInterrupted),
            ("response.output_text.delta", MessageKind::Event),
            ("response.output_item.added", MessageKind::ItemAdded),
            ("response.output_item.done", MessageKind::ItemDone),
            ("response.completed", MessageKind::Completed),
            ("response.incomplete", MessageKind::Ended),
            ("response.failed", MessageKind::Ended),
            ("error", MessageKind::Error),
            ("unheard.of", MessageKind::Event),
        ];
        for (kind, expected) in rows {
            assert_eq!(message(&json!({"a": [1], "type": kind}).to_string()).kind, expected, "{kind}");
        }
        assert_eq!(
            (message("<html>").kind, message(r#"{"type":"err\u006fr"}"#).kind),
            (MessageKind::Event, MessageKind::Error)
        );
    }

    /// As it was seen (docs/backend.md §4).
    const LIMIT: &str = r#"{"type":"error","status_code":429,"error":{"type":"usage_limit_reached",
        "message":"The usage limit has been reached","plan_type":"plus","resets_at":1786501305,"resets_in_seconds":13873},
        "headers":{"X-Codex-Active-Limit":"premium","X-Codex-Plan-Type":"plus","X-Codex-Primary-Used-Percent":"100",
        "X-Codex-Primary-Window-Minutes":300,"X-Codex-Credits-Has-Credits":"False","bad name":"x","X-Null":null}}"#;

    #[tokio::test]
    async fn a_used_up_quota_is_the_429_that_it_is_over_http() {
        let known = HeaderMap::from_iter([(crate::headers::X_REQUEST_ID, HeaderValue::from_static("id"))]);
        let response = ErrorMessage::read(&message(LIMIT)).into_response(known).unwrap();
        assert_eq!(response.headers()["x-request-id"], "id");
        let (head, body) = response.into_parts();
        let body = read_to_end(body, 4096).await.unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_786_000_000);
        let failure = Failure::parse(head.status, &head.headers, &body, now);
        assert_eq!((failure.status, failure.error.kind()), (429, ErrorKind::UsageLimit));
        assert!(failure.error.message().contains("5h") && failure.resets_at.is_some(), "{failure:?}");
        assert_eq!(Quota::from_headers(&head.headers, now).tightest().unwrap().used_percent, 100.0);
    }

    #[tokio::test]
    async fn errors_keep_their_status_in_either_spelling_and_at_either_level() {
        let rows = [
            (r#"{"type":"error","status":400,"error":{"message":"Unsupported service_tier: flex"}}"#, Some(400)),
            (r#"{"type":"error","status_code":503,"error":{"code":"slow_down","message":"x"}}"#, Some(503)),
            (
                r#"{"type":"error","status":404,"error_type":"invalid_request_error","message":"Model not found"}"#,
                Some(404),
            ),
            (r#"{"type":"error","status":200,"error":{}}"#, None),
            (r#"{"type":"error","status":"x","error":{}}"#, None),
            (r#"{"type":"error","code":"server_error","message":"x"}"#, None),
            ("[]", None),
        ];
        for (text, status) in rows {
            let response = ErrorMessage::read(&message(text)).into_response(HeaderMap::new());
            assert_eq!(response.as_ref().map(|response| response.status().as_u16()), status, "{text}");
            if let Some(response) = response {
                let body = read_to_end(response.into_body(), 4096).await.unwrap();
                let report = FaultReport::parse(&body);
                assert!(!report.message.is_empty() && report.class.as_deref() != Some("error"), "{report:?}");
            }
        }
    }

    #[test]
    fn what_a_new_connection_mends_is_told_from_the_rest() {
        let read = |code: Value, text: &str| {
            let frame = json!({"type": "error", "status": 400, "error": {"code": code, "message": text}});
            ErrorMessage::read(&message(&frame.to_string()))
        };
        let rows = [
            (json!("previous_response_not_found"), "Previous response with id 'resp_1' not found.", (true, false)),
            (Value::Null, "Invalid `previous_response_id`.", (true, false)),
            (Value::Null, "No tool call found for function call output with call_id call_1.", (true, false)),
            (json!("websocket_connection_limit_reached"), "60 minutes", (false, true)),
            (json!("context_length_exceeded"), "too long", (false, false)),
        ];
        for (code, text, expected) in rows {
            let error = read(code, text);
            assert_eq!((error.is_about_the_previous_response(), error.is_connection_limit()), expected, "{text}");
        }
    }

    #[test]
    fn metadata_stands_in_for_headers() {
        let metadata = message(r#"{"type":"response.metadata","headers":{"OpenAI-Model":"gpt-5.5"}}"#);
        assert_eq!(metadata.headers()["openai-model"], "gpt-5.5");
        assert!(message(r#"{"type":"response.created","headers":{"a":"b"}}"#).headers().is_empty());
    }
}
