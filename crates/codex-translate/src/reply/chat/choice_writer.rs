//! Writes what the model generates as the deltas of one choice: in which field, under which name, and up to which
//! limit.

use serde_json::value::RawValue;

use crate::bounds::MAX_COMMENTARY_BYTES;
use crate::chat::{Citation, Delta, DeltaSink, OutputImage, ReasoningKey};
use crate::json::Text;
use crate::outcome::Finish;
use crate::plan::{ReasoningStyle, ReplyPlan};
use crate::reply::limit::OutputLimiter;
use crate::responses::{MessagePhase, TextDelta, TextKind};
use crate::tool_names::ToolNames;
use crate::usage::Usage;

/// Separates messages, and the parts of a summary.
const DIVIDER: &str = "\n\n";

const THINK: &str = "<think>";
const END_OF_THINK: &str = "</think>\n\n";

/// Writes one choice of a chat reply.
#[derive(Clone, Debug)]
pub(crate) struct ChoiceWriter {
    style: ReasoningStyle,
    tools: ToolNames,
    legacy: bool,
    limiter: Option<OutputLimiter>,
    section: Section,
    commentary: Commentary,
    /// The message that the answer's last text belongs to.
    message: Option<u64>,
    /// The text that the last reasoning belongs to.
    thought: Option<(u64, TextKind, u64)>,
    /// The number of characters written to the answer.
    chars: u64,
    calls: u32,
    images: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    /// Nothing was written yet, not even the role.
    Start,
    /// Between `<think>` tags.
    Thinking,
    Answer,
}

/// How the model's commentary is treated.
#[derive(Clone, Debug)]
enum Commentary {
    /// No answer has arrived: the commentary is written as reasoning, and becomes the answer if none follows.
    Buffered(BufferedCommentary),
    /// An answer has arrived: commentary is only reasoning.
    Superseded,
    /// The commentary was too long to be buffered, and is the answer, `base` characters into it.
    Answer { base: u64 },
}

/// Commentary that may become the answer.
#[derive(Clone, Debug, Default)]
struct BufferedCommentary {
    text: String,
    /// The message that its last text belongs to.
    message: Option<u64>,
    /// Annotations, each with the number of characters of the commentary before the text that it annotates.
    annotations: Vec<(Box<RawValue>, u64)>,
    bytes: usize,
}

impl ChoiceWriter {
    pub(crate) fn new(plan: &ReplyPlan) -> Self {
        Self {
            style: plan.reasoning,
            tools: plan.tools.clone(),
            legacy: plan.legacy_functions,
            limiter: OutputLimiter::new(plan),
            section: Section::Start,
            commentary: Commentary::Buffered(BufferedCommentary::default()),
            message: None,
            thought: None,
            chars: 0,
            calls: 0,
            images: 0,
        }
    }

    /// Adds to a text. Returns the finish if the caller's limit ends the reply here.
    pub(crate) fn push_text(
        &mut self,
        delta: &TextDelta<'_>,
        phase: MessagePhase,
        sink: &mut impl DeltaSink,
    ) -> Option<Finish> {
        match (delta.text_kind, phase) {
            (TextKind::Text, MessagePhase::Answer) => {
                self.commentary = Commentary::Superseded;
                self.push_answer(delta.output_index, delta.text, sink)
            }
            (TextKind::Text, MessagePhase::Commentary) => self.push_commentary(delta, sink),
            (TextKind::Refusal, _) => {
                self.commentary = Commentary::Superseded;
                self.begin_answer(sink);
                self.push_other(delta.text, |text| sink.delta(Delta::Refusal(text)))
            }
            (TextKind::Summary | TextKind::Reasoning, _) => {
                self.push_reasoning(delta, sink);
                None
            }
        }
    }

