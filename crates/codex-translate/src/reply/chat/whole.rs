//! A whole chat reply, written once all of it is known.
//!
//! It is in the order of the items, as the API's own replies are, and a token limit ends it in that order. A stream is
//! in the order of its events. The two differ only if the backend mixes the events of several items, which it has not
//! been seen to do (docs/backend.md §3.4), or ends a text with another value than its deltas.

use super::choice_writer::ChoiceWriter;
use super::items::{Call, CallStage, ChatItem, ItemState, Progress};
use super::stream::{ChatState, ChatStream};
use crate::chat::DeltaSink;
use crate::error::Error;
use crate::json::Text;
use crate::outcome::Finish;
use crate::responses::TextDelta;

impl ChatStream {
    /// Ends a reply with `error`, although the backend has ended it well: it cannot be written.
    pub(super) fn refuse(&mut self, error: Error) {
        self.state = ChatState::Closed(Err(error));
    }

    /// Writes a whole reply that has ended well, from the last value of each of its texts.
    pub(super) fn write_whole(&mut self, sink: &mut impl DeltaSink) {
        let (ChatState::Closed(Ok(summary)), Some(mut writer)) = (&mut self.state, self.whole.take()) else { return };
        let mut cut = None;
        for (index, item) in self.items.take() {
            cut = cut.or_else(|| write_item(index, item, &mut writer, sink));
        }
        if let Some(finish) = cut.or_else(|| writer.finish(sink)) {
            summary.finish = finish;
        }
    }
}

/// Writes an item with all its texts. Returns the finish if the caller's limit ends the reply in it.
fn write_item(index: u64, item: ChatItem, writer: &mut ChoiceWriter, sink: &mut impl DeltaSink) -> Option<Finish> {
    match item.state {
        ItemState::Texts { phase, texts } => {
            for ((text_kind, part), Progress { said, kept, .. }) in texts {
                let offset = writer.offset_of(index, phase);
                for text in said.pieces() {
                    let piece = TextDelta { text_kind, output_index: index, part, text };
                    if let Some(finish) = writer.push_text(&piece, phase, sink) {
                        return Some(finish);
                    }
                }
                kept.iter().for_each(|annotation| writer.push_citation(annotation, index, phase, offset, sink));
            }
            None
        }
        ItemState::Call(Call { stage: CallStage::Unnamed { .. }, .. }) => None,
        ItemState::Call(call) => {
            let index = writer.start_call(&call.id, &call.name, sink);
            call.said.pieces().find_map(|text| writer.push_arguments(index, text, sink))
        }
        ItemState::Image { image, .. } => {
            if let Some((format, base64)) = image {
                writer.push_image(&format, Text::Plain(&base64), sink);
            }
            None
        }
    }
}
