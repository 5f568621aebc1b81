//! A Responses request: the hub, which every client dialect is read into and which is sent to the backend.

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::item::{InputItem, Opaque, entry};
use super::tool::{TextConfig, Tool, ToolChoice};
use crate::json::Raw;
use crate::notice::Notices;
use crate::paths::{ItemSource, RequestSources};
use crate::plan::ReasoningStyle;
use crate::profile::Effort;

/// A request to the backend's `responses` endpoint, read from a client's body of either dialect.
///
/// After parsing it contains what the client wrote; what [`normalise`](crate::normalise()) and
/// [`to_responses`](crate::to_responses()) return contains only what the backend accepts (docs/backend.md §2.5).
#[derive(Clone, Debug, Default)]
pub struct ResponsesRequest {
    /// The model's slug; after parsing, the caller's name for the model.
    pub model: String,
    /// The instructions. `None` omits the key, as the Lite shape requires.
    pub instructions: Option<String>,
    /// The conversation.
    pub input: Vec<InputItem>,
    /// The tools.
    pub tools: Vec<Tool>,
    /// How the model may choose among the tools.
    pub tool_choice: Option<ToolChoice>,
    /// Whether the model may call several tools at once.
    pub parallel_tool_calls: Option<bool>,
    /// How the model reasons.
    pub reasoning: Reasoning,
    /// How the reply is streamed.
    pub stream_options: StreamOptions,
    /// What the reply includes in addition.
    pub include: Vec<String>,
    /// The service tier.
    pub service_tier: Option<String>,
    /// Groups requests with a common beginning for the prompt cache.
    pub prompt_cache_key: Option<String>,
    /// The format of the answer.
    pub text: TextConfig,
    /// The programs that give access to restricted abilities, as they were written.
    pub access_programs: Option<Raw>,
    /// The Codex CLI's metadata, as it was written.
    pub client_metadata: Option<Raw>,
    /// The settings that this crate implements.
    pub(crate) local: LocalOptions,
    /// The notices from parsing.
    pub(crate) notices: Notices,
}

/// How the model reasons: `reasoning` on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasoning {
    /// The effort.
    pub effort: Option<Effort>,
    /// The detail of the summary: `auto`, `concise` or `detailed`.
    pub summary: Option<String>,
    /// How much of earlier reasoning counts; `all_turns` in the Lite shape.
    pub context: Option<String>,
}

/// How the reply is streamed: `stream_options` on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamOptions {
    /// Whether deltas are padded against observers.
    pub include_obfuscation: Option<bool>,
    /// When summaries are sent.
    pub reasoning_summary_delivery: Option<String>,
}

/// Settings of the client that this crate implements and that are not sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct LocalOptions {
    pub(crate) conventions: &'static Conventions,
    pub(crate) stream: bool,
    pub(crate) include_usage: bool,
    pub(crate) legacy_functions: bool,
    pub(crate) stop: Vec<String>,
    pub(crate) max_tokens: Option<u32>,
    pub(crate) n: Option<u32>,
    /// How the client wants reasoning to be shown.
    pub(crate) style: Option<ReasoningStyle>,
    /// Whether to store the response, if the client says so.
    pub(crate) store: Option<bool>,
    /// The members that the response repeats as they were written; `None` if the reply is not one of the Responses API.
    pub(crate) echoed: Option<Vec<(&'static str, Raw)>>,
    /// Whether the body is the Codex CLI's: its items and tools are not changed.
    pub(crate) from_cli: bool,
    /// Where the items, tools and settings come from.
    pub(crate) sources: RequestSources,
}

impl LocalOptions {
    /// Returns the caller's name of the parameter that the hub calls `name`.
    pub(crate) fn name_of(&self, name: &'static str) -> &'static str {
        self.sources.name_of(name).unwrap_or_else(|| self.conventions.name_of(name))
    }
}

/// What is different about the requests of a dialect, where the hub has to know it. Each reader has a value of its own.
#[derive(Debug)]
pub(crate) struct Conventions {
    /// The dialect's names for parameters that the hub calls differently.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// The leading system and developer messages are instructions.
    pub(crate) hoists_instructions: bool,
    /// Replies show the reasoning unless the request says otherwise.
    pub(crate) shows_reasoning: bool,
    /// Replies are stored unless the request says otherwise.
    pub(crate) stores: bool,
}

/// The conventions of the hub itself.
pub(crate) static HUB: Conventions =
    Conventions { names: &[], hoists_instructions: false, shows_reasoning: false, stores: true };

impl Default for &'static Conventions {
    fn default() -> Self {
        &HUB
    }
}

