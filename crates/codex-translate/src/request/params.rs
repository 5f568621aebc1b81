//! Every request parameter of the public APIs and its one fate; the readers are driven by these tables.
//!
//! A parameter that is `null` counts as absent, and one that is in no table of its API is unknown: dropped with a notice, never a
//! 400, since clients send keys of their own (docs/clients/quirks.md rule 7). A value that says what happens anyway (`temperature: 1`,
//! `store: false`) loses nothing when it is not sent and leaves no notice.

use crate::error::Error;
use crate::json::Node;
use crate::notice::Notices;
use crate::responses::Shape;

/// A top-level request parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// What becomes of it.
    pub treatment: Treatment,
    /// The values, as compact JSON, that say what happens anyway: with them the parameter counts as absent.
    pub neutral: &'static [&'static str],
    /// How, or why not; a phrase that goes into notices, errors and documentation.
    pub note: &'static str,
}

/// The fate of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Treatment {
    /// Sent upstream with its meaning, in the backend's form.
    Carried,
    /// Brought about on this side.
    Emulated,
    /// Sent with the nearest value that the model takes.
    Clamped,
    /// Not sent, with a notice; in strict mode a 400.
    Dropped,
    /// A 400.
    Refused,
}

impl Treatment {
    /// The word of this fate in documentation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Carried => "carried",
            Self::Emulated => "emulated",
            Self::Clamped => "clamped",
            Self::Dropped => "dropped",
            Self::Refused => "refused",
        }
    }
}

const NOT_TAKEN: &str = "the backend does not take it";
pub(crate) const NO_STORE: &str = "nothing is stored here";
const NO_VECTORS: &str = "the backend draws no vectors";
const ONE_FRAME: &str = "the backend draws one frame";
const NO_MASK: &str = "the backend edits the picture as a whole; say in the prompt what is to change";
const NO_AUDIO: &str = "this backend has no audio; ask for text";

const fn carried(name: &'static str, note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Carried, neutral: &[], note }
}

const fn emulated(name: &'static str, note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Emulated, neutral: &[], note }
}

const fn clamped(name: &'static str, note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Clamped, neutral: &[], note }
}

