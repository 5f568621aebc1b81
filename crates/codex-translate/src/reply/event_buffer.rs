//! Events in one buffer.

use crate::reply::sink::EventSink;
use crate::responses::RawEvent;

/// Stores events in one buffer: events that were read ahead, or that are sent as WebSocket messages.
///
/// As an [`EventSink`] it stores each event that is written.
///
/// # Example
/// ```
/// use codex_translate::{Chunk, EventBuffer, EventReader, Flow};
///
/// let mut early = EventBuffer::default();
/// let _flow = EventReader::new().read(&Chunk::Bytes("data: {\"type\":\"keepalive\"}\n\n"), |event| {
///     early.push(event);
///     Ok::<_, codex_translate::DecodeError>(Flow::Continue)
/// })?;
/// assert!(early.iter().all(|event| event.is_kind("keepalive")));
/// # Ok::<(), codex_translate::DecodeError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct EventBuffer {
    json: String,
    /// The end of each event in `json`.
    ends: Vec<usize>,
}

impl EventBuffer {
    /// Adds an event.
    pub fn push(&mut self, event: RawEvent<'_>) {
        self.json.push_str(event.json());
        self.ends.push(self.json.len());
    }

    /// Returns the events in order.
    pub fn iter(&self) -> impl Iterator<Item = RawEvent<'_>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| RawEvent::new(&self.json[start..*end]))
    }

    /// Returns whether there are no events.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the memory that the events use, in bytes.
    pub fn bytes(&self) -> usize {
        self.json.len() + self.ends.len() * size_of::<usize>()
    }

    /// Makes room for `bytes` more.
    pub fn reserve(&mut self, bytes: usize) {
        self.json.reserve(bytes);
    }

    /// Adds the events of another buffer.
    pub fn append(&mut self, other: Self) {
        let before = self.json.len();
        self.json.push_str(&other.json);
        self.ends.extend(other.ends.iter().map(|end| before + end));
    }

    /// Returns the texts of all events, and the end of each one.
    pub fn into_parts(self) -> (String, Vec<usize>) {
        (self.json, self.ends)
    }
}

impl EventSink for EventBuffer {
    fn event(&mut self, _: &str, json: &[&str]) {
        json.iter().for_each(|piece| self.json.push_str(piece));
        self.ends.push(self.json.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_out_as_they_went_in() {
        let mut buffer = EventBuffer::default();
        assert!(buffer.is_empty() && buffer.iter().next().is_none());
        buffer.push(RawEvent::new("{}"));
        buffer.event("a", &["{\"a\":", "\u{2028}1", "}"]);
        buffer.push(RawEvent::new(""));
        assert_eq!(buffer.iter().map(RawEvent::json).collect::<Vec<_>>(), ["{}", "{\"a\":\u{2028}1}", ""]);
        assert_eq!(buffer.bytes(), 2 + 10 + 3 * size_of::<usize>());
        assert_eq!(buffer.into_parts().1, [2, 12, 12]);
    }
}
