//! Writes what the model generates as the deltas of one choice: in which field, under which name, and up to which
//! limit.

use serde_json::value::RawValue;

use super::commentary::{Commentary, HeldCommentary};
use super::json_answer::JsonAnswer;
use crate::chat::{Citation, Delta, DeltaSink, OutputImage};
use crate::json::Text;
use crate::outcome::Finish;
use crate::plan::{ReasoningStyle, ReplyPlan};
use crate::reply::limit::OutputLimiter;
use crate::responses::{MessagePhase, TextDelta, TextKind};
use crate::tool_names::ToolNames;
use crate::usage::Usage;

/// Separates messages, and the parts of a summary.
pub(super) const DIVIDER: &str = "\n\n";

pub(super) const END_OF_THINK: &str = "</think>\n\n";

/// Writes one choice of a chat reply.
#[derive(Clone, Debug)]
pub(crate) struct ChoiceWriter {
    pub(super) style: ReasoningStyle,
    tools: ToolNames,
    legacy: bool,
    limiter: Option<OutputLimiter>,
    pub(super) section: Section,
    pub(super) commentary: Commentary,
    /// The answer, if it has a format, such as JSON.
    pub(super) json: Option<JsonAnswer>,
    /// The message that the answer's last text belongs to.
    message: Option<u64>,
    /// The text that the last reasoning belongs to.
    pub(super) thought: Option<Thought>,
    /// The number of characters written to the answer.
    chars: u64,
    calls: u32,
    citations: u32,
    images: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// Nothing was written yet, not even the role.
    Start,
    /// Between `<think>` tags.
    Thinking,
    Answer,
}

/// A text of the reasoning: its item, kind and place.
pub(super) type Thought = (u64, TextKind, u64);

