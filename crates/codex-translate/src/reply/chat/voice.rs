//! How a chat reply says what the model says: in which field, under which name, and up to where.

use serde_json::value::RawValue;

use crate::bounds::MAX_COMMENTARY_BYTES;
use crate::chat::{Citation, Delta, DeltaSink, OutputImage, ReasoningKey};
use crate::json::Text;
use crate::outcome::Finish;
use crate::plan::{ReasoningStyle, ReplyPlan};
use crate::reply::limit::Cutter;
use crate::responses::{MessagePhase, Piece, TextKind};
use crate::tool_names::ToolNames;
use crate::usage::Usage;

/// What divides messages, and the parts of a summary.
const DIVIDER: &str = "\n\n";

const THINK: &str = "<think>";
const END_OF_THINK: &str = "</think>\n\n";

/// Says one choice of a chat reply.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    style: ReasoningStyle,
    tools: ToolNames,
    legacy: bool,
    cutter: Option<Cutter>,
    section: Section,
    commentary: Commentary,
    /// The message that the last of the answer was from.
    message: Option<u64>,
    /// The text that the last of the reasoning was from.
    thought: Option<(u64, TextKind, u64)>,
    /// The characters of the answer so far.
    chars: u64,
    calls: u32,
    images: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    /// Nothing has been said yet, not even the role.
    Silent,
    /// Between `<think>` tags.
    Thinking,
    Speaking,
}

/// What becomes of the model's commentary.
#[derive(Clone, Debug)]
enum Commentary {
    /// Kept, since no answer has come yet.
    Held(Held),
    /// An answer has come: commentary is reasoning and no more.
    Superseded,
    /// It was too long to be kept: it is the answer, from `base` characters into it.
    Answer { base: u64 },
}

/// Commentary that may become the answer.
#[derive(Clone, Debug, Default)]
struct Held {
    text: String,
    /// The message that the last of it was from.
    message: Option<u64>,
    /// Annotations, and how many characters of the commentary stand before the texts that they are about.
    annotations: Vec<(Box<RawValue>, u64)>,
    bytes: usize,
}

impl Voice {
    pub(crate) fn new(plan: &ReplyPlan) -> Self {
        Self {
            style: plan.reasoning,
            tools: plan.tools.clone(),
            legacy: plan.legacy_functions,
            cutter: Cutter::new(plan),
            section: Section::Silent,
            commentary: Commentary::Held(Held::default()),
            message: None,
            thought: None,
            chars: 0,
            calls: 0,
            images: 0,
        }
    }

    /// Says more of a text; the reply's end, if the caller has set it here.
    pub(crate) fn text(&mut self, piece: &Piece<'_>, phase: MessagePhase, sink: &mut impl DeltaSink) -> Option<Finish> {
        match (piece.channel, phase) {
            (TextKind::Text, MessagePhase::Answer) => {
                self.commentary = Commentary::Superseded;
                self.answer(piece.output_index, piece.text, sink)
            }
            (TextKind::Text, MessagePhase::Commentary) => self.comment(piece, sink),
            (TextKind::Refusal, _) => {
                self.commentary = Commentary::Superseded;
                self.begin_speaking(sink);
                self.generate(piece.text, |text| sink.delta(Delta::Refusal(text)))
            }
            (TextKind::Summary | TextKind::Reasoning, _) => {
                self.think(piece, sink);
                None
            }
        }
    }

    /// Begins a tool call; its index.
    pub(crate) fn call(&mut self, id: &str, wire_name: &str, sink: &mut impl DeltaSink) -> u32 {
        self.begin_speaking(sink);
        self.flush(sink);
        let index = self.calls;
        self.calls += 1;
        let name = self.tools.to_client(wire_name);
        match self.tool_index(index) {
            Some(index) => sink.delta(Delta::ToolCall { index, id, name }),
            None => sink.delta(Delta::FunctionCall { name }),
        }
        index
    }

    /// Says more of what the tool of the call at `index` is called with.
    pub(crate) fn arguments(&mut self, index: u32, text: Text<'_>, sink: &mut impl DeltaSink) -> Option<Finish> {
        if text.is_empty() {
            return None;
        }
        let tool_index = self.tool_index(index);
        self.generate(text, |text| match tool_index {
            Some(index) => sink.delta(Delta::Arguments { index, text }),
            None => sink.delta(Delta::FunctionArguments(text)),
        })
    }

