//! A Responses event stream as the same, repaired.
//!
//! Events go on as they came, with whatever is in them, known here or not. What is changed is what clients trip over (wire.md
//! §3.3, clients.md, openai-python and the AI SDK):
//!
//! * `keepalive` is left out, `response.created` comes first, older names of events are brought up to date;
//! * sequence numbers and output indexes are without gaps;
//! * an item, a part or an end that upstream has not announced is announced, and a text that came whole comes as a delta too;
//! * the last event holds the whole output, which upstream leaves empty;
//! * model and tools are called what the caller calls them;
//! * a limit of tokens, which upstream does not take, ends the reply as incomplete.

mod output;
mod repair;
mod response;
mod writer;

use crate::cut::Cutter;
use crate::error::{Error, ErrorKind};
use crate::plan::ReplyPlan;
use crate::reply::{Finish, Flow, Identity, Summary};
use crate::responses::{Ended, Envelope, Event, IncompleteReason, OutputItem, number};
use crate::splice::Edits;
use crate::tool_names::ToolNames;

pub use output::MAX_OUTPUT_BYTES;
use output::{Kind, Output, Stage};
pub use response::Response;
use response::Template;
pub use writer::EventSink;
use writer::Writer;

/// How much of what comes before `response.created` is kept to be given on after it.
pub const MAX_EARLY_BYTES: usize = 256 * 1024;

/// Turns the events of one reply into events that any client can read, and into one whole response.
#[derive(Clone, Debug)]
pub struct ResponseStream {
    state: State,
    writer: Writer,
    output: Output,
    template: Template,
    tools: ToolNames,
    cutter: Option<Cutter>,
    /// The text that the cutter holds back the end of: the item's place, and the part.
    held: Option<(usize, u64)>,
}

/// How far the reply is.
///
/// ```text
///           response.created              terminal event or cut
/// Opening ───────────────────▶ Open ─────────────────────────────▶ Closed(Ok)
///    │ failure                  │ failure
///    └──────────────────────────┴─────────────────────────────────▶ Closed(Err)
/// ```
/// Nothing leads out of `Closed`: what upstream sends after its end is not read.
#[derive(Clone, Debug)]
enum State {
    /// Holds the events that came too early.
    Opening(Vec<String>),
    Open,
    Closed(Result<Summary, Error>),
}

impl ResponseStream {
    /// Starts a reply to be written as `plan` says; `identity` stands in where upstream names neither id nor time.
    pub fn new(plan: &ReplyPlan, identity: Identity) -> Self {
        Self {
            state: State::Opening(Vec::new()),
            writer: Writer::default(),
            output: Output::default(),
            template: Template::new(plan.model.clone(), identity),
            tools: plan.tools.clone(),
            cutter: Cutter::new(plan),
            held: None,
        }
    }

    /// Takes the JSON of the next event. After [`Flow::Done`], call [`finish`](Self::finish).
    ///
    /// # Errors
    /// The turn failed: tell the caller, by [`fail`](Self::fail) if the reply has begun, and let upstream go. Every later call
    /// says the same.
    pub fn push(&mut self, json: &str, sink: &mut impl EventSink) -> Result<Flow, Error> {
        if let State::Closed(outcome) = &self.state {
            return outcome.clone().map(|_| Flow::Done);
        }
        let outcome = match self.take(json, sink) {
            Ok(None) => return Ok(Flow::Continue),
            Ok(Some(summary)) => Ok(summary),
            Err(error) => Err(error),
        };
        self.state = State::Closed(outcome.clone());
        outcome.map(|_| Flow::Done)
    }

    /// Says how the reply ended.
    ///
    /// # Errors
    /// It did not: no terminal event has come. The caller must be told that the reply is not whole.
    pub fn finish(&self) -> Result<Summary, Error> {
        match &self.state {
            State::Opening(_) | State::Open => Err(Error::truncated()),
            State::Closed(outcome) => outcome.clone(),
        }
    }

    /// The whole response of a reply that has ended.
    ///
    /// # Errors
    /// As for [`finish`](Self::finish).
    pub fn into_response(self) -> Result<Response, Error> {
        self.finish()?;
        Response::new(self.template.into_json())
    }

    /// Writes the event that tells the client of `error`: the last one of the reply.
    pub fn fail(&mut self, error: &Error, sink: &mut impl EventSink) {
        let early = match std::mem::replace(&mut self.state, State::Closed(Err(error.clone()))) {
            State::Opening(early) => Some(early),
            State::Open | State::Closed(_) => None,
        };
        if let Some(early) = early {
            self.announce(sink);
            // Each of them was read before; what went wrong since is told below.
            let _ = early.iter().try_for_each(|json| self.pass_on(json, sink));
        }
        self.template.fail(error, &self.output.to_json());
        self.writer.add("response.failed", &format!("\"response\":{}", self.template.json()), sink);
    }

