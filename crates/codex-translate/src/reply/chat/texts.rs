//! The texts of a chat reply, and what is written of their ends.

use super::choice_writer::ChoiceWriter;
use super::items::{ChatItems, Progress};
use super::stream::ChatStream;
use crate::chat::DeltaSink;
use crate::error::Error;
use crate::json::Text;
use crate::outcome::Finish;
use crate::reply::ending::Ending;
use crate::responses::{MessagePhase, OutputPart, TextDelta, TextKind};

impl ChatStream {
    /// Adds to a text.
    pub(super) fn push_text(
        &mut self,
        piece: &TextDelta<'_>,
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        if piece.text.is_empty() {
            return Ok(None);
        }
        let (phase, progress) = progress_of(&mut self.items, &self.writer, piece)?;
        let added = progress.said.push(piece.text, self.whole.is_some());
        self.items.grow(added)?;
        self.last.set(piece, phase);
        Ok(self.writer.push_text(piece, phase, sink))
    }

    /// Ends a text: writes what the deltas have left out.
    pub(super) fn finish_text(
        &mut self,
        piece: &TextDelta<'_>,
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        if piece.text.is_empty() {
            return Ok(None);
        }
        let (phase, progress) = progress_of(&mut self.items, &self.writer, piece)?;
        let is_whole = self.whole.is_some();
        match Ending::of(progress.said.as_text(), piece.text) {
            Ending::Same => Ok(None),
            // Once something else follows the text, the client cannot add to it.
            Ending::More(rest) if is_whole || progress.said.as_str().is_empty() || self.last.is(piece, phase) => {
                self.push_text(&TextDelta { text: Text::Plain(&rest), ..*piece }, sink)
            }
            Ending::More(_) | Ending::Other if is_whole => {
                let added = progress.said.replace(piece.text);
                self.items.grow(added)?;
                Ok(None)
            }
            Ending::More(_) | Ending::Other => {
                self.items.revise(piece.output_index);
                Ok(None)
            }
        }
    }

    /// Ends a message: writes what was in no earlier event.
    pub(super) fn message(
        &mut self,
        index: u64,
        content: &[OutputPart<'_>],
        sink: &mut impl DeltaSink,
    ) -> Result<Option<Finish>, Error> {
        for (part, content) in (0..).zip(content) {
            let (text_kind, text, annotations) = match content {
                OutputPart::Text { text, annotations } => (TextKind::Text, *text, &annotations[..]),
                OutputPart::Refusal(text) => (TextKind::Refusal, *text, &[][..]),
                OutputPart::Reasoning(_) | OutputPart::Other => continue,
            };
            let piece = TextDelta { text_kind, output_index: index, part, text };
            if let Some(finish) = self.finish_text(&piece, sink)? {
                return Ok(Some(finish));
            }
            if !annotations.is_empty() {
                let (phase, progress) = progress_of(&mut self.items, &self.writer, &piece)?;
                let (seen, offset) = (progress.annotations, progress.offset);
                progress.annotations = seen.max(annotations.len());
                for annotation in annotations.iter().skip(seen) {
                    self.writer.push_citation(annotation, index, phase, offset, sink);
                }
                if self.whole.is_some() && annotations.len() >= progress.kept.len() {
                    progress.kept = annotations.iter().map(|annotation| (*annotation).to_owned()).collect();
                    self.items.grow(annotations.iter().map(|annotation| annotation.get().len()).sum())?;
                }
            }
        }
        Ok(None)
    }
}

/// Returns the phase and the progress of the text that `piece` belongs to.
fn progress_of<'i>(
    items: &'i mut ChatItems,
    writer: &ChoiceWriter,
    piece: &TextDelta<'_>,
) -> Result<(MessagePhase, &'i mut Progress), Error> {
    let index = piece.output_index;
    items.text(index, piece.text_kind, piece.part, |phase| writer.offset_of(index, phase))
}
