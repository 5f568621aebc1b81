//! Events of a reply's stream (docs/backend.md §3.4).

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::output::{ItemBody, OutputItem, OutputPart};
use super::raw_event::RawEvent;
use super::text_kind::TextKind;
use super::web_search::{WebSearch, WebSearchStatus};
use crate::backend::FaultReport;
use crate::error::{Error, ErrorKind};
use crate::json::{Text, list, members, members_of, number, present, word};
use crate::usage::Usage;

/// One event, as far as replies depend on it.
///
/// Everything borrows from the event's JSON. An event of an unknown type is not an error but [`Event::Other`], with its
/// JSON. Ignore the variants that you do not use, and those of later versions of this crate, with `_ => {}`.
///
/// # Example
/// ```
/// use codex_translate::responses::Event;
///
/// let json = r#"{"type":"response.output_item.done","output_index":0,"item":{"id":"ws_1","type":"web_search_call",
///     "status":"completed","action":{"type":"search","query":"weather oslo"}}}"#;
/// let event = Event::parse(json)?;
/// let query = event.web_search().and_then(|search| search.query());
/// assert_eq!(query.map(|query| query.to_string()).as_deref(), Some("weather oslo"));
///
/// let json = r#"{"type":"codex.rate_limits","plan_type":"plus"}"#;
/// assert!(matches!(Event::parse(json)?, Event::Other(event) if event.json() == json));
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// `response.created`, `.in_progress` or `.queued`: the turn has begun.
    Opened,
    /// `response.output_item.added`
    ItemAdded {
        /// The item's place in the output.
        output_index: u64,
        /// The item, usually still empty.
        item: OutputItem<'a>,
    },
    /// `response.output_item.done`
    ItemDone {
        /// The item's place in the output.
        output_index: u64,
        /// The completed item.
        item: OutputItem<'a>,
    },
    /// An addition to a text.
    Delta(TextDelta<'a>),
    /// The whole text.
    Done(TextDelta<'a>),
    /// The end of a part, with its whole text.
    PartDone(TextDelta<'a>),
    /// An addition to the arguments of a call.
    CallDelta {
        /// The call's place in the output.
        output_index: u64,
        /// The addition to the arguments, or to the input of a custom tool.
        arguments: Text<'a>,
    },
    /// The whole arguments of a call.
    CallDone {
        /// The call's place in the output.
        output_index: u64,
        /// The arguments, or the input of a custom tool.
        arguments: Text<'a>,
    },
    /// `response.output_text.annotation.added`
    Annotation {
        /// The message's place in the output.
        output_index: u64,
        /// The text's place in the message.
        part: u64,
        /// The annotation.
        annotation: &'a RawValue,
    },
    /// `response.completed`
    Completed(Ended<'a>),
    /// `response.incomplete`
    Incomplete(Ended<'a>, IncompleteReason),
    /// `response.failed` or `error`: the error for the client.
    Failed(Error),
    /// `response.web_search_call.*`: the progress of a web search. [`Event::web_search`] reads it together with the
    /// events of the search's item.
    WebSearch {
        /// The search's place in the output.
        output_index: u64,
        /// The id of the search's item; empty if the event has none.
        item_id: Cow<'a, str>,
        /// How far the search is.
        status: WebSearchStatus<'a>,
    },
    /// An event of another type, or of an unknown form, with its JSON.
    Other(RawEvent<'a>),
}

/// A text, or an addition to it, and where it belongs.
#[derive(Clone, Copy, Debug)]
pub struct TextDelta<'a> {
    /// The kind of text.
    pub text_kind: TextKind,
    /// The item's place in the output.
    pub output_index: u64,
    /// The text's place in the item: `content_index` or `summary_index`.
    pub part: u64,
    /// The text.
    pub text: Text<'a>,
}

/// The response object of a terminal event.
#[derive(Clone, Debug)]
pub struct Ended<'a> {
    /// The turn's usage.
    pub usage: Option<Usage>,
    /// The output; empty since April 2026, so it must be built from the items (docs/backend.md §3.3).
    pub output: Vec<OutputItem<'a>>,
}

/// Why a reply is incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncompleteReason {
    /// `max_output_tokens`
    MaxOutputTokens,
    /// `content_filter`
    ContentFilter,
    /// An unknown reason; empty if the backend gives none.
    Other(String),
}

impl IncompleteReason {
    /// Returns whether there is a reason at all.
    pub fn is_given(&self) -> bool {
        !matches!(self, Self::Other(reason) if reason.is_empty())
    }

    /// Returns whether the client has interrupted the response.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Other(reason) if reason == "interrupted")
    }
}

impl<'a> Event<'a> {
    /// Parses an event's JSON.
    ///
    /// # Errors
    /// It is not JSON, or a member that replies depend on has the wrong type: the rest of the reply cannot be trusted.
    pub fn parse(json: &'a str) -> Result<Self, Error> {
        match Envelope::parse(json)? {
            Some(envelope) => envelope.event(),
            None => Ok(Self::Other(RawEvent::new(json))),
        }
    }

    /// Returns whether no further event belongs to the reply.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Completed(_) | Self::Incomplete(..) | Self::Failed(_))
    }

    /// Returns what the event says about a web search; `None` for events about anything else.
    ///
    /// A search has several events: its item is added, its progress is reported, and its item is done. The last one has
    /// the query.
    pub fn web_search(&self) -> Option<WebSearch<'a>> {
        match self {
            Self::WebSearch { output_index, item_id, status } => Some(WebSearch {
                output_index: *output_index,
                item_id: item_id.clone(),
                status: status.clone(),
                action: None,
            }),
            Self::ItemAdded { output_index, item } | Self::ItemDone { output_index, item } => match &item.body {
                ItemBody::WebSearch { status, action } => Some(WebSearch {
                    output_index: *output_index,
                    item_id: item.id.clone(),
                    status: status.clone(),
                    action: action.clone(),
                }),
                ItemBody::Message { .. }
                | ItemBody::Reasoning { .. }
                | ItemBody::Call { .. }
                | ItemBody::Image { .. }
                | ItemBody::Other(_) => None,
            },
            Self::Opened
            | Self::Delta(_)
            | Self::Done(_)
            | Self::PartDone(_)
            | Self::CallDelta { .. }
            | Self::CallDone { .. }
            | Self::Annotation { .. }
            | Self::Completed(_)
            | Self::Incomplete(..)
            | Self::Failed(_)
            | Self::Other(_) => None,
        }
    }
}

