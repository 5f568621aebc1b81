//! Items of a reply's output (wire.md §3.4), as far as a chat reply depends on them.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::{present, read, word};
use super::item::CallKind;
use crate::error::Error;
use crate::text::Text;

/// An item of the output, in an event or in a response object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OutputItem<'a> {
    /// A message of the model.
    Message {
        /// Whether it is commentary or the answer.
        phase: Phase,
        /// What it says.
        content: Vec<OutputPart<'a>>,
    },
    /// The model's reasoning.
    Reasoning {
        /// The parts of its summary.
        summary: Vec<Text<'a>>,
        /// The reasoning itself, of models that show it.
        content: Vec<Text<'a>>,
    },
    /// A call of one of the caller's tools.
    Call {
        /// The tool's kind.
        kind: CallKind,
        /// What pairs the call with its output.
        call_id: Option<Cow<'a, str>>,
        /// The tool's name on the wire.
        name: Option<Cow<'a, str>>,
        /// The arguments or the input.
        payload: Option<Text<'a>>,
    },
    /// An image that the model made.
    Image {
        /// The image in base64; absent until it is done.
        result: Option<Text<'a>>,
        /// The image's format, such as `png`.
        format: Option<Cow<'a, str>>,
    },
    /// An item of another type.
    Other(Cow<'a, str>),
}

/// A part of a message of the model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OutputPart<'a> {
    /// Text.
    Text {
        /// The text.
        text: Text<'a>,
        /// What stands in it from elsewhere, such as citations.
        annotations: Vec<&'a RawValue>,
    },
    /// A refusal.
    Refusal(Text<'a>),
    /// A part of another type.
    Other,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// The answer, or a message whose phase is not known here.
    #[default]
    Answer,
    /// What the model says on the way to its answer (`commentary`, `analysis`).
    Commentary,
}

impl<'a> OutputItem<'a> {
    /// Reads an item; one that is absent is of no type.
    ///
    /// # Errors
    /// The item is not an object, or its text is no text.
    pub(crate) fn read(raw: Option<&'a RawValue>) -> Result<Self, Error> {
        let Some(raw) = present(raw) else { return Ok(Self::Other(Cow::Borrowed(""))) };
        let item: Members<'a> = read(raw)?;
        let kind = word(item.kind).unwrap_or_default();
        if let Some(call) = CallKind::of_item(&kind) {
            let payload = match call {
                CallKind::Function => item.arguments,
                CallKind::Custom => item.input,
            };
            return Ok(Self::Call {
                kind: call,
                call_id: word(item.call_id).filter(|id| !id.is_empty()),
                name: word(item.name).filter(|name| !name.is_empty()),
                payload: payload.map(Text::of).transpose()?,
            });
        }
        Ok(match &*kind {
            "message" => Self::Message {
                phase: Phase::from_word(word(item.phase).as_deref().unwrap_or_default()),
                content: parts(item.content)?.into_iter().map(OutputPart::from).collect(),
            },
            "reasoning" => Self::Reasoning { summary: texts(item.summary)?, content: texts(item.content)? },
            "image_generation_call" => Self::Image {
                result: item.result.map(Text::of).transpose()?.filter(|result| !result.is_empty()),
                format: word(item.output_format),
            },
            _ => Self::Other(kind),
        })
    }
}

impl Phase {
    fn from_word(word: &str) -> Self {
        match word {
            "commentary" | "analysis" => Self::Commentary,
            _ => Self::Answer,
        }
    }
}

/// The members of an item of any type that is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Members<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    phase: Option<&'a RawValue>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    summary: Option<&'a RawValue>,
    #[serde(borrow)]
    call_id: Option<&'a RawValue>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    output_format: Option<&'a RawValue>,
}

/// The members of a part of any type that is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    annotations: Option<&'a RawValue>,
}

impl<'a> From<Part<'a>> for OutputPart<'a> {
    fn from(part: Part<'a>) -> Self {
        let text = |raw: Option<&'a RawValue>| raw.and_then(|raw| Text::of(raw).ok()).unwrap_or(Text::Plain(""));
        match word(part.kind).as_deref() {
            Some("output_text" | "text") => Self::Text {
                text: text(part.text),
                annotations: part.annotations.and_then(|raw| read(raw).ok()).unwrap_or_default(),
            },
            Some("refusal") => Self::Refusal(text(part.refusal)),
            Some(_) | None => Self::Other,
        }
    }
}

fn parts(raw: Option<&RawValue>) -> Result<Vec<Part<'_>>, Error> {
    raw.map(read).transpose().map(Option::unwrap_or_default)
}

fn texts(raw: Option<&RawValue>) -> Result<Vec<Text<'_>>, Error> {
    parts(raw)?.into_iter().filter_map(|part| part.text).map(Text::of).collect()
}