    /// Starts a tool call, and returns its index.
    pub(crate) fn start_call(&mut self, id: &str, wire_name: &str, sink: &mut impl DeltaSink) -> u32 {
        self.begin_answer(sink);
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

    /// Adds to the arguments of the call at `index`.
    pub(crate) fn push_arguments(&mut self, index: u32, text: Text<'_>, sink: &mut impl DeltaSink) -> Option<Finish> {
        if text.is_empty() {
            return None;
        }
        let tool_index = self.tool_index(index);
        self.push_other(text, |text| match tool_index {
            Some(index) => sink.delta(Delta::Arguments { index, text }),
            None => sink.delta(Delta::FunctionArguments(text)),
        })
    }

    /// Adds a citation of a text; `offset` is what [`offset_of`](Self::offset_of) returned for the text.
    pub(crate) fn push_citation(
        &mut self,
        annotation: &RawValue,
        phase: MessagePhase,
        offset: u64,
        sink: &mut impl DeltaSink,
    ) {
        let offset = match (phase, &mut self.commentary) {
            (MessagePhase::Answer, _) => offset,
            (MessagePhase::Commentary, Commentary::Buffered(buffered)) => {
                return buffered.annotate(annotation, offset);
            }
            (MessagePhase::Commentary, Commentary::Answer { base }) => *base + offset,
            // The text that it annotates is not part of the answer.
            (MessagePhase::Commentary, Commentary::Superseded) => return,
        };
        if let Some(citation) = Citation::read(annotation, offset) {
            self.begin_answer(sink);
            sink.delta(Delta::Citation(&citation));
        }
    }

    /// Adds an image.
    pub(crate) fn push_image(&mut self, format: &str, base64: Text<'_>, sink: &mut impl DeltaSink) {
        self.begin_answer(sink);
        self.flush(sink);
        sink.delta(Delta::Image(OutputImage { index: self.images, format, base64 }));
        self.images += 1;
    }

    /// Returns how many characters of the answer, or of the commentary, precede the next text of the message at
    /// `index`.
    pub(crate) fn offset_of(&self, index: u64, phase: MessagePhase) -> u64 {
        let divider = |last: Option<u64>| if last.is_some_and(|last| last != index) { DIVIDER.len() as u64 } else { 0 };
        match (phase, &self.commentary) {
            (MessagePhase::Commentary, Commentary::Buffered(buffered)) => {
                buffered.text.chars().count() as u64 + divider(buffered.message)
            }
            (MessagePhase::Commentary, Commentary::Answer { base }) => self.chars() + divider(self.message) - base,
            (MessagePhase::Commentary, Commentary::Superseded) => 0,
            (MessagePhase::Answer, _) if self.section == Section::Thinking => self.chars() + END_OF_THINK.len() as u64,
            (MessagePhase::Answer, _) => self.chars() + divider(self.message),
        }
    }

    /// Writes what was held back, and the role if nothing was written at all.
    pub(crate) fn finish(&mut self, sink: &mut impl DeltaSink) -> Option<Finish> {
        let cut = match std::mem::replace(&mut self.commentary, Commentary::Superseded) {
            Commentary::Buffered(buffered) if !buffered.text.is_empty() => self.promote_commentary(buffered, sink),
            Commentary::Buffered(_) | Commentary::Superseded | Commentary::Answer { .. } => None,
        };
        self.begin_answer(sink);
        if cut.is_none() {
            self.flush(sink);
        }
        cut
    }

    /// Returns the finish of a reply that no limit has ended.
    pub(crate) fn natural_finish(&self) -> Finish {
        match (self.calls, self.legacy) {
            (0, _) => Finish::Stop,
            (_, true) => Finish::FunctionCall,
            (_, false) => Finish::ToolCalls,
        }
    }

    /// Returns the usage of a reply that a limit has ended, as counted here.
    pub(crate) fn limited_usage(&self) -> Option<Usage> {
        self.limiter.as_ref().map(OutputLimiter::usage)
    }

    /// Returns the index in `tool_calls`, or `None` for the one call that a legacy reply has room for.
    fn tool_index(&self, index: u32) -> Option<u32> {
        if self.legacy { index.checked_sub(1) } else { Some(index) }
    }

    /// Adds to the answer.
    fn push_answer(&mut self, message: u64, text: Text<'_>, sink: &mut impl DeltaSink) -> Option<Finish> {
        self.begin_answer(sink);
        if self.message.replace(message).is_some_and(|last| last != message) {
            self.flush(sink);
            self.push_content(Text::Plain(DIVIDER), sink);
        }
        let Some(limiter) = &mut self.limiter else {
            self.push_content(text, sink);
            return None;
        };
        let chars = &mut self.chars;
        limiter.content(text, |text| write_content(text, chars, sink))
    }

    /// Adds to the commentary, which is written as reasoning and may become the answer.
    fn push_commentary(&mut self, delta: &TextDelta<'_>, sink: &mut impl DeltaSink) -> Option<Finish> {
        match &mut self.commentary {
            Commentary::Answer { .. } => return self.push_answer(delta.output_index, delta.text, sink),
            Commentary::Superseded => {}
            Commentary::Buffered(buffered) => {
                buffered.push(delta.output_index, delta.text);
                if buffered.bytes > MAX_COMMENTARY_BYTES {
                    let buffered = std::mem::take(buffered);
                    return self.promote_commentary(buffered, sink);
                }
            }
        }
        self.push_reasoning(delta, sink);
        None
    }

    /// Makes the commentary the answer.
    fn promote_commentary(&mut self, buffered: BufferedCommentary, sink: &mut impl DeltaSink) -> Option<Finish> {
        self.begin_answer(sink);
        let base = self.chars();
        self.commentary = Commentary::Answer { base };
        let cut = self.push_answer(buffered.message.unwrap_or_default(), Text::Plain(&buffered.text), sink);
        for (annotation, offset) in buffered.annotations.iter().filter(|_| cut.is_none()) {
            self.push_citation(annotation, MessagePhase::Commentary, *offset, sink);
        }
        cut
    }

    /// Adds to the reasoning.
    fn push_reasoning(&mut self, delta: &TextDelta<'_>, sink: &mut impl DeltaSink) {
        let key = match self.style {
            ReasoningStyle::None => return,
            ReasoningStyle::ReasoningContent => Some(ReasoningKey::ReasoningContent),
            ReasoningStyle::Reasoning => Some(ReasoningKey::Reasoning),
            ReasoningStyle::Think => None,
        };
        let thought = (delta.output_index, delta.text_kind, delta.part);
        let divided = self.thought.replace(thought).is_some_and(|last| last != thought);
        match key {
            Some(key) => {
                self.write_role(sink);
                if divided {
                    sink.delta(Delta::Reasoning { key, text: Text::Plain(DIVIDER) });
                }
                sink.delta(Delta::Reasoning { key, text: delta.text });
            }
            None => {
                if self.section == Section::Thinking {
                    if divided {
                        self.push_content(Text::Plain(DIVIDER), sink);
                    }
                } else {
                    self.write_role(sink);
                    self.flush(sink);
                    self.section = Section::Thinking;
                    self.push_content(Text::Plain(THINK), sink);
                }
                self.push_content(delta.text, sink);
            }
        }
    }

    /// Writes generated text that is not part of the answer's content.
    fn push_other(&mut self, text: Text<'_>, mut emit: impl FnMut(Text<'_>)) -> Option<Finish> {
        match &mut self.limiter {
            Some(limiter) => limiter.other(text, emit),
            None => {
                emit(text);
                None
            }
        }
    }

