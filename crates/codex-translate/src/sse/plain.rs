//! Events in the backend's own form, read in place.

use memchr::{memchr2, memmem};

use super::{DecodeError, Decoder, Frame, Start, Tail, leading_text};
use crate::outcome::Flow;

impl Decoder {
    /// Accepts the next bytes of the stream, and passes each event that they complete to `take`, until `take` is done.
    /// It is equivalent to [`feed`](Self::feed) and [`next_frame`](Self::next_frame).
    ///
    /// Events in the backend's own form are read in place; only the beginning of an incomplete event is copied.
    ///
    /// # Errors
    /// The stream cannot be read any further, or `take` failed.
    pub fn each<E: From<DecodeError>>(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(Frame<'_>) -> Result<Flow, E>,
    ) -> Result<Flow, E> {
        if !self.is_between_events() {
            let end = memmem::find(bytes, b"\n\n").map_or(bytes.len(), |at| at + 2);
            if self.feed_each(&bytes[..end], &mut take)? == Flow::Done {
                return Ok(Flow::Done);
            }
            bytes = &bytes[end..];
        }
        if self.is_between_events() {
            let (mut text, _) = leading_text(bytes);
            while let Some((frame, rest)) = plain_event(text, self.limit) {
                bytes = &bytes[text.len() - rest.len()..];
                text = rest;
                if take(frame)? == Flow::Done {
                    return Ok(Flow::Done);
                }
            }
        }
        self.feed_each(bytes, &mut take)
    }

    fn feed_each<E: From<DecodeError>>(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(Frame<'_>) -> Result<Flow, E>,
    ) -> Result<Flow, E> {
        self.feed(bytes);
        while let Some(frame) = self.next_frame()? {
            if take(frame)? == Flow::Done {
                return Ok(Flow::Done);
            }
        }
        Ok(Flow::Continue)
    }

    /// Returns whether the next byte is the first byte of an event.
    fn is_between_events(&self) -> bool {
        self.start == Start::Settled
            && self.event.is_empty()
            && self.line.start == self.buffer.len()
            && matches!(&self.tail, Tail::Begun(begun) if begun.is_empty())
    }
}

/// Returns the event at the start of `text`, if it is complete, in the backend's form and at most `limit` bytes long,
/// and the rest.
fn plain_event(text: &str, limit: usize) -> Option<(Frame<'_>, &str)> {
    let (event, rest) = line(text.strip_prefix("event: ")?)?;
    let (data, rest) = line(rest.strip_prefix("data: ")?)?;
    let rest = rest.strip_prefix('\n')?;
    let is_usual = !event.is_empty() && text.len() - rest.len() <= limit;
    is_usual.then_some((Frame { event, data }, rest))
}

/// Returns the first line of `text`, if it ends in a line feed, and the rest.
fn line(text: &str) -> Option<(&str, &str)> {
    let end = memchr2(b'\n', b'\r', text.as_bytes())?;
    Some((&text[..end], text[end..].strip_prefix('\n')?))
}
