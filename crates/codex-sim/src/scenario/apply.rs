//! What each word changes in a plan.

use std::time::Duration;

use crate::scenario::plan::{
    CloudflarePage, Content, Ending, ErrorShape, Framing, LineEnd, Plan, Point, StatusFault, Summaries, Unauthorized,
};
use crate::scenario::word::{ScenarioError, Word};

/// Largest number of deltas of `big`.
const MAX_DELTAS: usize = 2_000_000;
/// Largest delta of `single-delta`, which is as large as real frames get (`docs/backend.md` §3.1).
const MAX_DELTA_BYTES: usize = 16 * 1024 * 1024;

impl Plan {
    pub(super) fn apply(&mut self, word: &Word) -> Result<(), ScenarioError> {
        if let Some(content) = content(word)? {
            self.contents.push(content);
        } else if let Some(ending) = ending(word)? {
            self.ending = ending;
        } else if let Some(status) = status(word)? {
            self.status = Some(status);
        } else if word.name == "args" {
            let json = word.text("a JSON object")?;
            self.arguments = Some(serde_json::from_str(&json).map_err(|_| word.bad_argument("a JSON object"))?);
        } else if !self.framing.apply(word)? {
            return Err(ScenarioError::Unknown(word.name.clone()));
        }
        Ok(())
    }
}

impl Framing {
    fn apply(&mut self, word: &Word) -> Result<bool, ScenarioError> {
        match word.name.as_str() {
            "cut" => self.cut = Some(point(word)?),
            "late-limits" => self.late_limits = Some(word.number(100, "a percentage")? as u32),
            "stall" => self.stall = Some(point(word)?),
            "close" => self.close = Some(word.number(4_999, "a close code")? as u16),
            "stall-for" => self.stall_for = Some(milliseconds(word)?),
            "keepalive" if word.argument.is_some() => self.keepalive_every = Some(milliseconds(word)?),
            "delay" => self.delay = Some(milliseconds(word)?),
            name => {
                let known = self.set_flag(name);
                if known {
                    word.no_argument()?;
                }
                return Ok(known);
            }
        }
        Ok(true)
    }

    /// Sets what a word without an argument stands for. Returns `false` if there is no such word.
    fn set_flag(&mut self, name: &str) -> bool {
        match name {
            "no-terminal" => self.no_terminal = true,
            "no-events" => self.no_events = true,
            "split" => self.split = true,
            "crlf" => self.line_end = LineEnd::CrLf,
            "cr" => self.line_end = LineEnd::Cr,
            "keepalive" => self.keepalive = true,
            "unknown" => self.unknown = true,
            "full-output" => self.full_output = true,
            "empty-output" => self.full_output = false,
            "content-type" => self.content_type = true,
            "no-content-type" => self.content_type = false,
            "trailing" => self.trailing = true,
            "comments" => self.comments = true,
            "legacy-delta" => self.legacy_delta = true,
            "ignore-interrupts" => self.ignores_interrupts = true,
            "compressed" => self.compressed = true,
            "no-item-done" => self.no_item_done = true,
            _ => return false,
        }
        true
    }
}

fn milliseconds(word: &Word) -> Result<Duration, ScenarioError> {
    let ms = word.number(600_000, "milliseconds up to 600000")?;
    Ok(Duration::from_millis(ms as u64))
}

fn point(word: &Word) -> Result<Point, ScenarioError> {
    match word.argument.as_deref() {
        None => Ok(Point::Middle),
        Some("headers") if word.name == "stall" => Ok(Point::Headers),
        Some("output") => Ok(Point::Output),
        Some(events) => events.parse().map(Point::Events).map_err(|_| word.bad_argument("a number of events")),
    }
}

fn content(word: &Word) -> Result<Option<Content>, ScenarioError> {
    Ok(Some(match word.name.as_str() {
        "text" => Content::Text(word.argument.clone()),
        "tool" => Content::Tool(word.argument.clone()),
        "reasoning" => Content::Reasoning(summaries(word)?),
        "big" => Content::Big(word.number(MAX_DELTAS, "a number of deltas up to 2000000")?),
        "single-delta" => Content::SingleDelta(word.number(MAX_DELTA_BYTES, "a number of bytes up to 16777216")?),
        name => {
            let Some(content) = bare_content(name) else {
                return Ok(None);
            };
            word.no_argument()?;
            content
        }
    }))
}

fn bare_content(name: &str) -> Option<Content> {
    Some(match name {
        "parallel-tools" => Content::ParallelTools,
        "custom-tool" => Content::CustomTool,
        "reasoning-text" => Content::ReasoningText,
        "refusal" => Content::Refusal,
        "commentary" => Content::Commentary,
        "commentary-only" => Content::CommentaryOnly,
        "json-schema" => Content::JsonSchema,
        "web-search" => Content::WebSearch,
        "image" => Content::Image,
        "line-separators" => Content::LineSeparators,
        "no-items" => Content::NoItems,
        _ => return None,
    })
}

