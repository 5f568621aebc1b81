//! Parses the backend's error envelope in all its forms (docs/backend.md §0, §2.7, §3.4, §3.6, §4).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::backend::fault::{Fault, Sign};
use crate::error::{Error, ErrorKind};
use crate::json::replace_lone_surrogates;

/// The maximum length of a message, a code or a parameter, in characters.
const MAX_CHARS: usize = 2000;

/// The maximum number of entries that are listed of a validation error.
const MAX_PROBLEMS: usize = 5;

/// The backend's report of a fault: the fields of its error object, wherever they are.
///
/// Texts are printable and at most 2000 characters long.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct FaultReport {
    /// The HTTP status: that of the reply, or the one in an event or a frame.
    pub status: Option<u16>,
    /// The error's `code`.
    pub code: Option<String>,
    /// The error's `type`.
    pub class: Option<String>,
    /// The message; empty if there is none.
    pub message: String,
    /// The request parameter at fault.
    pub param: Option<String>,
    /// The account's plan.
    pub plan: Option<String>,
    /// When a used-up window resets, in seconds since the Unix epoch.
    pub resets_at_unix: Option<u64>,
    /// The time until a used-up window resets.
    pub resets_in: Option<Duration>,
    /// Why a policy against misalignment refused the turn, as the backend wrote it: an object with an explanation and a
    /// target to review (docs/backend.md §3.6).
    pub misalignment: Option<Value>,
}

impl From<FaultReport> for Error {
    fn from(report: FaultReport) -> Self {
        report.into_error()
    }
}

impl FaultReport {
    /// Parses the body of an HTTP reply, an event of a stream, or a frame of a WebSocket. A report that cannot be
    /// parsed is empty.
    pub fn parse(json: &[u8]) -> Self {
        let Ok(json) = std::str::from_utf8(json) else { return Self::default() };
        members(&replace_lone_surrogates(json)).map_or_else(Self::default, |body| Self::of_body(&body))
    }

