//! The deltas that make up a choice of a chat reply.

use std::io::Write as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::{Text, write_string};

/// One addition to a choice, borrowed from an event.
///
/// Ignore the variants that you do not use with `_ => {}`. Later versions of this crate may add variants for other
/// kinds of content, but never for the text of the answer, the reasoning or tool calls.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Delta<'a> {
    /// The reply begins.
    Role,
    /// More of the answer.
    Content(Text<'a>),
    /// More of a refusal.
    Refusal(Text<'a>),
    /// More of the reasoning, under the key that the client reads.
    Reasoning {
        /// The key.
        key: ReasoningKey,
        /// The text.
        text: Text<'a>,
    },
    /// A tool call begins.
    ToolCall {
        /// The call's index, counted from 0.
        index: u32,
        /// The id that the call shares with its output.
        id: &'a str,
        /// The caller's name for the tool.
        name: &'a str,
    },
    /// More of a tool call's arguments.
    Arguments {
        /// The call's index.
        index: u32,
        /// The text.
        text: Text<'a>,
    },
    /// The call of a legacy function begins.
    FunctionCall {
        /// The caller's name for the function.
        name: &'a str,
    },
    /// More of a legacy function call's arguments.
    FunctionArguments(Text<'a>),
    /// A citation in the answer.
    Citation(&'a Citation<'a>),
    /// An image.
    Image(OutputImage<'a>),
}

/// The key under which a chat reply contains reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningKey {
    /// `reasoning_content`
    ReasoningContent,
    /// `reasoning`
    Reasoning,
}

impl ReasoningKey {
    /// Returns the key on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReasoningContent => "reasoning_content",
            Self::Reasoning => "reasoning",
        }
    }
}

/// The source of a range of the answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Citation<'a> {
    #[serde(borrow, rename = "type")]
    kind: &'a RawValue,
    /// The citation's index, counted from 0.
    #[serde(skip)]
    pub index: u32,
    /// The start of the range, in characters of the whole answer.
    #[serde(default)]
    pub start_index: u64,
    /// The end of the range.
    #[serde(default)]
    pub end_index: u64,
    #[serde(borrow)]
    url: &'a RawValue,
    #[serde(borrow, default)]
    title: Option<&'a RawValue>,
}

/// An image that the model made.
#[derive(Clone, Copy, Debug)]
pub struct OutputImage<'a> {
    /// The image's index, counted from 0.
    pub index: u32,
    /// The image's format, such as `png`.
    pub format: &'a str,
    /// The image in base64.
    pub base64: Text<'a>,
}

/// Receives the deltas of a choice.
pub trait DeltaSink {
    /// Receives one delta.
    fn delta(&mut self, delta: Delta<'_>);
}

/// Ignores all deltas.
impl DeltaSink for () {
    fn delta(&mut self, _: Delta<'_>) {}
}

impl<'a> Citation<'a> {
    /// Parses an annotation; `None` for other types, which chat replies do not have.
    ///
    /// `offset` is the position of the annotated text in the answer, in characters.
    pub(crate) fn read(annotation: &'a RawValue, index: u32, offset: u64) -> Option<Self> {
        let mut citation: Self = serde_json::from_str(annotation.get()).ok()?;
        let texts = [Some(citation.url), citation.title].into_iter().flatten();
        if citation.kind.get() != "\"url_citation\"" || !texts.map(Text::of).all(|text| text.is_ok()) {
            return None;
        }
        citation.index = index;
        citation.start_index = citation.start_index.saturating_add(offset);
        citation.end_index = citation.end_index.saturating_add(offset);
        Some(citation)
    }

    /// Returns the URL of the source.
    pub fn url(&self) -> Text<'a> {
        Text::of(self.url).unwrap_or(Text::Plain(""))
    }

    /// Returns the title of the source.
    pub fn title(&self) -> Text<'a> {
        self.title.and_then(|title| Text::of(title).ok()).unwrap_or(Text::Plain(""))
    }

