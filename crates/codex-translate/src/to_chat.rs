//! A Responses event stream as a chat reply.
//!
//! * **Roles and finishes.** One role before everything else, one finish after it, decided at the terminal event from what has
//!   been seen.
//! * **Texts.** A text is written as its deltas come. Its later repetitions (`….done`, the finished item, the response's output)
//!   only add what the deltas have left out.
//! * **Messages.** Several messages are divided by a blank line. Commentary counts as reasoning; if no answer follows, it is the
//!   answer (features.md R4).
//! * **Tool calls.** An index for each call when its name is known. The id is the call's id, the name the caller's; a custom
//!   tool's call is shown as a function's, its input as it is (clients.md, Cursor).

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::chat::Sink;
use crate::error::{Error, ErrorKind};
use crate::plan::ReplyPlan;
use crate::reply::{Finish, Flow, Summary};
use crate::responses::{Channel, Ended, Event, IncompleteReason, OutputItem, OutputPart, Phase, Piece};
use crate::text::Text;
use crate::voice::Voice;

/// The most items that the output of one reply may have; the largest seen had some dozens.
pub const MAX_OUTPUT_ITEMS: usize = 10_000;

/// The most texts that one item may have.
pub const MAX_ITEM_PARTS: usize = 10_000;

/// Turns the events of one reply into the deltas of one choice.
#[derive(Clone, Debug)]
pub struct ChatStream {
    state: State,
    items: BTreeMap<u64, Item>,
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

/// What is known of an item of the output.
#[derive(Clone, Debug)]
enum Item {
    Message { phase: Phase, parts: BTreeMap<(Channel, u64), Progress> },
    Reasoning { parts: BTreeMap<(Channel, u64), Progress> },
    Call(Call),
    Image(ImageState),
    Other,
}

/// How much of a text has come.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    bytes: usize,
    annotations: usize,
    /// How many characters of the answer stand before this text.
    offset: u64,
}

/// How much of a call has come: nothing is written before its name is known, and no call may end unfinished.
#[derive(Clone, Copy, Debug)]
enum Call {
    Unnamed,
    Open { index: u32, bytes: usize },
    Done { index: u32, bytes: usize },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImageState {
    Open,
    Shown,
}

impl ChatStream {
    /// Starts a reply to be written as `plan` says.
    pub fn new(plan: &ReplyPlan) -> Self {
        Self { state: State::Open, items: BTreeMap::new(), voice: Voice::new(plan) }
    }

    /// Takes the next event. After [`Flow::Done`], call [`finish`](Self::finish).
    ///
    /// # Errors
    /// The turn failed: tell the caller, and let upstream go. Every later call says the same.
    pub fn push(&mut self, event: &Event<'_>, sink: &mut impl Sink) -> Result<Flow, Error> {
        if let State::Closed(outcome) = &self.state {
            return outcome.clone().map(|_| Flow::Done);
        }
        let outcome = match self.take(event, sink) {
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
            State::Open => Err(Error::truncated()),
            State::Closed(outcome) => outcome.clone(),
        }
    }

    /// Takes an event; the summary if the reply ends with it.
    fn take(&mut self, event: &Event<'_>, sink: &mut impl Sink) -> Result<Option<Summary>, Error> {
        let cut = match event {
            Event::Delta(piece) => self.delta(piece, sink)?,
            Event::Done(piece) => self.whole(piece, sink)?,
            Event::CallDelta { output_index, payload } => self.payload(*output_index, *payload, sink)?,
            Event::CallDone { output_index, payload } => self.whole_payload(*output_index, *payload, sink)?,
            Event::ItemAdded { output_index, item } => self.item(*output_index, item, Stage::Added, sink)?,
            Event::ItemDone { output_index, item } => self.item(*output_index, item, Stage::Done, sink)?,
            Event::Annotation { output_index, part, annotation } => {
                let progress = self.progress(*output_index, Channel::Text, *part)?;
                progress.annotations += 1;
                let offset = progress.offset;
                self.voice.citation(annotation, offset, sink);
                None
            }
            Event::Completed(ended) => return self.complete(ended, sink).map(Some),
            Event::Incomplete(ended, reason) => return self.incomplete(ended, reason, sink).map(Some),
            Event::Failed(error) => return Err(error.clone()),
            Event::Opened | Event::Other(_) => None,
        };
        Ok(cut.map(|finish| self.voice.cut_summary(finish)))
    }

