//! The items of a reply's output (docs/backend.md §3.4), as far as a reply depends on them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::item::CallKind;
use super::text_kind::TextKind;
use super::web_search::{WebSearchAction, WebSearchStatus};
use crate::error::Error;
use crate::json::{Text, list, members_of, word};

/// The longest id of an item that is used; the backend's ids have about fifty characters (docs/backend.md §3.2).
const MAX_ID_BYTES: usize = 256;

/// The member of reasoning that only the model can read.
pub(crate) const ENCRYPTED: &str = "encrypted_content";

/// An item of the output, in an event or in a response object.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutputItem<'a> {
    /// The item's id; empty if it has none.
    pub id: Cow<'a, str>,
    /// The content, by type.
    pub body: ItemBody<'a>,
    /// The whole item as it was written.
    pub json: &'a str,
}

/// The content of an output item, by type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ItemBody<'a> {
    /// A message of the model.
    Message {
        /// Whether it is commentary or the answer.
        phase: MessagePhase,
        /// The parts of the message.
        content: Vec<OutputPart<'a>>,
    },
    /// The model's reasoning.
    Reasoning {
        /// The parts of its summary.
        summary: Vec<Text<'a>>,
        /// The reasoning itself, of models that show it.
        content: Vec<Text<'a>>,
    },
    /// A call of a client's tool.
    Call {
        /// The tool's kind.
        kind: CallKind,
        /// The id that the call shares with its output.
        call_id: Option<Cow<'a, str>>,
        /// The tool's name on the wire.
        name: Option<Cow<'a, str>>,
        /// The arguments or the input.
        arguments: Option<Text<'a>>,
    },
    /// An image that the model made.
    Image {
        /// The image in base64; absent until the item is done.
        result: Option<Text<'a>>,
        /// The image's format, such as `png`.
        format: Option<Cow<'a, str>>,
    },
    /// A web search.
    WebSearch {
        /// How far the search is.
        status: WebSearchStatus<'a>,
        /// What is searched; absent until the item is done.
        action: Option<WebSearchAction<'a>>,
    },
    /// An item of another type.
    Other(Cow<'a, str>),
}

/// The types of items that the writers distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ItemKind {
    Message,
    Reasoning,
    Call(CallKind),
    Image,
    Other,
}

/// A part of a message of the model.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum OutputPart<'a> {
    /// Text.
    Text {
        /// The text.
        text: Text<'a>,
        /// Its annotations, such as citations.
        annotations: Vec<&'a RawValue>,
    },
    /// A refusal.
    Refusal(Text<'a>),
    /// Reasoning, in an item of that kind.
    Reasoning(Text<'a>),
    /// A part of another type.
    Other,
}

/// Whether a message is part of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MessagePhase {
    /// Part of the answer, or of an unknown phase.
    #[default]
    Answer,
    /// A remark on the way to the answer (`commentary`, `analysis`).
    Commentary,
}

impl ItemKind {
    /// Returns the kind of an item of the type `word`.
    pub(crate) fn from_word(word: &str) -> Self {
        match word {
            "message" => Self::Message,
            "reasoning" => Self::Reasoning,
            "image_generation_call" => Self::Image,
            other => CallKind::of_item(other).map_or(Self::Other, Self::Call),
        }
    }

    /// Returns the type of its items; empty for other types.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Reasoning => "reasoning",
            Self::Call(CallKind::Function) => "function_call",
            Self::Call(CallKind::Custom) => "custom_tool_call",
            Self::Image => "image_generation_call",
            Self::Other => "",
        }
    }

    /// Returns the kind of an unannounced item with a text of this kind.
    pub(crate) fn of_text(text_kind: TextKind) -> Self {
        match text_kind {
            TextKind::Text | TextKind::Refusal => Self::Message,
            TextKind::Summary | TextKind::Reasoning => Self::Reasoning,
        }
    }
}

impl<'a> OutputItem<'a> {
    /// Parses an item.
    ///
    /// # Errors
    /// The item is not an object, or its text is not a string.
    pub(crate) fn read(raw: &'a RawValue) -> Result<Self, Error> {
        let members = ItemMembers::read(raw)?;
        let id = word(members.id).filter(|id| id.len() <= MAX_ID_BYTES).unwrap_or_default();
        Ok(Self { id, body: members.body()?, json: raw.get() })
    }

    /// Returns the texts of a message or of reasoning, each with its kind and its place among those of its kind.
    pub(crate) fn texts(&self) -> Vec<(TextKind, u64, Text<'a>)> {
        match &self.body {
            ItemBody::Message { content, .. } => (0..)
                .zip(content)
                .filter_map(|(part, content)| match content {
                    OutputPart::Text { text, .. } => Some((TextKind::Text, part, *text)),
                    OutputPart::Refusal(text) => Some((TextKind::Refusal, part, *text)),
                    OutputPart::Reasoning(_) | OutputPart::Other => None,
                })
                .collect(),
            ItemBody::Reasoning { summary, content } => {
                let of_kind = |text_kind, texts: &[Text<'a>]| {
                    (0..).zip(texts.to_vec()).map(move |(part, text)| (text_kind, part, text))
                };
                of_kind(TextKind::Summary, summary).chain(of_kind(TextKind::Reasoning, content)).collect()
            }
            ItemBody::Call { .. } | ItemBody::Image { .. } | ItemBody::WebSearch { .. } | ItemBody::Other(_) => {
                Vec::new()
            }
        }
    }

