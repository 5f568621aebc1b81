//! Events on their way to the client: renumbered where something was left out or added, and otherwise as they came.

use std::fmt::Write as _;

use crate::json::{ObjectEdit, number, present};
use crate::reply::sink::EventSink;
use crate::responses::{Envelope, PlainDelta};

/// Numbers events and gives them to a sink.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    /// The number of the next event.
    sequence: u64,
}

impl Writer {
    /// Gives on an event of upstream, as one of type `kind` about the item at `index`, with the changes made so far.
    pub(super) fn pass(
        &mut self,
        envelope: &Envelope<'_>,
        kind: &str,
        index: Option<usize>,
        mut edit: ObjectEdit<'_>,
        sink: &mut impl EventSink,
    ) {
        if envelope.kind() != kind {
            edit.set("type", envelope.kind, format!("\"{kind}\""));
        }
        if present(envelope.sequence_number).is_some() {
            if number(envelope.sequence_number).ok() != Some(self.sequence) {
                edit.set("sequence_number", envelope.sequence_number, self.sequence.to_string());
            }
            self.sequence += 1;
        }
        let said = present(envelope.output_index).and_then(|raw| raw.get().parse().ok());
        if let Some(index) = index.filter(|index| said != Some(*index)) {
            edit.set("output_index", envelope.output_index, index.to_string());
        }
        if edit.is_empty() {
            sink.event(kind, &[envelope.json]);
        } else {
            sink.event(kind, &edit.pieces());
        }
    }

    /// Gives on a delta that is right as it stands but for its number.
    pub(super) fn pass_delta(&mut self, delta: &PlainDelta<'_>, sink: &mut impl EventSink) {
        let PlainDelta { json, kind, sequence_number, .. } = delta;
        match sequence_number {
            Some((said, span)) if *said != self.sequence => {
                let number = self.sequence.to_string();
                sink.event(kind, &[&json[..span.start], &number, &json[span.end..]]);
            }
            _ => sink.event(kind, &[json]),
        }
        self.sequence += u64::from(sequence_number.is_some());
    }

    /// Gives on an event that upstream has left out. `members` is what it has beside type and number, as JSON text.
    pub(super) fn add(&mut self, kind: &str, members: &str, sink: &mut impl EventSink) {
        let mut head = String::new();
        // Writing to a String cannot fail.
        let _ = write!(head, "{{\"type\":\"{kind}\",\"sequence_number\":{},", self.sequence);
        self.sequence += 1;
        sink.event(kind, &[&head, members, "}"]);
    }
}