    /// The reply is whole, if its calls are.
    fn complete(&mut self, ended: &Ended<'_>, sink: &mut impl Sink) -> Result<Summary, Error> {
        if let Some(finish) = self.output(ended, sink)? {
            return Ok(self.voice.cut_summary(finish));
        }
        if self.items.values().any(|item| matches!(item, Item::Call(Call::Unnamed | Call::Open { .. }))) {
            return Err(Error::new(ErrorKind::Truncated, "the reply ended in the middle of a tool call"));
        }
        let finish = self.voice.end(sink);
        Ok(Summary { finish: finish.unwrap_or_else(|| self.voice.natural_finish()), usage: ended.usage })
    }

    /// The reply ended before its time, and says why.
    fn incomplete(
        &mut self,
        ended: &Ended<'_>,
        reason: &IncompleteReason,
        sink: &mut impl Sink,
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
    fn output(&mut self, ended: &Ended<'_>, sink: &mut impl Sink) -> Result<Option<Finish>, Error> {
        for (index, item) in (0..).zip(&ended.output) {
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
        sink: &mut impl Sink,
    ) -> Result<Option<Finish>, Error> {
        match item {
            OutputItem::Message { phase, content } => self.message(index, *phase, content, sink),
            OutputItem::Reasoning { summary, content } => {
                self.known(index, || Item::Reasoning { parts: BTreeMap::new() })?;
                for (channel, texts) in [(Channel::Summary, summary), (Channel::Reasoning, content)] {
                    for (part, text) in (0..).zip(texts) {
                        let piece = Piece { channel, output_index: index, part, text: *text };
                        if let Some(finish) = self.whole(&piece, sink)? {
                            return Ok(Some(finish));
                        }
                    }
                }
                Ok(None)
            }
            OutputItem::Call { call_id, name, payload, .. } => {
                self.known(index, || Item::Call(Call::Unnamed))?;
                if let (Some(call_id), Some(name)) = (call_id, name) {
                    self.announce(index, call_id, name, sink)?;
                }
                let payload = payload.unwrap_or(Text::Plain(""));
                match stage {
                    Stage::Added => Ok(None),
                    Stage::Done => self.whole_payload(index, payload, sink),
                }
            }
            OutputItem::Image { result, format } => {
                let state = self.known(index, || Item::Image(ImageState::Open))?;
                if let (Item::Image(state @ ImageState::Open), Some(result)) = (state, result) {
                    *state = ImageState::Shown;
                    self.voice.image(format.as_deref().unwrap_or_default(), *result, sink);
                }
                Ok(None)
            }
            OutputItem::Other(_) => self.known(index, || Item::Other).map(|_| None),
        }
    }

    fn message(
        &mut self,
        index: u64,
        phase: Phase,
        content: &[OutputPart<'_>],
        sink: &mut impl Sink,
    ) -> Result<Option<Finish>, Error> {
        self.known(index, || Item::Message { phase, parts: BTreeMap::new() })?;
        for (part, content) in (0..).zip(content) {
            let (channel, text) = match content {
                OutputPart::Text { text, .. } => (Channel::Text, *text),
                OutputPart::Refusal(text) => (Channel::Refusal, *text),
                OutputPart::Other => continue,
            };
            let piece = Piece { channel, output_index: index, part, text };
            if let Some(finish) = self.whole(&piece, sink)? {
                return Ok(Some(finish));
            }
            if let OutputPart::Text { annotations, .. } = content {
                let progress = self.progress(index, channel, part)?;
                let (seen, offset) = (progress.annotations, progress.offset);
                progress.annotations = seen.max(annotations.len());
                for annotation in annotations.iter().skip(seen) {
                    self.voice.citation(annotation, offset, sink);
                }
            }
        }
        Ok(None)
    }

    /// More of a text.
    fn delta(&mut self, piece: &Piece<'_>, sink: &mut impl Sink) -> Result<Option<Finish>, Error> {
        if piece.text.is_empty() {
            return Ok(None);
        }
        let phase = self.phase(piece)?;
        self.progress(piece.output_index, piece.channel, piece.part)?.bytes += piece.text.decoded_len();
        Ok(self.voice.text(piece, phase, sink))
    }

    /// All of a text, of which the deltas have left out the end, or everything.
    fn whole(&mut self, piece: &Piece<'_>, sink: &mut impl Sink) -> Result<Option<Finish>, Error> {
        self.phase(piece)?;
        let seen = self.progress(piece.output_index, piece.channel, piece.part)?.bytes;
        if piece.text.decoded_len() <= seen {
            return Ok(None);
        }
        let whole = piece.text.decode();
        match whole.get(seen..) {
            Some(rest) => self.delta(&Piece { text: Text::Plain(rest), ..*piece }, sink),
            None => Ok(None),
        }
    }

    /// Whom the text is for; an item that was not announced is what its text says it is.
    fn phase(&mut self, piece: &Piece<'_>) -> Result<Phase, Error> {
        let item = self.known(piece.output_index, || match piece.channel {
            Channel::Text | Channel::Refusal => Item::Message { phase: Phase::Answer, parts: BTreeMap::new() },
            Channel::Summary | Channel::Reasoning => Item::Reasoning { parts: BTreeMap::new() },
        })?;
        Ok(match item {
            Item::Message { phase, .. } => *phase,
            Item::Reasoning { .. } | Item::Call(_) | Item::Image(_) | Item::Other => Phase::Answer,
        })
    }

    fn progress(&mut self, index: u64, channel: Channel, part: u64) -> Result<&mut Progress, Error> {
        let offset = self.voice.offset_of(index);
        let item = self.known(index, || Item::Message { phase: Phase::Answer, parts: BTreeMap::new() })?;
        let (Item::Message { parts, .. } | Item::Reasoning { parts }) = item else {
            return Err(Error::protocol(format!(
                "output item {index} of the reply has a text although it is no message"
            )));
        };
        if parts.len() >= MAX_ITEM_PARTS && !parts.contains_key(&(channel, part)) {
            return Err(Error::protocol(format!("an item of the reply has more than {MAX_ITEM_PARTS} texts")));
        }
        Ok(parts.entry((channel, part)).or_insert(Progress { offset, ..Progress::default() }))
    }

    /// The item at `index`, which is `new` if it was not known.
    fn known(&mut self, index: u64, new: impl FnOnce() -> Item) -> Result<&mut Item, Error> {
        let room = self.items.len() < MAX_OUTPUT_ITEMS;
        match self.items.entry(index) {
            Entry::Occupied(item) => Ok(item.into_mut()),
            Entry::Vacant(place) if room => Ok(place.insert(new())),
            Entry::Vacant(_) => {
                Err(Error::protocol(format!("the reply has more than {MAX_OUTPUT_ITEMS} output items")))
            }
        }
    }

    fn call(&mut self, index: u64) -> Result<&mut Call, Error> {
        match self.known(index, || Item::Call(Call::Unnamed))? {
            Item::Call(call) => Ok(call),
            Item::Message { .. } | Item::Reasoning { .. } | Item::Image(_) | Item::Other => {
                Err(Error::protocol(format!("output item {index} of the reply is called although it is no tool call")))
            }
        }
    }

    fn announce(&mut self, index: u64, call_id: &str, name: &str, sink: &mut impl Sink) -> Result<(), Error> {
        if matches!(self.call(index)?, Call::Unnamed) {
            let index_of_call = self.voice.call(call_id, name, sink);
            *self.call(index)? = Call::Open { index: index_of_call, bytes: 0 };
        }
        Ok(())
    }

    /// More of what a tool is called with. Of a call without a name nothing is written yet: its end will say it all.
    fn payload(&mut self, index: u64, payload: Text<'_>, sink: &mut impl Sink) -> Result<Option<Finish>, Error> {
        match self.call(index)? {
            Call::Open { index, bytes } => {
                *bytes += payload.decoded_len();
                let index = *index;
                Ok(self.voice.arguments(index, payload, sink))
            }
            Call::Unnamed | Call::Done { .. } => Ok(None),
        }
    }

    /// All of what a tool is called with.
    fn whole_payload(&mut self, index: u64, payload: Text<'_>, sink: &mut impl Sink) -> Result<Option<Finish>, Error> {
        let call = self.call(index)?;
        let (Call::Open { index, bytes } | Call::Done { index, bytes }) = *call else {
            return Ok(None);
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
