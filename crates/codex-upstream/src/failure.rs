//! Reads what the backend answers when it does not answer the question: two JSON dialects, headers, and Cloudflare's
//! pages (wire.md §2.7, §3.6).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::headers;

/// How much of an error message is kept.
const MESSAGE_CHARS: usize = 2000;

/// How much of a body that is not JSON is shown.
const EXCERPT_CHARS: usize = 160;

/// A reply that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status that the backend, or Cloudflare before it, answered with.
    pub status: u16,
    /// What it means.
    pub kind: FailureKind,
    /// The backend's own code, as it was written.
    pub code: Option<String>,
    /// What to tell the user: printable text without markup.
    pub message: String,
    /// The request parameter to blame.
    pub param: Option<String>,
    /// The least to wait before the next attempt.
    pub retry_after: Option<Duration>,
    /// When the exhausted quota is full again.
    pub resets_at: Option<SystemTime>,
}

/// What a [`Failure`] means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// Cloudflare, not the backend, answered: a challenge or a block page.
    Challenge,
    /// The model wants a newer client version than the [`Identity`](crate::Identity) claims.
    ClientTooOld,
    /// A safety policy refused the prompt.
    ContentPolicy,
    /// The input does not fit the model's context window.
    ContextLength,
    /// The account may not do this.
    Forbidden,
    /// The request is malformed or asks for something unsupported.
    InvalidRequest,
    /// A referenced item is not stored at the backend.
    ItemNotFound,
    /// The account has no such model.
    ModelNotFound,
    /// There is nothing at this path.
    NotFound,
    /// The backend, or one model, is at capacity.
    Overloaded,
    /// The plan does not include Codex.
    PlanExcludes,
    /// Credits are used up.
    QuotaExhausted,
    /// Too many requests or tokens in a short time.
    RateLimit,
    /// A redirect, which is not followed.
    Redirect,
    /// The backend broke.
    Server,
    /// The access token is missing, expired or revoked.
    Unauthorized,
    /// A window of the plan's usage is used up.
    UsageLimit,
    /// The selected workspace is deactivated or not this user's.
    Workspace,
}

impl FailureKind {
    /// Looks up the backend's codes, which HTTP bodies and events within a stream share (wire.md §3.6).
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Some(match code {
            "context_length_exceeded" => Self::ContextLength,
            "cyber_policy" | "bio_policy" | "invalid_prompt" => Self::ContentPolicy,
            "deactivated_workspace" | "invalid_workspace_selected" => Self::Workspace,
            "insufficient_quota" => Self::QuotaExhausted,
            "model_not_found" => Self::ModelNotFound,
            "rate_limit_exceeded" => Self::RateLimit,
            "server_error" => Self::Server,
            "server_is_overloaded" | "overloaded_error" | "slow_down" => Self::Overloaded,
            "token_expired" | "token_invalidated" | "token_revoked" => Self::Unauthorized,
            "usage_limit_reached" => Self::UsageLimit,
            "usage_not_included" => Self::PlanExcludes,
            _ => return None,
        })
    }
}

impl Failure {
    /// Reads a reply that is not a success, or a success that is an HTML page.
    ///
    /// `body` is the whole body or a prefix of it; `now` is what relative times in it are counted from.
    #[must_use]
    pub fn parse(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Self {
        let html = is_html(headers, body);
        let retry_after = retry_after(headers, now);
        let bare = |kind, message: String| Self {
            status: status.as_u16(),
            kind,
            code: None,
            message,
            param: None,
            retry_after,
            resets_at: None,
        };
        if headers.contains_key(headers::CF_MITIGATED) || html && is_cloudflare_page(status, body) {
            return bare(FailureKind::Challenge, CHALLENGE.to_owned());
        }
        if html {
            return bare(kind_of_status(status), format!("{} with a web page", answered(status)));
        }
        if status.is_redirection() {
            return bare(FailureKind::Redirect, redirect_message(status, headers));
        }
        let told = Told::read(headers, body);
        let kind = kind_of(status, &told);
        let resets_at = told.resets_at(now);
        let until_reset = resets_at.and_then(|at| at.duration_since(now).ok());
        Self {
            status: status.as_u16(),
            kind,
            retry_after: retry_after.or(until_reset).or_else(|| delay_in(&told.message)),
            message: told.message_or(status, body),
            code: told.code,
            param: told.param,
            resets_at,
        }
    }
}

/// Tells whether a reply is a web page: by its type, or because its body starts with `<` (wire.md §3.1).
pub(crate) fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    declared || body.trim_ascii_start().starts_with(b"<")
}

