//! Parses the HTTP side of a fault of the backend: the status, the headers, redirects, and Cloudflare's pages
//! (`docs/backend.md §3.6`). [`codex_translate::backend`] contains the meanings of faults.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use codex_translate::backend::{Fault, FaultReport, Sign};
use codex_translate::{Error, ErrorKind, Retry};
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use crate::quota::Quota;
use crate::verdict::Verdict;
use crate::{headers, limit};

/// The longest excerpt of a body that is not JSON, in characters.
const EXCERPT_CHARS: usize = 160;

/// A reply that is not a success.
///
/// # Example
/// ```
/// use std::time::SystemTime;
///
/// use codex_upstream::{Failure, Verdict};
/// use http::{HeaderMap, StatusCode};
///
/// let body = br#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached"}}"#;
/// let failure = Failure::parse(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::new(), body, SystemTime::now());
/// assert_eq!(failure.verdict(), Verdict::Limit);
/// assert_eq!(failure.error.code(), Some("usage_limit_reached"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The status of the backend, or of Cloudflare in front of it.
    pub status: u16,
    /// The error for the client. Its message is one printable line, never a web page; for an exhausted quota it names
    /// the window and its reset.
    pub error: Error,
    /// When the exhausted quota resets.
    pub resets_at: Option<SystemTime>,
    /// Whether Cloudflare, not the backend, answered: with a challenge or a block page.
    is_challenge: bool,
}

impl Failure {
    /// Parses a reply that is not a success, or a success that is an HTML page.
    ///
    /// `body` is the whole body or a prefix of it; relative times in it count from `now`.
    #[must_use]
    pub fn parse(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Self {
        let is_page = is_html(headers, body);
        let is_challenge = headers.contains_key(headers::CF_MITIGATED) || is_cloudflares(status, is_page, body);
        let (error, resets_at) = if is_challenge {
            (Error::new(ErrorKind::Server, CHALLENGE).with_code("cloudflare_challenge"), None)
        } else if status.is_redirection() {
            (Error::new(ErrorKind::Server, redirect_message(status, headers)), None)
        } else {
            let body = if is_page { &[] } else { body };
            let mut report = FaultReport::parse(body);
            report.status = Some(status.as_u16());
            if is_page {
                report.message = format!("{} with a web page", answered(status));
            }
            let resets_at = complete(&mut report, headers, body, now);
            (report.into_error(), resets_at)
        };
        let until_reset = resets_at.and_then(|at| at.duration_since(now).ok());
        let after = retry_after(headers, now).or_else(|| error.retry_after()).max(until_reset);
        let error = match after {
            Some(after) => error.with_retry_after(after),
            None => error,
        };
        Self { status: status.as_u16(), error, resets_at, is_challenge }
    }

    /// Returns what the caller should do.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.error.retry() {
            _ if self.is_challenge => Verdict::Challenge,
            Retry::AfterLogin => Verdict::Reauth,
            Retry::AfterDelay => Verdict::Retry { after: self.error.retry_after() },
            Retry::Never if is_limit(self.error.kind()) => Verdict::Limit,
            Retry::Never => Verdict::Fail,
        }
    }
}

/// Returns the verdict on a reply.
///
/// `body_prefix` is the available part of the body. It may be empty for a success, whose body is then trusted; for any
/// other status it should be the whole body, or its first 64 KiB.
///
/// ```
/// use std::time::SystemTime;
///
/// use codex_upstream::{Verdict, verdict};
/// use http::{HeaderMap, StatusCode};
///
/// let verdict = verdict(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new(), b"", SystemTime::now());
/// assert!(matches!(verdict, Verdict::Retry { .. }));
/// ```
#[must_use]
pub fn verdict(status: StatusCode, headers: &HeaderMap, body_prefix: &[u8], now: SystemTime) -> Verdict {
    if status.is_success() && !is_html(headers, body_prefix) {
        Verdict::Ok
    } else {
        Failure::parse(status, headers, body_prefix, now).verdict()
    }
}