    /// Returns the row of the table that matches the report, or [`Fault::UNKNOWN`].
    pub fn fault(&self) -> &'static Fault {
        let code = self.code.as_deref();
        let class = self.class.as_deref();
        let find = |is_shown: &dyn Fn(Sign) -> bool| Fault::ALL.iter().find(|fault| is_shown(fault.sign));
        let message = self.message.to_ascii_lowercase();
        let has = |part: &&str| message.contains(&part.to_ascii_lowercase());
        find(&|sign| matches!(sign, Sign::Text(parts) if parts.iter().all(has)))
            .or_else(|| find(&|sign| matches!(sign, Sign::Code(known) if code == Some(known))))
            // A type such as `usage_limit_reached` is more specific than a code that is null or unknown.
            .or_else(|| find(&|sign| matches!(sign, Sign::Code(known) if class == Some(known))))
            .or_else(|| {
                let status = self.status?;
                find(&|sign| matches!(sign, Sign::Status(first, last) if (first..=last).contains(&status)))
            })
            .or_else(|| find(&|sign| matches!(sign, Sign::Class(known) if code == Some(known) || class == Some(known))))
            .unwrap_or(Fault::UNKNOWN)
    }

    /// Makes the error for the client. A code that is not in the table is passed on unchanged.
    pub fn into_error(self) -> Error {
        let fault = self.fault();
        let mut message = match (self.message.as_str(), fault.message) {
            ("", known) => known.unwrap_or("the backend failed and did not say why").to_owned(),
            (message, _) => message.to_owned(),
        };
        message.push_str(fault.advice.unwrap_or_default());
        let retry_after = delay_in(&message).max(self.resets_in);
        let mut error =
            Error::new(fault.kind, message).with_retry(fault.retry).with_misalignment(self.misalignment.clone());
        if let Some(code) = self.published_code(fault) {
            error = error.with_code(code);
        }
        // For an unknown model, OpenAI's API names the parameter; the backend does not.
        let implied = (fault.kind == ErrorKind::ModelNotFound).then(|| "model".to_owned());
        if let Some(param) = self.param.or(implied) {
            error = error.with_param(param);
        }
        match retry_after {
            Some(after) => error.with_retry_after(after),
            None => error,
        }
    }

    /// Returns the code that clients know; `None` for the default of the kind.
    fn published_code(&self, fault: &'static Fault) -> Option<String> {
        let own = match fault.sign {
            // If the type matched, the code may be unknown or missing.
            Sign::Code(known) => Some(known),
            Sign::Text(_) | Sign::Status(..) | Sign::Class(_) => self.code.as_deref(),
        };
        fault.code.or(own).map(str::to_owned)
    }

    fn of_body(body: &Map<String, Value>) -> Self {
        let response = body.get("response").and_then(Value::as_object);
        let error = response.and_then(|response| response.get("error")).or_else(|| body.get("error"));
        let report = match (error, body.get("detail")) {
            (Some(Value::Object(error)), _) | (_, Some(Value::Object(error))) => Self::of_object(error),
            // OAuth's shape (RFC 6749 section 5.2).
            (Some(Value::String(code)), _) => Self {
                code: Some(printable(code)),
                message: text(body, "error_description").or_else(|| text(body, "message")).unwrap_or_default(),
                ..Self::default()
            },
            (_, Some(Value::String(detail))) => Self { message: printable(detail), ..Self::default() },
            (_, Some(Value::Array(problems))) => Self::of_validation(problems),
            _ if response.is_some() => Self::default(),
            _ => Self::of_object(body),
        };
        let status = ["status", "status_code"].iter().find_map(|key| body.get(*key)?.as_u64());
        let status = status.and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status));
        report.without_page().with_status(status)
    }

    fn of_object(error: &Map<String, Value>) -> Self {
        let secs = |key: &str| error.get(key).and_then(number).filter(|secs| *secs > 0.0);
        Self {
            code: text(error, "code"),
            // In an event without an error object, `type` is that of the event.
            class: text(error, "type").filter(|class| class != "error").or_else(|| text(error, "error_type")),
            message: text(error, "message").unwrap_or_default(),
            param: text(error, "param"),
            plan: text(error, "plan_type"),
            resets_at_unix: secs("resets_at").map(|secs| secs as u64),
            resets_in: secs("resets_in_seconds").and_then(|secs| Duration::try_from_secs_f64(secs.trunc()).ok()),
            status: None,
            misalignment: error.get("misalignment").filter(|details| details.is_object()).cloned(),
        }
    }

    /// Reads FastAPI's list of `{loc, msg, type}`.
    fn of_validation(problems: &[Value]) -> Self {
        let place = |problem: &Value| {
            let parts = problem.get("loc")?.as_array()?.iter();
            let parts = parts.map(|part| part.as_str().map_or_else(|| part.to_string(), printable));
            Some(parts.filter(|part| part != "body").collect::<Vec<_>>().join("."))
        };
        let listed = problems.iter().take(MAX_PROBLEMS).map(|problem| {
            let message = problem.get("msg").and_then(Value::as_str).map(printable).unwrap_or_default();
            match place(problem) {
                Some(place) if !place.is_empty() => format!("{place}: {message}"),
                Some(_) | None => message,
            }
        });
        Self {
            message: printable(&listed.collect::<Vec<_>>().join("; ")),
            param: problems.first().and_then(place).map(|place| printable(&place)).filter(|place| !place.is_empty()),
            ..Self::default()
        }
    }

    /// Drops web pages, even if they are wrapped in JSON.
    fn without_page(mut self) -> Self {
        if self.message.starts_with('<') {
            self.message = "the backend answered with a web page".to_owned();
        }
        self
    }

    fn with_status(mut self, status: Option<u16>) -> Self {
        self.status = status;
        self
    }
}