    /// Names the source of a stretch of a text, before which stand as many characters as [`offset_of`](Self::offset_of) said.
    pub(crate) fn citation(
        &mut self,
        annotation: &RawValue,
        phase: MessagePhase,
        offset: u64,
        sink: &mut impl DeltaSink,
    ) {
        let offset = match (phase, &mut self.commentary) {
            (MessagePhase::Answer, _) => offset,
            (MessagePhase::Commentary, Commentary::Held(held)) => return held.annotate(annotation, offset),
            (MessagePhase::Commentary, Commentary::Answer { base }) => *base + offset,
            // What it is about is no part of the answer.
            (MessagePhase::Commentary, Commentary::Superseded) => return,
        };
        if let Some(citation) = Citation::read(annotation, offset) {
            self.begin_speaking(sink);
            sink.delta(Delta::Citation(&citation));
        }
    }

    pub(crate) fn image(&mut self, format: &str, base64: Text<'_>, sink: &mut impl DeltaSink) {
        self.begin_speaking(sink);
        self.flush(sink);
        sink.delta(Delta::Image(OutputImage { index: self.images, format, base64 }));
        self.images += 1;
    }

    /// How many characters will stand before the next text of the message at `index`: of the answer, or of the commentary.
    pub(crate) fn offset_of(&self, index: u64, phase: MessagePhase) -> u64 {
        let divider = |last: Option<u64>| if last.is_some_and(|last| last != index) { DIVIDER.len() as u64 } else { 0 };
        match (phase, &self.commentary) {
            (MessagePhase::Commentary, Commentary::Held(held)) => {
                held.text.chars().count() as u64 + divider(held.message)
            }
            (MessagePhase::Commentary, Commentary::Answer { base }) => self.chars() + divider(self.message) - base,
            (MessagePhase::Commentary, Commentary::Superseded) => 0,
            (MessagePhase::Answer, _) if self.section == Section::Thinking => self.chars() + END_OF_THINK.len() as u64,
            (MessagePhase::Answer, _) => self.chars() + divider(self.message),
        }
    }

    /// Says what was held back, and the role if nothing has been said at all.
    pub(crate) fn end(&mut self, sink: &mut impl DeltaSink) -> Option<Finish> {
        let cut = match std::mem::replace(&mut self.commentary, Commentary::Superseded) {
            Commentary::Held(held) if !held.text.is_empty() => self.say_held(held, sink),
            Commentary::Held(_) | Commentary::Superseded | Commentary::Answer { .. } => None,
        };
        self.begin_speaking(sink);
        if cut.is_none() {
            self.flush(sink);
        }
        cut
    }

    /// Why a reply ends that nothing has cut.
    pub(crate) fn natural_finish(&self) -> Finish {
        match (self.calls, self.legacy) {
            (0, _) => Finish::Stop,
            (_, true) => Finish::FunctionCall,
            (_, false) => Finish::ToolCalls,
        }
    }

    /// What a reply that was cut has cost; this side's own count.
    pub(crate) fn cut_usage(&self) -> Option<Usage> {
        self.cutter.as_ref().map(Cutter::usage)
    }

    /// The index among `tool_calls`, or `None` for the one call that a legacy reply has room for.
    fn tool_index(&self, index: u32) -> Option<u32> {
        if self.legacy { index.checked_sub(1) } else { Some(index) }
    }

    /// Says more of the answer.
    fn answer(&mut self, message: u64, text: Text<'_>, sink: &mut impl DeltaSink) -> Option<Finish> {
        self.begin_speaking(sink);
        if self.message.replace(message).is_some_and(|last| last != message) {
            self.flush(sink);
            self.say(Text::Plain(DIVIDER), sink);
        }
        let Some(cutter) = &mut self.cutter else {
            self.say(text, sink);
            return None;
        };
        let chars = &mut self.chars;
        cutter.content(text, |text| say(text, chars, sink))
    }