/// Completes the report from the body with the status and the headers. Returns when an exhausted window resets.
fn complete(report: &mut FaultReport, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Option<SystemTime> {
    let quota = Quota::from_headers(headers, now);
    if report.code.is_none() && !matches!(report.fault().sign, Sign::Code(_)) {
        report.code = code_of(headers);
    }
    // A 429 without a code: the quota tells its kind.
    if let (Fault { sign: Sign::Status(..), kind: ErrorKind::RateLimited, .. }, Some(reached)) =
        (report.fault(), quota.reached.as_deref())
    {
        let is_credit = reached.ends_with("credits_depleted");
        report.code = Some(if is_credit { "insufficient_quota" } else { "usage_limit_reached" }.to_owned());
    }
    let fault = report.fault();
    if report.message.is_empty() {
        report.message = fault.message.map_or_else(|| unexplained(report, body), str::to_owned);
    }
    let mut resets_at = resets_at(report, now);
    if fault.kind == ErrorKind::UsageLimit {
        let window = limit::blocking(&quota, resets_at);
        resets_at = resets_at.or_else(|| window?.resets_at);
        let plan = report.plan.as_deref().or(quota.plan.as_deref());
        report.message = limit::sentence(&report.message, plan, window, resets_at, now);
    }
    // The absolute time replaces the relative one.
    report.resets_in = None;
    resets_at
}

/// Returns when an exhausted window resets, according to the body.
fn resets_at(report: &FaultReport, now: SystemTime) -> Option<SystemTime> {
    let absolute = report.resets_at_unix.and_then(|secs| UNIX_EPOCH.checked_add(Duration::from_secs(secs)));
    absolute.or_else(|| now.checked_add(report.resets_in?))
}

/// Returns the code in the headers.
fn code_of(headers: &HeaderMap) -> Option<String> {
    let of_json = || {
        let encoded = headers.get(headers::X_ERROR_JSON)?.as_bytes();
        let json = base64::engine::general_purpose::STANDARD.decode(encoded).ok()?;
        FaultReport::parse(&json).code
    };
    let plain = || Some(headers.get(headers::X_OPENAI_AUTHORIZATION_ERROR)?.to_str().ok()?.to_owned());
    of_json().or_else(plain)
}

/// Returns the message for a fault that has none.
fn unexplained(report: &FaultReport, body: &[u8]) -> String {
    let status = StatusCode::from_u16(report.status.unwrap_or_default()).unwrap_or_default();
    match (&report.code, excerpt(body)) {
        (Some(code), _) => format!("{}: {code}", answered(status)),
        (None, excerpt) if excerpt.is_empty() => format!("{} with no explanation", answered(status)),
        (None, excerpt) => format!("{}: {excerpt}", answered(status)),
    }
}

/// Returns whether a reply is a web page: by its type, or because its body starts with `<` (`docs/backend.md §3.1`).
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

/// Returns whether an error means that a quota is exhausted.
fn is_limit(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::UsageLimit | ErrorKind::RateLimited | ErrorKind::QuotaExceeded)
}

const CHALLENGE: &str = "Cloudflare blocked the request before it reached the backend; the account is not the cause. \
    Try again later, or from another network.";

/// Returns whether Cloudflare itself refused the request. A 403 with a page is always Cloudflare's, because the backend
/// refuses with JSON, and so is one with `error code: 1020`, which is sent to clients that do not ask for a page. A 5xx
/// page is Cloudflare's report of a broken backend, whose status counts.
fn is_cloudflares(status: StatusCode, html: bool, body: &[u8]) -> bool {
    const MARKS: [&str; 4] = [
        "Just a moment",
        "Sorry, you have been blocked",
        // In every challenge in any language. `challenge-platform` is also in pages that are not challenges.
        "cf_chl_opt",
        ".container{align-items:center;display:flex",
    ];
    if !html {
        return status == StatusCode::FORBIDDEN && body.trim_ascii_start().starts_with(b"error code: 1");
    }
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

/// Parses `Retry-After` in both of its forms (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(secs) = value.parse() {
        return Some(Duration::from_secs(secs));
    }
    Some(httpdate::parse_http_date(value).ok()?.duration_since(now).unwrap_or_default())
}

/// Returns the start of a body without a message, up to the first markup.
fn excerpt(body: &[u8]) -> String {
    let head = String::from_utf8_lossy(&body[..body.len().min(4 * EXCERPT_CHARS)]);
    let text = head.split('<').next().unwrap_or_default().trim_end_matches(char::REPLACEMENT_CHARACTER);
    let line = text.chars().take(EXCERPT_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    line.trim().to_owned()
}
