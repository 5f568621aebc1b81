//! What the reply needs to know of the request, decided once by the request side.

use crate::tool_names::ToolNames;

/// How a reply is to be written for one request.
///
/// The request side builds it; the reply side never looks at the request again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyPlan {
    /// The model as the caller named it; echoed in every chunk and body.
    pub model: String,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// Whether the caller asked for the usage chunk (`stream_options.include_usage`).
    pub include_usage: bool,
    /// How reasoning is shown.
    pub reasoning: ReasoningStyle,
    /// The tool names as sent upstream, with their way back to the caller's.
    pub tools: ToolNames,
    /// Whether the request used the legacy `functions`: the reply then says `function_call`, not `tool_calls`.
    pub legacy_functions: bool,
    /// Whether the words for a message's phase stay as they came: the Codex CLI knows more of them than SDKs do, which
    /// refuse a reply for one.
    pub keep_phases: bool,
    /// Strings at which the text is cut (`stop`, at most four); never part of the output.
    pub stop: Vec<String>,
    /// The limit of generated tokens (`max_completion_tokens`, `max_tokens`, `max_output_tokens`), emulated here.
    pub max_tokens: Option<u32>,
    /// Roughly how many tokens the request has; part of the usage of a reply that is cut here, before the backend has
    /// counted.
    pub prompt_tokens: u64,
    /// How many choices the caller wants; the caller of this crate runs one upstream turn for each.
    pub n: u32,
    /// The index of the choice that this plan's reply writes.
    pub choice: u32,
    /// Whether the caller wants the response to be kept, as the public API does unless told otherwise; never if
    /// [`Options::stores`](crate::Options::stores) does not hold. A response that is kept says so.
    pub store: bool,
    /// The response that this one goes on from, for the reply to name. The program that keeps responses has put that
    /// one's conversation into the request.
    pub previous_response_id: Option<String>,
}

impl ReplyPlan {
    /// A plan with nothing asked for beyond a reply by `model`.
    pub fn new(model: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            stream: false,
            include_usage: false,
            reasoning: ReasoningStyle::default(),
            tools: ToolNames::default(),
            legacy_functions: false,
            keep_phases: false,
            stop: Vec::new(),
            max_tokens: None,
            prompt_tokens: 0,
            n: 1,
            choice: 0,
            store: false,
            previous_response_id: None,
        }
    }

    /// Whether the caller set an end that the reply may have to be cut at.
    pub fn is_cut(&self) -> bool {
        !self.stop.is_empty() || self.max_tokens.is_some()
    }
}

/// Where a chat reply shows the model's reasoning summary (docs/features.md R2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningStyle {
    /// In `reasoning_content`, as most clients read it.
    #[default]
    ReasoningContent,
    /// In `reasoning`.
    Reasoning,
    /// In the content, between `<think>` tags.
    Think,
    /// Nowhere.
    None,
}
