//! Scenarios spelled out: what each word asks for.

use std::time::Duration;

use serde_json::Value;

use crate::scenario::{ScenarioError, Word};

/// Largest number of deltas `big` makes.
const MAX_DELTAS: usize = 2_000_000;
/// Largest delta `single-delta` makes, the frame size the real stream may reach (`docs/backend.md` §3.1).
const MAX_DELTA_BYTES: usize = 16 * 1024 * 1024;

/// A scenario spelled out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    pub(crate) contents: Vec<Content>,
    pub(crate) arguments: Option<Value>,
    pub(crate) ending: Ending,
    pub(crate) framing: Framing,
    pub(crate) status: Option<StatusFault>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Text(Option<String>),
    Tool(Option<String>),
    ParallelTools,
    CustomTool,
    Reasoning(Summaries),
    ReasoningText,
    Refusal,
    Commentary,
    CommentaryOnly,
    JsonSchema,
    WebSearch,
    Image,
    Big(usize),
    SingleDelta(usize),
    LineSeparators,
    /// No item at all, whatever else is asked for.
    NoItems,
}

/// Whether a reasoning item has summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Summaries {
    /// If the request asked for them.
    Asked,
    Always,
    /// Always, with the placeholder lines of `docs/backend.md` §3.3 item 5.
    Blank,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    #[default]
    Completed,
    /// `response.incomplete` with this reason.
    Incomplete(&'static str),
    /// `response.failed` with this code.
    Failed(String),
    /// `response.failed` with this code as the only event.
    FailedFirst(String),
    /// An `error` event in the place of the terminal one.
    Error(ErrorForm),
    /// An `error` event and nothing else.
    ErrorFirst(ErrorForm),
}

/// The two shapes of an `error` event (`docs/backend.md` §3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ErrorForm {
    /// The public API's: code and message at the top level.
    Flat,
    /// The Codex backend's: an `error` object with this code.
    Nested(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) cut: Option<Point>,
    pub(crate) stall: Option<Point>,
    pub(crate) no_terminal: bool,
    pub(crate) no_events: bool,
    pub(crate) delay: Option<Duration>,
    pub(crate) split: bool,
    pub(crate) line_end: LineEnd,
    pub(crate) keepalive: bool,
    pub(crate) unknown: bool,
    /// The percentage of an event that tells of the quota after the output.
    pub(crate) late_limits: Option<u32>,
    pub(crate) full_output: bool,
    pub(crate) content_type: bool,
    pub(crate) trailing: bool,
    pub(crate) comments: bool,
    pub(crate) legacy_delta: bool,
    pub(crate) no_item_done: bool,
    /// Closes a WebSocket with this code instead of answering.
    pub(crate) close: Option<u16>,
    /// The events that a WebSocket has before `response.created`; no word asks for them alone.
    pub(crate) metadata: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum LineEnd {
    #[default]
    Lf,
    CrLf,
    Cr,
}

impl LineEnd {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Lf => "\n",
            Self::CrLf => "\r\n",
            Self::Cr => "\r",
        }
    }
}

/// Where in a reply a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before the response headers.
    Headers,
    /// After this many events.
    Events(u64),
    /// At the second delta.
    Middle,
}

/// A reply that is no stream (`docs/backend.md` §3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StatusFault {
    /// Something in front of the backend answers, with a page of its own.
    Edge(EdgePage),
    /// 401 with this code.
    Unauthorized(Unauthorized),
    Deactivated,
    Forbidden,
    ModelNotFound,
    /// 400 in the model API's dialect, with this code.
    Refused(&'static str),
    /// 400 whose message says that the model is at capacity.
    Capacity,
    Unprocessable,
    UsageLimit,
    UsageNotIncluded,
    InsufficientQuota,
    RateLimit,
    ServerError,
    /// 503 with this code.
    Unavailable(&'static str),
}

/// What a 401 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unauthorized {
    Code(&'static str),
    /// `{"detail":"Unauthorized"}`.
    Detail,
    /// The text that names a missing scope.
    Scope,
}

/// The pages of what stands in front of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EdgePage {
    /// Cloudflare's managed challenge, 403.
    Challenge,
    /// Cloudflare's block page, 403.
    Blocked,
    /// The page in OpenAI's own colours, 403.
    UnableToLoad,
    /// A blocked path: 404 without a body.
    NotFound,
    /// The origin did not answer: 502, 504, 520 to 524.
    Gateway(u16),
}

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
            self.arguments = Some(serde_json::from_str(&json).map_err(|_| word.wrong("a JSON object"))?);
        } else if !self.framing.apply(word)? {
            return Err(ScenarioError::Unknown(word.name.clone()));
        }
        Ok(())
    }
}

