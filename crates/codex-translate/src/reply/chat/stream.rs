//! A Responses event stream as a chat reply.
//!
//! * **Roles and finishes.** One role before everything else, one finish after it, decided at the terminal event.
//! * **Texts.** A text is written as its deltas arrive. Its later repetitions (`….done`, the completed item, the
//!   response's output) only add what continues it; a whole reply has the last of them (`reply/ending.rs`).
//! * **Messages.** A blank line separates messages. Commentary is reasoning; if neither an answer nor a call
//!   follows, it is the answer (docs/features.md R4).
//! * **Tool calls.** A call gets its index when its name is known. The id is the call's id, the name the caller's; a
//!   custom tool's call looks like a function's, with its input unchanged (docs/clients/quirks.md, Cursor).

use super::choice_writer::ChoiceWriter;
use super::items::ChatItems;
use super::last_texts::LastTexts;
use crate::chat::DeltaSink;
use crate::error::{Error, ErrorKind};
use crate::json::{self, Text};
use crate::outcome::{Finish, Flow, Summary};
use crate::plan::ReplyPlan;
use crate::reply::ending::is_blank;
use crate::responses::{
    DeltaReader, Ended, Event, IncompleteReason, ItemBody, OutputItem, RawEvent, TextDelta, TextKind,
};
use crate::usage::Usage;

/// Turns the events of one reply into the deltas of one choice, for embedders that show or frame it themselves.
///
/// It reads deltas, nearly all of a reply, without a general parser, as the pipes do. Chat replies do not mention web
/// searches: to show them, call [`Event::web_search`] on the parsed event and pass it to
/// [`push_parsed`](Self::push_parsed).
///
/// # Example
/// ```
/// use codex_translate::chat::{Delta, DeltaSink, ToolCall};
/// use codex_translate::{ChatStream, Chunk, EventReader, ReplyPlan};
///
/// /// Prints the answer, and gathers the tool calls.
/// #[derive(Default)]
/// struct Terminal { calls: Vec<ToolCall> }
///
/// impl DeltaSink for Terminal {
///     fn delta(&mut self, delta: Delta<'_>) {
///         self.calls.delta(delta);
///         if let Delta::Content(text) = delta { print!("{text}") }
///     }
/// }
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hey!"}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"id":"resp_1","status":"completed"}}"#, "\n\n",
/// # );
/// let (mut reader, mut terminal) = (EventReader::new(), Terminal::default());
/// let mut stream = ChatStream::new(&ReplyPlan::new("gpt-5.5"));
/// for bytes in events.as_bytes().chunks(16) {
///     let _flow = reader.read(&Chunk::Bytes(bytes), |event| stream.push(event, &mut terminal))?;
/// }
/// assert_eq!(stream.finish()?.finish.as_str(), "stop");
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ChatStream {
    pub(super) state: ChatState,
    deltas: DeltaReader,
    pub(super) items: ChatItems,
    pub(super) writer: ChoiceWriter,
    pub(super) last: LastTexts,
    /// Writes a whole reply, once all of it is known; `None` for a stream.
    pub(super) whole: Option<Box<ChoiceWriter>>,
}

/// The state of the reply.
///
/// ```text
///        events                 terminal event or limit
/// Open ─────────▶ Open ─────────────────────────────────▶ Closed(Ok)
///   │ failure, or something that cannot be
///   └────────────────────────────────────────────────────▶ Closed(Err)
/// ```
/// `Closed` is final: later events are ignored.
#[derive(Clone, Debug)]
pub(super) enum ChatState {
    Open,
    Closed(Result<Summary, Error>),
}

impl ChatStream {
    /// Starts the reply that `plan` describes.
    pub fn new(plan: &ReplyPlan) -> Self {
        Self {
            state: ChatState::Open,
            deltas: DeltaReader::default(),
            items: ChatItems::default(),
            writer: ChoiceWriter::new(plan),
            last: LastTexts::new(plan),
            whole: None,
        }
    }

    /// Starts a whole reply, which [`write_whole`](Self::write_whole) writes at its end. Until then the sink only
    /// stands for the caller's limits.
    pub(super) fn whole(plan: &ReplyPlan) -> Self {
        Self { whole: Some(Box::new(ChoiceWriter::new(plan))), ..Self::new(plan) }
    }

