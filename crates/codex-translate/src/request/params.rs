//! What becomes of each request parameter of the public APIs. The readers follow these tables.
//!
//! *Forwarded* parameters are sent to the backend with their meaning. *Emulated* ones are implemented by this crate or
//! its embedder. *Clamped* ones are sent with the nearest value that the model supports. *Dropped* ones are not sent,
//! which leaves a [`Notice`](crate::Notice), or is an error if [`Options::strict`](crate::Options::strict) is set.
//! *Rejected* ones are an error with status 400 that says what to do instead.
//!
//! A parameter that is `null` or empty (`""`, `[]`, `{}`) counts as absent: settings forms of clients leave such values
//! behind. The exceptions are the object of `web_search_options` and of what only the official client sends, and lists
//! and objects where a string, a number or a boolean is expected, which are errors. A parameter that is in no
//! table is dropped with a notice, because clients send keys of their own (docs/clients/quirks.md rule 7). A value that
//! asks for the default (`temperature: 1`, `store: false`, `max_tokens: -1`) is omitted without a notice.
//!
//! Without the feature `tokens`, a token limit is an estimate, which its notice says: four bytes count as a token.
//!
//! ```
//! use codex_translate::params::{self, Treatment};
//!
//! let seed = params::CHAT.iter().find(|parameter| parameter.name == "seed").expect("a parameter of the public API");
//! assert_eq!((seed.treatment, seed.note), (Treatment::Dropped, "not supported by the backend"));
//! ```
//!
//! # Chat Completions
//!
//! The table [`CHAT`].
//!
//! | Parameter | | |
//! |---|---|---|
//! | `audio` | dropped | the backend does not support audio |
//! | `frequency_penalty` | dropped | not supported by the backend |
//! | `function_call` | forwarded | as `tool_choice` |
//! | `functions` | forwarded | as function tools; the reply uses `function_call` |
//! | `logit_bias` | dropped | not supported by the backend |
//! | `logprobs` | dropped | not supported by the backend |
//! | `max_completion_tokens` | emulated | the reply is cut off at the limit |
//! | `max_tokens` | emulated | the reply is cut off at the limit |
//! | `messages` | forwarded | as `input` and `instructions` |
//! | `metadata` | dropped | nothing is stored here |
//! | `modalities` | forwarded | `image` as the hosted tool `image_generation`; `audio` is rejected |
//! | `model` | forwarded | as the slug of its profile; the reply repeats the caller's name |
//! | `moderation` | dropped | not supported by the backend |
//! | `n` | emulated | one turn per choice, at most `Options::max_choices` |
//! | `parallel_tool_calls` | forwarded | unchanged |
//! | `prediction` | dropped | not supported by the backend |
//! | `presence_penalty` | dropped | not supported by the backend |
//! | `prompt_cache_key` | forwarded | unchanged |
//! | `prompt_cache_options` | dropped | not supported by the backend |
//! | `prompt_cache_retention` | dropped | not supported by the backend |
//! | `reasoning_effort` | clamped | to the nearest effort of the model |
//! | `response_format` | forwarded | as `text.format`; for `json_object`, a mention of JSON is added to `input` |
//! | `safety_identifier` | dropped | not supported by the backend |
//! | `seed` | dropped | not supported by the backend |
//! | `service_tier` | clamped | `fast` means `priority`; sent if the model lists it |
//! | `stop` | emulated | the reply is cut off before the first match |
//! | `store` | dropped | nothing is stored here |
//! | `stream` | emulated | the backend always streams |
//! | `stream_options` | emulated | `include_usage` is emulated; `include_obfuscation` is forwarded |
//! | `temperature` | dropped | not supported by the backend |
//! | `tool_choice` | forwarded | `auto` instead of a hosted tool, which cannot be forced |
//! | `tools` | forwarded | with an explicit `strict`, and names that the backend accepts |
//! | `top_logprobs` | dropped | not supported by the backend |
//! | `top_p` | dropped | not supported by the backend |
//! | `user` | dropped | not supported by the backend |
//! | `verbosity` | clamped | as `text.verbosity`, if the model supports it |
//! | `web_search_options` | forwarded | as the hosted tool `web_search` |
//!
//! # Responses
//!
//! The table [`RESPONSES`].
//!
//! | Parameter | | |
//! |---|---|---|
//! | `access_programs` | forwarded | unchanged |
//! | `background` | rejected | background responses are not available; leave it out and wait for the reply |
//! | `background_options` | dropped | nothing runs in the background |
//! | `context_management` | dropped | not supported by the backend |
//! | `conversation` | rejected | nothing is stored here; send the whole conversation in `input` |
//! | `image` | dropped | not supported by the backend |
//! | `include` | forwarded | only values that the backend knows |
//! | `input` | forwarded | text becomes a list; ids, references and leftovers of replies are removed |
//! | `instructions` | forwarded | unchanged; empty if absent |
//! | `max_output_tokens` | emulated | the reply is cut off at the limit |
//! | `max_tool_calls` | dropped | not supported by the backend |
//! | `metadata` | emulated | the response repeats it |
//! | `model` | forwarded | as the slug of its profile |
//! | `moderation` | dropped | not supported by the backend |
//! | `parallel_tool_calls` | forwarded | unchanged |
//! | `previous_response_id` | rejected | nothing is stored here; send the whole conversation in `input` |
//! | `prompt` | rejected | stored prompts are not available; send their text in `instructions` |
//! | `prompt_cache_key` | forwarded | unchanged |
//! | `prompt_cache_options` | dropped | not supported by the backend |
//! | `prompt_cache_retention` | dropped | not supported by the backend |
//! | `reasoning` | clamped | `effort` to the nearest of the model; `summary` if the model supports it; not `mode` |
//! | `safety_identifier` | dropped | not supported by the backend |
//! | `service_tier` | clamped | `fast` means `priority`; sent if the model lists it |
//! | `store` | emulated | by an embedder that stores responses (`Options::storage`); otherwise dropped |
//! | `stream` | emulated | the backend always streams |
//! | `stream_options` | forwarded | only members that the backend knows |
//! | `temperature` | dropped | not supported by the backend |
//! | `text` | forwarded | `verbosity` if the model supports it |
//! | `tool_choice` | forwarded | `auto` instead of a hosted tool, which cannot be forced |
//! | `tools` | forwarded | with an explicit `strict`, and names that the backend accepts |
//! | `top_logprobs` | dropped | not supported by the backend |
//! | `top_p` | dropped | not supported by the backend |
//! | `truncation` | dropped | not supported by the backend |
//! | `user` | dropped | not supported by the backend |
//!
//! # Extensions
//!
//! The table [`EXTRA`].
//!
//! | Parameter | | |
//! |---|---|---|
//! | `client_metadata` | forwarded | unchanged |
//! | `reasoningEffort` | forwarded | as `reasoning_effort` (opencode) |
//! | `reasoningSummary` | forwarded | as `reasoning.summary` (opencode) |
//! | `textVerbosity` | forwarded | as `verbosity` (opencode) |
//!
//! # Images
//!
//! The table [`IMAGES`].
//!
//! | Parameter | | |
//! |---|---|---|
//! | `background` | forwarded | unchanged |
//! | `complexity` | dropped | the backend generates raster images only |
//! | `frame_count` | dropped | the backend generates a single frame |
//! | `frame_duration_ms` | dropped | the backend generates a single frame |
//! | `image` | forwarded | as `images` |
//! | `images` | forwarded | as data URLs; for edits |
//! | `input_fidelity` | dropped | not supported by the backend |
//! | `markup` | rejected | the backend edits whole images only; describe the change in the prompt |
//! | `mask` | rejected | the backend edits whole images only; describe the change in the prompt |
//! | `model` | emulated | the backend uses its own image model |
//! | `moderation` | dropped | not supported by the backend |
//! | `n` | emulated | one call per image, at most `Options::max_choices` |
//! | `output_compression` | dropped | not supported by the backend |
//! | `output_format` | dropped | the backend generates PNG |
//! | `partial_images` | dropped | images are not streamed |
//! | `prompt` | forwarded | unchanged |
//! | `quality` | clamped | to the nearest that the backend knows; the reply reports the quality used |
//! | `response_format` | emulated | `url` is a data URL: nothing is stored here |
//! | `safety_identifier` | dropped | not supported by the backend |
//! | `size` | forwarded | unchanged; the reply reports the size used |
//! | `stream` | rejected | images are not streamed; leave it out and wait for the reply |
//! | `style` | dropped | not supported by the backend |
//! | `svg` | rejected | the backend generates raster images only |
//! | `user` | dropped | not supported by the backend |
//!
//! # Compaction
//!
//! A request to [`compact`](crate::compact()) a conversation is a Responses request. Parameters about the reply
//! (`tool_choice`, `text`, `include`, `stream` and others) are dropped from it.

