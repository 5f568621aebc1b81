//! Writes what precedes the answer: reasoning, and commentary, which may turn out to be the answer.

use super::choice_writer::{ChoiceWriter, DIVIDER, END_OF_THINK, Section, Thought};
use super::commentary::{Commentary, HeldCommentary};
use crate::chat::{Delta, DeltaSink, ReasoningKey};
use crate::json::Text;
use crate::outcome::Finish;
use crate::plan::ReasoningStyle;
use crate::responses::{MessagePhase, TextDelta, TextKind};

const THINK: &str = "<think>";

impl ChoiceWriter {
    /// Adds to the commentary.
    pub(super) fn push_commentary(&mut self, delta: &TextDelta<'_>, sink: &mut impl DeltaSink) -> Option<Finish> {
        self.write_role(sink);
        let divider = self.divider(self.commentary.message(), delta.output_index);
        match &mut self.commentary {
            Commentary::Held(held) => {
                // Two messages are no JSON answer: only the last one can become it.
                let replaced = self.json.is_some() && held.message().is_some_and(|last| last != delta.output_index);
                let released = replaced.then(|| std::mem::take(held));
                held.push_commentary(delta, divider);
                if let Some(released) = released {
                    self.write_as_reasoning(&released, sink);
                }
                self.limit_commentary(sink)
            }
            Commentary::Answer { .. } => self.push_answer(delta, sink),
            Commentary::Reasoning => {
                self.push_reasoning(delta, sink);
                None
            }
        }
    }

    /// Decides what commentary is that is too long to be held: the answer, unless it would break one that has a format.
    pub(super) fn limit_commentary(&mut self, sink: &mut impl DeltaSink) -> Option<Finish> {
        match &mut self.commentary {
            Commentary::Held(held) if held.is_full() && self.json.is_none() => {
                let held = std::mem::take(held);
                self.promote_commentary(&held, sink)
            }
            Commentary::Held(held) if held.is_full() => {
                self.settle_commentary(sink);
                None
            }
            Commentary::Held(_) | Commentary::Reasoning | Commentary::Answer { .. } => None,
        }
    }

    /// Decides that commentary is reasoning, because something else is the reply, and writes what was held.
    pub(super) fn settle_commentary(&mut self, sink: &mut impl DeltaSink) {
        if matches!(self.commentary, Commentary::Reasoning) {
            return;
        }
        if let Commentary::Held(held) = std::mem::replace(&mut self.commentary, Commentary::Reasoning) {
            self.write_as_reasoning(&held, sink);
        }
    }

    fn write_as_reasoning(&mut self, held: &HeldCommentary, sink: &mut impl DeltaSink) {
        for text in held.texts() {
            self.push_reasoning(&text, sink);
        }
    }

    /// Makes the commentary the answer, after the reasoning that was held with it.
    pub(super) fn promote_commentary(&mut self, held: &HeldCommentary, sink: &mut impl DeltaSink) -> Option<Finish> {
        for text in held.texts().filter(|text| text.text_kind != TextKind::Text) {
            self.push_reasoning(&text, sink);
        }
        self.begin_answer(sink);
        self.commentary = Commentary::Answer { base: self.chars() };
        for text in held.texts().filter(|text| text.text_kind == TextKind::Text) {
            if let Some(finish) = self.push_answer(&text, sink) {
                return Some(finish);
            }
        }
        for (annotation, index, offset) in held.annotations() {
            self.push_citation(annotation, index, MessagePhase::Commentary, offset, sink);
        }
        None
    }

    /// Adds to the reasoning.
    pub(super) fn push_reasoning(&mut self, delta: &TextDelta<'_>, sink: &mut impl DeltaSink) {
        let key = match self.style {
            ReasoningStyle::None => return,
            ReasoningStyle::ReasoningContent => Some(ReasoningKey::ReasoningContent),
            ReasoningStyle::Reasoning => Some(ReasoningKey::Reasoning),
            ReasoningStyle::Think => None,
        };
        self.write_role(sink);
        let last = self.thought.replace(thought_of(delta));
        let lead = self.lead(self.section, last, delta);
        match key {
            Some(key) => {
                if !lead.is_empty() {
                    sink.delta(Delta::Reasoning { key, text: Text::Plain(lead) });
                }
                sink.delta(Delta::Reasoning { key, text: delta.text });
            }
            None => {
                if self.section != Section::Thinking {
                    self.flush(sink);
                    self.section = Section::Thinking;
                }
                if !lead.is_empty() {
                    self.push_content(Text::Plain(lead), sink);
                }
                self.push_content(delta.text, sink);
            }
        }
    }

    /// Returns what precedes a text of the reasoning: a tag, or a divider after another text.
    fn lead(&self, section: Section, last: Option<Thought>, delta: &TextDelta<'_>) -> &'static str {
        if self.style == ReasoningStyle::Think && section != Section::Thinking {
            THINK
        } else if last.is_some_and(|last| last != thought_of(delta)) {
            DIVIDER
        } else {
            ""
        }
    }

    /// Returns how many characters of the answer precede a text of the message at `index`, if `held` is written as
    /// reasoning before it.
    pub(super) fn offset_after(&self, held: &HeldCommentary, index: u64) -> u64 {
        if self.style != ReasoningStyle::Think || held.is_empty() {
            return self.next_offset(index);
        }
        let (mut section, mut last, mut chars) = (self.section, self.thought, self.chars());
        for text in held.texts() {
            chars += self.lead(section, last, &text).len() as u64 + text.text.chars();
            (section, last) = (Section::Thinking, Some(thought_of(&text)));
        }
        chars + END_OF_THINK.len() as u64
    }
}

fn thought_of(delta: &TextDelta<'_>) -> Thought {
    (delta.output_index, delta.text_kind, delta.part)
}