impl<'a> RawEvent<'a> {
    /// Parses the event. [`EventParser`](super::EventParser) does it faster for all events of a reply.
    ///
    /// # Errors
    /// The same as for [`Event::parse`].
    pub fn parse(self) -> Result<Event<'a>, Error> {
        Event::parse(self.json())
    }
}

/// An event's members, unparsed.
#[derive(Clone, Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) json: &'a str,
    pub(crate) kind: Option<&'a RawValue>,
    pub(crate) sequence_number: Option<&'a RawValue>,
    pub(crate) output_index: Option<&'a RawValue>,
    pub(crate) content_index: Option<&'a RawValue>,
    pub(crate) summary_index: Option<&'a RawValue>,
    pub(crate) item: Option<&'a RawValue>,
    pub(crate) item_id: Option<&'a RawValue>,
    pub(crate) response: Option<&'a RawValue>,
    pub(crate) part: Option<&'a RawValue>,
    pub(crate) delta: Option<&'a RawValue>,
    pub(crate) name: Option<&'a RawValue>,
    pub(crate) text: Option<&'a RawValue>,
    pub(crate) refusal: Option<&'a RawValue>,
    pub(crate) arguments: Option<&'a RawValue>,
    pub(crate) input: Option<&'a RawValue>,
    annotation: Option<&'a RawValue>,
}