use crate::error::Error;
use crate::json::{Node, ValueKind};
use crate::notice::Notices;

/// The values that `include` may have (docs/backend.md §2.4).
pub const INCLUDABLE: &[&str] = &[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "message.output_text.logprobs",
    "reasoning.encrypted_content",
    "web_search_call.action.sources",
];

/// A top-level request parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What becomes of it.
    pub treatment: Treatment,
    /// The values, as compact JSON, that ask for what happens anyway: with one of them the parameter counts as absent.
    pub neutral: &'static [&'static str],
    /// How, or why not: a phrase for notices, errors and documentation.
    pub note: &'static str,
}

/// What becomes of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Treatment {
    /// Sent to the backend with its meaning, in the backend's form.
    Forwarded,
    /// Not sent; implemented by this crate or its embedder.
    Emulated,
    /// Sent with the nearest value that the model supports.
    Clamped,
    /// Not sent, which leaves a notice; in strict mode, an error with status 400.
    Dropped,
    /// An error with status 400.
    Rejected,
}

impl Treatment {
    /// Returns the word for this treatment in documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forwarded => "forwarded",
            Self::Emulated => "emulated",
            Self::Clamped => "clamped",
            Self::Dropped => "dropped",
            Self::Rejected => "rejected",
        }
    }
}