const CHALLENGE: &str = "Cloudflare did not let the request through to the backend; the account is not to blame. \
    Try again in a while, from another network, or with another emulation.";

/// What the headers and the body say, whichever dialect they say it in.
#[derive(Default)]
struct Told {
    /// `error.code`, else an `error.type` that says as much, else what the dialect has in their place.
    code: Option<String>,
    message: String,
    param: Option<String>,
    reset_at_unix: Option<u64>,
    reset_in_secs: Option<u64>,
}

impl Told {
    fn read(headers: &HeaderMap, body: &[u8]) -> Self {
        let mut told = serde_json::from_slice::<Value>(body).map(|body| Self::from_body(&body)).unwrap_or_default();
        if told.code.is_none() {
            told.code = error_json(headers).and_then(|body| Self::from_body(&body).code);
        }
        if told.code.is_none() {
            told.code = headers.get(headers::X_OPENAI_AUTHORIZATION_ERROR).and_then(|v| v.to_str().ok()).map(printable);
        }
        told
    }

    fn from_body(body: &Value) -> Self {
        let Value::Object(body) = body else {
            return Self::default();
        };
        match (body.get("error"), body.get("detail")) {
            (Some(Value::Object(error)), _) | (_, Some(Value::Object(error))) => Self::from_object(error),
            // OAuth's shape (RFC 6749 section 5.2).
            (Some(Value::String(code)), _) => Self {
                code: Some(printable(code)),
                message: text(body, "error_description").or_else(|| text(body, "message")).unwrap_or_default(),
                ..Self::default()
            },
            (_, Some(Value::String(detail))) => Self { message: printable(detail), ..Self::default() },
            (_, Some(Value::Array(problems))) => Self::from_validation(problems),
            _ => Self::from_object(body),
        }
    }

    fn from_object(error: &Map<String, Value>) -> Self {
        Self {
            code: text(error, "code")
                .or_else(|| text(error, "type").filter(|kind| FailureKind::from_code(kind).is_some())),
            message: text(error, "message").unwrap_or_default(),
            param: text(error, "param"),
            reset_at_unix: error.get("resets_at").and_then(Value::as_u64),
            reset_in_secs: error.get("resets_in_seconds").and_then(Value::as_u64),
        }
    }

    /// Reads FastAPI's list of `{loc, msg, type}`.
    fn from_validation(problems: &[Value]) -> Self {
        let place = |problem: &Value| {
            let parts = problem.get("loc")?.as_array()?.iter();
            let parts = parts.map(|part| part.as_str().map_or_else(|| part.to_string(), printable));
            Some(parts.filter(|part| part != "body").collect::<Vec<_>>().join("."))
        };
        let told = problems.iter().take(5).map(|problem| {
            let message = problem.get("msg").and_then(Value::as_str).map(printable).unwrap_or_default();
            match place(problem) {
                Some(place) if !place.is_empty() => format!("{place}: {message}"),
                Some(_) | None => message,
            }
        });
        Self {
            message: told.collect::<Vec<_>>().join("; "),
            param: problems.first().and_then(place).filter(|place| !place.is_empty()),
            ..Self::default()
        }
    }

    fn resets_at(&self, now: SystemTime) -> Option<SystemTime> {
        let absolute = self.reset_at_unix.and_then(|secs| UNIX_EPOCH.checked_add(Duration::from_secs(secs)));
        absolute.or_else(|| now.checked_add(Duration::from_secs(self.reset_in_secs?)))
    }

    fn message_or(&self, status: StatusCode, body: &[u8]) -> String {
        if !self.message.is_empty() {
            return self.message.clone();
        }
        if let Some(code) = &self.code {
            return format!("{}: {code}", answered(status));
        }
        match excerpt(body) {
            excerpt if excerpt.is_empty() => format!("{} with no explanation", answered(status)),
            excerpt => format!("{}: {excerpt}", answered(status)),
        }
    }
}

