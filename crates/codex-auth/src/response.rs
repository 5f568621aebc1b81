//! The auth server's responses, parsed and classified without I/O (`docs/backend.md §1.4`, `§1.5`).

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

use crate::http_client::HttpClientError;
use crate::lenient_json;
use crate::secret::Secret;

/// The longest message of the auth server that is passed on, in characters.
const MAX_MESSAGE: usize = 200;
/// The shortest run of token characters that counts as a token and is redacted from a message.
const TOKEN_LIKE: usize = 32;

/// The tokens in a successful response (RFC 6749 section 5.1); every member is optional (`docs/backend.md §1.5`).
#[derive(Clone, Debug, Default, Deserialize)]
pub struct TokenResponse {
    /// The new access token.
    #[serde(default, deserialize_with = "secret")]
    pub access_token: Option<Secret>,
    /// The refresh token that replaces the one sent.
    #[serde(default, deserialize_with = "secret")]
    pub refresh_token: Option<Secret>,
    /// The new id token.
    #[serde(default, deserialize_with = "secret")]
    pub id_token: Option<Secret>,
    /// The access token's lifetime.
    #[serde(default, deserialize_with = "lenient_json::seconds")]
    pub expires_in: Option<Duration>,
}

impl TokenResponse {
    /// Parses the response to a token request.
    ///
    /// # Errors
    /// [`EndpointError`], by the classes of `docs/backend.md §1.5`.
    pub fn parse(response: &Response<Bytes>) -> Result<Self, EndpointError> {
        if response.status().is_success() && !is_html(response) {
            return lenient_json::object(response.body()).map_err(|error| {
                EndpointError::Interrupted(format!("it is not the expected JSON ({})", kind(&error)))
            });
        }
        Err(EndpointError::classify(response))
    }
}

/// A request to the auth server that brought no tokens. Messages contain no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The grant that was sent is permanently refused: log in again.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: GrantRefusal,
    },
    /// The auth server cannot answer now, and the grant is still valid: try again later.
    #[error("{message}")]
    Unavailable {
        /// The status and the auth server's message.
        message: String,
        /// The pause that the auth server asks for.
        retry_after: Option<Duration>,
    },
    /// The response is a web page instead of JSON: a bot challenge (openai/codex#16052), a captive portal, a filtering
    /// proxy. Try again later, or from another network.
    #[error(
        "the auth server's response is a web page instead of JSON (status {status}{}): check the network and proxy settings",
        if *.challenge { ", a bot challenge" } else { "" }
    )]
    WebPage {
        /// The HTTP status.
        status: u16,
        /// Whether the page is a bot challenge.
        challenge: bool,
    },
    /// No connection could be made, and the grant is still valid: try again.
    #[error("cannot reach the auth server: {0}")]
    Unreachable(String),
    /// The request was sent and no readable response arrived: a single-use grant may be used up. Do not send it again
    /// while there is another way.
    #[error("the auth server's response was lost: {0}")]
    Interrupted(String),
}

impl EndpointError {
    /// Classifies a response without tokens.
    pub(crate) fn classify(response: &Response<Bytes>) -> Self {
        let status = response.status();
        if is_html(response) {
            return Self::WebPage { status: status.as_u16(), challenge: is_challenge(response) };
        }
        let error = OAuthErrorBody::parse(response.body());
        let refusal = error.code.as_deref().and_then(GrantRefusal::from_code);
        let is_permanent = status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS;
        match refusal {
            Some(refusal) if is_permanent => Self::Refused { refusal },
            Some(_) | None if status == StatusCode::UNAUTHORIZED => {
                Self::Refused { refusal: GrantRefusal::Other(error.to_string()) }
            }
            Some(_) | None => Self::Unavailable {
                message: format!("the auth server answered {status}: {error}"),
                retry_after: retry_after(response),
            },
        }
    }
}

impl From<HttpClientError> for EndpointError {
    fn from(error: HttpClientError) -> Self {
        match error {
            HttpClientError::NotSent(reason) => Self::Unreachable(reason),
            HttpClientError::Interrupted(reason) => Self::Interrupted(reason),
        }
    }
}

/// Why the auth server refused a grant permanently (`docs/backend.md §1.5`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GrantRefusal {
    /// The refresh token is too old.
    Expired,
    /// The refresh token was used before: by another program, or by a request whose response was lost.
    Reused,
    /// The refresh token was revoked, for example by a logout elsewhere.
    Revoked,
    /// The code or token is not valid: used, expired, or issued for something else.
    InvalidGrant,
    /// The session that the token belongs to has ended.
    SessionEnded,
    /// The account is deactivated, suspended or deleted.
    AccountClosed,
    /// Another reason, with status 401: the auth server's code and message.
    Other(String),
}