const fn dropped(name: &'static str, neutral: &'static [&'static str], note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Dropped, neutral, note }
}

const fn refused(name: &'static str, neutral: &'static [&'static str], note: &'static str) -> Parameter {
    Parameter { name, treatment: Treatment::Refused, neutral, note }
}

/// The parameters of Chat Completions.
pub const CHAT: &[Parameter] = &[
    refused("audio", &[], NO_AUDIO),
    dropped("frequency_penalty", &["0", "0.0"], NOT_TAKEN),
    carried("function_call", "as `tool_choice`"),
    carried("functions", "as function tools; the reply says `function_call`"),
    dropped("logit_bias", &["{}"], NOT_TAKEN),
    dropped("logprobs", &["false"], NOT_TAKEN),
    emulated("max_completion_tokens", "the reply is cut at the limit"),
    emulated("max_tokens", "the reply is cut at the limit"),
    carried("messages", "as `input` and `instructions`"),
    dropped("metadata", &["{}"], NO_STORE),
    refused("modalities", &["[\"text\"]", "[]"], NO_AUDIO),
    carried("model", "by the slug of its profile; the reply echoes the caller's name"),
    dropped("moderation", &[], NOT_TAKEN),
    emulated("n", "one turn for each choice, up to the limit of the options"),
    carried("parallel_tool_calls", "as it is"),
    dropped("prediction", &[], NOT_TAKEN),
    dropped("presence_penalty", &["0", "0.0"], NOT_TAKEN),
    carried("prompt_cache_key", "as it is"),
    dropped("prompt_cache_options", &["{}"], NOT_TAKEN),
    dropped("prompt_cache_retention", &["\"in_memory\"", "\"in-memory\""], NOT_TAKEN),
    clamped("reasoning_effort", "to the nearest effort that the model has"),
    carried(
        "response_format",
        "as `text.format`; `json_object` gets a developer message if `input` does not speak of JSON",
    ),
    dropped("safety_identifier", &["\"\""], NOT_TAKEN),
    dropped("seed", &[], NOT_TAKEN),
    clamped("service_tier", "`fast` means `priority`, which is sent where the model lists it"),
    emulated("stop", "the reply is cut before the first of them"),
    dropped("store", &["false"], NO_STORE),
    emulated("stream", "upstream always streams"),
    emulated("stream_options", "`include_usage` is obeyed; `include_obfuscation` is carried"),
    dropped("temperature", &["1", "1.0"], NOT_TAKEN),
    carried("tool_choice", "a hosted tool cannot be forced: `auto`"),
    carried("tools", "with `strict` always written out and names in the backend's form"),
    dropped("top_logprobs", &["0"], NOT_TAKEN),
    dropped("top_p", &["1", "1.0"], NOT_TAKEN),
    dropped("user", &["\"\""], NOT_TAKEN),
    clamped("verbosity", "as `text.verbosity`, where the model takes it"),
    carried("web_search_options", "as the hosted tool `web_search`"),
];

/// The parameters of Responses.
pub const RESPONSES: &[Parameter] = &[
    refused("background", &["false"], "nothing runs in the background here; leave it out and wait for the reply"),
    dropped("context_management", &["[]"], NOT_TAKEN),
    refused("conversation", &[], "nothing is stored here; send the whole conversation in `input`"),
    carried("include", "those values that the backend knows"),
    carried("input", "text becomes a list; ids and references are removed, what is left over is cleaned"),
    carried("instructions", "as it is; absent, an empty text is sent"),
    emulated("max_output_tokens", "the reply is cut at the limit"),
    dropped("max_tool_calls", &[], NOT_TAKEN),
    dropped("metadata", &["{}"], NO_STORE),
    carried("model", "by the slug of its profile"),
    dropped("moderation", &[], NOT_TAKEN),
    carried("parallel_tool_calls", "as it is"),
    refused("previous_response_id", &[], "nothing is stored here; send the whole conversation in `input`"),
    refused("prompt", &[], "stored prompts are not reachable; send their text in `instructions`"),
    carried("prompt_cache_key", "as it is"),
    dropped("prompt_cache_options", &["{}"], NOT_TAKEN),
    dropped("prompt_cache_retention", &["\"in_memory\"", "\"in-memory\""], NOT_TAKEN),
    clamped("reasoning", "`effort` to the nearest that the model has; `summary` where the model takes it"),
    dropped("safety_identifier", &["\"\""], NOT_TAKEN),
    clamped("service_tier", "`fast` means `priority`, which is sent where the model lists it"),
    emulated("store", "by a program that keeps responses (`Options::stores`); else dropped"),
    emulated("stream", "upstream always streams"),
    carried("stream_options", "those members that the backend knows"),
    dropped("temperature", &["1", "1.0"], NOT_TAKEN),
    carried("text", "`verbosity` where the model takes it"),
    carried("tool_choice", "a hosted tool cannot be forced: `auto`"),
    carried("tools", "with `strict` always written out and names in the backend's form"),
    dropped("top_logprobs", &["0"], NOT_TAKEN),
    dropped("top_p", &["1", "1.0"], NOT_TAKEN),
    dropped("truncation", &["\"disabled\""], NOT_TAKEN),
    dropped("user", &["\"\""], NOT_TAKEN),
];

/// Parameters of neither public API that clients send and that are understood on both paths.
pub const EXTRA: &[Parameter] = &[
    carried("client_metadata", "as it is; marks a body of the Codex CLI, whose items are left as they are"),
    carried("reasoningEffort", "as `reasoning_effort` (opencode)"),
    carried("reasoningSummary", "as `reasoning.summary` (opencode)"),
    carried("textVerbosity", "as `verbosity` (opencode)"),
];

/// The parameters of the Images API, of generations and of edits.
pub const IMAGES: &[Parameter] = &[
    carried("background", "as it is"),
    dropped("complexity", &[], NO_VECTORS),
    dropped("frame_count", &["1"], ONE_FRAME),
    dropped("frame_duration_ms", &[], ONE_FRAME),
    carried("image", "as `images`"),
    carried("images", "as data URLs; of edits"),
    dropped("input_fidelity", &[], NOT_TAKEN),
    refused("markup", &[], NO_MASK),
    refused("mask", &[], NO_MASK),
    emulated("model", "the backend draws with a model of its own, whatever is named"),
    dropped("moderation", &["\"auto\""], NOT_TAKEN),
    emulated("n", "one call for each picture, up to the limit of the options"),
    dropped("output_compression", &["100"], NOT_TAKEN),
    dropped("output_format", &["\"png\""], "the backend draws PNG"),
    dropped("partial_images", &["0"], "pictures come whole"),
    carried("prompt", "as it is"),
    clamped("quality", "to the nearest that the backend knows; the reply says which it was"),
    emulated("response_format", "`url` is a data URL: nothing is stored here"),
    dropped("safety_identifier", &["\"\""], NOT_TAKEN),
    carried("size", "as it is; the reply says which it was"),
    refused("stream", &["false"], "pictures come whole; leave it out and wait for the reply"),
    dropped("style", &[], NOT_TAKEN),
    refused("svg", &[], NO_VECTORS),
    dropped("user", &["\"\""], NOT_TAKEN),
];

/// Deals with a parameter of the Images API that its reader does not read.
///
/// # Errors
/// As for [`set_aside`].
pub(crate) fn set_aside_of_images(key: &str, node: &Node<'_, '_>, notices: &mut Notices) -> Result<(), Error> {
    by_table(IMAGES, key, node, notices)
}

/// Deals with a parameter that the reader of `shape` does not read: it is refused or dropped as its table says.
///
/// # Errors
/// The parameter is refused: a 400 that says what to do instead.
pub(crate) fn set_aside(shape: Shape, key: &str, node: &Node<'_, '_>, notices: &mut Notices) -> Result<(), Error> {
    let table = match shape {
        Shape::Chat => CHAT,
        Shape::Responses => RESPONSES,
    };
    by_table(table, key, node, notices)
}

fn by_table(table: &[Parameter], key: &str, node: &Node<'_, '_>, notices: &mut Notices) -> Result<(), Error> {
    let Some(parameter) = table.iter().find(|parameter| parameter.name == key) else {
        notices.dropped(key, "unknown parameter");
        return Ok(());
    };
    if parameter.is_neutral(node.text()) {
        return Ok(());
    }
    match parameter.treatment {
        Treatment::Refused => {
            Err(node.invalid(format_args!("is not supported: {}", parameter.note)).with_code("unsupported_parameter"))
        }
        Treatment::Dropped | Treatment::Carried | Treatment::Emulated | Treatment::Clamped => {
            notices.dropped(key, parameter.note);
            Ok(())
        }
    }
}

impl Parameter {
    /// Whether `json` is one of the neutral values, whatever its spacing.
    fn is_neutral(&self, json: &str) -> bool {
        self.neutral.iter().any(|neutral| json.chars().filter(|c| !c.is_ascii_whitespace()).eq(neutral.chars()))
    }
}
