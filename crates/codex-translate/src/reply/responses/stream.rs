//! A Responses event stream, repaired.
//!
//! Events are passed on unchanged, including unknown members, except for what clients cannot handle (docs/backend.md
//! §3.3, docs/clients/quirks.md, openai-python and the AI SDK):
//!
//! * `keepalive` is dropped, unless the plan says that the client reads it, `response.created` comes first, older names
//!   of events are updated;
//! * sequence numbers and output indexes have no gaps;
//! * an item, a part or an end that upstream leaves out is added, and a text without deltas also becomes a delta;
//! * an end that does not continue its deltas says what they said, or is an error if it belongs to a call;
//! * repetitions, and events after the end of what they belong to, are dropped;
//! * the last event holds the whole output, which upstream leaves empty;
//! * model and tools have the caller's names, and phases the two words that SDKs know;
//! * a token limit, which upstream does not accept, ends the reply as incomplete.
//!
//! Nothing is written before an event shows that the turn has started, or before [`ResponseStream::release`], so a
//! rejected turn can still be answered with a status (docs/features.md R8).

use super::output::Output;
use super::response::{Response, Template};
use super::writer::{KEEPALIVE, Writer};
use crate::error::Error;
use crate::json::{self, ObjectEdit};
use crate::outcome::{Finish, Flow, ReplyId, Summary};
use crate::plan::{KeepaliveStyle, ReplyPlan};
use crate::reply::ending::cut_call;
use crate::reply::event_buffer::EventBuffer;
use crate::reply::limit::OutputLimiter;
use crate::reply::sink::EventSink;
use crate::responses::{DeltaReader, Ended, Envelope, Event, IncompleteReason, ItemKind, RawEvent};
use crate::tool_names::ToolNames;
use crate::usage::Usage;

/// Turns the events of one reply into events that any client can read, and into one whole response.
///
/// It reads deltas, nearly all of a reply, without a general parser, as the pipes do.
///
/// # Example
/// ```
/// use codex_translate::{Chunk, EventReader, EventSink, ReplyId, ReplyPlan, ResponseStream};
///
/// /// Counts events by the end of their type.
/// #[derive(Default)]
/// struct Counter { deltas: usize, others: usize }
///
/// impl EventSink for Counter {
///     fn event(&mut self, kind: &str, _json: &[&str]) {
///         if kind.ends_with(".delta") { self.deltas += 1 } else { self.others += 1 }
///     }
/// }
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hey!"}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"id":"resp_1","status":"completed"}}"#, "\n\n",
/// # );
/// let reply_id = ReplyId { id: "resp_0".to_owned(), created: 1_750_000_000 };
/// let mut stream = ResponseStream::new(&ReplyPlan::new("gpt-5.5"), &reply_id);
/// let mut counter = Counter::default();
/// let _done = EventReader::new().read(&Chunk::Bytes(events), |event| stream.push(event, &mut counter))?;
/// // What the backend has left out was added: the item, its part, and the ends of both.
/// assert_eq!((counter.deltas, counter.others), (1, 7));
/// assert_eq!(stream.into_response()?.text(), "Hey!");
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResponseStream {
    pub(super) state: StreamState,
    deltas: DeltaReader,
    pub(super) writer: Writer,
    pub(super) output: Output,
    pub(super) template: Template,
    /// The response to be stored, if it is another than the client's.
    pub(super) stored: Option<String>,
    pub(super) tools: ToolNames,
    /// Whether the client knows every word for a message's phase.
    pub(super) keep_phases: bool,
    /// Whether the client reads encrypted reasoning.
    pub(super) encrypted_reasoning: bool,
    pub(super) keepalive: KeepaliveStyle,
    /// Whether the first events are held back until the first output.
    pub(super) is_held: bool,
    pub(super) limiter: Option<OutputLimiter>,
    /// Whether the client gets only the whole response.
    pub(super) is_whole: bool,
    /// Of a whole response, the limiter as it was at the beginning.
    pub(super) fresh_limiter: Option<OutputLimiter>,
    /// The text whose end the limiter may hold back: the item's place, and the part.
    pub(super) held: Option<(usize, u64)>,
    /// Why the reply ends after its next item, if it does.
    pub(super) stop_reason: Option<&'static str>,
}

/// The state of the reply.
///
/// ```text
///     first event after the prelude, or release      terminal event or limit
/// Buffering ──────────────────────────────────▶ Open ────────────────────────▶ Closed(Ok)
///    │ failure                                    │ failure
///    └──────────────────┬─────────────────────────┘
///                       ▼            write_error
///                     Failed ───────────────────────────────────────────────▶ Closed(Err)
/// ```
/// `Closed` is final: later events are ignored.
#[derive(Clone, Debug)]
pub(super) enum StreamState {
    /// Nothing was written; contains the events so far.
    Buffering(EventBuffer),
    Open,
    /// The failure has not been written. Contains the events so far if nothing was written.
    Failed(Error, Option<EventBuffer>),
    /// The last event was written.
    Closed(Result<Summary, Error>),
}

