//! A Responses event stream as a chat reply.
//!
//! * **Roles and finishes.** One role before everything else, one finish after it, decided at the terminal event from what has
//!   been seen.
//! * **Texts.** A text is written as its deltas come. Its later repetitions (`….done`, the finished item, the response's output)
//!   only add what the deltas have left out.
//! * **Messages.** Several messages are divided by a blank line. Commentary counts as reasoning; if no answer follows, it is the
//!   answer (docs/features.md R4).
//! * **Tool calls.** An index for each call when its name is known. The id is the call's id, the name the caller's; a custom
//!   tool's call is shown as a function's, its input as it is (docs/clients/quirks.md, Cursor).

use super::items::{Call, Items};
use super::voice::Voice;
use crate::chat::DeltaSink;
use crate::error::{Error, ErrorKind};
use crate::json::{self, Text};
use crate::outcome::{Finish, Flow, Summary};
use crate::plan::ReplyPlan;
use crate::responses::{
    DeltaReader, Ended, Event, IncompleteReason, ItemBody, OutputItem, OutputPart, Piece, RawEvent, TextKind,
};

/// Turns the events of one reply into the deltas of one choice.
#[derive(Clone, Debug)]
pub struct ChatStream {
    state: State,
    deltas: DeltaReader,
    items: Items,
    voice: Voice,
}

/// How far the reply is.
///
/// ```text
///        events                 terminal event or cut
/// Open ─────────▶ Open ─────────────────────────────────▶ Closed(Ok)
///   │ failure, or something that cannot be
///   └────────────────────────────────────────────────────▶ Closed(Err)
/// ```
/// Nothing leads out of `Closed`: what upstream sends after its end is not read.
#[derive(Clone, Debug)]
enum State {
    Open,
    Closed(Result<Summary, Error>),
}

impl ChatStream {
    /// Starts a reply to be written as `plan` says.
    pub fn new(plan: &ReplyPlan) -> Self {
        Self { state: State::Open, deltas: DeltaReader::default(), items: Items::default(), voice: Voice::new(plan) }
    }

    /// Takes the next event. After [`Flow::Done`], call [`finish`](Self::finish).
    ///
    /// # Errors
    /// The turn failed: tell the caller, and let upstream go. Every later call says the same.
    pub fn push(&mut self, event: RawEvent<'_>, sink: &mut impl DeltaSink) -> Result<Flow, Error> {
        if let State::Closed(outcome) = &self.state {
            return outcome.clone().map(|_| Flow::Done);
        }
        let taken = match self.deltas.read(event.json()) {
            Some(delta) => self.take(&delta.event(), sink),
            None => self.parse_and_take(event, sink),
        };
        let outcome = match taken {
            Ok(None) => return Ok(Flow::Continue),
            Ok(Some(summary)) => Ok(summary),
            Err(error) => Err(error),
        };
        self.state = State::Closed(outcome.clone());
        outcome.map(|_| Flow::Done)
    }

    /// Ends the reply with `error`, because upstream cannot be read any further; one that has ended stays as it is.
    pub fn fail(&mut self, error: Error) {
        if let State::Open = self.state {
            self.state = State::Closed(Err(error));
        }
    }

    /// Says how the reply ended.
    ///
    /// # Errors
    /// It failed, or no terminal event has come. The caller must be told that the reply is not whole.
    pub fn finish(&self) -> Result<Summary, Error> {
        match &self.state {
            State::Open => Err(Error::truncated()),
            State::Closed(outcome) => outcome.clone(),
        }
    }

    fn parse_and_take(&mut self, event: RawEvent<'_>, sink: &mut impl DeltaSink) -> Result<Option<Summary>, Error> {
        self.take(&Event::parse(&json::replaced(event.json()))?, sink)
    }

