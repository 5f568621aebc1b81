//! Events on their way to the client: renumbered where something was left out or added, and otherwise unchanged.

use std::fmt::Write as _;

use crate::json::{ObjectEdit, number, present};
use crate::reply::sink::EventSink;
use crate::responses::{CompactDelta, Envelope};

/// The event that only shows that the turn is alive. It uses up a number (docs/backend.md §3.1).
pub(super) const KEEPALIVE: &str = "keepalive";

/// Numbers events and passes them to a sink.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    /// The number of the next event.
    sequence: u64,
}

impl Writer {
    /// Passes on an event of upstream as one of type `kind` about the item at `index`, with the changes made so far.
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
        let piece = present(envelope.output_index).and_then(|raw| raw.get().parse().ok());
        if let Some(index) = index.filter(|index| piece != Some(*index)) {
            edit.set("output_index", envelope.output_index, index.to_string());
        }
        if edit.is_empty() {
            sink.event(kind, &[envelope.json]);
        } else {
            sink.event(kind, &edit.pieces());
        }
    }

    /// Passes on a delta that needs only another number.
    pub(super) fn pass_delta(&mut self, delta: &CompactDelta<'_>, sink: &mut impl EventSink) {
        let CompactDelta { json, kind, sequence_number, .. } = delta;
        match sequence_number {
            Some((piece, span)) if *piece != self.sequence => {
                let number = self.sequence.to_string();
                sink.event(kind, &[&json[..span.start], &number, &json[span.end..]]);
            }
            _ => sink.event(kind, &[json]),
        }
        self.sequence += u64::from(sequence_number.is_some());
    }

    /// Writes a `keepalive`.
    pub(super) fn add_keepalive(&mut self, sink: &mut impl EventSink) {
        sink.event(KEEPALIVE, &[&format!("{{\"type\":\"{KEEPALIVE}\",\"sequence_number\":{}}}", self.sequence)]);
        self.sequence += 1;
    }

    /// Writes an event that upstream has left out. `members` are those besides type and number, as JSON text.
    pub(super) fn add(&mut self, kind: &str, members: &str, sink: &mut impl EventSink) {
        let mut head = String::new();
        // Writing to a String cannot fail.
        let _ = write!(head, "{{\"type\":\"{kind}\",\"sequence_number\":{},", self.sequence);
        self.sequence += 1;
        sink.event(kind, &[&head, members, "}"]);
    }
}
