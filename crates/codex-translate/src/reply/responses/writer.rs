//! Events on their way to the client: renumbered where something was left out or added, and otherwise as they came.

use std::fmt::Write as _;

use memchr::{memchr2, memchr2_iter};

use crate::json::{ObjectEdit, number, present};
use crate::responses::{Envelope, PlainDelta};

/// Takes in the events of a reply.
pub trait EventSink {
    /// Takes in one event: its type, and its JSON in pieces that are to be put together.
    fn event(&mut self, kind: &str, json: &[&str]);
}

/// Appends each event to a buffer as a server-sent event.
impl EventSink for Vec<u8> {
    fn event(&mut self, kind: &str, json: &[&str]) {
        self.extend_from_slice(b"event: ");
        write_line(kind, self);
        self.extend_from_slice(b"\ndata: ");
        for piece in json {
            write_line(piece, self);
        }
        self.extend_from_slice(b"\n\n");
    }
}

/// Takes nothing in: for a caller that only wants the whole response.
impl EventSink for () {
    fn event(&mut self, _: &str, _: &[&str]) {}
}

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

/// Appends JSON, or a word, as one line. A line end in JSON is white space between values, from data of several lines; a line
/// separator of Unicode is in a string, and is escaped, since some clients split their input there.
fn write_line(json: &str, out: &mut Vec<u8>) {
    let mut rest = json;
    while let Some(at) = memchr2(b'\n', b'\r', rest.as_bytes()) {
        write_escaped(&rest[..at], out);
        out.push(b' ');
        rest = &rest[at + 1..];
    }
    write_escaped(rest, out);
}

fn write_escaped(json: &str, out: &mut Vec<u8>) {
    let bytes = json.as_bytes();
    let mut copied = 0;
    for at in memchr2_iter(0xc2, 0xe2, bytes) {
        let (len, instead): (usize, &[u8]) = match &bytes[at..] {
            [0xc2, 0x85, ..] => (2, b"\\u0085"),
            [0xe2, 0x80, 0xa8, ..] => (3, b"\\u2028"),
            [0xe2, 0x80, 0xa9, ..] => (3, b"\\u2029"),
            _ => continue,
        };
        out.extend_from_slice(&bytes[copied..at]);
        out.extend_from_slice(instead);
        copied = at + len;
    }
    out.extend_from_slice(&bytes[copied..]);
}
