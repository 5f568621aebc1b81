//! A Responses event stream as the same, repaired.
//!
//! Events go on as they came, with whatever is in them, known here or not. What is changed is what clients trip over (docs/backend.md
//! §3.3, docs/clients/quirks.md, openai-python and the AI SDK):
//!
//! * `keepalive` is left out, `response.created` comes first, older names of events are brought up to date;
//! * sequence numbers and output indexes are without gaps;
//! * an item, a part or an end that upstream has not announced is announced, and a text that came whole comes as a delta too;
//! * what comes a second time, or after the end of what it belongs to, is left out;
//! * the last event holds the whole output, which upstream leaves empty;
//! * model and tools are called what the caller calls them, and phases by the two words that SDKs know;
//! * a limit of tokens, which upstream does not take, ends the reply as incomplete.
//!
//! Nothing goes out before the first event that says how the turn goes: a turn that is refused at once can still be answered
//! with a status (docs/features.md R8).

use std::borrow::Cow;

use super::output::{self, Output};
use super::response::{Response, Template};
use super::writer::Writer;
use crate::error::{Error, ErrorKind};
use crate::json::{self, ObjectEdit};
use crate::outcome::{Finish, Flow, ReplyId, Summary};
use crate::plan::ReplyPlan;
use crate::reply::event_buffer::EventBuffer;
use crate::reply::limit::Cutter;
use crate::reply::sink::EventSink;
use crate::responses::{
    DeltaReader, Ended, Envelope, Event, IncompleteReason, ItemBody, ItemKind, OutputItem, RawEvent,
};
use crate::tool_names::ToolNames;
use crate::usage::Usage;

/// Turns the events of one reply into events that any client can read, and into one whole response.
#[derive(Clone, Debug)]
pub struct ResponseStream {
    pub(super) state: State,
    deltas: DeltaReader,
    pub(super) writer: Writer,
    pub(super) output: Output,
    pub(super) template: Template,
    pub(super) tools: ToolNames,
    /// The client knows every word for a message's phase.
    pub(super) keep_phases: bool,
    pub(super) cutter: Option<Cutter>,
    /// The text that the cutter may hold back the end of: the item's place, and the part.
    pub(super) held: Option<(usize, u64)>,
}

/// How far the reply is.
///
/// ```text
///           first event of a turn that goes on       terminal event or cut
/// Opening ──────────────────────────────────▶ Open ────────────────────────▶ Closed(Ok)
///    │ failure                                  │ failure
///    └──────────────────┬───────────────────────┘
///                       ▼            fail
///                     Failed ─────────────────────────────────────────────▶ Closed(Err)
/// ```
/// Nothing leads out of `Closed`: what upstream sends after its end is not read.
#[derive(Clone, Debug)]
pub(super) enum State {
    /// Nothing has gone out; holds what has come.
    Opening(EventBuffer),
    Open,
    /// The client was not told of the failure yet. Holds what has come if nothing has gone out.
    Failed(Error, Option<EventBuffer>),
    /// The last event has gone out.
    Closed(Result<Summary, Error>),
}

impl ResponseStream {
    /// Starts a reply to be written as `plan` says; `reply_id` stands in where upstream names neither id nor time.
    pub fn new(plan: &ReplyPlan, reply_id: &ReplyId) -> Self {
        Self {
            state: State::Opening(EventBuffer::default()),
            deltas: DeltaReader::default(),
            writer: Writer::default(),
            output: Output::default(),
            template: Template::new(plan, reply_id),
            tools: plan.tools.clone(),
            keep_phases: plan.keep_phases,
            cutter: Cutter::new(plan),
            held: None,
        }
    }

    /// Takes the next event. After [`Flow::Done`], call [`finish`](Self::finish).
    ///
    /// # Errors
    /// The turn failed: tell the caller, by [`write_error`](Self::write_error) if a status cannot be sent any more, and let
    /// upstream go. Every later call says the same.
    pub fn push(&mut self, event: RawEvent<'_>, sink: &mut impl EventSink) -> Result<Flow, Error> {
        match &self.state {
            State::Opening(_) | State::Open => {}
            State::Failed(error, _) => return Err(error.clone()),
            State::Closed(outcome) => return outcome.clone().map(|_| Flow::Done),
        }
        match self.take(event.json(), sink) {
            Ok(None) => Ok(Flow::Continue),
            Ok(Some(summary)) => {
                self.state = State::Closed(Ok(summary));
                Ok(Flow::Done)
            }
            Err(error) => {
                self.fail(error.clone());
                Err(error)
            }
        }
    }