impl GrantRefusal {
    /// Parses an error code: the official client's three, and those that other clients have met (`docs/backend.md
    /// §1.5`).
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Some(match code.to_ascii_lowercase().as_str() {
            "refresh_token_expired" | "token_expired" => Self::Expired,
            "refresh_token_reused" => Self::Reused,
            "refresh_token_invalidated" | "token_invalidated" => Self::Revoked,
            "invalid_grant" => Self::InvalidGrant,
            "app_session_terminated" | "account_session_expired" => Self::SessionEnded,
            "account_deactivated" | "account_suspended" | "account_deleted" => Self::AccountClosed,
            _ => return None,
        })
    }
}

impl fmt::Display for GrantRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("the refresh token has expired"),
            Self::Reused => f.write_str("the refresh token was already used, perhaps by another program"),
            Self::Revoked => f.write_str("the refresh token was revoked"),
            Self::InvalidGrant => f.write_str("the code or token is no longer valid"),
            Self::SessionEnded => f.write_str("the session has ended"),
            Self::AccountClosed => f.write_str("the account is deactivated, suspended or deleted"),
            Self::Other(message) => write!(f, "the auth server refused it: {message}"),
        }
    }
}

/// An error body: `{"error":"code","error_description":"…"}`, `{"error":{"message","code"}}` or `{"detail":"…"}`.
#[derive(Debug, Default)]
pub(crate) struct OAuthErrorBody {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

impl OAuthErrorBody {
    pub(crate) fn parse(body: &[u8]) -> Self {
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Self::default();
        };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(sanitize);
        let error = &body["error"];
        let code = [&error["code"], error, &body["code"], &body["detail"]["code"]];
        let message = [&error["message"], &body["error_description"], &body["message"], &body["detail"]];
        Self { code: code.into_iter().find_map(text), message: message.into_iter().find_map(text) }
    }
}

impl fmt::Display for OAuthErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(f, "{message} ({code})"),
            (Some(text), None) | (None, Some(text)) => f.write_str(text),
            (None, None) => f.write_str("no explanation"),
        }
    }
}

/// Returns text of the auth server as one line of bounded length, with everything that looks like a token redacted.
pub(crate) fn sanitize(text: &str) -> String {
    let token_char = |c: char| c.is_ascii_alphanumeric() || "-_.=~+".contains(c);
    let mut cleaned = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run = rest.find(|c| !token_char(c)).unwrap_or(rest.len());
        let (taken, written) = match run {
            0 => (first.len_utf8(), if first.is_control() { " " } else { &rest[..first.len_utf8()] }),
            run if run >= TOKEN_LIKE => (run, "[redacted]"),
            run => (run, &rest[..run]),
        };
        cleaned.push_str(written);
        rest = &rest[taken..];
    }
    match cleaned.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &cleaned[..end]),
        None => cleaned,
    }
}

fn is_html(response: &Response<Bytes>) -> bool {
    let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/html"))
        || response.headers().contains_key("cf-mitigated")
        || response.body().trim_ascii_start().starts_with(b"<")
}

fn is_challenge(response: &Response<Bytes>) -> bool {
    let contains = |needle: &[u8]| response.body().windows(needle.len()).any(|window| window == needle);
    response.headers().contains_key("cf-mitigated")
        || contains(b"challenge-platform")
        || contains(b"Just a moment")
        || contains(b"cf-chl")
}

fn retry_after(response: &Response<Bytes>) -> Option<Duration> {
    let seconds = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Names a JSON error without quoting the content, which serde's messages may contain.
fn kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "unexpected end",
        serde_json::error::Category::Syntax => "invalid syntax",
        serde_json::error::Category::Data | serde_json::error::Category::Io => "not an object",
    }
}