    /// Processes the next event. After [`Flow::Done`], call [`finish`](Self::finish).
    ///
    /// # Errors
    /// The turn failed: tell the client, and drop upstream. Every later call fails in the same way.
    pub fn push(&mut self, event: RawEvent<'_>, sink: &mut impl DeltaSink) -> Result<Flow, Error> {
        if let ChatState::Closed(outcome) = &self.state {
            return outcome.clone().map(|_| Flow::Done);
        }
        let taken = match self.deltas.read(event.json()) {
            Some(delta) => self.take(&delta.event(), sink),
            None => self.parse_and_take(event, sink),
        };
        self.record(taken)
    }

    /// Processes an event that the caller has parsed for a purpose of its own. [`push`](Self::push) is faster.
    ///
    /// # Errors
    /// As for [`push`](Self::push).
    pub fn push_parsed(&mut self, event: &Event<'_>, sink: &mut impl DeltaSink) -> Result<Flow, Error> {
        if let ChatState::Closed(outcome) = &self.state {
            return outcome.clone().map(|_| Flow::Done);
        }
        let taken = self.take(event, sink);
        self.record(taken)
    }

    /// Ends the reply with `error`, because upstream cannot be read any further. A reply that has ended does not
    /// change.
    pub fn fail(&mut self, error: Error) {
        if let ChatState::Open = self.state {
            self.state = ChatState::Closed(Err(error));
        }
    }

    /// Returns how the reply ended.
    ///
    /// # Errors
    /// It failed, or has no terminal event: the client must learn that the reply is incomplete.
    pub fn finish(&self) -> Result<Summary, Error> {
        match &self.state {
            ChatState::Open => Err(Error::truncated()),
            ChatState::Closed(outcome) => outcome.clone(),
        }
    }

    /// Records whether the reply has ended with the last event.
    fn record(&mut self, taken: Result<Option<Summary>, Error>) -> Result<Flow, Error> {
        let outcome = match taken {
            Ok(None) => return Ok(Flow::Continue),
            Ok(Some(summary)) => Ok(summary),
            Err(error) => Err(error),
        };
        self.state = ChatState::Closed(outcome.clone());
        outcome.map(|_| Flow::Done)
    }

    fn parse_and_take(&mut self, event: RawEvent<'_>, sink: &mut impl DeltaSink) -> Result<Option<Summary>, Error> {
        self.take(&Event::parse(&json::replace_lone_surrogates(event.json()))?, sink)
    }

    /// Processes an event; returns the summary if the reply ends with it.
    fn take(&mut self, event: &Event<'_>, sink: &mut impl DeltaSink) -> Result<Option<Summary>, Error> {
        let cut = match event {
            Event::Delta(piece) => self.push_text(piece, sink)?,
            Event::Done(piece) | Event::PartDone(piece) => self.finish_text(piece, sink)?,
            Event::CallDelta { output_index, arguments } => self.push_arguments(*output_index, *arguments, sink)?,
            Event::CallDone { output_index, arguments } => self.finish_arguments(*output_index, *arguments, sink)?,
            Event::ItemAdded { output_index, item } => self.item(*output_index, item, ItemEvent::Added, sink)?,
            Event::ItemDone { output_index, item } => self.item(*output_index, item, ItemEvent::Done, sink)?,
            Event::Annotation { output_index, part, annotation } => {
                let writer = &self.writer;
                let offset = |phase| writer.offset_of(*output_index, phase);
                let (phase, progress) = self.items.text(*output_index, TextKind::Text, *part, offset)?;
                progress.annotations += 1;
                let offset = progress.offset;
                self.writer.push_citation(annotation, *output_index, phase, offset, sink);
                if self.whole.is_some() {
                    progress.kept.push((*annotation).to_owned());
                    self.items.grow(annotation.get().len())?;
                }
                None
            }
            Event::Completed(ended) => return self.finish_complete(ended, sink).map(Some),
            Event::Incomplete(ended, reason) => return self.finish_incomplete(ended, reason, sink).map(Some),
            Event::Failed(error) => return Err(error.clone()),
            Event::Opened | Event::WebSearch { .. } | Event::Other(_) => None,
        };
        Ok(cut.map(|finish| self.summary(finish, self.writer.limited_usage())))
    }