    /// Takes an event; the summary if the reply ends with it.
    fn take(&mut self, json: &str, sink: &mut impl EventSink) -> Result<Option<Summary>, Error> {
        let Some(envelope) = Envelope::parse(json)? else { return Ok(None) };
        let kind = envelope.kind();
        if kind == "keepalive" || !self.open_with(&envelope, &kind, sink)? {
            return Ok(None);
        }
        let event = envelope.event()?;
        if !matches!(event, Event::Delta(_)) {
            self.flush(sink)?;
        }
        let cut = match event {
            Event::Opened => {
                self.template.read(envelope.response)?;
                let mut edits = Edits::new(envelope.json);
                edits.set("response", envelope.response, self.template.json());
                self.writer.pass(&envelope, &kind, None, edits, sink);
                None
            }
            Event::ItemAdded { output_index, .. } => self.item_added(&envelope, output_index, sink)?,
            Event::ItemDone { output_index, item } => self.item_done(&envelope, output_index, &item, sink)?,
            Event::Delta(piece) => self.delta(&envelope, &piece, sink)?,
            Event::Done(piece) => self.text_done(&envelope, &piece, sink)?,
            Event::CallDelta { output_index, payload } => self.call_delta(&envelope, output_index, payload, sink)?,
            Event::CallDone { output_index, payload } => self.call_done(&envelope, output_index, payload, sink)?,
            Event::Completed(ended) => return self.complete(&envelope, &ended, None, sink).map(Some),
            Event::Incomplete(ended, reason) => {
                return self.complete(&envelope, &ended, Some(&reason), sink).map(Some);
            }
            Event::Failed(error) => {
                self.template.read(envelope.response)?;
                return Err(error);
            }
            Event::Annotation { .. } | Event::Other(_) => self.other(&envelope, &kind, sink)?,
        };
        match cut {
            Some(finish) => self.cut(finish, sink).map(Some),
            None => Ok(None),
        }
    }

    /// Sees to it that `response.created` is the first event; whether `envelope` is to be taken now.
    fn open_with(&mut self, envelope: &Envelope<'_>, kind: &str, sink: &mut impl EventSink) -> Result<bool, Error> {
        let State::Opening(early) = &mut self.state else { return Ok(true) };
        match kind {
            // What fails at once becomes a status as long as nothing is out.
            "error" | "response.failed" | "response.cancelled" => return Ok(true),
            "response.created" => {
                self.template.read(envelope.response)?;
                let mut edits = Edits::new(envelope.json);
                edits.set("response", envelope.response, self.template.json());
                self.writer.pass(envelope, kind, None, edits, sink);
                self.release_early(sink)?;
                return Ok(false);
            }
            kind if kind.starts_with("response.") && kind != "response.metadata" => {
                self.template.read(envelope.response)?;
            }
            _ => {
                early.push(envelope.json.to_owned());
                if early.iter().map(String::len).sum::<usize>() <= MAX_EARLY_BYTES {
                    return Ok(false);
                }
            }
        }
        let taken_early = !kind.starts_with("response.") || kind == "response.metadata";
        self.announce(sink);
        self.release_early(sink)?;
        Ok(!taken_early)
    }

    /// Writes the `response.created` that upstream has left out.
    fn announce(&mut self, sink: &mut impl EventSink) {
        self.template.set_in_progress();
        self.writer.add("response.created", &format!("\"response\":{}", self.template.json()), sink);
    }

    fn release_early(&mut self, sink: &mut impl EventSink) -> Result<(), Error> {
        match std::mem::replace(&mut self.state, State::Open) {
            State::Opening(early) => early.iter().try_for_each(|json| self.pass_on(json, sink)),
            State::Open | State::Closed(_) => Ok(()),
        }
    }

    fn pass_on(&mut self, json: &str, sink: &mut impl EventSink) -> Result<(), Error> {
        if let Some(envelope) = Envelope::parse(json)? {
            self.writer.pass(&envelope, &envelope.kind(), None, Edits::new(json), sink);
        }
        Ok(())
    }

