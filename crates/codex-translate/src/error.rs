//! Errors for clients, with the one table of their HTTP statuses and OpenAI-shaped bodies.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};
use serde_json::Value;

/// A request that cannot be translated, or a reply that ended badly.
///
/// Before the first byte of a reply, [`Error::status_hint`] is its HTTP status and [`Error::to_json`] its body; after
/// it, the same body is the last event of the stream. An error never contains a secret.
///
/// # Example
/// ```
/// use codex_translate::chat::ChatRequest;
///
/// let error = ChatRequest::from_json(br#"{"model": "gpt-5.5"}"#).unwrap_err();
/// assert_eq!((error.status_hint(), error.param()), (400, Some("messages")));
/// assert!(error.to_json().starts_with(br#"{"error":{"message":"#));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    origin: Origin,
    kind: ErrorKind,
    message: String,
    param: Option<String>,
    code: Option<String>,
    retry_after: Option<Duration>,
    retry: Retry,
    is_retried: bool,
    is_in_backends_words: bool,
    misalignment: Option<Box<Value>>,
}

/// Whose fault an [`Error`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client's request. Sending it again unchanged fails again.
    Client,
    /// The backend, or the connection to it.
    Upstream,
    /// This program, which has a defect to report.
    Local,
}

/// What went wrong, as far as a caller can act on it.
///
/// The status, `type` and `code` of each kind; if the backend gives a code, [`Error::code`] is that one.
///
/// | Kind | Status | `type` | `code` | What helps |
/// |---|---|---|---|---|
/// | `InvalidRequest` | 400 | `invalid_request_error` | | change the request |
/// | `TooLarge` | 413 | `invalid_request_error` | `request_too_large` | send less |
/// | `HeadTooLarge` | 431 | `invalid_request_error` | `headers_too_large` | send fewer or shorter headers |
/// | `SlowRequest` | 408 | `invalid_request_error` | `request_timeout` | try again, faster |
/// | `NotFound` | 404 | `invalid_request_error` | | send what is missing, or leave the reference out |
/// | `ModelNotFound` | 404 | `invalid_request_error` | `model_not_found` | choose another model |
/// | `ContextLengthExceeded` | 400 | `invalid_request_error` | `context_length_exceeded` | shorten the conversation |
/// | `PolicyRefused` | 400 | `invalid_request_error` | | change the prompt |
/// | `Authentication` | 401 | `authentication_error` | `upstream_login_required` | log in again |
/// | `Permission` | 403 | `permission_error` | | use another account or workspace |
/// | `RateLimited` | 429 | `rate_limit_error` | `rate_limit_exceeded` | wait [`Error::retry_after`], then try again |
/// | `UsageLimit` | 429 | `rate_limit_error` | `usage_limit_reached` | wait until the plan's window resets |
/// | `QuotaExceeded` | 429 | `insufficient_quota` | `insufficient_quota` | use another plan |
/// | `Overloaded` | 503 | `server_error` | `server_is_overloaded` | try again |
/// | `Server` | 502 | `server_error` | `upstream_error` | try again |
/// | `Truncated` | 502 | `server_error` | `stream_truncated` | try again: the reply was incomplete |
/// | `Protocol` | 502 | `server_error` | `upstream_protocol_error` | try again, then report it |
/// | `Timeout` | 504 | `server_error` | `upstream_timeout` | try again |
/// | `Internal` | 500 | `server_error` | `internal_error` | report it |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request is malformed or asks for something that is not possible; change it.
    InvalidRequest,
    /// The body is larger than the limit; send less.
    TooLarge,
    /// The headers are larger than the limit; send fewer.
    HeadTooLarge,
    /// The request arrived too slowly; send it again.
    SlowRequest,
    /// The request refers to something that is not stored; send it instead.
    NotFound,
    /// The model does not exist for this account; choose another.
    ModelNotFound,
    /// The conversation does not fit the model's context window; shorten it.
    ContextLengthExceeded,
    /// A policy of the backend rejects the prompt.
    PolicyRefused,
    /// The account is not logged in, or its login ended; run the login again.
    Authentication,
    /// The account or workspace may not do this.
    Permission,
    /// Too many requests or tokens in a short time; wait [`Error::retry_after`] and try again.
    RateLimited,
    /// A window of the plan is used up; retries fail until it resets.
    UsageLimit,
    /// The plan does not include this.
    QuotaExceeded,
    /// The backend has no capacity at the moment; try again.
    Overloaded,
    /// The backend failed; try again.
    Server,
    /// The reply ended before its terminal event, so it is incomplete.
    Truncated,
    /// The backend violated its protocol.
    Protocol,
    /// The backend did not answer in time.
    Timeout,
    /// This program has a defect.
    Internal,
}

/// How the sender of a request should retry after a fault, while the client has seen nothing of the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No retry: the request fails again, or the client decides when to send it again.
    Never,
    /// A retry after a delay.
    AfterDelay,
    /// A retry with a fresh access token.
    AfterLogin,
}

