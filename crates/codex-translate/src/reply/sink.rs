//! The outputs that the events of a reply are written to.

use memchr::{memchr2, memchr2_iter};

/// Receives the events of a reply.
///
/// A `Vec<u8>` is a stream of server-sent events, an [`EventBuffer`](crate::EventBuffer) is a sequence of messages, and
/// `()` drops every event.
pub trait EventSink {
    /// Receives one event: its type, and its JSON as pieces to concatenate.
    fn event(&mut self, kind: &str, json: &[&str]);
}

/// Appends each event as a server-sent event.
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

/// Drops every event, for callers that only need the whole response.
impl EventSink for () {
    fn event(&mut self, _: &str, _: &[&str]) {}
}

/// Appends JSON, or a word, as one line. A line end in JSON is whitespace between values, which data of several lines
/// has. A Unicode line separator is in a string, and is escaped because some clients split their input at it.
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