impl StatusFault {
    /// Whether what answers is not the backend.
    pub(crate) fn is_of_the_edge(&self) -> bool {
        matches!(self, Self::Edge(_))
    }
}

impl Framing {
    /// Takes off what is about bytes and lines, of which a WebSocket has none.
    pub(crate) fn without_lines(&mut self) {
        self.split = false;
        self.comments = false;
        self.line_end = LineEnd::Lf;
    }

    fn apply(&mut self, word: &Word) -> Result<bool, ScenarioError> {
        match word.name.as_str() {
            "cut" => self.cut = Some(word.point()?),
            "late-limits" => self.late_limits = Some(word.number(100, "a percentage")? as u32),
            "stall" => self.stall = Some(word.point()?),
            "close" => self.close = Some(word.number(4_999, "a close code")? as u16),
            "delay" => {
                let ms = word.number(600_000, "milliseconds between events")?;
                self.delay = Some(Duration::from_millis(ms as u64));
            }
            name => {
                let known = self.switch(name);
                if known {
                    word.bare()?;
                }
                return Ok(known);
            }
        }
        Ok(true)
    }

    /// Turns on (or off) what a word without an argument stands for; `false` if it is none.
    fn switch(&mut self, name: &str) -> bool {
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
            "no-item-done" => self.no_item_done = true,
            _ => return false,
        }
        true
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
            word.bare()?;
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
        None => Ok(Summaries::Asked),
        Some("always") => Ok(Summaries::Always),
        Some("blank") => Ok(Summaries::Blank),
        Some(_) => Err(word.wrong("no argument, always or blank")),
    }
}

fn ending(word: &Word) -> Result<Option<Ending>, ScenarioError> {
    const CODE: &str = "an error code, e.g. failed=server_error";
    Ok(Some(match word.name.as_str() {
        "incomplete-max-tokens" => word.bare().map(|()| Ending::Incomplete("max_output_tokens"))?,
        "incomplete-content-filter" => word.bare().map(|()| Ending::Incomplete("content_filter"))?,
        "failed" => Ending::Failed(word.text(CODE)?),
        "failed-first" => Ending::FailedFirst(word.text(CODE)?),
        "overloaded" => word.bare().map(|()| Ending::FailedFirst("server_is_overloaded".to_owned()))?,
        "error" => Ending::Error(error_form(word)),
        "error-first" => Ending::ErrorFirst(error_form(word)),
        _ => return Ok(None),
    }))
}

fn error_form(word: &Word) -> ErrorForm {
    match word.argument.as_deref() {
        Some("flat") => ErrorForm::Flat,
        Some(code) => ErrorForm::Nested(code.to_owned()),
        None => ErrorForm::Nested("server_error".to_owned()),
    }
}

fn status(word: &Word) -> Result<Option<StatusFault>, ScenarioError> {
    let fault = match (word.name.as_str(), word.argument.as_deref()) {
        ("401", argument) => StatusFault::Unauthorized(unauthorized(argument).ok_or_else(|| word.wrong(CODES_401))?),
        ("cloudflare", None) => StatusFault::Edge(EdgePage::Challenge),
        ("cloudflare", Some("blocked")) => StatusFault::Edge(EdgePage::Blocked),
        ("cloudflare", Some("unable")) => StatusFault::Edge(EdgePage::UnableToLoad),
        ("404", Some("empty")) => StatusFault::Edge(EdgePage::NotFound),
        ("503", Some("slow_down")) => StatusFault::Unavailable("slow_down"),
        (name, argument) => match (bare_status(name), argument) {
            (Some(fault), None) => fault,
            (Some(_), Some(_)) => return Err(word.wrong("another argument or none")),
            (None, _) => return Ok(None),
        },
    };
    Ok(Some(fault))
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
        "cloudflare" => StatusFault::Edge(EdgePage::Challenge),
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
            StatusFault::Edge(EdgePage::Gateway(name.parse().ok()?))
        }
        _ => return None,
    })
}
