//! Refusals, in the two formats of the real backend (`docs/backend.md` §0 item 6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Response, StatusCode};
use serde_json::{Map, Value, json};

use crate::exchange::reply::{self, Body};
use crate::protocol::failure::title_case;

/// A refused request: status, JSON body, and headers in addition to those of every reply.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, body: Value) -> Self {
        Self { status, body, headers: Vec::new() }
    }

    /// Returns a refusal in the gateway's format: `{"detail":"…"}`, status 400.
    pub(crate) fn detail(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, json!({"detail": message.into()}))
    }

    /// Returns a refusal in the model API's format: `{"error":{message,type,param,code}}`, status 400.
    pub(crate) fn error(param: Option<&str>, code: Option<&str>, message: impl Into<String>) -> Self {
        let error = json!({
            "message": message.into(),
            "type": "invalid_request_error",
            "param": param,
            "code": code,
        });
        Self::new(StatusCode::BAD_REQUEST, json!({"error": error}))
    }

    pub(crate) fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::error(Some(param), Some("missing_required_parameter"), message)
    }

    pub(crate) fn unknown(param: &str) -> Self {
        Self::error(Some(param), Some("unknown_parameter"), format!("Unknown parameter: '{param}'."))
    }

    pub(crate) fn wrong_type(param: &str, expected: &str, got: &Value) -> Self {
        let message = format!("Invalid type for '{param}': expected {expected}, but got {} instead.", kind(got));
        Self::error(Some(param), Some("invalid_type"), message)
    }

    pub(crate) fn value(param: &str, got: &str, supported: &[&str]) -> Self {
        let message = format!("Invalid value: '{got}'. Supported values are: {}.", listed(supported));
        Self::error(Some(param), Some("invalid_value"), message)
    }

    pub(crate) fn too_long(param: &str, most: usize, length: usize) -> Self {
        let message = format!(
            "Invalid '{param}': string too long. Expected a string with maximum length {most}, but got a string with \
             length {length} instead."
        );
        Self::error(Some(param), Some("string_above_max_length"), message)
    }

    pub(crate) fn empty(param: &str) -> Self {
        let message = format!(
            "Invalid '{param}': empty string. Expected a string with minimum length 1, but got an empty string instead."
        );
        Self::error(Some(param), Some("empty_string"), message)
    }

    pub(crate) fn pattern(param: &str, pattern: &str) -> Self {
        let message = format!(
            "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '{pattern}'."
        );
        Self::error(Some(param), Some("invalid_value"), message)
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds the two headers of an authentication failure (`docs/backend.md` §3.5).
    pub(crate) fn auth_headers(self, code: &str) -> Self {
        let encoded = STANDARD.encode(json!({"error": {"code": code}}).to_string());
        self.header("x-openai-authorization-error", code).header("x-error-json", encoded)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the refusal as an `error` message on a WebSocket (`docs/backend.md` §4), always in the model API's
    /// format and with the headers inside.
    pub(crate) fn into_message(self) -> Value {
        let error = self.body.get("error").cloned().unwrap_or_else(|| {
            let detail = self.body.get("detail").cloned().unwrap_or_default();
            let code = detail.get("code").cloned().unwrap_or_default();
            let message = detail.as_str().map_or_else(|| detail.to_string(), str::to_owned);
            json!({"type": "invalid_request_error", "code": code, "message": message, "param": null})
        });
        let headers: Map<String, Value> =
            self.headers.into_iter().map(|(name, value)| (title_case(name), value.into())).collect();
        // Both spellings were seen; when each is used is unknown.
        let key = if self.status == StatusCode::TOO_MANY_REQUESTS { "status_code" } else { "status" };
        json!({"type": "error", key: self.status.as_u16(), "error": error, "headers": headers})
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = reply::json(self.status, &self.body);
        for (name, value) in &self.headers {
            reply::set(&mut response, name, value);
        }
        response
    }
}

/// Returns `'a', 'b', and 'c'`, as the real messages list values.
pub(crate) fn listed(values: &[&str]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [most @ .., last] => format!("{}, and {last}", most.join(", ")),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
