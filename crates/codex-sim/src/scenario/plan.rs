//! Plans: everything that scenarios can ask for.

use std::time::Duration;

use serde_json::Value;

/// Everything that a scenario asks for.
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
    /// No item at all, whatever the other words ask for.
    NoItems,
}

/// Whether a reasoning item has summaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Summaries {
    /// If the request asks for them.
    Requested,
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
    /// An `error` event instead of the terminal event.
    Error(ErrorShape),
    /// An `error` event as the only event.
    ErrorFirst(ErrorShape),
}

/// The two shapes of an `error` event (`docs/backend.md` §3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ErrorShape {
    /// The public API's: code and message at the top level.
    Flat,
    /// The Codex backend's: an `error` object with this code.
    Nested(String),
    /// The event's fields, whatever they are.
    Given(Value),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Framing {
    pub(crate) cut: Option<Point>,
    pub(crate) stall: Option<Point>,
    /// How long a stall lasts at most.
    pub(crate) stall_for: Option<Duration>,
    /// How often a keepalive is sent during a stall.
    pub(crate) keepalive_every: Option<Duration>,
    pub(crate) no_terminal: bool,
    pub(crate) no_events: bool,
    pub(crate) delay: Option<Duration>,
    pub(crate) split: bool,
    pub(crate) line_end: LineEnd,
    pub(crate) keepalive: bool,
    pub(crate) unknown: bool,
    /// The percentage in a quota event after the output.
    pub(crate) late_limits: Option<u32>,
    pub(crate) full_output: bool,
    pub(crate) content_type: bool,
    pub(crate) trailing: bool,
    pub(crate) comments: bool,
    pub(crate) legacy_delta: bool,
    pub(crate) no_item_done: bool,
    /// Compresses the reply as the request accepts it.
    pub(crate) compressed: bool,
    /// Ignores interrupts on a WebSocket.
    pub(crate) ignores_interrupts: bool,
    /// Closes the WebSocket with this code instead of answering.
    pub(crate) close: Option<u16>,
    /// The events before `response.created` on a WebSocket; no word asks for them alone.
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

/// Where in a reply a fault happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    /// Before the response headers.
    Headers,
    /// After this many events.
    Events(u64),
    /// Before the first output.
    Output,
    /// At the second delta.
    Middle,
}

/// A reply that is not a stream (`docs/backend.md` §3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum StatusFault {
    /// A page from something in front of the backend.
    Cloudflare(CloudflarePage),
    /// 401 with this code.
    Unauthorized(Unauthorized),
    Deactivated,
    Forbidden,
    ModelNotFound,
    /// 400 in the model API's format, with this code.
    Refused(&'static str),
    /// This status in the model API's format, with the code of a misalignment.
    Misalignment(u16),
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
    /// This status with this body.
    Given(u16, Value),
}

/// The contents of a 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unauthorized {
    Code(&'static str),
    /// `{"detail":"Unauthorized"}`.
    Detail,
    /// The text that names a missing scope.
    Scope,
}

/// The pages of Cloudflare and of gateways in front of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CloudflarePage {
    /// Cloudflare's managed challenge, 403.
    Challenge,
    /// Cloudflare's block page, 403.
    Blocked,
    /// OpenAI's own page, 403.
    UnableToLoad,
    /// A blocked path: 404 without a body.
    NotFound,
    /// The origin did not answer: 502, 504, 520 to 524.
    Gateway(u16),
}

impl Plan {
    /// Returns whether the reply says that the quota is used up.
    pub(crate) fn uses_up_the_quota(&self) -> bool {
        let code = match &self.ending {
            Ending::Failed(code) | Ending::FailedFirst(code) => Some(code),
            Ending::Error(ErrorShape::Nested(code)) | Ending::ErrorFirst(ErrorShape::Nested(code)) => Some(code),
            Ending::Completed | Ending::Incomplete(_) | Ending::Error(_) | Ending::ErrorFirst(_) => None,
        };
        code.is_some_and(|code| code == "usage_limit_reached") || self.status == Some(StatusFault::UsageLimit)
    }
}

impl StatusFault {
    /// Returns whether the reply comes from in front of the backend.
    pub(crate) fn is_from_cloudflare(&self) -> bool {
        matches!(self, Self::Cloudflare(_))
    }
}

impl Framing {
    /// Removes what concerns bytes and lines, which a WebSocket does not have.
    pub(crate) fn without_lines(&mut self) {
        self.split = false;
        self.comments = false;
        self.line_end = LineEnd::Lf;
    }
}
