//! The texts of an item.

use serde_json::value::RawValue;

use crate::json::Text;
use crate::responses::{TextDelta, TextKind};

/// The state of an item, a part or the arguments of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    #[default]
    Open,
    /// The text is complete; the part around it is still open. Of arguments: the call has ended without saying what
    /// they are.
    TextDone,
    Done,
}

/// One text of an item.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) text_kind: TextKind,
    pub(super) index: u64,
    pub(super) stage: Stage,
    pub(super) text: EscapedText,
    annotations: Vec<Box<RawValue>>,
}

/// A text as it stands between the quotes of a JSON string.
#[derive(Clone, Debug, Default)]
pub(super) struct EscapedText {
    escaped: Vec<u8>,
    pub(super) stage: Stage,
}

/// A text and where it belongs.
#[derive(Clone, Copy)]
pub(super) struct TextPiece<'a> {
    pub(super) place: usize,
    pub(super) text_kind: TextKind,
    pub(super) part: u64,
    pub(super) text: Text<'a>,
}

impl<'a> TextPiece<'a> {
    pub(super) fn of(piece: &TextDelta<'a>, place: usize) -> Self {
        Self { place, text_kind: piece.text_kind, part: piece.part, text: piece.text }
    }
}

impl Part {
    pub(super) fn new(text_kind: TextKind, index: u64) -> Self {
        Self { text_kind, index, stage: Stage::Open, text: EscapedText::default(), annotations: Vec::new() }
    }

    /// Adds an annotation that came as an event; returns how many bytes were stored.
    pub(super) fn annotate(&mut self, annotation: &RawValue) -> usize {
        self.annotations.push(annotation.to_owned());
        annotation.get().len()
    }

    /// Returns the completed part.
    pub(super) fn to_json(&self) -> String {
        let text = self.text.to_json();
        match self.text_kind {
            TextKind::Text => {
                let annotations = self.annotations_json();
                format!("{{\"type\":\"output_text\",\"annotations\":{annotations},\"logprobs\":[],\"text\":{text}}}")
            }
            TextKind::Refusal => format!("{{\"type\":\"refusal\",\"refusal\":{text}}}"),
            TextKind::Summary => format!("{{\"type\":\"summary_text\",\"text\":{text}}}"),
            TextKind::Reasoning => format!("{{\"type\":\"reasoning_text\",\"text\":{text}}}"),
        }
    }

    pub(super) fn has_text(&self) -> bool {
        !self.text.escaped.is_empty()
    }

    /// Returns how many annotations came as events.
    pub(super) fn annotations(&self) -> usize {
        self.annotations.len()
    }

    /// Returns them as a JSON array.
    pub(super) fn annotations_json(&self) -> String {
        let annotations: Vec<_> = self.annotations.iter().map(|annotation| annotation.get()).collect();
        format!("[{}]", annotations.join(","))
    }

    /// Returns how much of it is stored.
    pub(super) fn kept_bytes(&self) -> usize {
        self.text.escaped.len() + self.annotations.iter().map(|annotation| annotation.get().len()).sum::<usize>()
    }
}

impl EscapedText {
    /// Returns how much of it is stored.
    pub(super) fn kept_bytes(&self) -> usize {
        self.escaped.len()
    }

    /// Adds to the text; returns how many bytes were stored.
    pub(super) fn push(&mut self, text: Text<'_>) -> usize {
        let before = self.escaped.len();
        text.write_escaped(&mut self.escaped);
        self.escaped.len() - before
    }

    /// Replaces the text; returns how many bytes more were stored.
    pub(super) fn replace(&mut self, text: Text<'_>) -> usize {
        let before = self.escaped.len();
        self.escaped.clear();
        self.push(text).saturating_sub(before)
    }

    pub(super) fn as_text(&self) -> Text<'_> {
        // Only whole strings were added.
        Text::Escaped(std::str::from_utf8(&self.escaped).unwrap_or_default())
    }

    /// Returns whether this is the text `other`.
    pub(super) fn is(&self, other: Text<'_>) -> bool {
        matches!(other, Text::Escaped(other) if other.as_bytes() == self.escaped)
            || self.as_text().decode() == other.decode()
    }

    /// Returns the text as a JSON string.
    pub(super) fn to_json(&self) -> String {
        let mut json = Vec::with_capacity(self.escaped.len() + 2);
        json.push(b'"');
        json.extend_from_slice(&self.escaped);
        json.push(b'"');
        // Only whole strings were added.
        String::from_utf8(json).unwrap_or_else(|_| "\"\"".to_owned())
    }
}
