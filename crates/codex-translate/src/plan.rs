//! What the reply side needs to know about a request, decided once by the request side.

use crate::paths::RequestPaths;
use crate::tool_names::ToolNames;

/// How the reply to one request is written.
///
/// The request side builds it; the reply side never looks at the request again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyPlan {
    /// The caller's name for the model, which every chunk and body repeats.
    pub model: String,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// Whether the caller asked for the usage chunk (`stream_options.include_usage`).
    pub include_usage: bool,
    /// How reasoning is shown.
    pub reasoning: ReasoningStyle,
    /// Whether the answer has a format, such as JSON, which inserted text would break.
    pub formatted: bool,
    /// Maps the tool names that the backend sees to the caller's.
    pub tools: ToolNames,
    /// Whether the request used the legacy `functions`, so the reply uses `function_call` instead of `tool_calls`.
    pub legacy_functions: bool,
    /// Whether the phases of messages are passed on unchanged. The Codex CLI knows more of them than SDKs do, which
    /// reject a reply with an unknown one.
    pub keep_phases: bool,
    /// How the client learns that the turn is alive.
    pub keepalive: KeepaliveStyle,
    /// The stop strings (`stop`, at most four). The answer ends before the first match.
    pub stop: Vec<String>,
    /// The maximum number of generated tokens (`max_completion_tokens`, `max_tokens`, `max_output_tokens`), which this
    /// crate emulates. Without the feature `tokens` it counts four bytes as a token instead of using the tokenizer.
    pub max_tokens: Option<u32>,
    /// Roughly how many tokens the request has, for the usage of a reply that is cut off before the backend reports it.
    pub prompt_tokens: u64,
    /// How many choices the client wants. The caller of this crate runs one turn for each.
    pub n: u32,
    /// The index of the choice that this reply writes.
    pub choice: u32,
    /// Whether to store the response, which is the default of the public API. Never set without
    /// [`Storage::UpTo`](crate::Storage::UpTo). A stored response says so.
    pub store: bool,
    /// The largest [`stored_form`](crate::Pipe::stored_form) that the embedder stores. A larger response says that it
    /// is not stored.
    pub store_bytes: usize,
    /// The response that this one continues, which the reply repeats. An embedder that stores responses has put its
    /// conversation into the request.
    pub previous_response_id: Option<String>,
    /// Whether the caller reads encrypted reasoning, which may also have been requested for a response that is stored.
    pub encrypted_reasoning: bool,
    /// What a reply of the Responses API repeats of the request; `None` if the request was not read from a body for
    /// that API: then the reply repeats what the backend does.
    pub echo: Option<Echo>,
    /// Where in the caller's body the parts of the request come from, for the errors of the backend.
    pub paths: RequestPaths,
}

impl ReplyPlan {
    /// Makes the plan of a plain reply by `model`, for a reply without a request; otherwise, the translation of the
    /// request makes it.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            stream: false,
            include_usage: false,
            reasoning: ReasoningStyle::default(),
            formatted: false,
            tools: ToolNames::default(),
            legacy_functions: false,
            keep_phases: false,
            keepalive: KeepaliveStyle::default(),
            stop: Vec::new(),
            max_tokens: None,
            prompt_tokens: 0,
            n: 1,
            choice: 0,
            store: false,
            store_bytes: usize::MAX,
            previous_response_id: None,
            encrypted_reasoning: true,
            echo: None,
            paths: RequestPaths::default(),
        }
    }

    /// Returns whether the caller set stop strings or a token limit.
    pub fn is_cut(&self) -> bool {
        !self.stop.is_empty() || self.max_tokens.is_some()
    }
}

/// The members of a response that repeat its request, with the caller's values, as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo(pub(crate) Vec<(&'static str, String)>);

/// How a client learns that a turn is alive while there is no output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepaliveStyle {
    /// By comments between events, or by pings of a WebSocket. The backend's `keepalive` events are dropped.
    #[default]
    Comment,
    /// By `keepalive` events, the backend's own and further ones, in a reply of the Responses API. The official client
    /// counts nothing else as a sign of life (docs/backend.md §3.1).
    Event,
}

/// Where a chat reply shows the model's reasoning summary (docs/features.md R2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningStyle {
    /// In `reasoning_content`, as most clients read it.
    #[default]
    ReasoningContent,
    /// In `reasoning`.
    Reasoning,
    /// In the content, between `<think>` tags; after a tool call in `reasoning_content`.
    Think,
    /// Nowhere.
    None,
}