    /// Says more of the commentary: as reasoning, and perhaps later as the answer.
    fn comment(&mut self, piece: &Piece<'_>, sink: &mut impl DeltaSink) -> Option<Finish> {
        match &mut self.commentary {
            Commentary::Answer { .. } => return self.answer(piece.output_index, piece.text, sink),
            Commentary::Superseded => {}
            Commentary::Held(held) => {
                held.push(piece.output_index, piece.text);
                if held.bytes > MAX_COMMENTARY_BYTES {
                    let held = std::mem::take(held);
                    return self.say_held(held, sink);
                }
            }
        }
        self.think(piece, sink);
        None
    }

    /// Makes the commentary the answer.
    fn say_held(&mut self, held: Held, sink: &mut impl DeltaSink) -> Option<Finish> {
        self.begin_speaking(sink);
        let base = self.chars();
        self.commentary = Commentary::Answer { base };
        let cut = self.answer(held.message.unwrap_or_default(), Text::Plain(&held.text), sink);
        for (annotation, offset) in held.annotations.iter().filter(|_| cut.is_none()) {
            self.citation(annotation, MessagePhase::Commentary, *offset, sink);
        }
        cut
    }

    /// Says more of the reasoning.
    fn think(&mut self, piece: &Piece<'_>, sink: &mut impl DeltaSink) {
        let key = match self.style {
            ReasoningStyle::None => return,
            ReasoningStyle::ReasoningContent => Some(ReasoningKey::ReasoningContent),
            ReasoningStyle::Reasoning => Some(ReasoningKey::Reasoning),
            ReasoningStyle::Think => None,
        };
        let thought = (piece.output_index, piece.channel, piece.part);
        let divided = self.thought.replace(thought).is_some_and(|last| last != thought);
        match key {
            Some(key) => {
                self.begin(sink);
                if divided {
                    sink.delta(Delta::Reasoning { key, text: Text::Plain(DIVIDER) });
                }
                sink.delta(Delta::Reasoning { key, text: piece.text });
            }
            None => {
                if self.section == Section::Thinking {
                    if divided {
                        self.say(Text::Plain(DIVIDER), sink);
                    }
                } else {
                    self.begin(sink);
                    self.flush(sink);
                    self.section = Section::Thinking;
                    self.say(Text::Plain(THINK), sink);
                }
                self.say(piece.text, sink);
            }
        }
    }

    /// Says what is generated but is no part of the answer's text.
    fn generate(&mut self, text: Text<'_>, mut emit: impl FnMut(Text<'_>)) -> Option<Finish> {
        match &mut self.cutter {
            Some(cutter) => cutter.other(text, emit),
            None => {
                emit(text);
                None
            }
        }
    }

    fn begin(&mut self, sink: &mut impl DeltaSink) {
        if self.section == Section::Silent {
            self.section = Section::Speaking;
            sink.delta(Delta::Role);
        }
    }

    fn begin_speaking(&mut self, sink: &mut impl DeltaSink) {
        self.begin(sink);
        if self.section == Section::Thinking {
            self.section = Section::Speaking;
            self.say(Text::Plain(END_OF_THINK), sink);
            // The line of its own divides well enough.
            self.message = None;
        }
    }

    /// The characters of the answer so far, those that are held back among them.
    fn chars(&self) -> u64 {
        self.chars + self.cutter.as_ref().map_or(0, Cutter::held_chars)
    }

    fn flush(&mut self, sink: &mut impl DeltaSink) {
        if let Some(cutter) = &mut self.cutter {
            let chars = &mut self.chars;
            cutter.flush(|text| say(text, chars, sink));
        }
    }

    fn say(&mut self, text: Text<'_>, sink: &mut impl DeltaSink) {
        say(text, &mut self.chars, sink);
    }
}

impl Held {
    fn push(&mut self, message: u64, text: Text<'_>) {
        if self.message.replace(message).is_some_and(|last| last != message) {
            self.text.push_str(DIVIDER);
        }
        let before = self.text.len();
        text.push_to(&mut self.text);
        self.bytes += self.text.len() - before;
    }

    /// Keeps an annotation as long as there is room for it.
    fn annotate(&mut self, annotation: &RawValue, offset: u64) {
        self.bytes += annotation.get().len();
        if self.bytes <= MAX_COMMENTARY_BYTES {
            self.annotations.push((annotation.to_owned(), offset));
        }
    }
}

/// Adds to the content, and counts its characters.
fn say(text: Text<'_>, chars: &mut u64, sink: &mut impl DeltaSink) {
    *chars += text.chars();
    sink.delta(Delta::Content(text));
}