/// Parses the delay in `Please try again in 11.054s.` (docs/backend.md §3.6).
fn delay_in(message: &str) -> Option<Duration> {
    const MARK: &str = "try again in";
    let lower = message.to_ascii_lowercase();
    let rest = lower[lower.find(MARK)? + MARK.len()..].trim_start();
    let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let amount: f64 = rest[..digits].parse().ok()?;
    let unit = rest[digits..].trim_start();
    let secs = if unit.starts_with("ms") {
        amount / 1000.0
    } else if unit.starts_with('s') {
        amount
    } else {
        return None;
    };
    Duration::try_from_secs_f64(secs).ok()
}

/// Parses a number, which may be written as a string.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn text(object: &Map<String, Value>, key: &str) -> Option<String> {
    object.get(key).and_then(Value::as_str).map(printable).filter(|text| !text.is_empty())
}

/// Makes text fit for one line of a terminal or a log.
fn printable(text: &str) -> String {
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    clean.take(MAX_CHARS).collect::<String>().trim().to_owned()
}

/// Returns the members of an object. Of a `response`, only its error: the rest repeats the request, which may be nested
/// more deeply than a [`Value`] is parsed.
fn members(json: &str) -> Option<Map<String, Value>> {
    let value = |raw: &&RawValue| serde_json::from_str::<Value>(raw.get()).ok();
    let member = |(name, json): (String, &RawValue)| {
        let value = match &*name {
            "response" => {
                let error = raw_members(json.get())?.get("error").and_then(value);
                Value::Object(error.map(|error| ("error".to_owned(), error)).into_iter().collect())
            }
            _ => value(&json)?,
        };
        Some((name, value))
    };
    Some(raw_members(json)?.into_iter().filter_map(member).collect())
}