    /// Takes an event; the summary if the reply ends with it.
    fn take(&mut self, event: &Event<'_>, sink: &mut impl DeltaSink) -> Result<Option<Summary>, Error> {
        let cut = match event {
            Event::Delta(piece) => self.delta(piece, sink)?,
            Event::Done(piece) => self.whole(piece, sink)?,
            Event::CallDelta { output_index, payload } => self.payload(*output_index, *payload, sink)?,
            Event::CallDone { output_index, payload } => self.whole_payload(*output_index, *payload, sink)?,
            Event::ItemAdded { output_index, item } => self.item(*output_index, item, Stage::Added, sink)?,
            Event::ItemDone { output_index, item } => self.item(*output_index, item, Stage::Done, sink)?,
            Event::Annotation { output_index, part, annotation } => {
                let voice = &self.voice;
                let offset = |phase| voice.offset_of(*output_index, phase);
                let (phase, progress) = self.items.text(*output_index, TextKind::Text, *part, offset)?;
                progress.annotations += 1;
                let offset = progress.offset;
                self.voice.citation(annotation, phase, offset, sink);
                None
            }
            Event::Completed(ended) => return self.complete(ended, sink).map(Some),
            Event::Incomplete(ended, reason) => return self.incomplete(ended, reason, sink).map(Some),
            Event::Failed(error) => return Err(error.clone()),
            Event::Opened | Event::Other(_) => None,
        };
        Ok(cut.map(|finish| Summary { finish, usage: self.voice.cut_usage() }))
    }

    /// The reply is whole, if its calls are.
    fn complete(&mut self, ended: &Ended<'_>, sink: &mut impl DeltaSink) -> Result<Summary, Error> {
        let cut = self.output(ended, sink)?;
        if cut.is_none() && self.items.has_cut_call() {
            return Err(Error::new(ErrorKind::Truncated, "the reply ended in the middle of a tool call"));
        }
        let finish = cut.or_else(|| self.voice.end(sink)).unwrap_or_else(|| self.voice.natural_finish());
        Ok(Summary { finish, usage: ended.usage })
    }

    /// The reply ended before its time, and says why.
    fn incomplete(
        &mut self,
        ended: &Ended<'_>,
        reason: &IncompleteReason,
        sink: &mut impl DeltaSink,
    ) -> Result<Summary, Error> {
        let cut = self.output(ended, sink)?.or_else(|| self.voice.end(sink));
        let finish = match reason {
            IncompleteReason::ContentFilter => Finish::ContentFilter,
            // A reason of another time is a kind of limit as well: the answer is not whole.
            IncompleteReason::MaxOutputTokens | IncompleteReason::Other(_) => Finish::Length,
        };
        Ok(Summary { finish: cut.unwrap_or(finish), usage: ended.usage })
    }

    /// Writes what the events have left out of the response's output.
    fn output(&mut self, ended: &Ended<'_>, sink: &mut impl DeltaSink) -> Result<Option<Finish>, Error> {
        let indexes = self.items.indexes_of(&ended.output)?;
        for (index, item) in indexes.into_iter().zip(&ended.output) {
            if let Some(finish) = self.item(index, item, Stage::Done, sink)? {
                return Ok(Some(finish));
            }
        }
        Ok(None)
    }

    fn item(
        &mut self,
        index: u64,
        item: &OutputItem<'_>,
        stage: Stage,
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        self.items.note(index, item)?;
        match &item.body {
            ItemBody::Message { content, .. } => self.message(index, content, sink),
            ItemBody::Reasoning { summary, content } => {
                for (channel, texts) in [(TextKind::Summary, summary), (TextKind::Reasoning, content)] {
                    for (part, text) in (0..).zip(texts) {
                        let piece = Piece { channel, output_index: index, part, text: *text };
                        if let Some(finish) = self.whole(&piece, sink)? {
                            return Ok(Some(finish));
                        }
                    }
                }
                Ok(None)
            }
            ItemBody::Call { call_id, name, payload, .. } => {
                if let (Some(call_id), Some(name)) = (call_id, name) {
                    self.announce(index, call_id, name, sink)?;
                }
                match stage {
                    Stage::Added => Ok(None),
                    Stage::Done => self.whole_payload(index, payload.unwrap_or(Text::Plain("")), sink),
                }
            }
            ItemBody::Image { result, format } => {
                if let Some(result) = result.filter(|_| self.items.show_image(index)) {
                    self.voice.image(format.as_deref().unwrap_or_default(), result, sink);
                }
                Ok(None)
            }
            ItemBody::Other(_) => Ok(None),
        }
    }

