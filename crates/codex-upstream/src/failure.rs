//! Reads what the backend answers when it does not answer the question: two JSON dialects, headers, and Cloudflare's
//! pages (docs/backend.md §2.7, §3.6).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::quota::{self, Quota};
use crate::{headers, limit};

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
    /// What to tell the user: one printable line, never a web page. Of a used-up window it says which and until when.
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
    /// The model wants a newer client version than the [`ClientIdentity`](crate::ClientIdentity) claims.
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
    /// Looks up the backend's codes, which HTTP bodies and events within a stream share (docs/backend.md §3.6).
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
        if headers.contains_key(headers::CF_MITIGATED) || is_cloudflares(status, html, body) {
            return bare(FailureKind::Challenge, CHALLENGE.to_owned());
        }
        if html {
            return bare(kind_of_status(status), page_message(status));
        }
        if status.is_redirection() {
            return bare(FailureKind::Redirect, redirect_message(status, headers));
        }
        let told = Told::read(status, headers, body);
        let quota = Quota::from_headers(headers, now);
        let kind = kind_of(status, &told, &quota);
        let message = told.message_or(status, body);
        let mut failure = Self {
            retry_after: retry_after.or_else(|| delay_in(&message)),
            resets_at: told.resets_at(now),
            code: told.code,
            param: told.param,
            ..bare(kind, message)
        };
        if kind == FailureKind::UsageLimit {
            failure.name_window(&quota, told.plan.as_deref(), now);
        } else if kind == FailureKind::ClientTooOld {
            failure.message.push_str(TOO_OLD);
        }
        let until_reset = failure.resets_at.and_then(|at| at.duration_since(now).ok());
        failure.retry_after = failure.retry_after.max(until_reset);
        failure
    }

    /// Says in the message what is used up, and takes the time of the reset from the headers if the body has none.
    fn name_window(&mut self, quota: &Quota, plan: Option<&str>, now: SystemTime) {
        let window = limit::blocking(quota, self.resets_at);
        self.resets_at = self.resets_at.or_else(|| window?.resets_at);
        let plan = plan.or(quota.plan.as_deref());
        self.message = limit::sentence(&self.message, plan, window, self.resets_at, now);
    }
}

/// Tells whether a reply is a web page: by its type, or because its body starts with `<` (docs/backend.md §3.1).
pub(crate) fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared = headers.get(CONTENT_TYPE).is_some_and(|value| {
        let media = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        media.eq_ignore_ascii_case(b"text/html") || media.eq_ignore_ascii_case(b"application/xhtml+xml")
    });
    declared || starts_as_page(body)
}

fn starts_as_page(text: &[u8]) -> bool {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text).trim_ascii_start().starts_with(b"<")
}

const CHALLENGE: &str = "Cloudflare did not let the request through to the backend; the account is not to blame. \
    Try again in a while, or from another network.";

/// What the backend cannot know: that its advice to upgrade reaches somebody who uses another client.
const TOO_OLD: &str = " What counts is the version that this proxy claims to be, not the client behind it: \
    update the proxy.";

/// What the headers and the body say, whichever dialect they say it in.
#[derive(Default)]
struct Told {
    /// `error.code`, else an `error.type` that says as much, else what the dialect has in their place.
    code: Option<String>,
    /// What the code means, else what `error.type` does.
    kind: Option<FailureKind>,
    message: String,
    param: Option<String>,
    plan: Option<String>,
    reset_at_unix: Option<u64>,
    reset_in_secs: Option<u64>,
}