fn summaries(word: &Word) -> Result<Summaries, ScenarioError> {
    match word.argument.as_deref() {
        None => Ok(Summaries::Requested),
        Some("always") => Ok(Summaries::Always),
        Some("blank") => Ok(Summaries::Blank),
        Some(_) => Err(word.bad_argument("no argument, always or blank")),
    }
}

fn ending(word: &Word) -> Result<Option<Ending>, ScenarioError> {
    const CODE: &str = "an error code, e.g. failed=server_error, or an error object";
    Ok(Some(match word.name.as_str() {
        "incomplete-max-tokens" => word.no_argument().map(|()| Ending::Incomplete("max_output_tokens"))?,
        "incomplete-content-filter" => word.no_argument().map(|()| Ending::Incomplete("content_filter"))?,
        "failed" => Ending::Failed(word.text(CODE)?),
        "failed-first" => Ending::FailedFirst(word.text(CODE)?),
        "overloaded" => word.no_argument().map(|()| Ending::FailedFirst("server_is_overloaded".to_owned()))?,
        "error" => Ending::Error(error_shape(word)),
        "error-first" => Ending::ErrorFirst(error_shape(word)),
        _ => return Ok(None),
    }))
}

fn error_shape(word: &Word) -> ErrorShape {
    match word.argument.as_deref() {
        Some("flat") => ErrorShape::Flat,
        Some(json) if json.starts_with('{') => ErrorShape::Given(serde_json::from_str(json).unwrap_or_default()),
        Some(code) => ErrorShape::Nested(code.to_owned()),
        None => ErrorShape::Nested("server_error".to_owned()),
    }
}

fn status(word: &Word) -> Result<Option<StatusFault>, ScenarioError> {
    let fault = match (word.name.as_str(), word.argument.as_deref()) {
        ("401", argument) => {
            StatusFault::Unauthorized(unauthorized(argument).ok_or_else(|| word.bad_argument(CODES_401))?)
        }
        ("cloudflare", None) => StatusFault::Cloudflare(CloudflarePage::Challenge),
        ("cloudflare", Some("blocked")) => StatusFault::Cloudflare(CloudflarePage::Blocked),
        ("cloudflare", Some("unable")) => StatusFault::Cloudflare(CloudflarePage::UnableToLoad),
        ("404", Some("empty")) => StatusFault::Cloudflare(CloudflarePage::NotFound),
        ("refused", argument) => given(argument)
            .ok_or_else(|| word.bad_argument("a status and a body, e.g. refused=403 {\"detail\":\"no\"}"))?,
        ("misalignment", None | Some("403")) => StatusFault::Misalignment(403),
        ("misalignment", Some("400")) => StatusFault::Misalignment(400),
        ("misalignment", Some(_)) => return Err(word.bad_argument("no argument, 403 or 400")),
        ("503", Some("slow_down")) => StatusFault::Unavailable("slow_down"),
        (name, argument) => match (bare_status(name), argument) {
            (Some(fault), None) => fault,
            (Some(_), Some(_)) => return Err(word.bad_argument("another argument or none")),
            (None, _) => return Ok(None),
        },
    };
    Ok(Some(fault))
}

fn given(argument: Option<&str>) -> Option<StatusFault> {
    let (status, body) = argument?.split_once(' ')?;
    let status = status.parse().ok().filter(|status| (400..600).contains(status))?;
    Some(StatusFault::Given(status, serde_json::from_str(body).ok()?))
}

const CODES_401: &str = "no argument, token_expired, token_revoked, detail or scope";

fn unauthorized(argument: Option<&str>) -> Option<Unauthorized> {
    Some(match argument {
        None | Some("token_invalidated") => Unauthorized::Code("token_invalidated"),
        Some("token_expired") => Unauthorized::Code("token_expired"),
        Some("token_revoked") => Unauthorized::Code("token_revoked"),
        Some("detail") => Unauthorized::Detail,
        Some("scope") => Unauthorized::Scope,
        Some(_) => return None,
    })
}

fn bare_status(name: &str) -> Option<StatusFault> {
    Some(match name {
        "cloudflare" => StatusFault::Cloudflare(CloudflarePage::Challenge),
        "402" => StatusFault::Deactivated,
        "403-json" => StatusFault::Forbidden,
        "404" => StatusFault::ModelNotFound,
        "422" => StatusFault::Unprocessable,
        "429-usage" => StatusFault::UsageLimit,
        "429-not-included" => StatusFault::UsageNotIncluded,
        "429-quota" => StatusFault::InsufficientQuota,
        "429-rate" => StatusFault::RateLimit,
        "500" => StatusFault::ServerError,
        "503" => StatusFault::Unavailable("server_is_overloaded"),
        "context-length" => StatusFault::Refused("context_length_exceeded"),
        "cyber-policy" => StatusFault::Refused("cyber_policy"),
        "capacity" => StatusFault::Capacity,
        "502" | "504" | "520" | "521" | "522" | "523" | "524" => {
            StatusFault::Cloudflare(CloudflarePage::Gateway(name.parse().ok()?))
        }
        _ => return None,
    })
}