    fn write_role(&mut self, sink: &mut impl DeltaSink) {
        if self.section == Section::Start {
            self.section = Section::Answer;
            sink.delta(Delta::Role);
        }
    }

    /// Writes the role, and closes the `<think>` section if it is open.
    fn begin_answer(&mut self, sink: &mut impl DeltaSink) {
        self.write_role(sink);
        if self.section == Section::Thinking {
            self.section = Section::Answer;
            self.push_content(Text::Plain(END_OF_THINK), sink);
            // The tag ends in a blank line, which separates well enough.
            self.message = None;
        }
    }

    /// Returns the number of characters of the answer, including those that are held back.
    fn chars(&self) -> u64 {
        self.chars + self.limiter.as_ref().map_or(0, OutputLimiter::held_chars)
    }

    fn flush(&mut self, sink: &mut impl DeltaSink) {
        if let Some(limiter) = &mut self.limiter {
            let chars = &mut self.chars;
            limiter.flush(|text| write_content(text, chars, sink));
        }
    }

    fn push_content(&mut self, text: Text<'_>, sink: &mut impl DeltaSink) {
        write_content(text, &mut self.chars, sink);
    }
}

impl BufferedCommentary {
    fn push(&mut self, message: u64, text: Text<'_>) {
        if self.message.replace(message).is_some_and(|last| last != message) {
            self.text.push_str(DIVIDER);
        }
        let before = self.text.len();
        text.push_to(&mut self.text);
        self.bytes += self.text.len() - before;
    }

    /// Stores an annotation if there is room for it.
    fn annotate(&mut self, annotation: &RawValue, offset: u64) {
        self.bytes += annotation.get().len();
        if self.bytes <= MAX_COMMENTARY_BYTES {
            self.annotations.push((annotation.to_owned(), offset));
        }
    }
}

/// Writes content, and counts its characters.
fn write_content(text: Text<'_>, chars: &mut u64, sink: &mut impl DeltaSink) {
    *chars += text.chars();
    sink.delta(Delta::Content(text));
}
