//! Which texts a chat stream can still add to.

use crate::plan::{ReasoningStyle, ReplyPlan};
use crate::responses::{MessagePhase, TextDelta, TextKind};

/// The last text of each member of the reply: only that one can be continued.
#[derive(Clone, Debug)]
pub(super) struct LastTexts {
    /// Whether reasoning is part of the content.
    is_think: bool,
    content: Option<TextPlace>,
    refusal: Option<TextPlace>,
    reasoning: Option<TextPlace>,
}

type TextPlace = (u64, TextKind, u64);

impl LastTexts {
    pub(super) fn new(plan: &ReplyPlan) -> Self {
        let is_think = plan.reasoning == ReasoningStyle::Think;
        Self { is_think, content: None, refusal: None, reasoning: None }
    }

    /// Records that a text was added to.
    pub(super) fn set(&mut self, piece: &TextDelta<'_>, phase: MessagePhase) {
        *self.of(piece.text_kind, phase) = Some((piece.output_index, piece.text_kind, piece.part));
    }

    /// Returns whether nothing follows a text in its member.
    pub(super) fn is(&mut self, piece: &TextDelta<'_>, phase: MessagePhase) -> bool {
        *self.of(piece.text_kind, phase) == Some((piece.output_index, piece.text_kind, piece.part))
    }

    fn of(&mut self, text_kind: TextKind, phase: MessagePhase) -> &mut Option<TextPlace> {
        match (text_kind, phase) {
            (TextKind::Refusal, _) => &mut self.refusal,
            (TextKind::Text, MessagePhase::Answer) => &mut self.content,
            (TextKind::Text, MessagePhase::Commentary) | (TextKind::Summary | TextKind::Reasoning, _) => {
                if self.is_think { &mut self.content } else { &mut self.reasoning }
            }
        }
    }
}