    /// The terminal event of upstream: closes what is open, and puts the output in.
    fn complete(
        &mut self,
        envelope: &Envelope<'_>,
        ended: &Ended<'_>,
        reason: Option<&IncompleteReason>,
        sink: &mut impl EventSink,
    ) -> Result<Summary, Error> {
        if let Some(finish) = self.take_output(envelope, ended, sink)? {
            return self.cut(finish, sink);
        }
        if reason.is_none() && self.output.items().iter().any(output::Item::is_cut_call) {
            return Err(Error::new(ErrorKind::Truncated, "the reply ended in the middle of a tool call"));
        }
        let (kind, status) = match reason {
            None => ("response.completed", "completed"),
            Some(_) => ("response.incomplete", "incomplete"),
        };
        self.close_items(status, sink)?;
        self.template.read(envelope.response)?;
        // With less in it than has come in events, upstream's own output is not whole.
        if ended.output.len() < self.output.len() || !self.tools.is_unchanged() {
            self.template.set_output(&self.output.to_json());
        }
        let mut edits = Edits::new(envelope.json);
        edits.set("response", envelope.response, self.template.json());
        self.writer.pass(envelope, kind, None, edits, sink);
        let finish = match reason {
            None => self.natural_finish(),
            Some(IncompleteReason::ContentFilter) => Finish::ContentFilter,
            Some(IncompleteReason::MaxOutputTokens | IncompleteReason::Other(_)) => Finish::Length,
        };
        Ok(Summary { finish, usage: ended.usage })
    }

    /// The caller's own end: the reply is closed here, and upstream is not needed any more.
    fn cut(&mut self, finish: Finish, sink: &mut impl EventSink) -> Result<Summary, Error> {
        let (kind, status) = match finish {
            Finish::Length => ("response.incomplete", "incomplete"),
            Finish::Stop | Finish::ToolCalls | Finish::FunctionCall | Finish::ContentFilter => {
                ("response.completed", "completed")
            }
        };
        self.close_items(status, sink)?;
        let usage = self.cutter.as_ref().map(Cutter::usage);
        self.template.cut(status, usage.as_ref(), &self.output.to_json());
        self.writer.add(kind, &format!("\"response\":{}", self.template.json()), sink);
        Ok(Summary { finish, usage })
    }

    fn natural_finish(&self) -> Finish {
        let calls = self.output.items().iter().any(|item| matches!(item.kind, Kind::Call(_)));
        if calls { Finish::ToolCalls } else { Finish::Stop }
    }

    /// Takes what stands in the response's output and in no event before it.
    fn take_output(
        &mut self,
        envelope: &Envelope<'_>,
        ended: &Ended<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let raw = response::items(envelope.response)?;
        for ((index, item), json) in (0..).zip(&ended.output).zip(raw) {
            let json = self.tools_restored(json.get())?.into_owned();
            let place = self.known(index, || output::beginning_of(&json), sink)?;
            if self.output.items()[place].stage == Stage::Done {
                continue;
            }
            if let Some(finish) = self.complete_item(place, item, sink)? {
                return Ok(Some(finish));
            }
            self.end_item(place, json, sink)?;
        }
        Ok(None)
    }

    /// An event that is passed on as it is, but for its numbers; some of them open or close a part.
    fn other(
        &mut self,
        envelope: &Envelope<'_>,
        kind: &str,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let index = number(envelope.output_index)?;
        let place = match repair::part_of(envelope, kind)? {
            Some((channel, part, stage)) => {
                let place = self.known_for(channel, index, envelope, sink)?;
                if !self.note_part(place, channel, part, stage, sink)? {
                    return Ok(None);
                }
                Some(place)
            }
            None => envelope.output_index.and_then(|_| self.output.place(index)),
        };
        self.writer.pass(envelope, kind, place, Edits::new(envelope.json), sink);
        Ok(None)
    }

    fn item_added(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        if self.output.place(index).is_some() {
            // Announced on this side already, when something of it came first.
            return Ok(None);
        }
        let mut edits = Edits::new(envelope.json);
        let json = self.tools_restored(envelope.item.map_or("{}", |item| item.get()))?;
        if !self.tools.is_unchanged() {
            edits.set("item", envelope.item, json.clone());
        }
        let place = self.output.add(index, json.into_owned())?;
        self.writer.pass(envelope, "response.output_item.added", Some(place), edits, sink);
        Ok(None)
    }

    fn item_done(
        &mut self,
        envelope: &Envelope<'_>,
        index: u64,
        item: &OutputItem<'_>,
        sink: &mut impl EventSink,
    ) -> Result<Option<Finish>, Error> {
        let json = self.tools_restored(envelope.item.map_or("{}", |item| item.get()))?.into_owned();
        let place = self.known(index, || output::beginning_of(&json), sink)?;
        if let Some(finish) = self.complete_item(place, item, sink)? {
            return Ok(Some(finish));
        }
        let mut edits = Edits::new(envelope.json);
        if !self.tools.is_unchanged() {
            edits.set("item", envelope.item, json.clone());
        }
        self.output.finish(place, json)?;
        self.writer.pass(envelope, "response.output_item.done", Some(place), edits, sink);
        Ok(None)
    }
}