impl ResponseStream {
    /// Starts the reply that `plan` describes; `reply_id` is used where upstream gives neither id nor time.
    pub fn new(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        Self {
            state: StreamState::Buffering(EventBuffer::default()),
            deltas: DeltaReader::default(),
            writer: Writer::default(),
            output: Output::default(),
            template: Template::new(plan, reply_id),
            stored: None,
            tools: plan.tools.clone(),
            keep_phases: plan.keep_phases,
            encrypted_reasoning: plan.encrypted_reasoning,
            keepalive: plan.keepalive,
            is_held: true,
            limiter: OutputLimiter::new(plan),
            is_whole: false,
            fresh_limiter: None,
            held: None,
            stop_reason: None,
        }
    }

    /// Starts a reply of which only the whole response is read: it has the last value of each text.
    pub(super) fn whole(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        Self { is_whole: true, fresh_limiter: OutputLimiter::new(plan), ..Self::new(plan, reply_id) }
    }

    /// Processes the next event. After [`Flow::Done`], call [`finish`](Self::finish).
    ///
    /// # Errors
    /// The turn failed: tell the client, with [`write_error`](Self::write_error) if it is too late for a status, and
    /// drop upstream. Every later call fails in the same way.
    pub fn push(&mut self, event: RawEvent<'_>, sink: &mut impl EventSink) -> Result<Flow, Error> {
        match &self.state {
            StreamState::Buffering(_) | StreamState::Open => {}
            StreamState::Failed(error, _) => return Err(error.clone()),
            StreamState::Closed(outcome) => return outcome.clone().map(|_| Flow::Done),
        }
        match self.take(event.json(), sink) {
            Ok(None) => Ok(Flow::Continue),
            Ok(Some(summary)) => {
                self.state = StreamState::Closed(Ok(summary));
                Ok(Flow::Done)
            }
            Err(error) => {
                self.fail(error.clone());
                Err(error)
            }
        }
    }

    /// Ends the reply with `error`, because upstream cannot be read any further. A reply that has ended does not
    /// change.
    pub fn fail(&mut self, error: Error) {
        let prelude = match &mut self.state {
            StreamState::Buffering(prelude) => Some(std::mem::take(prelude)),
            StreamState::Open => None,
            StreamState::Failed(..) | StreamState::Closed(_) => return,
        };
        self.state = StreamState::Failed(error, prelude);
    }

    /// Returns how the reply ended.
    ///
    /// # Errors
    /// It failed, or has no terminal event: the client must learn that the reply is incomplete.
    pub fn finish(&self) -> Result<Summary, Error> {
        match &self.state {
            StreamState::Buffering(_) | StreamState::Open => Err(Error::truncated()),
            StreamState::Failed(error, _) => Err(error.clone()),
            StreamState::Closed(outcome) => outcome.clone(),
        }
    }

    /// Returns the JSON of the whole response to be stored, if the reply has ended well: with the encrypted reasoning,
    /// even if the client does not read it.
    pub fn response(&self) -> Option<&str> {
        let stored = || self.stored.as_deref().unwrap_or_else(|| self.template.json());
        matches!(self.state, StreamState::Closed(Ok(_))).then(stored)
    }

    /// Returns the whole response.
    ///
    /// # Errors
    /// As for [`finish`](Self::finish).
    pub fn into_response(self) -> Result<Response, Error> {
        let summary = self.finish()?;
        Response::new(self.template.into_json(), self.stored, summary)
    }

    /// Writes the event that reports `error` to the client, the last event of the reply; nothing if the reply has
    /// ended.
    pub fn write_error(&mut self, error: &Error, sink: &mut impl EventSink) {
        self.fail(error.clone());
        let StreamState::Failed(_, prelude) = &mut self.state else { return };
        if let Some(prelude) = prelude.take() {
            // A prelude that cannot be written is dropped: the client learns of `error` in any case.
            let _ = self.write_prelude(prelude, None, sink);
        }
        self.template.fail(error, &self.output.to_json());
        self.writer.add("response.failed", &format!("\"response\":{}", self.template.json()), sink);
        self.state = StreamState::Closed(Err(error.clone()));
    }