const NOT_TAKEN: &str = "not supported by the backend";
pub(crate) const CUT_OFF: &str = if cfg!(feature = "tokens") {
    "the reply is cut off by the proxy"
} else {
    "the reply is cut off by the proxy at an estimate of four bytes a token"
};
pub(crate) const NO_STORE: &str = "nothing is stored here";
const NO_VECTORS: &str = "the backend generates raster images only";
const ONE_FRAME: &str = "the backend generates a single frame";
const NO_MASK: &str = "the backend edits whole images only; describe the change in the prompt";
pub(crate) const NO_AUDIO: &str = "the backend does not support audio";

/// The parameters whose empty object means something.
const MEANT_EMPTY: &[&str] = &["access_programs", "client_metadata", "web_search_options"];

/// The parameters that are strings, numbers or booleans, for which no program leaves an empty list or object behind.
const SCALARS: &[&str] = &[
    "background",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "n",
    "parallel_tool_calls",
    "prompt_cache_key",
    "quality",
    "reasoningEffort",
    "reasoningSummary",
    "reasoning_effort",
    "service_tier",
    "size",
    "store",
    "stream",
    "textVerbosity",
    "verbosity",
];

const fn forwarded(name: &'static str, note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Forwarded, neutral: &[], note }
}

const fn emulated(name: &'static str, note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Emulated, neutral: &[], note }
}

/// A token limit, for which some clients write -1 if there is none.
const fn limit(name: &'static str) -> Parameter {
    Parameter { neutral: &["-1", "-1.0"], ..emulated(name, "the reply is cut off at the limit") }
}

const fn clamped(name: &'static str, note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Clamped, neutral: &[], note }
}