impl Error {
    /// Makes an error of `kind`; the kind decides origin, status and the body's `type`.
    ///
    /// LiteLLM, Cline and Roo recognise a full context by the wording of OpenAI's older models, whatever the code, and
    /// then shorten the conversation. The message gets that wording if it lacks it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if kind == ErrorKind::ContextLengthExceeded && !message.contains("maximum context length") {
            message.push_str(" This model's maximum context length is less than that.");
        }
        Self {
            origin: kind.origin(),
            kind,
            message,
            param: None,
            code: kind.default_code().map(str::to_owned),
            retry_after: None,
            retry: Retry::Never,
            is_retried: false,
            is_in_backends_words: false,
            misalignment: None,
        }
    }

    /// Makes a 400 about the request's parameter `param` (a path such as `messages[2].content`).
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidRequest, message).with_param(param)
    }

    /// Makes the error for a reply that is not in the backend's protocol.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    /// Makes the error for a reply that ended without a terminal event.
    pub(crate) fn truncated() -> Self {
        Self::new(ErrorKind::Truncated, "the reply was cut off before its end; what has arrived is incomplete")
    }

    /// Makes the error for a reply that the backend has ended early, without a reason and without output.
    pub(crate) fn ended_without_reason() -> Self {
        Self::new(ErrorKind::Truncated, "the backend ended the reply before any output, and gave no reason")
    }

    /// Names the request parameter at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Replaces the request parameter at fault, or removes it.
    #[must_use]
    pub(crate) fn replace_param(mut self, param: Option<String>) -> Self {
        self.param = param;
        self
    }

    /// Replaces the machine-readable code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Sets the time after which a retry can succeed.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Replaces the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Sets what the sender of the request should do.
    #[must_use]
    pub(crate) fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Adds the backend's details of a refusal by its policy against misalignment.
    #[must_use]
    pub(crate) fn with_misalignment(mut self, details: Option<Value>) -> Self {
        self.misalignment = details.map(Box::new);
        self
    }

    /// Marks the request as retried already, as often as is useful.
    #[must_use]
    pub fn after_retries(mut self) -> Self {
        self.is_retried = true;
        self
    }

    /// Uses the backend's `type` for a used-up window, for the official client, which otherwise waits silently for
    /// hours. SDKs know the public API's `rate_limit_error`.
    #[must_use]
    pub fn in_the_backends_words(mut self) -> Self {
        self.is_in_backends_words = true;
        self
    }

    /// Returns whose fault it is.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns what went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Returns the text for the client: what is wrong and what to do next.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Returns the request parameter at fault.
    pub fn param(&self) -> Option<&str> {
        self.param.as_deref()
    }

    /// Returns the machine-readable code, which is OpenAI's if it has one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns the details of a refusal by the backend's policy against misalignment, as the backend wrote them: the
    /// `misalignment` of OpenAI's error object.
    pub fn misalignment(&self) -> Option<&Value> {
        self.misalignment.as_deref()
    }

    /// Returns the time after which a retry can succeed, if the backend reports it.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns what the sender of the request should do while the client has seen nothing of the reply:
    /// [`Retry::Never`] for errors that are not the backend's.
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// Returns whether the request has been retried already, so that an immediate retry only adds load.
    pub fn is_retried(&self) -> bool {
        self.is_retried
    }

    /// Returns the HTTP status, for an error before the first byte of the reply.
    pub fn status_hint(&self) -> u16 {
        match self.kind {
            ErrorKind::InvalidRequest | ErrorKind::ContextLengthExceeded | ErrorKind::PolicyRefused => 400,
            ErrorKind::Authentication => 401,
            ErrorKind::Permission => 403,
            ErrorKind::NotFound | ErrorKind::ModelNotFound => 404,
            ErrorKind::SlowRequest => 408,
            ErrorKind::TooLarge => 413,
            ErrorKind::HeadTooLarge => 431,
            ErrorKind::RateLimited | ErrorKind::UsageLimit | ErrorKind::QuotaExceeded => 429,
            ErrorKind::Internal => 500,
            ErrorKind::Server | ErrorKind::Truncated | ErrorKind::Protocol => 502,
            ErrorKind::Overloaded => 503,
            ErrorKind::Timeout => 504,
        }
    }

    /// Returns whether the same request can succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::RateLimited
                | ErrorKind::Server
                | ErrorKind::Truncated
                | ErrorKind::Protocol
                | ErrorKind::Overloaded
                | ErrorKind::Timeout
                | ErrorKind::SlowRequest
        )
    }

    /// Returns the OpenAI-shaped body, `{"error":{"message","type","param","code"}}`, as bytes.
    pub fn to_json(&self) -> Vec<u8> {
        // Writing cannot fail: an error contains only strings.
        serde_json::to_vec(&self.body()).unwrap_or_default()
    }

    /// Returns the OpenAI-shaped body for a serializer; [`to_json`](Self::to_json) returns its bytes.
    pub fn body(&self) -> ErrorBody<'_> {
        ErrorBody(self)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.param {
            Some(param) => write!(f, " (parameter `{param}`)"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}

/// The body of an [`Error`]: an object with the key `error`, as OpenAI's SDKs read it.
#[derive(Clone, Copy, Debug)]
pub struct ErrorBody<'a>(&'a Error);

