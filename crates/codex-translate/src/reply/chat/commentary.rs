//! Commentary, which is reasoning if an answer or a call follows, and the answer if none does (docs/features.md R4).
//!
//! It is held until that is known, because what a client has read cannot be taken back: written at once, it would have
//! to be written a second time to become the answer.

use serde_json::value::RawValue;

use crate::bounds::MAX_COMMENTARY_BYTES;
use crate::json::Text;
use crate::responses::{TextDelta, TextKind};

/// What the commentary of a choice is.
#[derive(Clone, Debug)]
pub(super) enum Commentary {
    /// Neither an answer nor a call has begun.
    Held(HeldCommentary),
    /// Reasoning, because something else is the reply.
    Reasoning,
    /// The answer, which it begins `base` characters into: it was too long to be held.
    Answer { base: u64 },
}

impl Commentary {
    /// Returns the message that the last held commentary belongs to.
    pub(super) fn message(&self) -> Option<u64> {
        match self {
            Self::Held(held) => held.message,
            Self::Reasoning | Self::Answer { .. } => None,
        }
    }
}

/// The commentary so far and, to keep the order, the reasoning since it began.
#[derive(Clone, Debug, Default)]
pub(super) struct HeldCommentary {
    text: String,
    pieces: Vec<HeldPiece>,
    /// The message that the last commentary belongs to.
    message: Option<u64>,
    /// The number of characters of the commentary, as an answer would contain it.
    chars: u64,
    /// Annotations, each with its message and the number of characters of the commentary before the text that it
    /// annotates.
    annotations: Vec<(Box<RawValue>, u64, u64)>,
    bytes: usize,
}

/// A piece of one text, which ends at `end` in the held text.
#[derive(Clone, Copy, Debug)]
struct HeldPiece {
    text_kind: TextKind,
    output_index: u64,
    part: u64,
    end: usize,
}

impl HeldPiece {
    fn is_of(&self, delta: &TextDelta<'_>) -> bool {
        (self.text_kind, self.output_index, self.part) == (delta.text_kind, delta.output_index, delta.part)
    }
}

impl HeldCommentary {
    /// Returns whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Returns whether there is too much to be held.
    pub(super) fn is_full(&self) -> bool {
        self.bytes > MAX_COMMENTARY_BYTES
    }

    /// Returns the message that the last commentary belongs to.
    pub(super) fn message(&self) -> Option<u64> {
        self.message
    }

    /// Returns the number of characters of the commentary.
    pub(super) fn chars(&self) -> u64 {
        self.chars
    }

    /// Holds the next commentary, which `divider` would precede in an answer.
    pub(super) fn push_commentary(&mut self, delta: &TextDelta<'_>, divider: &str) {
        self.message = Some(delta.output_index);
        self.chars += divider.len() as u64 + delta.text.chars();
        self.push(delta);
    }

    /// Holds the next text.
    pub(super) fn push(&mut self, delta: &TextDelta<'_>) {
        let before = self.text.len();
        delta.text.push_to(&mut self.text);
        let end = self.text.len();
        self.bytes += end - before;
        match self.pieces.last_mut() {
            Some(last) if last.is_of(delta) => last.end = end,
            last => {
                // So that short pieces of alternating texts are bounded, too.
                self.bytes += if last.is_some() { size_of::<HeldPiece>() } else { 0 };
                let TextDelta { text_kind, output_index, part, .. } = *delta;
                self.pieces.push(HeldPiece { text_kind, output_index, part, end });
            }
        }
    }

    /// Holds an annotation if there is room for it.
    pub(super) fn annotate(&mut self, annotation: &RawValue, index: u64, offset: u64) {
        self.bytes += annotation.get().len();
        if !self.is_full() {
            self.annotations.push((annotation.to_owned(), index, offset));
        }
    }

    /// Returns the texts in order, those of a kind in one piece if nothing came between.
    pub(super) fn texts(&self) -> impl Iterator<Item = TextDelta<'_>> {
        let mut start = 0;
        self.pieces.iter().map(move |piece| {
            let HeldPiece { text_kind, output_index, part, end } = *piece;
            let text = Text::Plain(&self.text[std::mem::replace(&mut start, end)..end]);
            TextDelta { text_kind, output_index, part, text }
        })
    }

    /// Returns the annotations, each with its message and offset.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&RawValue, u64, u64)> {
        self.annotations.iter().map(|(annotation, index, offset)| (&**annotation, *index, *offset))
    }
}