impl ChoiceWriter {
    pub(crate) fn new(plan: &ReplyPlan) -> Self {
        Self {
            style: plan.reasoning,
            tools: plan.tools.clone(),
            legacy: plan.legacy_functions,
            limiter: OutputLimiter::new(plan),
            section: Section::Start,
            commentary: Commentary::Held(HeldCommentary::default()),
            json: plan.formatted.then(JsonAnswer::default),
            message: None,
            thought: None,
            chars: 0,
            calls: 0,
            citations: 0,
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
        match (delta.text_kind, self.phase_of(delta.output_index, phase)) {
            (TextKind::Text, MessagePhase::Answer) => {
                self.settle_commentary(sink);
                self.push_answer(delta, sink)
            }
            (TextKind::Text, MessagePhase::Commentary) => self.push_commentary(delta, sink),
            (TextKind::Refusal, _) => {
                self.settle_commentary(sink);
                self.begin_answer(sink);
                self.push_other(delta.text, |text| sink.delta(Delta::Refusal(text)))
            }
            (TextKind::Summary | TextKind::Reasoning, _) => match &mut self.commentary {
                Commentary::Held(held) if !held.is_empty() && self.style != ReasoningStyle::None => {
                    held.push(delta);
                    self.limit_commentary(sink)
                }
                Commentary::Held(_) | Commentary::Reasoning | Commentary::Answer { .. } => {
                    self.push_reasoning(delta, sink);
                    None
                }
            },
        }
    }

    /// Starts a tool call, and returns its index. What precedes it is written before it.
    pub(crate) fn start_call(&mut self, id: &str, wire_name: &str, sink: &mut impl DeltaSink) -> u32 {
        self.settle_commentary(sink);
        self.begin_answer(sink);
        self.flush(sink);
        if self.style == ReasoningStyle::Think {
            // Tags would put content after the call, where clients expect none.
            self.style = ReasoningStyle::ReasoningContent;
            self.thought = None;
        }
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

    /// Adds a citation of a text of the message at `index`; `offset` is what [`offset_of`](Self::offset_of) returned
    /// for the text.
    pub(crate) fn push_citation(
        &mut self,
        annotation: &RawValue,
        index: u64,
        phase: MessagePhase,
        offset: u64,
        sink: &mut impl DeltaSink,
    ) {
        let offset = match (self.phase_of(index, phase), &mut self.commentary) {
            (MessagePhase::Answer, _) => offset,
            (MessagePhase::Commentary, Commentary::Held(held)) => {
                if self.json.is_none() || held.message() == Some(index) {
                    held.annotate(annotation, index, offset);
                }
                return;
            }
            (MessagePhase::Commentary, Commentary::Answer { base }) => *base + offset,
            // The text that it annotates is not part of the answer.
            (MessagePhase::Commentary, Commentary::Reasoning) => return,
        };
        if let Some(citation) = Citation::read(annotation, self.citations, offset) {
            self.citations += 1;
            self.begin_answer(sink);
            sink.delta(Delta::Citation(&citation));
        }
    }

    /// Adds an image, which is beside the content and so ends nothing in it.
    pub(crate) fn push_image(&mut self, format: &str, base64: Text<'_>, sink: &mut impl DeltaSink) {
        self.write_role(sink);
        sink.delta(Delta::Image(OutputImage { index: self.images, format, base64 }));
        self.images += 1;
    }

    /// Returns how many characters of the answer, or of the commentary, precede the next text of the message at
    /// `index`.
    pub(crate) fn offset_of(&self, index: u64, phase: MessagePhase) -> u64 {
        match (self.phase_of(index, phase), &self.commentary) {
            (MessagePhase::Commentary, Commentary::Held(held)) => {
                let replaces = self.json.is_some() && held.message() != Some(index);
                if replaces { 0 } else { held.chars() + self.divider(held.message(), index).len() as u64 }
            }
            (MessagePhase::Commentary, Commentary::Answer { base }) => self.next_offset(index) - base,
            (MessagePhase::Commentary, Commentary::Reasoning) => 0,
            (MessagePhase::Answer, Commentary::Held(held)) => self.offset_after(held, index),
            (MessagePhase::Answer, Commentary::Answer { .. } | Commentary::Reasoning) => self.next_offset(index),
        }
    }

    /// Writes what was held back, and the role if nothing was written at all.
    pub(crate) fn finish(&mut self, sink: &mut impl DeltaSink) -> Option<Finish> {
        let cut = match std::mem::replace(&mut self.commentary, Commentary::Reasoning) {
            Commentary::Held(held) if !held.is_empty() => self.promote_commentary(&held, sink),
            Commentary::Held(_) | Commentary::Reasoning | Commentary::Answer { .. } => None,
        };
        self.begin_answer(sink);
        if cut.is_none() {
            self.flush(sink);
        }
        cut
    }

    /// Returns whether the reply shows texts of this kind.
    pub(crate) fn shows(&self, kind: TextKind) -> bool {
        self.style != ReasoningStyle::None || !matches!(kind, TextKind::Summary | TextKind::Reasoning)
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

    /// Returns what a text of the message at `index` is. A JSON answer that is whole has no room for a further message.
    fn phase_of(&self, index: u64, phase: MessagePhase) -> MessagePhase {
        match &self.json {
            Some(json) if json.is_whole() && self.message != Some(index) => MessagePhase::Commentary,
            Some(_) | None => phase,
        }
    }

    /// Returns what is written between two texts of messages. Nothing is inserted into an answer that has a format.
    pub(super) fn divider(&self, last: Option<u64>, next: u64) -> &'static str {
        if self.json.is_none() && last.is_some_and(|last| last != next) { DIVIDER } else { "" }
    }

    /// Adds to the answer.
    pub(super) fn push_answer(&mut self, delta: &TextDelta<'_>, sink: &mut impl DeltaSink) -> Option<Finish> {
        self.begin_answer(sink);
        let divider = self.divider(self.message, delta.output_index);
        self.message = Some(delta.output_index);
        if let Some(json) = &mut self.json {
            json.push(delta.text);
        }
        let Some(limiter) = &mut self.limiter else {
            if !divider.is_empty() {
                self.push_content(Text::Plain(divider), sink);
            }
            self.push_content(delta.text, sink);
            return None;
        };
        let chars = &mut self.chars;
        limiter.content_after(divider, delta.text, |text| write_content(text, chars, sink))
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

    /// Writes the role, which is before everything else.
    pub(super) fn write_role(&mut self, sink: &mut impl DeltaSink) {
        if self.section == Section::Start {
            self.section = Section::Answer;
            sink.delta(Delta::Role);
        }
    }

    /// Writes the role, and closes the `<think>` section if it is open.
    pub(super) fn begin_answer(&mut self, sink: &mut impl DeltaSink) {
        self.write_role(sink);
        if self.section == Section::Thinking {
            self.section = Section::Answer;
            self.push_content(Text::Plain(END_OF_THINK), sink);
            // The tag ends in a blank line, which separates well enough.
            self.message = None;
        }
    }

    /// Returns the number of characters of the answer, including those that are held back.
    pub(super) fn chars(&self) -> u64 {
        self.chars + self.limiter.as_ref().map_or(0, OutputLimiter::held_chars)
    }

    /// Returns how many characters precede the next text of the answer, which is of the message at `index`.
    pub(super) fn next_offset(&self, index: u64) -> u64 {
        let lead = if self.section == Section::Thinking { END_OF_THINK } else { self.divider(self.message, index) };
        self.chars() + lead.len() as u64
    }

    pub(super) fn flush(&mut self, sink: &mut impl DeltaSink) {
        if let Some(limiter) = &mut self.limiter {
            let chars = &mut self.chars;
            limiter.flush(|text| write_content(text, chars, sink));
        }
    }

    pub(super) fn push_content(&mut self, text: Text<'_>, sink: &mut impl DeltaSink) {
        write_content(text, &mut self.chars, sink);
    }
}

/// Writes content, and counts its characters.
fn write_content(text: Text<'_>, chars: &mut u64, sink: &mut impl DeltaSink) {
    *chars += text.chars();
    sink.delta(Delta::Content(text));
}