    fn message(
        &mut self,
        index: u64,
        content: &[OutputPart<'_>],
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        for (part, content) in (0..).zip(content) {
            let (channel, text, annotations) = match content {
                OutputPart::Text { text, annotations } => (TextKind::Text, *text, &annotations[..]),
                OutputPart::Refusal(text) => (TextKind::Refusal, *text, &[][..]),
                OutputPart::Reasoning(_) | OutputPart::Other => continue,
            };
            if let Some(finish) = self.whole(&Piece { channel, output_index: index, part, text }, sink)? {
                return Ok(Some(finish));
            }
            if !annotations.is_empty() {
                let voice = &self.voice;
                let (phase, progress) = self.items.text(index, channel, part, |phase| voice.offset_of(index, phase))?;
                let (seen, offset) = (progress.annotations, progress.offset);
                progress.annotations = seen.max(annotations.len());
                for annotation in annotations.iter().skip(seen) {
                    self.voice.citation(annotation, phase, offset, sink);
                }
            }
        }
        Ok(None)
    }

    /// More of a text.
    fn delta(&mut self, piece: &Piece<'_>, sink: &mut impl DeltaSink) -> Result<Option<Finish>, Error> {
        if piece.text.is_empty() {
            return Ok(None);
        }
        let voice = &self.voice;
        let offset = |phase| voice.offset_of(piece.output_index, phase);
        let (phase, progress) = self.items.text(piece.output_index, piece.channel, piece.part, offset)?;
        progress.bytes += piece.text.decoded_len();
        Ok(self.voice.text(piece, phase, sink))
    }

    /// All of a text, of which the deltas have left out the end, or everything.
    fn whole(&mut self, piece: &Piece<'_>, sink: &mut impl DeltaSink) -> Result<Option<Finish>, Error> {
        if piece.text.is_empty() {
            return Ok(None);
        }
        let voice = &self.voice;
        let offset = |phase| voice.offset_of(piece.output_index, phase);
        let (_, progress) = self.items.text(piece.output_index, piece.channel, piece.part, offset)?;
        let seen = progress.bytes;
        if piece.text.decoded_len() <= seen {
            return Ok(None);
        }
        match piece.text.decode().get(seen..) {
            Some(rest) => self.delta(&Piece { text: Text::Plain(rest), ..*piece }, sink),
            None => Ok(None),
        }
    }

    fn announce(&mut self, index: u64, call_id: &str, name: &str, sink: &mut impl DeltaSink) -> Result<(), Error> {
        let call = self.items.call(index)?;
        if let Call::Unnamed { missed } = *call {
            let index = self.voice.call(call_id, name, sink);
            *call = if missed { Call::Late { index } } else { Call::Open { index, bytes: 0 } };
        }
        Ok(())
    }

    /// More of what a tool is called with. Of a call without a name nothing is written yet: its end will say it all.
    fn payload(&mut self, index: u64, payload: Text<'_>, sink: &mut impl DeltaSink) -> Result<Option<Finish>, Error> {
        match self.items.call(index)? {
            Call::Open { index, bytes } => {
                *bytes += payload.decoded_len();
                Ok(self.voice.arguments(*index, payload, sink))
            }
            Call::Unnamed { missed } => {
                *missed = true;
                Ok(None)
            }
            Call::Late { .. } | Call::Done { .. } => Ok(None),
        }
    }

    /// All of what a tool is called with.
    fn whole_payload(
        &mut self,
        index: u64,
        payload: Text<'_>,
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        let call = self.items.call(index)?;
        let (index, bytes) = match *call {
            Call::Unnamed { .. } => return Ok(None),
            Call::Open { index, bytes } | Call::Done { index, bytes } => (index, bytes),
            Call::Late { index } => (index, 0),
        };
        let whole = payload.decode();
        *call = Call::Done { index, bytes: bytes.max(whole.len()) };
        match whole.get(bytes..).filter(|rest| !rest.is_empty()) {
            Some(rest) => Ok(self.voice.arguments(index, Text::Plain(rest), sink)),
            None => Ok(None),
        }
    }
}

/// Whether an item has just begun or is at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Added,
    Done,
}