/// Puts the texts that carry no code of their own, then the codes, then the status in charge.
fn kind_of(status: StatusCode, told: &Told) -> FailureKind {
    const BY_TEXT: [(&str, FailureKind); 6] = [
        ("requires a newer version of Codex", FailureKind::ClientTooOld),
        ("not supported when using Codex with a ChatGPT account", FailureKind::ModelNotFound),
        ("Model not found", FailureKind::ModelNotFound),
        ("Items are not persisted when", FailureKind::ItemNotFound),
        ("model is at capacity", FailureKind::Overloaded),
        ("servers are currently overloaded", FailureKind::Overloaded),
    ];
    if let Some((_, kind)) = BY_TEXT.iter().find(|(text, _)| told.message.contains(text)) {
        return *kind;
    }
    told.code.as_deref().and_then(FailureKind::from_code).unwrap_or_else(|| kind_of_status(status))
}

fn kind_of_status(status: StatusCode) -> FailureKind {
    match status.as_u16() {
        300..=399 => FailureKind::Redirect,
        401 => FailureKind::Unauthorized,
        402 => FailureKind::Workspace,
        403 => FailureKind::Forbidden,
        404 => FailureKind::NotFound,
        429 => FailureKind::RateLimit,
        503 | 529 => FailureKind::Overloaded,
        400..=499 => FailureKind::InvalidRequest,
        _ => FailureKind::Server,
    }
}

/// Recognises a page that stands between us and the backend. A 403 that is a page is always one: the backend refuses
/// in JSON. A 5xx page is Cloudflare's report of a broken backend, and is left to its status.
fn is_cloudflare_page(status: StatusCode, body: &[u8]) -> bool {
    const MARKS: [&str; 5] = [
        "Just a moment",
        "Sorry, you have been blocked",
        "challenge-platform",
        "cf_chl_opt",
        ".container{align-items:center;display:flex",
    ];
    let head = String::from_utf8_lossy(&body[..body.len().min(16 * 1024)]);
    status.is_success() || status == StatusCode::FORBIDDEN || MARKS.iter().any(|mark| head.contains(mark))
}

fn redirect_message(status: StatusCode, headers: &HeaderMap) -> String {
    let to = headers
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| url::Url::parse(value).ok())
        .and_then(|url| url.host_str().map(|host| format!(" to {host}")))
        .unwrap_or_default();
    format!("{}, a redirect{to}, which is not followed; correct the backend's address", answered(status))
}

fn answered(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("the backend answered {} {reason}", status.as_u16()),
        None => format!("the backend answered {}", status.as_u16()),
    }
}

/// Reads `Retry-After` in both of its forms (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(secs) = value.parse() {
        return Some(Duration::from_secs(secs));
    }
    Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default())
}

/// Reads the delay out of `… try again in 11.054s` (wire.md §3.6).
fn delay_in(message: &str) -> Option<Duration> {
    const LEAD: &str = "try again in";
    let message = message.to_ascii_lowercase();
    let rest = message[message.find(LEAD)? + LEAD.len()..].trim_start();
    let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let amount: f64 = rest[..unit_at].parse().ok()?;
    let unit = rest[unit_at..].trim_start();
    let secs = if unit.starts_with("ms") {
        amount / 1000.0
    } else if unit.starts_with('s') {
        amount
    } else {
        return None;
    };
    Duration::try_from_secs_f64(secs).ok()
}

fn error_json(headers: &HeaderMap) -> Option<Value> {
    let encoded = headers.get(headers::X_ERROR_JSON)?.as_bytes();
    serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(encoded).ok()?).ok()
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(printable).filter(|text| !text.is_empty())
}

/// Makes text fit for one line of a terminal or a log.
fn printable(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(MESSAGE_CHARS).collect::<String>().trim().to_owned()
}

/// Shows the start of a body that is not JSON, without markup.
fn excerpt(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_CHARS)]);
    let mut inside_tag = false;
    let bare = head.chars().filter(|c| {
        let shown = !inside_tag && *c != '<';
        inside_tag = if inside_tag { *c != '>' } else { *c == '<' };
        shown && *c != char::REPLACEMENT_CHARACTER
    });
    let bare: String = bare.take(EXCERPT_CHARS).collect();
    printable(&bare)
}