impl<'a> ErrorBody<'a> {
    /// Returns the value of the key `error`, for objects with other keys.
    pub fn object(self) -> impl Serialize + 'a {
        ErrorObject(self.0)
    }
}

impl Serialize for ErrorBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("ErrorBody", 1)?;
        body.serialize_field("error", &ErrorObject(self.0))?;
        body.end()
    }
}

/// The inner object. It always has the four keys that SDKs read by name.
struct ErrorObject<'a>(&'a Error);

impl Serialize for ErrorObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut error = serializer.serialize_struct("Error", 4 + usize::from(self.0.misalignment.is_some()))?;
        error.serialize_field("message", &self.0.message)?;
        let is_backends = self.0.is_in_backends_words && self.0.kind == ErrorKind::UsageLimit;
        let kind = if is_backends { "usage_limit_reached" } else { self.0.kind.wire_type() };
        error.serialize_field("type", kind)?;
        error.serialize_field("param", &self.0.param)?;
        error.serialize_field("code", &self.0.code)?;
        match self.0.misalignment() {
            Some(details) => error.serialize_field("misalignment", details)?,
            None => error.skip_field("misalignment")?,
        }
        error.end()
    }
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::InvalidRequest,
        Self::TooLarge,
        Self::HeadTooLarge,
        Self::SlowRequest,
        Self::NotFound,
        Self::ModelNotFound,
        Self::ContextLengthExceeded,
        Self::PolicyRefused,
        Self::Authentication,
        Self::Permission,
        Self::RateLimited,
        Self::UsageLimit,
        Self::QuotaExceeded,
        Self::Overloaded,
        Self::Server,
        Self::Truncated,
        Self::Protocol,
        Self::Timeout,
        Self::Internal,
    ];

    fn origin(self) -> Origin {
        match self {
            Self::InvalidRequest
            | Self::TooLarge
            | Self::HeadTooLarge
            | Self::SlowRequest
            | Self::NotFound
            | Self::ModelNotFound
            | Self::ContextLengthExceeded
            | Self::PolicyRefused => Origin::Client,
            Self::Authentication
            | Self::Permission
            | Self::RateLimited
            | Self::UsageLimit
            | Self::QuotaExceeded
            | Self::Overloaded
            | Self::Server
            | Self::Truncated
            | Self::Protocol
            | Self::Timeout => Origin::Upstream,
            Self::Internal => Origin::Local,
        }
    }

    /// Returns the `type` of OpenAI's error object, by which LiteLLM and others choose their exception.
    fn wire_type(self) -> &'static str {
        match self {
            Self::InvalidRequest
            | Self::TooLarge
            | Self::HeadTooLarge
            | Self::SlowRequest
            | Self::NotFound
            | Self::ModelNotFound
            | Self::ContextLengthExceeded
            | Self::PolicyRefused => "invalid_request_error",
            Self::Authentication => "authentication_error",
            Self::Permission => "permission_error",
            Self::RateLimited | Self::UsageLimit => "rate_limit_error",
            Self::QuotaExceeded => "insufficient_quota",
            Self::Overloaded | Self::Server | Self::Truncated | Self::Protocol | Self::Timeout | Self::Internal => {
                "server_error"
            }
        }
    }

    fn default_code(self) -> Option<&'static str> {
        match self {
            Self::InvalidRequest | Self::NotFound | Self::PolicyRefused | Self::Permission => None,
            Self::TooLarge => Some("request_too_large"),
            Self::HeadTooLarge => Some("headers_too_large"),
            Self::SlowRequest => Some("request_timeout"),
            Self::ModelNotFound => Some("model_not_found"),
            Self::ContextLengthExceeded => Some("context_length_exceeded"),
            Self::Authentication => Some("upstream_login_required"),
            Self::RateLimited => Some("rate_limit_exceeded"),
            Self::UsageLimit => Some("usage_limit_reached"),
            Self::QuotaExceeded => Some("insufficient_quota"),
            Self::Overloaded => Some("server_is_overloaded"),
            Self::Server => Some("upstream_error"),
            Self::Truncated => Some("stream_truncated"),
            Self::Protocol => Some("upstream_protocol_error"),
            Self::Timeout => Some("upstream_timeout"),
            Self::Internal => Some("internal_error"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_kinds_are_listed_once() {
        for (place, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place, "{kind:?}");
        }
        // The last of the kinds: one that is added before it makes the list too short.
        assert_eq!(ErrorKind::Internal as usize + 1, ErrorKind::ALL.len());
    }

    #[test]
    fn body_has_the_four_keys() {
        let error = Error::invalid("messages[0].role", "unknown role `x`");
        let body: Value = serde_json::from_slice(&error.to_json()).unwrap();
        let expected = serde_json::json!({"error": {"message": "unknown role `x`", "type": "invalid_request_error",
            "param": "messages[0].role", "code": null}});
        assert_eq!(body, expected);
    }
}