impl Conventions {
    /// Returns the dialect's name of the parameter that the hub calls `name`.
    pub(crate) fn name_of(&self, name: &'static str) -> &'static str {
        self.names.iter().find(|(hub, _)| *hub == name).map_or(name, |(_, own)| own)
    }
}

impl ResponsesRequest {
    /// Returns the places of the reasoning in the input.
    pub(crate) fn reasoning(&self) -> Vec<usize> {
        let is_reasoning = |item: &InputItem| {
            matches!(item, InputItem::Reasoning(_)) || item.opaque().is_some_and(|item| item.kind == "reasoning")
        };
        self.input.iter().enumerate().filter(|(_, item)| is_reasoning(item)).map(|(at, _)| at).collect()
    }

    /// Removes the items that `keep` refuses, and their sources.
    pub(crate) fn retain_input(&mut self, mut keep: impl FnMut(&InputItem) -> bool) {
        let (mut index, mut removed) = (0, Vec::new());
        self.input.retain(|item| {
            let kept = keep(item);
            if !kept {
                removed.push(index);
            }
            index += 1;
            kept
        });
        if !removed.is_empty() {
            let mut index = 0..;
            self.local
                .sources
                .items
                .retain(|_| index.next().is_some_and(|index| removed.binary_search(&index).is_err()));
        }
    }

    /// Inserts an item that the caller did not send.
    pub(crate) fn insert_input(&mut self, at: usize, item: InputItem) {
        self.input.insert(at, item);
        let sources = &mut self.local.sources.items;
        if at <= sources.len() {
            sources.insert(at, ItemSource::ADDED);
        }
    }

    /// Returns whether the client asked for a stream.
    pub fn stream(&self) -> bool {
        self.local.stream
    }

    /// Writes the body to send: the allowed keys in the official client's order, with `store: false` and `stream: true`
    /// (docs/backend.md §2.4).
    ///
    /// `tool_choice`, `parallel_tool_calls`, `include` and `text` are always present, as in the official client's
    /// bodies: with the backend's defaults if the request does not set them. `reasoning` is not, because the default
    /// effort depends on the model.
    pub fn to_json(&self) -> Vec<u8> {
        let mut json = Vec::new();
        self.write_json(&mut json);
        json
    }

    /// Appends the body to send to `out`, for callers who know its size.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        // Writing cannot fail: maps have string keys, and raw values are JSON.
        let _ = serde_json::to_writer(out, self);
    }
}

impl Serialize for ResponsesRequest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("model", &self.model)?;
        map.serialize_entry("stream", &true)?;
        entry(&mut map, "instructions", self.instructions.as_ref())?;
        map.serialize_entry("input", &self.input)?;
        entry(&mut map, "tools", Some(&self.tools).filter(|tools| !tools.is_empty()))?;
        map.serialize_entry("tool_choice", self.tool_choice.as_ref().unwrap_or(&ToolChoice::Auto))?;
        map.serialize_entry("parallel_tool_calls", &self.parallel_tool_calls.unwrap_or(true))?;
        entry(&mut map, "reasoning", Some(&self.reasoning).filter(|reasoning| **reasoning != Reasoning::default()))?;
        map.serialize_entry("store", &false)?;
        let stream_options = Some(&self.stream_options).filter(|options| **options != StreamOptions::default());
        entry(&mut map, "stream_options", stream_options)?;
        map.serialize_entry("include", &self.include)?;
        entry(&mut map, "service_tier", self.service_tier.as_ref())?;
        entry(&mut map, "prompt_cache_key", self.prompt_cache_key.as_ref())?;
        map.serialize_entry("text", &self.text)?;
        entry(&mut map, "access_programs", self.access_programs.as_ref())?;
        entry(&mut map, "client_metadata", self.client_metadata.as_ref())?;
        map.end()
    }
}

impl Serialize for Reasoning {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "effort", self.effort.as_ref().map(Effort::wire).as_ref())?;
        entry(&mut map, "summary", self.summary.as_ref())?;
        entry(&mut map, "context", self.context.as_ref())?;
        map.end()
    }
}

impl Serialize for StreamOptions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "include_obfuscation", self.include_obfuscation.as_ref())?;
        entry(&mut map, "reasoning_summary_delivery", self.reasoning_summary_delivery.as_ref())?;
        map.end()
    }
}

impl InputItem {
    /// Returns the id that a call shares with its output; `None` if this is no such call.
    pub(crate) fn call_id(&self) -> Option<&str> {
        match self {
            Self::Call(call) => Some(&call.call_id),
            Self::Opaque(item) if item.kind.ends_with("_call") => {
                serde_json::from_str(item.member("call_id")?.get()).ok()
            }
            Self::Message(_) | Self::Reasoning(_) | Self::Output(_) | Self::Opaque(_) | Self::Verbatim(_) => None,
        }
    }

    /// Returns the item's members if it is forwarded as it was written.
    pub(crate) fn opaque(&self) -> Option<&Opaque> {
        match self {
            Self::Opaque(opaque) | Self::Verbatim(opaque) => Some(opaque),
            Self::Message(_) | Self::Reasoning(_) | Self::Call(_) | Self::Output(_) => None,
        }
    }
}