    /// Ends the reply with `error`, because upstream cannot be read any further; one that has ended stays as it is.
    pub fn fail(&mut self, error: Error) {
        let early = match &mut self.state {
            State::Opening(early) => Some(std::mem::take(early)),
            State::Open => None,
            State::Failed(..) | State::Closed(_) => return,
        };
        self.state = State::Failed(error, early);
    }

    /// Says how the reply ended.
    ///
    /// # Errors
    /// It failed, or no terminal event has come. The caller must be told that the reply is not whole.
    pub fn finish(&self) -> Result<Summary, Error> {
        match &self.state {
            State::Opening(_) | State::Open => Err(Error::truncated()),
            State::Failed(error, _) => Err(error.clone()),
            State::Closed(outcome) => outcome.clone(),
        }
    }

    /// The whole response of a reply that has ended well, as its JSON.
    pub fn response(&self) -> Option<&str> {
        matches!(self.state, State::Closed(Ok(_))).then(|| self.template.json())
    }

    /// The whole response of a reply that has ended.
    ///
    /// # Errors
    /// As for [`finish`](Self::finish).
    pub fn into_response(self) -> Result<Response, Error> {
        self.finish()?;
        Response::new(self.template.into_json())
    }

    /// Writes the event that tells the client of `error`, the last one of the reply; nothing if the last one has gone out.
    pub fn write_error(&mut self, error: &Error, sink: &mut impl EventSink) {
        self.fail(error.clone());
        let State::Failed(_, early) = &mut self.state else { return };
        if let Some(early) = early.take() {
            // What cannot be read of it was no reply to begin with; the client is told of `error` in any case.
            let _ = self.begin(early, None, sink);
        }
        self.template.fail(error, &self.output.to_json());
        self.writer.add("response.failed", &format!("\"response\":{}", self.template.json()), sink);
        self.state = State::Closed(Err(error.clone()));
    }

    /// Takes an event; the summary if the reply ends with it.
    fn take(&mut self, json: &str, sink: &mut impl EventSink) -> Result<Option<Summary>, Error> {
        if let Some(delta) = self.deltas.read(json)
            && self.pass_delta(&delta, sink)?
        {
            return Ok(None);
        }
        let json = &*json::replaced(json);
        let Some(envelope) = Envelope::parse(json)? else { return Ok(None) };
        let kind = envelope.kind();
        let event = envelope.event()?;
        // An event without a type is none that a client could read.
        if matches!(&*kind, "" | "keepalive") || self.is_early(&envelope, &event, sink)? {
            return Ok(None);
        }
        if !matches!(event, Event::Delta(_) | Event::Opened) && !is_beside_the_output(&envelope, &event) {
            self.flush(sink)?;
        }
        let cut = match event {
            Event::Opened => {
                self.opened(&envelope, &kind, sink)?;
                None
            }
            Event::ItemAdded { output_index, item } => self.item_added(&envelope, output_index, &item, sink)?,
            Event::ItemDone { output_index, item } => self.item_done(&envelope, output_index, &item, sink)?,
            Event::Delta(piece) => self.delta(&envelope, &piece, sink)?,
            Event::Done(piece) => self.text_done(&envelope, &piece, sink)?,
            Event::CallDelta { output_index, payload } => self.call_delta(&envelope, output_index, payload, sink)?,
            Event::CallDone { output_index, payload } => self.call_done(&envelope, output_index, payload, sink)?,
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
            Event::Other(_) => self.other(&envelope, &kind, sink)?,
        };
        match cut {
            Some(finish) => self.cut(finish, None, sink).map(Some),
            None => Ok(None),
        }
    }

    /// The terminal event of upstream: closes what is open, and puts the output in.
    fn complete(
        &mut self,
        envelope: &Envelope<'_>,
        ended: &Ended<'_>,
        reason: Option<&IncompleteReason>,
        sink: &mut impl EventSink,
    ) -> Result<Summary, Error> {
        let cut = self.take_output(ended, sink)?;
        if cut.is_none() && reason.is_none() && self.output.has_cut_call() {
            return Err(Error::new(ErrorKind::Truncated, "the reply ended in the middle of a tool call"));
        }
        self.template.read(envelope.response, &self.tools)?;
        if let Some(finish) = cut {
            return self.cut(finish, ended.usage, sink);
        }
        let (kind, status) = match reason {
            None => ("response.completed", "completed"),
            Some(_) => ("response.incomplete", "incomplete"),
        };
        self.close_items(status, sink)?;
        self.template.end(status, &self.output.to_json());
        let mut edit = ObjectEdit::new(envelope.json);
        edit.set("response", envelope.response, self.template.json());
        self.writer.pass(envelope, kind, None, edit, sink);
        let finish = match reason {
            None => self.natural_finish(),
            Some(IncompleteReason::ContentFilter) => Finish::ContentFilter,
            Some(IncompleteReason::MaxOutputTokens | IncompleteReason::Other(_)) => Finish::Length,
        };
        Ok(Summary { finish, usage: ended.usage })
    }