    /// Returns the item's `type`.
    pub(crate) fn type_name(&self) -> &str {
        match &self.body {
            ItemBody::WebSearch { .. } => "web_search_call",
            ItemBody::Other(word) => word,
            ItemBody::Message { .. } | ItemBody::Reasoning { .. } | ItemBody::Call { .. } | ItemBody::Image { .. } => {
                self.kind().as_str()
            }
        }
    }

    pub(crate) fn kind(&self) -> ItemKind {
        match &self.body {
            ItemBody::Message { .. } => ItemKind::Message,
            ItemBody::Reasoning { .. } => ItemKind::Reasoning,
            ItemBody::Call { kind, .. } => ItemKind::Call(*kind),
            ItemBody::Image { .. } => ItemKind::Image,
            ItemBody::WebSearch { .. } | ItemBody::Other(_) => ItemKind::Other,
        }
    }
}

/// The members of an item of any type that is read here.
struct ItemMembers<'a> {
    id: Option<&'a RawValue>,
    kind: Option<&'a RawValue>,
    phase: Option<&'a RawValue>,
    content: Option<&'a RawValue>,
    summary: Option<&'a RawValue>,
    call_id: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    arguments: Option<&'a RawValue>,
    input: Option<&'a RawValue>,
    result: Option<&'a RawValue>,
    output_format: Option<&'a RawValue>,
    status: Option<&'a RawValue>,
    action: Option<&'a RawValue>,
}

impl<'a> ItemMembers<'a> {
    /// Reads all of them at once: an item may be an image of many megabytes.
    fn read(item: &'a RawValue) -> Result<Self, Error> {
        let keys = [
            "id",
            "type",
            "phase",
            "content",
            "summary",
            "call_id",
            "name",
            "arguments",
            "input",
            "result",
            "output_format",
            "status",
            "action",
        ];
        let [id, kind, phase, content, summary, call_id, name, arguments, input, result, output_format, status, action] =
            members_of(item, keys)?;
        Ok(Self {
            id,
            kind,
            phase,
            content,
            summary,
            call_id,
            name,
            arguments,
            input,
            result,
            output_format,
            status,
            action,
        })
    }

    fn body(self) -> Result<ItemBody<'a>, Error> {
        let kind = word(self.kind).unwrap_or_default();
        Ok(match ItemKind::from_word(&kind) {
            ItemKind::Message => {
                let phase = MessagePhase::from_word(word(self.phase).as_deref().unwrap_or_default());
                let content = list(self.content)?.into_iter().map(OutputPart::read).collect::<Result<_, _>>()?;
                ItemBody::Message { phase, content }
            }
            ItemKind::Reasoning => ItemBody::Reasoning { summary: texts(self.summary)?, content: texts(self.content)? },
            ItemKind::Call(kind) => {
                let arguments = match kind {
                    CallKind::Function => self.arguments,
                    CallKind::Custom => self.input,
                };
                ItemBody::Call {
                    kind,
                    call_id: word(self.call_id).filter(|id| !id.is_empty()),
                    name: word(self.name).filter(|name| !name.is_empty()),
                    arguments: arguments.map(Text::of).transpose()?,
                }
            }
            ItemKind::Image => {
                let result = self.result.map(Text::of).transpose()?.filter(|result| !result.is_empty());
                ItemBody::Image { result, format: word(self.output_format) }
            }
            ItemKind::Other if kind == "web_search_call" => ItemBody::WebSearch {
                status: WebSearchStatus::from_word(word(self.status).unwrap_or_default()),
                action: self.action.map(WebSearchAction::read),
            },
            ItemKind::Other => ItemBody::Other(kind),
        })
    }
}

impl<'a> OutputPart<'a> {
    /// Parses a part of a message.
    ///
    /// # Errors
    /// The part is not an object, or its text is not a string.
    pub(crate) fn read(raw: &'a RawValue) -> Result<Self, Error> {
        let [kind, words, refusal, annotations] = members_of(raw, ["type", "text", "refusal", "annotations"])?;
        let text = |raw: Option<&'a RawValue>| raw.map_or(Ok(Text::Plain("")), Text::of);
        Ok(match word(kind).as_deref() {
            Some("output_text" | "text") => {
                Self::Text { text: text(words)?, annotations: list(annotations).unwrap_or_default() }
            }
            Some("refusal") => Self::Refusal(text(refusal)?),
            Some("reasoning_text") => Self::Reasoning(text(words)?),
            Some(_) | None => Self::Other,
        })
    }
}

impl MessagePhase {
    /// Returns the word that every client knows.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Answer => "final_answer",
            Self::Commentary => "commentary",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "commentary" | "analysis" => Self::Commentary,
            _ => Self::Answer,
        }
    }
}

fn texts(raw: Option<&RawValue>) -> Result<Vec<Text<'_>>, Error> {
    let mut texts = Vec::new();
    for part in list(raw)? {
        let [text] = members_of(part, ["text"])?;
        texts.extend(text.map(Text::of).transpose()?);
    }
    Ok(texts)
}