fn secret<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Secret>, D::Error> {
    lenient_json::member(deserializer).map(|secret: Option<Secret>| secret.filter(|secret| !secret.is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(status: u16, body: &str) -> Response<Bytes> {
        Response::builder().status(status).body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn refusal(status: u16, body: &str) -> Option<GrantRefusal> {
        match TokenResponse::parse(&response(status, body)) {
            Err(EndpointError::Refused { refusal }) => Some(refusal),
            _ => None,
        }
    }

    #[test]
    fn every_member_of_a_reply_is_optional() {
        let reply =
            TokenResponse::parse(&response(200, r#"{"refresh_token":"r","expires_in":"60","id_token":7}"#)).unwrap();
        assert!(reply.access_token.is_none() && reply.id_token.is_none());
        assert_eq!(reply.refresh_token.unwrap().expose(), "r");
        assert_eq!(reply.expires_in, Some(Duration::from_secs(60)));
    }

    #[test]
    fn the_codes_are_permanent_in_either_format_and_with_status_400() {
        let reused =
            r#"{"error":{"message":"m","type":"invalid_request_error","param":null,"code":"refresh_token_reused"}}"#;
        assert_eq!(refusal(401, reused), Some(GrantRefusal::Reused));
        assert_eq!(refusal(400, reused), Some(GrantRefusal::Reused));
        assert_eq!(refusal(400, r#"{"error":"Refresh_Token_Expired"}"#), Some(GrantRefusal::Expired));
        assert_eq!(refusal(400, r#"{"code":"refresh_token_invalidated"}"#), Some(GrantRefusal::Revoked));
        assert_eq!(
            refusal(400, r#"{"error":"invalid_grant","error_description":"d"}"#),
            Some(GrantRefusal::InvalidGrant)
        );
        assert_eq!(refusal(403, r#"{"error":{"code":"account_suspended"}}"#), Some(GrantRefusal::AccountClosed));
    }

    #[test]
    fn any_other_401_is_permanent_and_any_other_status_is_not() {
        assert_eq!(
            refusal(401, r#"{"error":"new","error_description":"d"}"#),
            Some(GrantRefusal::Other("d (new)".into()))
        );
        assert_eq!(refusal(401, ""), Some(GrantRefusal::Other("no explanation".into())));
        for status in [400, 403, 404, 409, 429, 500, 503] {
            assert_eq!(refusal(status, r#"{"error":"new"}"#), None, "{status}");
        }
        assert_eq!(refusal(500, r#"{"error":"invalid_grant"}"#), None);
        assert_eq!(refusal(429, r#"{"error":"invalid_grant"}"#), None);
    }

    #[test]
    fn a_web_page_is_never_a_refusal() {
        let mut page = response(401, "  <!DOCTYPE html><title>Just a moment...</title>");
        assert_eq!(EndpointError::classify(&page), EndpointError::WebPage { status: 401, challenge: true });
        *page.status_mut() = StatusCode::OK;
        assert!(matches!(TokenResponse::parse(&page), Err(EndpointError::WebPage { status: 200, .. })));
        let portal = response(200, "<html>Welcome to the hotel</html>");
        assert!(matches!(TokenResponse::parse(&portal), Err(EndpointError::WebPage { challenge: false, .. })));
    }

    #[test]
    fn a_success_that_cannot_be_read_may_have_used_the_token() {
        for body in ["", r#"{"access_token":"aaaa"#, "[]x", "7"] {
            let error = TokenResponse::parse(&response(200, body)).unwrap_err();
            assert!(matches!(error, EndpointError::Interrupted(_)), "{body}");
            assert!(!error.to_string().contains("aaaa"));
        }
    }

    #[test]
    fn retry_after_is_passed_on() {
        let mut busy = response(503, "{}");
        busy.headers_mut().insert("retry-after", "7".parse().unwrap());
        let EndpointError::Unavailable { retry_after, .. } = EndpointError::classify(&busy) else { panic!() };
        assert_eq!(retry_after, Some(Duration::from_secs(7)));
    }

    #[test]
    fn messages_carry_no_tokens_and_no_line_breaks() {
        let token = "rt_abcdefghijklmnopqrstuvwxyz0123456789";
        let text = sanitize(&format!("bad token {token}\nline"));
        assert_eq!(text, "bad token [redacted] line");
        assert_eq!(sanitize(&"x ".repeat(500)), format!("{}…", "x ".repeat(MAX_MESSAGE / 2)));
    }

    proptest! {
        #[test]
        fn no_body_panics_and_sanitized_text_is_bounded(status in 200..600_u16, body in ".{0,300}") {
            let _ = TokenResponse::parse(&response(status, &body));
            prop_assert!(sanitize(&body).chars().count() <= MAX_MESSAGE + 1);
            prop_assert!(!sanitize(&body).chars().any(char::is_control));
        }
    }
}