    /// The caller's own end: the reply is closed here, and upstream is not needed any more. `usage` is what upstream says of
    /// it, if it has come that far.
    fn cut(&mut self, finish: Finish, usage: Option<Usage>, sink: &mut impl EventSink) -> Result<Summary, Error> {
        let (kind, status) = match finish {
            Finish::Length => ("response.incomplete", "incomplete"),
            Finish::Stop | Finish::ToolCalls | Finish::FunctionCall | Finish::ContentFilter => {
                ("response.completed", "completed")
            }
        };
        self.close_items(status, sink)?;
        let usage = usage.or_else(|| self.cutter.as_ref().map(Cutter::usage));
        self.template.cut(status, usage.as_ref(), &self.output.to_json());
        self.writer.add(kind, &format!("\"response\":{}", self.template.json()), sink);
        Ok(Summary { finish, usage })
    }

    fn natural_finish(&self) -> Finish {
        let calls = self.output.items().iter().any(|item| matches!(item.kind, ItemKind::Call(_)));
        if calls { Finish::ToolCalls } else { Finish::Stop }
    }

    /// Takes what stands in the response's output and in no event before it.
    fn take_output(&mut self, ended: &Ended<'_>, sink: &mut impl EventSink) -> Result<Option<Finish>, Error> {
        let indexes = self.output.indexes_of(&ended.output)?;
        for (index, item) in indexes.into_iter().zip(&ended.output) {
            if self.output.place(index).is_none() && is_unnamed(item) {
                self.output.miss(index)?;
                continue;
            }
            let json = self.for_client(item)?;
            let place = self.known(index, || output::beginning_of(&json), sink)?;
            if self.output.is_done(place) {
                continue;
            }
            let json = json.into_owned();
            if let Some(finish) = self.complete_item(place, item, sink)? {
                return Ok(Some(finish));
            }
            self.end_item(place, json, sink)?;
        }
        Ok(None)
    }

    fn item_added(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        item: &OutputItem<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        if self.output.place(index).is_some() {
            // Announced on this side already, when something of it came first.
            return Ok(None);
        }
        if is_unnamed(item) {
            // A client cannot read it; its end will name it.
            self.output.miss(index)?;
            return Ok(None);
        }
        let json = self.for_client(item)?;
        let place = self.output.add(index, json.clone().into_owned())?;
        let mut edit = ObjectEdit::new(envelope.json);
        if let Cow::Owned(json) = json {
            edit.set("item", envelope.item, json);
        }
        self.writer.pass(envelope, "response.output_item.added", Some(place), edit, sink);
        Ok(None)
    }

    fn item_done(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        item: &OutputItem<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        if self.output.place(index).is_none() && is_unnamed(item) {
            self.output.miss(index)?;
            return Ok(None);
        }
        let json = self.for_client(item)?;
        let place = self.known(index, || output::beginning_of(&json), sink)?;
        if self.output.is_done(place) {
            return Ok(None);
        }
        let json = json.into_owned();
        if let Some(finish) = self.complete_item(place, item, sink)? {
            return Ok(Some(finish));
        }
        let mut edit = ObjectEdit::new(envelope.json);
        if json != item.json {
            edit.set("item", envelope.item, json.clone());
        }
        self.output.finish(place, json)?;
        self.writer.pass(envelope, "response.output_item.done", Some(place), edit, sink);
        Ok(None)
    }
}

/// Whether an item is a call that cannot be answered: SDKs want its id and its name.
fn is_unnamed(item: &OutputItem<'_>) -> bool {
    matches!(item.body, ItemBody::Call { call_id: None, .. } | ItemBody::Call { name: None, .. })
}

/// Whether an event says nothing about what the model generates.
fn is_beside_the_output(envelope: &Envelope<'_>, event: &Event<'_>) -> bool {
    matches!(event, Event::Other(_)) && envelope.output_index.is_none()
}