    /// Writes the citation in chat's form, which nests its members one level deeper than Responses does.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"url_citation\"");
        self.write_members(out);
    }

    /// Writes the citation with its index, without which openai-python cannot add it to those of earlier chunks.
    fn write_delta(&self, out: &mut Vec<u8>) {
        write_number("{\"type\":\"url_citation\",\"index\":", self.index.into(), out);
        self.write_members(out);
    }

    fn write_members(&self, out: &mut Vec<u8>) {
        write_number(",\"url_citation\":{\"start_index\":", self.start_index, out);
        write_number(",\"end_index\":", self.end_index, out);
        out.extend_from_slice(b",\"url\":\"");
        self.url().write_escaped(out);
        out.extend_from_slice(b"\",\"title\":\"");
        self.title().write_escaped(out);
        out.extend_from_slice(b"\"}}");
    }
}

impl OutputImage<'_> {
    /// Writes the image as an `image_url` part, as chat clients read it.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let format = if self.format.is_empty() { "png" } else { self.format };
        write_number("{\"type\":\"image_url\",\"index\":", self.index.into(), out);
        out.extend_from_slice(b",\"image_url\":{\"url\":\"data:image/");
        Text::Plain(format).write_escaped(out);
        out.extend_from_slice(b";base64,");
        self.base64.write_escaped(out);
        out.extend_from_slice(b"\"}}");
    }
}

impl Delta<'_> {
    /// Writes the `delta` of a chunk.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let text = |head: &str, text: Text<'_>, tail: &str, out: &mut Vec<u8>| {
            out.extend_from_slice(head.as_bytes());
            text.write_escaped(out);
            out.extend_from_slice(tail.as_bytes());
        };
        match *self {
            Delta::Role => out.extend_from_slice(b"{\"role\":\"assistant\",\"content\":\"\"}"),
            Delta::Content(content) => text("{\"content\":\"", content, "\"}", out),
            Delta::Refusal(refusal) => text("{\"refusal\":\"", refusal, "\"}", out),
            Delta::Reasoning { key: ReasoningKey::ReasoningContent, text: reasoning } => {
                text("{\"reasoning_content\":\"", reasoning, "\"}", out);
            }
            Delta::Reasoning { key: ReasoningKey::Reasoning, text: reasoning } => {
                text("{\"reasoning\":\"", reasoning, "\"}", out);
            }
            Delta::ToolCall { index, id, name } => {
                write_number("{\"tool_calls\":[{\"index\":", index.into(), out);
                out.extend_from_slice(b",\"id\":");
                write_string(id, out);
                out.extend_from_slice(b",\"type\":\"function\",\"function\":{\"name\":");
                write_string(name, out);
                out.extend_from_slice(b",\"arguments\":\"\"}}]}");
            }
            Delta::Arguments { index, text: arguments } => {
                write_number("{\"tool_calls\":[{\"index\":", index.into(), out);
                text(",\"function\":{\"arguments\":\"", arguments, "\"}}]}", out);
            }
            Delta::FunctionCall { name } => {
                out.extend_from_slice(b"{\"function_call\":{\"name\":");
                write_string(name, out);
                out.extend_from_slice(b",\"arguments\":\"\"}}");
            }
            Delta::FunctionArguments(arguments) => {
                text("{\"function_call\":{\"arguments\":\"", arguments, "\"}}", out);
            }
            Delta::Citation(citation) => {
                out.extend_from_slice(b"{\"annotations\":[");
                citation.write_delta(out);
                out.extend_from_slice(b"]}");
            }
            Delta::Image(image) => {
                out.extend_from_slice(b"{\"images\":[");
                image.write(out);
                out.extend_from_slice(b"]}");
            }
        }
    }
}

fn write_number(head: &str, number: u64, out: &mut Vec<u8>) {
    // Writing to memory cannot fail.
    let _ = write!(out, "{head}{number}");
}