impl Told {
    fn read(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let mut told = serde_json::from_slice::<Value>(body).map(|body| Self::from_body(&body)).unwrap_or_default();
        if told.code.is_none() {
            told.code = error_json(headers).and_then(|body| Self::from_body(&body).code);
        }
        if told.code.is_none() {
            told.code = headers.get(headers::X_OPENAI_AUTHORIZATION_ERROR).and_then(|v| v.to_str().ok()).map(printable);
        }
        told.kind = told.code.as_deref().and_then(FailureKind::from_code).or(told.kind);
        // JSON around a page is a page all the same.
        if starts_as_page(told.message.as_bytes()) {
            told.message = page_message(status);
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
        let kind = text(error, "type").and_then(|class| FailureKind::from_code(&class));
        let secs =
            |key: &str| error.get(key).and_then(quota::number).filter(|secs| *secs > 0.0).map(|secs| secs as u64);
        Self {
            code: text(error, "code").or_else(|| text(error, "type").filter(|_| kind.is_some())),
            kind,
            message: text(error, "message").unwrap_or_default(),
            param: text(error, "param"),
            plan: text(error, "plan_type"),
            reset_at_unix: secs("resets_at"),
            reset_in_secs: secs("resets_in_seconds"),
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
            message: printable(&told.collect::<Vec<_>>().join("; ")),
            param: problems.first().and_then(place).map(|place| printable(&place)).filter(|place| !place.is_empty()),
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
            return match words_for(code) {
                Some(words) => words.to_owned(),
                None => format!("{}: {code}", answered(status)),
            };
        }
        match excerpt(body) {
            excerpt if excerpt.is_empty() => format!("{} with no explanation", answered(status)),
            excerpt => format!("{}: {excerpt}", answered(status)),
        }
    }
}

/// Words for the codes that the backend sends without a message.
fn words_for(code: &str) -> Option<&'static str> {
    Some(match code {
        "deactivated_workspace" => "the selected workspace is deactivated; log in again and select another",
        "invalid_workspace_selected" => {
            "the selected workspace is not open to this account; log in again and select another"
        }
        "usage_limit_reached" => "the usage limit has been reached",
        "usage_not_included" => "the plan of this account does not include Codex",
        _ => return None,
    })
}

/// Puts the texts that carry no code of their own, then the codes, then the status in charge.
fn kind_of(status: StatusCode, told: &Told, quota: &Quota) -> FailureKind {
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
    told.kind.unwrap_or_else(|| match (kind_of_status(status), quota.reached.as_deref()) {
        (FailureKind::RateLimit, Some(reached)) if reached.ends_with("credits_depleted") => FailureKind::QuotaExhausted,
        (FailureKind::RateLimit, Some(_)) => FailureKind::UsageLimit,
        (kind, _) => kind,
    })
}

fn kind_of_status(status: StatusCode) -> FailureKind {
    match status.as_u16() {
        300..=399 => FailureKind::Redirect,
        401 => FailureKind::Unauthorized,
        402 => FailureKind::Workspace,
        403 => FailureKind::Forbidden,
        404 => FailureKind::NotFound,
        408 => FailureKind::Server,
        429 => FailureKind::RateLimit,
        503 | 529 => FailureKind::Overloaded,
        400..=499 => FailureKind::InvalidRequest,
        _ => FailureKind::Server,
    }
}

/// Recognises what Cloudflare says on its own behalf. A 403 that is a page is always its: the backend refuses in JSON.
/// So is one that reads `error code: 1020`, which those get that do not ask for a page. A 5xx page is Cloudflare's
/// report of a broken backend, and is left to its status.
fn is_cloudflares(status: StatusCode, html: bool, body: &[u8]) -> bool {
    const MARKS: [&str; 4] = [
        "Just a moment",
        "Sorry, you have been blocked",
        // In every challenge, whatever its language; `challenge-platform` is in the pages that it lets through, too.
        "cf_chl_opt",
        ".container{align-items:center;display:flex",
    ];
    if !html {
        return status == StatusCode::FORBIDDEN && body.trim_ascii_start().starts_with(b"error code: 1");
    }
    let head = String::from_utf8_lossy(&body[..body.len().min(16 * 1024)]);
    status.is_success() || status == StatusCode::FORBIDDEN || MARKS.iter().any(|mark| head.contains(mark))
}

fn page_message(status: StatusCode) -> String {
    format!("{} with a web page", answered(status))
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

/// Reads the delay out of `… try again in 11.054s` (docs/backend.md §3.6).
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

/// Shows the start of a body that has no message of its own, as far as there is no markup in it.
fn excerpt(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_CHARS)]);
    let text = head.split('<').next().unwrap_or_default().trim_end_matches(char::REPLACEMENT_CHARACTER);
    printable(&text.chars().take(EXCERPT_CHARS).collect::<String>())
}