const fn dropped(name: &'static str, neutral: &'static [&'static str], note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Dropped, neutral, note }
}

const fn rejected(name: &'static str, neutral: &'static [&'static str], note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Rejected, neutral, note }
}

/// The parameters of Chat Completions.
pub const CHAT: &[Parameter] = &[
    dropped("audio", &[], NO_AUDIO),
    dropped("frequency_penalty", &["0", "0.0"], NOT_TAKEN),
    forwarded("function_call", "as `tool_choice`"),
    forwarded("functions", "as function tools; the reply uses `function_call`"),
    dropped("logit_bias", &[], NOT_TAKEN),
    dropped("logprobs", &["false"], NOT_TAKEN),
    limit("max_completion_tokens"),
    limit("max_tokens"),
    forwarded("messages", "as `input` and `instructions`"),
    dropped("metadata", &[], NO_STORE),
    forwarded("modalities", "`image` as the hosted tool `image_generation`; `audio` is rejected"),
    forwarded("model", "as the slug of its profile; the reply repeats the caller's name"),
    dropped("moderation", &[], NOT_TAKEN),
    emulated("n", "one turn per choice, at most `Options::max_choices`"),
    forwarded("parallel_tool_calls", "unchanged"),
    dropped("prediction", &[], NOT_TAKEN),
    dropped("presence_penalty", &["0", "0.0"], NOT_TAKEN),
    forwarded("prompt_cache_key", "unchanged"),
    dropped("prompt_cache_options", &[], NOT_TAKEN),
    dropped("prompt_cache_retention", &["\"in_memory\"", "\"in-memory\""], NOT_TAKEN),
    clamped("reasoning_effort", "to the nearest effort of the model"),
    forwarded("response_format", "as `text.format`; for `json_object`, a mention of JSON is added to `input`"),
    dropped("safety_identifier", &[], NOT_TAKEN),
    dropped("seed", &[], NOT_TAKEN),
    clamped("service_tier", "`fast` means `priority`; sent if the model lists it"),
    emulated("stop", "the reply is cut off before the first match"),
    dropped("store", &["false"], NO_STORE),
    emulated("stream", "the backend always streams"),
    emulated("stream_options", "`include_usage` is emulated; `include_obfuscation` is forwarded"),
    dropped("temperature", &["1", "1.0"], NOT_TAKEN),
    forwarded("tool_choice", "`auto` instead of a hosted tool, which cannot be forced"),
    forwarded("tools", "with an explicit `strict`, and names that the backend accepts"),
    dropped("top_logprobs", &["0"], NOT_TAKEN),
    dropped("top_p", &["1", "1.0"], NOT_TAKEN),
    dropped("user", &[], NOT_TAKEN),
    clamped("verbosity", "as `text.verbosity`, if the model supports it"),
    forwarded("web_search_options", "as the hosted tool `web_search`"),
];

/// The parameters of Responses.
pub const RESPONSES: &[Parameter] = &[
    forwarded("access_programs", "unchanged"),
    rejected("background", &["false"], "background responses are not available; leave it out and wait for the reply"),
    dropped("background_options", &[], "nothing runs in the background"),
    dropped("context_management", &[], NOT_TAKEN),
    rejected("conversation", &[], "nothing is stored here; send the whole conversation in `input`"),
    dropped("image", &[], NOT_TAKEN),
    forwarded("include", "only values that the backend knows"),
    forwarded("input", "text becomes a list; ids, references and leftovers of replies are removed"),
    forwarded("instructions", "unchanged; empty if absent"),
    limit("max_output_tokens"),
    dropped("max_tool_calls", &[], NOT_TAKEN),
    emulated("metadata", "the response repeats it"),
    forwarded("model", "as the slug of its profile"),
    dropped("moderation", &[], NOT_TAKEN),
    forwarded("parallel_tool_calls", "unchanged"),
    rejected("previous_response_id", &[], "nothing is stored here; send the whole conversation in `input`"),
    rejected("prompt", &[], "stored prompts are not available; send their text in `instructions`"),
    forwarded("prompt_cache_key", "unchanged"),
    dropped("prompt_cache_options", &[], NOT_TAKEN),
    dropped("prompt_cache_retention", &["\"in_memory\"", "\"in-memory\""], NOT_TAKEN),
    clamped("reasoning", "`effort` to the nearest of the model; `summary` if the model supports it; not `mode`"),
    dropped("safety_identifier", &[], NOT_TAKEN),
    clamped("service_tier", "`fast` means `priority`; sent if the model lists it"),
    emulated("store", "by an embedder that stores responses (`Options::storage`); otherwise dropped"),
    emulated("stream", "the backend always streams"),
    forwarded("stream_options", "only members that the backend knows"),
    dropped("temperature", &["1", "1.0"], NOT_TAKEN),
    forwarded("text", "`verbosity` if the model supports it"),
    forwarded("tool_choice", "`auto` instead of a hosted tool, which cannot be forced"),
    forwarded("tools", "with an explicit `strict`, and names that the backend accepts"),
    dropped("top_logprobs", &["0"], NOT_TAKEN),
    dropped("top_p", &["1", "1.0"], NOT_TAKEN),
    dropped("truncation", &["\"disabled\""], NOT_TAKEN),
    dropped("user", &[], NOT_TAKEN),
];

/// Parameters that clients send although neither public API documents them. Both paths accept them.
pub const EXTRA: &[Parameter] = &[
    forwarded("client_metadata", "unchanged"),
    forwarded("reasoningEffort", "as `reasoning_effort` (opencode)"),
    forwarded("reasoningSummary", "as `reasoning.summary` (opencode)"),
    forwarded("textVerbosity", "as `verbosity` (opencode)"),
];

/// The parameters of the Images API, of generations and of edits.
pub const IMAGES: &[Parameter] = &[
    forwarded("background", "unchanged"),
    dropped("complexity", &[], NO_VECTORS),
    dropped("frame_count", &["1"], ONE_FRAME),
    dropped("frame_duration_ms", &[], ONE_FRAME),
    forwarded("image", "as `images`"),
    forwarded("images", "as data URLs; for edits"),
    dropped("input_fidelity", &[], NOT_TAKEN),
    rejected("markup", &[], NO_MASK),
    rejected("mask", &[], NO_MASK),
    emulated("model", "the backend uses its own image model"),
    dropped("moderation", &["\"auto\""], NOT_TAKEN),
    emulated("n", "one call per image, at most `Options::max_choices`"),
    dropped("output_compression", &["100"], NOT_TAKEN),
    dropped("output_format", &["\"png\""], "the backend generates PNG"),
    dropped("partial_images", &["0"], "images are not streamed"),
    forwarded("prompt", "unchanged"),
    clamped("quality", "to the nearest that the backend knows; the reply reports the quality used"),
    emulated("response_format", "`url` is a data URL: nothing is stored here"),
    dropped("safety_identifier", &[], NOT_TAKEN),
    forwarded("size", "unchanged; the reply reports the size used"),
    rejected("stream", &["false"], "images are not streamed; leave it out and wait for the reply"),
    dropped("style", &[], NOT_TAKEN),
    rejected("svg", &[], NO_VECTORS),
    dropped("user", &[], NOT_TAKEN),
];

/// Returns whether a parameter counts as absent: it is empty, or asks for what happens anyway. A parameter that is not
/// in `table` may be in that of the other dialect, whose names are read, too.
pub(crate) fn is_absent(table: &[Parameter], key: &str, node: &Node<'_, '_>) -> bool {
    let parameter = [table, CHAT, RESPONSES].into_iter().flatten().find(|parameter| parameter.name == key);
    if node.is_blank() {
        let is_read = parameter.is_none_or(|parameter| parameter.treatment != Treatment::Dropped);
        return match node.kind() {
            ValueKind::String => true,
            ValueKind::Object if MEANT_EMPTY.contains(&key) => false,
            ValueKind::Object | ValueKind::Array | ValueKind::Number | ValueKind::Bool | ValueKind::Null => {
                !(is_read && SCALARS.contains(&key))
            }
        };
    }
    parameter.is_some_and(|parameter| parameter.is_neutral(node.text()))
}

/// Drops or rejects a parameter that the dialect's reader does not read, as its table says.
///
/// # Errors
/// The parameter is rejected: a 400 that says what to do instead.
pub(crate) fn reject_or_drop(
    table: &[Parameter],
    key: &str,
    node: &Node<'_, '_>,
    notices: &mut Notices,
) -> Result<(), Error> {
    let Some(parameter) = table.iter().find(|parameter| parameter.name == key) else {
        notices.dropped(key, "unknown parameter");
        return Ok(());
    };
    match parameter.treatment {
        Treatment::Rejected => {
            Err(node.invalid(format_args!("is not supported: {}", parameter.note)).with_code("unsupported_parameter"))
        }
        Treatment::Dropped | Treatment::Forwarded | Treatment::Emulated | Treatment::Clamped => {
            notices.dropped(key, parameter.note);
            Ok(())
        }
    }
}

impl Parameter {
    /// Returns whether `json` is one of the neutral values, whatever its spacing.
    fn is_neutral(&self, json: &str) -> bool {
        self.neutral.iter().any(|neutral| json.chars().filter(|c| !c.is_ascii_whitespace()).eq(neutral.chars()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_parameter() {
        let source = include_str!("params.rs");
        for (name, table) in [("CHAT", CHAT), ("RESPONSES", RESPONSES), ("EXTRA", EXTRA), ("IMAGES", IMAGES)] {
            let (_, below) = source.split_once(&format!("//! The table [`{name}`].\n")).unwrap();
            // A table ends where its comment has an empty line.
            let listed: Vec<_> = below.lines().skip(3).take_while(|line| *line != "//!").collect();
            let row = |parameter: &Parameter| {
                format!("//! | `{}` | {} | {} |", parameter.name, parameter.treatment.as_str(), parameter.note)
            };
            assert_eq!(listed, table.iter().map(row).collect::<Vec<_>>(), "{name}");
        }
    }
}