    /// Ends a reply, which is complete if its calls are.
    fn finish_complete(&mut self, ended: &Ended<'_>, sink: &mut impl DeltaSink) -> Result<Summary, Error> {
        let cut = match self.output(ended, ItemEvent::Done, sink)? {
            None => self.fill_calls(sink)?,
            cut => cut,
        };
        if cut.is_none() && self.items.has_cut_call() {
            return Err(Error::new(ErrorKind::Truncated, "the reply ended in the middle of a tool call"));
        }
        let finish = cut.or_else(|| self.writer.finish(sink)).unwrap_or_else(|| self.writer.natural_finish());
        Ok(self.summary(finish, ended.usage))
    }

    /// Ends a reply that upstream has ended early, for `reason`.
    fn finish_incomplete(
        &mut self,
        ended: &Ended<'_>,
        reason: &IncompleteReason,
        sink: &mut impl DeltaSink,
    ) -> Result<Summary, Error> {
        let cut = match self.output(ended, ItemEvent::Listed, sink)? {
            None => self.fill_calls(sink)?,
            cut => cut,
        };
        if !reason.is_given() && !self.items.has_content(|kind| self.writer.shows(kind)) {
            return Err(Error::ended_without_reason());
        }
        let finish = match reason {
            IncompleteReason::ContentFilter => Finish::ContentFilter,
            // An unknown reason is a limit as well: the answer is incomplete.
            IncompleteReason::MaxOutputTokens | IncompleteReason::Other(_) => Finish::Length,
        };
        let finish = cut.or_else(|| self.writer.finish(sink)).unwrap_or(finish);
        Ok(self.summary(finish, ended.usage))
    }

    fn summary(&self, finish: Finish, usage: Option<Usage>) -> Summary {
        Summary { finish, usage, revised: self.items.revised() }
    }

    /// Writes what is in the response's output and was in no earlier event.
    fn output(
        &mut self,
        ended: &Ended<'_>,
        event: ItemEvent,
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        let indexes = self.items.match_items(&ended.output)?;
        for (index, item) in indexes.into_iter().zip(&ended.output) {
            if let Some(finish) = self.item(index, item, event, sink)? {
                return Ok(Some(finish));
            }
        }
        Ok(None)
    }

    fn item(
        &mut self,
        index: u64,
        item: &OutputItem<'_>,
        event: ItemEvent,
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        let index = self.items.note(index, item)?;
        match &item.body {
            ItemBody::Message { content, .. } => self.message(index, content, sink),
            ItemBody::Reasoning { summary, content } => {
                for (text_kind, texts) in [(TextKind::Summary, summary), (TextKind::Reasoning, content)] {
                    for (part, text) in (0..).zip(texts) {
                        let piece = TextDelta { text_kind, output_index: index, part, text: *text };
                        if let Some(finish) = self.finish_text(&piece, sink)? {
                            return Ok(Some(finish));
                        }
                    }
                }
                Ok(None)
            }
            ItemBody::Call { call_id, name, arguments, .. } => {
                if let (Some(call_id), Some(name)) = (call_id, name) {
                    self.announce(index, call_id, name, sink)?;
                }
                let arguments = arguments.unwrap_or(Text::Plain(""));
                match event {
                    ItemEvent::Added => Ok(None),
                    // The backend may have listed it before its end.
                    ItemEvent::Listed if is_blank(arguments) => Ok(None),
                    ItemEvent::Listed => self.finish_arguments(index, arguments, sink),
                    ItemEvent::Done => match self.finish_arguments(index, arguments, sink)? {
                        None => self.fill_call(index, sink),
                        cut => Ok(cut),
                    },
                }
            }
            ItemBody::Image { result, format } => {
                let format = format.as_deref().unwrap_or_default();
                if let Some(result) = result.filter(|result| self.items.show_image(index, *result)) {
                    self.writer.push_image(format, result, sink);
                    if self.whole.is_some() {
                        self.items.keep_image(index, format, result)?;
                    }
                }
                Ok(None)
            }
            ItemBody::WebSearch { .. } | ItemBody::Other(_) => Ok(None),
        }
    }
}

/// The event that an item is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ItemEvent {
    Added,
    Done,
    /// An event that ends the whole reply early.
    Listed,
}