    /// Processes an event; returns the summary if the reply ends with it.
    fn take(&mut self, json: &str, sink: &mut impl EventSink) -> Result<Option<Summary>, Error> {
        if let Some(delta) = self.deltas.read(json)
            && self.pass_delta(&delta, sink)?
        {
            return Ok(None);
        }
        let json = &*json::replace_lone_surrogates(json);
        let Some(envelope) = Envelope::parse(json)? else { return Ok(None) };
        let kind = envelope.kind();
        let event = envelope.event()?;
        if kind == KEEPALIVE {
            self.pass_keepalive(&envelope, sink);
            return Ok(None);
        }
        // No client can read an event without a type.
        if kind.is_empty() || self.buffer_prelude(&envelope, &event, sink)? {
            return Ok(None);
        }
        if !matches!(event, Event::Delta(_) | Event::Opened) && !is_beside_the_output(&envelope, &event) {
            self.flush(sink)?;
        }
        let is_item_end = matches!(event, Event::ItemDone { .. });
        let cut = match event {
            Event::Opened => {
                self.opened(&envelope, &kind, sink)?;
                None
            }
            Event::ItemAdded { output_index, item } => self.item_added(&envelope, output_index, &item, sink)?,
            Event::ItemDone { output_index, item } => self.item_done(&envelope, output_index, &item, sink)?,
            Event::Delta(piece) => self.delta(&envelope, &piece, sink)?,
            Event::Done(piece) => self.text_done(&envelope, &piece, sink)?,
            Event::CallDelta { output_index, arguments } => {
                self.call_delta(&envelope, output_index, arguments, sink)?
            }
            Event::CallDone { output_index, arguments } => self.call_done(&envelope, output_index, arguments, sink)?,
            Event::Annotation { output_index, part, annotation } => {
                self.annotation(&envelope, output_index, part, annotation, sink)?
            }
            Event::Completed(ended) => return self.complete(&envelope, &ended, None, sink).map(Some),
            Event::Incomplete(ended, reason) => {
                return self.complete(&envelope, &ended, Some(&reason), sink).map(Some);
            }
            Event::Failed(error) => {
                self.template.read(envelope.response, &self.tools)?;
                return Err(error);
            }
            Event::PartDone(_) | Event::WebSearch { .. } | Event::Other(_) => self.other(&envelope, &kind, sink)?,
        };
        match cut {
            Some(finish) => self.cut(finish, None, sink).map(Some),
            None if is_item_end => Ok(self.stop_here(sink)),
            None => Ok(None),
        }
    }

    /// Ends the reply with upstream's terminal event: ends what is open, and adds the output.
    fn complete(
        &mut self,
        envelope: &Envelope<'_>,
        ended: &Ended<'_>,
        reason: Option<&IncompleteReason>,
        sink: &mut impl EventSink,
    ) -> Result<Summary, Error> {
        let is_interrupted = reason.is_some_and(IncompleteReason::is_interruption);
        let mut cut = self.take_output(ended, reason.is_none(), sink)?;
        if cut.is_none() && !is_interrupted {
            cut = self.fill_calls(sink)?;
        }
        if cut.is_none() && reason.is_none() && self.output.has_cut_call() {
            return Err(cut_call());
        }
        self.template.read(envelope.response, &self.tools)?;
        if reason.is_some_and(|reason| !reason.is_given()) && !self.output.has_content() {
            return Err(Error::ended_without_reason());
        }
        if let Some(finish) = cut {
            return self.cut(finish, ended.usage, sink);
        }
        let (kind, status) = match reason {
            None => ("response.completed", "completed"),
            Some(_) => ("response.incomplete", "incomplete"),
        };
        // Of an interrupted response, what is not finished is discarded (docs/backend.md §4).
        if !is_interrupted {
            self.finish_open_items(status, sink)?;
        }
        self.template.end(status, &self.output.to_json());
        self.settle();
        let mut edit = ObjectEdit::new(envelope.json);
        edit.set("response", envelope.response, self.template.json());
        self.writer.pass(envelope, kind, None, edit, sink);
        let finish = match reason {
            None => self.natural_finish(),
            Some(IncompleteReason::ContentFilter) => Finish::ContentFilter,
            Some(IncompleteReason::MaxOutputTokens | IncompleteReason::Other(_)) => Finish::Length,
        };
        Ok(self.summary(finish, ended.usage))
    }

    /// Ends the reply at the caller's limit; upstream is no longer needed. `usage` is upstream's, if it is known.
    fn cut(&mut self, finish: Finish, usage: Option<Usage>, sink: &mut impl EventSink) -> Result<Summary, Error> {
        let (kind, status) = match finish {
            Finish::Length => ("response.incomplete", "incomplete"),
            Finish::Stop | Finish::ToolCalls | Finish::FunctionCall | Finish::ContentFilter => {
                ("response.completed", "completed")
            }
        };
        self.finish_open_items(status, sink)?;
        let usage = usage.or_else(|| self.limiter.as_ref().map(OutputLimiter::usage));
        self.template.cut(status, usage.as_ref(), &self.output.to_json());
        self.settle();
        self.writer.add(kind, &format!("\"response\":{}", self.template.json()), sink);
        Ok(self.summary(finish, usage))
    }

    pub(super) fn summary(&self, finish: Finish, usage: Option<Usage>) -> Summary {
        Summary { finish, usage, revised: self.output.revised() }
    }

    /// Decides what is stored, and tells the client if the response is too large for it.
    pub(super) fn settle(&mut self) {
        self.stored = self.template.settle(self.output.to_stored_json().as_deref());
    }

    fn natural_finish(&self) -> Finish {
        let calls = self.output.items().iter().any(|item| matches!(item.kind, ItemKind::Call(_)));
        if calls { Finish::ToolCalls } else { Finish::Stop }
    }
}

/// Returns whether an event is not about what the model generates.
fn is_beside_the_output(envelope: &Envelope<'_>, event: &Event<'_>) -> bool {
    matches!(event, Event::WebSearch { .. } | Event::Other(_)) && envelope.output_index.is_none()
}