/// The keys of [`Envelope`], in the order of its fields.
const KEYS: [&str; 16] = [
    "type",
    "sequence_number",
    "output_index",
    "content_index",
    "summary_index",
    "item",
    "item_id",
    "response",
    "part",
    "delta",
    "name",
    "text",
    "refusal",
    "arguments",
    "input",
    "annotation",
];

impl<'a> Envelope<'a> {
    /// Finds an event's members; `None` for data that is not an event: no data, or `[DONE]` of the public chat API.
    pub(crate) fn parse(json: &'a str) -> Result<Option<Self>, Error> {
        if matches!(json.trim_ascii(), "" | "[DONE]") {
            return Ok(None);
        }
        let [
            kind,
            sequence_number,
            output_index,
            content_index,
            summary_index,
            item,
            item_id,
            response,
            part,
            delta,
            name,
            text,
            refusal,
            arguments,
            input,
            annotation,
        ] = members(json, KEYS)?;
        Ok(Some(Self {
            json,
            kind,
            sequence_number,
            output_index,
            content_index,
            summary_index,
            item,
            item_id,
            response,
            part,
            delta,
            name,
            text,
            refusal,
            arguments,
            input,
            annotation,
        }))
    }

    /// Returns the event's type; empty if it has none.
    pub(crate) fn kind(&self) -> Cow<'a, str> {
        word(self.kind).unwrap_or_default()
    }

    /// Parses the event.
    pub(crate) fn event(&self) -> Result<Event<'a>, Error> {
        let kind = self.kind();
        let piece = |text_kind, part, text| self.piece(text_kind, part, text);
        Ok(match &*kind {
            "response.output_text.delta" | "response.text.delta" => {
                Event::Delta(piece(TextKind::Text, self.content_index, self.delta)?)
            }
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                Event::CallDelta { output_index: number(self.output_index)?, arguments: text(self.delta)? }
            }
            "response.reasoning_summary_text.delta" => {
                Event::Delta(piece(TextKind::Summary, self.summary_index, self.delta)?)
            }
            "response.reasoning_text.delta" => {
                Event::Delta(piece(TextKind::Reasoning, self.content_index, self.delta)?)
            }
            "response.refusal.delta" => Event::Delta(piece(TextKind::Refusal, self.content_index, self.delta)?),
            "response.output_text.done" | "response.text.done" => {
                Event::Done(piece(TextKind::Text, self.content_index, self.text)?)
            }
            "response.reasoning_summary_text.done" => {
                Event::Done(piece(TextKind::Summary, self.summary_index, self.text)?)
            }
            "response.reasoning_text.done" => Event::Done(piece(TextKind::Reasoning, self.content_index, self.text)?),
            "response.refusal.done" => Event::Done(piece(TextKind::Refusal, self.content_index, self.refusal)?),
            "response.function_call_arguments.done" => {
                Event::CallDone { output_index: number(self.output_index)?, arguments: text(self.arguments)? }
            }
            "response.custom_tool_call_input.done" => {
                Event::CallDone { output_index: number(self.output_index)?, arguments: text(self.input)? }
            }
            "response.output_item.added" => match present(self.item) {
                Some(item) => {
                    Event::ItemAdded { output_index: number(self.output_index)?, item: OutputItem::read(item)? }
                }
                None => self.other(),
            },
            "response.output_item.done" => match present(self.item) {
                Some(item) => {
                    Event::ItemDone { output_index: number(self.output_index)?, item: OutputItem::read(item)? }
                }
                None => self.other(),
            },
            "response.output_text.annotation.added" => match present(self.annotation) {
                Some(annotation) => Event::Annotation {
                    output_index: number(self.output_index)?,
                    part: number(self.content_index)?,
                    annotation,
                },
                None => self.other(),
            },
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                self.part_done(&kind).map_or_else(|| self.other(), Event::PartDone)
            }
            "response.created" | "response.in_progress" | "response.queued" => Event::Opened,
            "response.completed"
            | "response.incomplete"
            | "response.failed"
            | "response.done"
            | "response.cancelled" => self.ended(&kind)?,
            "error" => Event::Failed(self.fault()),
            _ => self.web_search(&kind).unwrap_or_else(|| self.other()),
        })
    }

    /// Returns the event as it is.
    fn other(&self) -> Event<'a> {
        Event::Other(RawEvent::new(self.json))
    }

    /// Returns the progress of a web search. An event of an unknown form is left as it is, because no reply depends on
    /// it.
    fn web_search(&self, kind: &Cow<'a, str>) -> Option<Event<'a>> {
        let status = WebSearchStatus::of_event(kind)?;
        let item_id = word(self.item_id).unwrap_or_default();
        Some(Event::WebSearch { output_index: number(self.output_index).ok()?, item_id, status })
    }

    fn piece(
        &self,
        text_kind: TextKind,
        part: Option<&'a RawValue>,
        raw: Option<&'a RawValue>,
    ) -> Result<TextDelta<'a>, Error> {
        Ok(TextDelta { text_kind, output_index: number(self.output_index)?, part: number(part)?, text: text(raw)? })
    }

    /// Returns the text of a part at its end; `None` for a part of another kind or form.
    fn part_done(&self, kind: &str) -> Option<TextDelta<'a>> {
        let part = present(self.part)?;
        let (text_kind, part, text) = if kind.contains("summary") {
            let [text] = members_of(part, ["text"]).ok()?;
            (TextKind::Summary, self.summary_index, text.map_or(Some(Text::Plain("")), |text| Text::of(text).ok())?)
        } else {
            match OutputPart::read(part).ok()? {
                OutputPart::Text { text, .. } => (TextKind::Text, self.content_index, text),
                OutputPart::Refusal(text) => (TextKind::Refusal, self.content_index, text),
                OutputPart::Reasoning(text) => (TextKind::Reasoning, self.content_index, text),
                OutputPart::Other => return None,
            }
        };
        Some(TextDelta { text_kind, output_index: number(self.output_index).ok()?, part: number(part).ok()?, text })
    }

    /// Parses a terminal event by its type, or by the response's status if that says how it ended: `response.done` says
    /// it only there (docs/backend.md §3.1), and a gateway may end every response with `response.completed`.
    fn ended(&self, kind: &str) -> Result<Event<'a>, Error> {
        let keys = ["status", "incomplete_details", "output", "usage"];
        let [status, details, output, usage] =
            present(self.response).map_or(Ok([None; 4]), |response| members_of(response, keys))?;
        let status = match kind {
            "response.done" => word(status).unwrap_or(Cow::Borrowed("completed")),
            "response.completed" => word(status)
                .filter(|status| matches!(&**status, "failed" | "incomplete" | "cancelled"))
                .unwrap_or(Cow::Borrowed("completed")),
            kind => Cow::Borrowed(kind.trim_start_matches("response.")),
        };
        let ended = || -> Result<_, Error> {
            let output = list(output)?.into_iter().map(OutputItem::read).collect::<Result<_, _>>()?;
            Ok(Ended { usage: usage.and_then(Usage::read), output })
        };
        Ok(match &*status {
            "completed" => Event::Completed(ended()?),
            "incomplete" => {
                let [reason] = details.map_or(Ok([None]), |details| members_of(details, ["reason"]))?;
                Event::Incomplete(ended()?, IncompleteReason::from_word(&word(reason).unwrap_or_default()))
            }
            "cancelled" => Event::Failed(Error::new(ErrorKind::Server, "the backend cancelled the turn")),
            _ => Event::Failed(self.fault()),
        })
    }

    /// Returns the fault that the event reports.
    fn fault(&self) -> Error {
        FaultReport::parse(self.json.as_bytes()).into_error()
    }
}

impl IncompleteReason {
    /// Returns the reason with the name `word`.
    pub fn from_word(word: &str) -> Self {
        match word {
            "max_output_tokens" => Self::MaxOutputTokens,
            "content_filter" => Self::ContentFilter,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// Returns a text; empty if there is none.
fn text(raw: Option<&RawValue>) -> Result<Text<'_>, Error> {
    present(raw).map_or(Ok(Text::Plain("")), Text::of)
}
