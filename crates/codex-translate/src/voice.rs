//! How a chat reply says what the model says: in which field, under which name, and up to where.

use crate::chat::{Citation, Delta, Image, ReasoningKey, Sink};
use crate::cut::Cutter;
use crate::plan::{ReasoningStyle, ReplyPlan};
use crate::reply::{Finish, Summary};
use crate::responses::{Channel, Phase, Piece};
use crate::text::Text;
use crate::tool_names::ToolNames;

use serde_json::value::RawValue;

/// How much commentary is kept in case no answer follows. Beyond this it is taken for the answer at once.
pub const MAX_COMMENTARY_BYTES: usize = 1024 * 1024;

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
    thought: Option<(u64, Channel, u64)>,
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
    /// Kept, since no answer has come yet; from the message at the index.
    Held { text: String, message: Option<u64> },
    /// An answer has come: commentary is reasoning and no more.
    Superseded,
    /// It is too long to be kept: it is the answer.
    Answer,
}

impl Voice {
    pub(crate) fn new(plan: &ReplyPlan) -> Self {
        Self {
            style: plan.reasoning,
            tools: plan.tools.clone(),
            legacy: plan.legacy_functions,
            cutter: Cutter::new(plan),
            section: Section::Silent,
            commentary: Commentary::Held { text: String::new(), message: None },
            message: None,
            thought: None,
            chars: 0,
            calls: 0,
            images: 0,
        }
    }

    /// Says more of a text; the reply's end, if the caller has set it here.
    pub(crate) fn text(&mut self, piece: &Piece<'_>, phase: Phase, sink: &mut impl Sink) -> Option<Finish> {
        match (piece.channel, phase) {
            (Channel::Text, Phase::Answer) => {
                self.commentary = Commentary::Superseded;
                self.answer(piece.output_index, piece.text, sink)
            }
            (Channel::Text, Phase::Commentary) => self.comment(piece, sink),
            (Channel::Refusal, _) => {
                self.commentary = Commentary::Superseded;
                self.begin_speaking(sink);
                self.generate(piece.text, |text| sink.delta(Delta::Refusal(text)))
            }
            (Channel::Summary | Channel::Reasoning, _) => {
                self.think(piece, sink);
                None
            }
        }
    }

    /// Begins a tool call; its index.
    pub(crate) fn call(&mut self, id: &str, wire_name: &str, sink: &mut impl Sink) -> u32 {
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
    pub(crate) fn arguments(&mut self, index: u32, text: Text<'_>, sink: &mut impl Sink) -> Option<Finish> {
        if text.is_empty() {
            return None;
        }
        let tool_index = self.tool_index(index);
        self.generate(text, |text| match tool_index {
            Some(index) => sink.delta(Delta::Arguments { index, text }),
            None => sink.delta(Delta::FunctionArguments(text)),
        })
    }

    /// Names the source of a stretch of a text that begins `offset` characters into the answer.
    pub(crate) fn citation(&mut self, annotation: &RawValue, offset: u64, sink: &mut impl Sink) {
        if let Some(citation) = Citation::read(annotation, offset) {
            self.begin_speaking(sink);
            sink.delta(Delta::Citation(&citation));
        }
    }

    pub(crate) fn image(&mut self, format: &str, base64: Text<'_>, sink: &mut impl Sink) {
        self.begin_speaking(sink);
        self.flush(sink);
        sink.delta(Delta::Image(Image { index: self.images, format, base64 }));
        self.images += 1;
    }

    /// How many characters of the answer will stand before the next text of the message at `index`.
    pub(crate) fn offset_of(&self, index: u64) -> u64 {
        let tag = if self.section == Section::Thinking { END_OF_THINK } else { "" };
        let divider = if self.message.is_some_and(|message| message != index) { DIVIDER } else { "" };
        let held = self.cutter.as_ref().map_or(0, Cutter::held_chars);
        self.chars + held + (tag.len() + divider.len()) as u64
    }

    /// Says what was held back, and the role if nothing has been said at all.
    pub(crate) fn end(&mut self, sink: &mut impl Sink) -> Option<Finish> {
        let cut = match std::mem::replace(&mut self.commentary, Commentary::Superseded) {
            Commentary::Held { text, message } if !text.is_empty() => {
                self.answer(message.unwrap_or_default(), Text::Plain(&text), sink)
            }
            Commentary::Held { .. } | Commentary::Superseded | Commentary::Answer => None,
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

    /// The summary of a reply that was cut here; its usage is this side's own count.
    pub(crate) fn cut_summary(&self, finish: Finish) -> Summary {
        Summary { finish, usage: self.cutter.as_ref().map(Cutter::usage) }
    }

    /// The index among `tool_calls`, or `None` for the one call that a legacy reply has room for.
    fn tool_index(&self, index: u32) -> Option<u32> {
        if self.legacy { index.checked_sub(1) } else { Some(index) }
    }

    /// Says more of the answer.
    fn answer(&mut self, message: u64, text: Text<'_>, sink: &mut impl Sink) -> Option<Finish> {
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
    fn comment(&mut self, piece: &Piece<'_>, sink: &mut impl Sink) -> Option<Finish> {
        let index = piece.output_index;
        match &mut self.commentary {
            Commentary::Answer => return self.answer(index, piece.text, sink),
            Commentary::Superseded => {}
            Commentary::Held { text, message } => {
                if message.replace(index).is_some_and(|last| last != index) {
                    text.push_str(DIVIDER);
                }
                piece.text.push_to(text);
                if text.len() > MAX_COMMENTARY_BYTES {
                    let text = std::mem::take(text);
                    self.commentary = Commentary::Answer;
                    return self.answer(index, Text::Plain(&text), sink);
                }
            }
        }
        self.think(piece, sink);
        None
    }

    /// Says more of the reasoning.
    fn think(&mut self, piece: &Piece<'_>, sink: &mut impl Sink) {
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

    fn begin(&mut self, sink: &mut impl Sink) {
        if self.section == Section::Silent {
            self.section = Section::Speaking;
            sink.delta(Delta::Role);
        }
    }

    fn begin_speaking(&mut self, sink: &mut impl Sink) {
        self.begin(sink);
        if self.section == Section::Thinking {
            self.section = Section::Speaking;
            self.say(Text::Plain(END_OF_THINK), sink);
        }
    }

    fn flush(&mut self, sink: &mut impl Sink) {
        if let Some(cutter) = &mut self.cutter {
            let chars = &mut self.chars;
            cutter.flush(|text| say(text, chars, sink));
        }
    }

    fn say(&mut self, text: Text<'_>, sink: &mut impl Sink) {
        say(text, &mut self.chars, sink);
    }
}

/// Adds to the content, and counts its characters.
fn say(text: Text<'_>, chars: &mut u64, sink: &mut impl Sink) {
    *chars += text.chars();
    sink.delta(Delta::Content(text));
}