fn raw_members(json: &str) -> Option<BTreeMap<String, &RawValue>> {
    serde_json::from_str(json).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(json: &Value) -> FaultReport {
        FaultReport::parse(json.to_string().as_bytes())
    }

    #[test]
    fn every_form_gives_code_type_message_and_parameter() {
        let error = json!({"type": "t", "code": "c", "message": "m", "param": "p"});
        let whole = (Some("c"), Some("t"), "m", Some("p"), None);
        for (body, expected) in [
            (json!({"error": error}), whole),
            (json!({"detail": error}), whole),
            (json!({"type": "response.failed", "response": {"id": "r", "error": error}}), whole),
            (
                json!({"type": "error", "status": 400, "error": error}),
                (Some("c"), Some("t"), "m", Some("p"), Some(400)),
            ),
            (
                json!({"type": "error", "status_code": 429, "error_type": "t", "code": "c", "message": "m", "param": "p"}),
                (Some("c"), Some("t"), "m", Some("p"), Some(429)),
            ),
            (json!({"type": "error", "code": "c", "message": "m", "param": null}), (Some("c"), None, "m", None, None)),
            (json!({"error": "c", "error_description": "m"}), (Some("c"), None, "m", None, None)),
            (json!({"detail": "m"}), (None, None, "m", None, None)),
            (json!({"detail": {"code": "c"}}), (Some("c"), None, "", None, None)),
            (
                json!({"detail": [{"loc": ["body", "input", 0], "msg": "bad"}, {"msg": "worse"}]}),
                (None, None, "input.0: bad; worse", Some("input.0"), None),
            ),
            (json!({"type": "error", "status": 200, "error": {}}), (None, None, "", None, None)),
            (json!({"type": "response.failed", "response": {"error": null}}), (None, None, "", None, None)),
            (json!([]), (None, None, "", None, None)),
        ] {
            let report = parse(&body);
            let (code, class, param) = (report.code.as_deref(), report.class.as_deref(), report.param.as_deref());
            assert_eq!((code, class, report.message.as_str(), param, report.status), expected, "{body}");
        }
    }

    #[test]
    fn each_row_of_the_table_is_reached_by_its_own_sign() {
        for fault in Fault::ALL {
            let report = match fault.sign {
                Sign::Text(parts) => {
                    FaultReport { message: format!("x {} y", parts.join(" z ")), ..FaultReport::default() }
                }
                Sign::Code(code) => FaultReport { code: Some(code.to_owned()), ..FaultReport::default() },
                Sign::Status(first, last) => {
                    // If ranges overlap, the narrower one comes first, so the last status of the wide one is its own.
                    assert_eq!(first, fault.status);
                    FaultReport { status: Some(last), ..FaultReport::default() }
                }
                Sign::Class(class) => FaultReport { class: Some(class.to_owned()), ..FaultReport::default() },
            };
            assert_eq!(report.fault(), fault);
        }
    }

    #[test]
    fn a_fault_is_read_beside_whatever_the_response_repeats() {
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        for (tools, message) in [(&*deep, "slow"), ("[]", "slow \\ud83d")] {
            let event = format!(
                r#"{{"type":"response.failed","response":{{"tools":{tools},"error":{{"code":"slow_down","message":"{message}"}}}}}}"#
            );
            assert_eq!(FaultReport::parse(event.as_bytes()).code.as_deref(), Some("slow_down"), "{message}");
        }
    }

    #[test]
    fn the_stronger_sign_decides() {
        for (body, kind, code) in [
            // A known type is more specific than an unknown code.
            (
                json!({"error": {"type": "usage_limit_reached", "code": "new", "message": "m"}}),
                ErrorKind::UsageLimit,
                Some("usage_limit_reached"),
            ),
            (json!({"error": {"type": "server_error", "code": null}}), ErrorKind::Server, Some("server_error")),
            (
                json!({"status": 401, "error": {"type": "invalid_request_error", "message": "m"}}),
                ErrorKind::Authentication,
                Some("upstream_login_required"),
            ),
            (
                json!({"status": 400, "error": {"code": "server_error", "message": "m"}}),
                ErrorKind::Server,
                Some("server_error"),
            ),
            // An unknown code is passed on, and the status decides, if there is one.
            (json!({"response": {"error": {"code": "new", "message": "m"}}}), ErrorKind::Server, Some("new")),
            (json!({"status": 429, "error": {"code": "new"}}), ErrorKind::RateLimited, Some("new")),
            (json!({"status": 503, "error": {"code": "new"}}), ErrorKind::Overloaded, Some("server_is_overloaded")),
            (json!({"status": 403, "error": {"code": "new"}}), ErrorKind::Permission, Some("new")),
            (json!({"error": {"type": "invalid_request_error"}}), ErrorKind::InvalidRequest, None),
        ] {
            let error = parse(&body).into_error();
            assert_eq!((error.kind(), error.code()), (kind, code), "{body}");
        }
    }

    #[test]
    fn a_delay_is_read_from_the_message_or_the_reset() {
        for (message, delay) in [
            ("Limit 3. Please try again in 11.054s. Visit", Some(Duration::from_secs_f64(11.054))),
            ("please TRY AGAIN IN 250ms", Some(Duration::from_millis(250))),
            ("try again in 3 seconds", Some(Duration::from_secs(3))),
            ("try again in a moment", None),
            ("try again in 5 days", None),
            ("try again in 1.2.3s", None),
            ("İ try again in 1s", Some(Duration::from_secs(1))),
        ] {
            let report = FaultReport { message: message.to_owned(), ..FaultReport::default() };
            assert_eq!(report.into_error().retry_after(), delay, "{message}");
        }
        for (resets_in, secs) in
            [(json!(60), Some(60)), (json!(60.9), Some(60)), (json!("60"), Some(60)), (json!(-1), None)]
        {
            let report = parse(&json!({"error": {"type": "usage_limit_reached", "resets_in_seconds": resets_in}}));
            assert_eq!(report.into_error().retry_after(), secs.map(Duration::from_secs), "{resets_in}");
        }
    }

    #[test]
    fn a_page_in_json_is_not_shown() {
        let report = parse(&json!({"error": {"message": "\n<html>page</html>", "code": null}}));
        assert!(!report.message.contains("page</html>") && !report.message.is_empty(), "{}", report.message);
    }
}
