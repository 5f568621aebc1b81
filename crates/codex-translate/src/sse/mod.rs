//! Framing of server-sent events, after the WHATWG's HTML standard, §9.2.6 "Interpreting an event stream".
//!
//! It deviates from the standard because the stream is JSON from one known peer: bytes that are not UTF-8 are an error
//! wherever they are; events have a size limit; `id` and `retry` are skipped, since nothing reconnects.

mod plain;

use std::ops::Range;
use std::str::Utf8Error;

use memchr::{memchr, memchr2};

use crate::error::{Error, ErrorKind};

/// The byte order mark that may precede the first event.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The capacity that is retained after a large event: what a large read needs, so a burst does not grow and shrink the
/// buffer again and again.
const RETAINED_BYTES: usize = 128 * 1024;

/// From this size on an event counts as large, which is rare.
const LARGE_BYTES: usize = 1024 * 1024;

/// Accepts bytes as they arrive and yields the events in them.
///
/// [`each`](Self::each) passes each event to a closure, and reads events where they are. To pull them instead, at the
/// cost of a copy, use [`feed`](Self::feed) and [`next_frame`](Self::next_frame). An
/// [`EventReader`](crate::EventReader) reads WebSocket messages, too.
///
/// The events do not depend on how the bytes were split. The decoder holds at most one event and the bytes of one
/// [`feed`](Self::feed), and looks at each byte once, so an event of any size takes linear time.
///
/// # Example
/// ```
/// use codex_translate::bounds::MAX_EVENT_BYTES;
/// use codex_translate::responses::Event;
/// use codex_translate::{Decoder, Error, Flow};
///
/// let events = concat!(
///     "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hey!\"}\n\n",
///     "data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\"}}\n\n",
/// );
/// let (mut decoder, mut shown) = (Decoder::new(MAX_EVENT_BYTES), String::new());
/// for bytes in events.as_bytes().chunks(16) {
///     let _flow = decoder.each(bytes, |frame| match Event::parse(frame.data)? {
///         Event::Delta(delta) => { delta.text.push_to(&mut shown); Ok(Flow::Continue) }
///         Event::Failed(error) => Err(error),
///         event => Ok::<_, Error>(if event.is_terminal() { Flow::Done } else { Flow::Continue }),
///     })?;
/// }
/// assert_eq!(shown, "Hey!");
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    buffer: String,
    tail: Tail,
    /// `event.start <= line.start <= line.scanned <= buffer.len()`, all of them offsets into `buffer`.
    event: Pending,
    line: PendingLine,
    /// The next `feed` may discard what is before this offset.
    consumed: usize,
    joined: String,
    start: Start,
}

/// One event: its type and its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The event's type; `message` if it has none.
    pub event: &'a str,
    /// The data; several lines are joined with line feeds.
    pub data: &'a str,
}

/// Why a stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes after the last event are not UTF-8.
    #[error("an event of the reply is not UTF-8")]
    InvalidUtf8,
    /// An event is larger than the limit given to [`Decoder::new`].
    #[error("an event of the reply is larger than {limit_bytes} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::new(ErrorKind::Protocol, error.to_string())
    }
}

/// The received bytes that are not in the buffer.
#[derive(Debug, PartialEq, Eq)]
enum Tail {
    /// The beginning of a character; usually empty.
    Begun(Vec<u8>),
    /// Bytes that are not UTF-8, and all bytes after them.
    NotUtf8,
}

/// The event that is being read. Ranges are offsets into the buffer.
#[derive(Debug, Default)]
struct Pending {
    start: usize,
    kind: Option<Range<usize>>,
    data: Data,
}

#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    /// One line, still in the buffer, as in all events of the backend.
    Line(Range<usize>),
    /// Several lines, copied to `Decoder::joined`.
    Joined,
}

/// The line that is being read.
#[derive(Debug, Default)]
struct PendingLine {
    start: usize,
    /// There is no line end before this offset.
    scanned: usize,
}

/// What must be skipped before the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// Nothing was read yet: a byte order mark may follow.
    OfStream,
    /// The last line ended in a carriage return: a line feed that follows belongs to it.
    AfterCarriageReturn,
    Settled,
}

impl Decoder {
    /// Creates a decoder that rejects events larger than `limit` bytes, counted from their first to their last byte.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: String::new(),
            tail: Tail::Begun(Vec::new()),
            event: Pending::default(),
            line: PendingLine::default(),
            consumed: 0,
            joined: String::new(),
            start: Start::OfStream,
        }
    }

    /// Accepts the next bytes of the stream, for callers that cannot use [`each`](Self::each), which is faster. Take
    /// all events with [`next_frame`](Self::next_frame) before the next call.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.consumed > 0 {
            self.forget_consumed();
        }
        self.reserve(bytes.len());
        self.append(bytes);
    }

    /// Makes room for `more` bytes. An event that has grown large gets room up to the limit at once, which costs no
    /// memory before it is used, and is not copied again and again.
    fn reserve(&mut self, more: usize) {
        if self.buffer.len() + more > self.buffer.capacity() && self.buffer.len() >= LARGE_BYTES {
            self.buffer.reserve_exact(more.max(self.limit.saturating_sub(self.buffer.len())));
        }
    }

    /// Appends bytes as text, checked once for all the events in it.
    fn append(&mut self, mut bytes: &[u8]) {
        let Tail::Begun(begun) = &mut self.tail else { return };
        while !begun.is_empty() {
            let Some((next, rest)) = bytes.split_first() else { return };
            begun.push(*next);
            match std::str::from_utf8(begun) {
                Ok(whole) => {
                    self.buffer.push_str(whole);
                    begun.clear();
                    bytes = rest;
                }
                Err(error) if error.error_len().is_none() => bytes = rest,
                Err(_) => {
                    self.tail = Tail::NotUtf8;
                    return;
                }
            }
        }
        let (text, error) = leading_text(bytes);
        self.buffer.push_str(text);
        if let Some(error) = error {
            let is_begun = error.error_len().is_none();
            self.tail = if is_begun { Tail::Begun(bytes[text.len()..].to_vec()) } else { Tail::NotUtf8 };
        }
    }

    /// Returns the next event, or `None` until more bytes are fed. An incomplete event is never returned.
    ///
    /// # Errors
    /// The stream cannot be read any further: drop it.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, DecodeError> {
        Ok(self.next_event()?.and_then(|event| self.frame(event)))
    }

    /// Reads lines up to the next blank line after a line of data.
    fn next_event(&mut self) -> Result<Option<Pending>, DecodeError> {
        while self.skip_start() {
            let Some(line) = self.next_line() else {
                self.check_size(self.buffer.len())?;
                return if self.tail == Tail::NotUtf8 { Err(DecodeError::InvalidUtf8) } else { Ok(None) };
            };
            self.check_size(self.line.start)?;
            if line.is_empty() {
                let next = Pending { start: self.line.start, ..Pending::default() };
                let event = std::mem::replace(&mut self.event, next);
                self.consumed = self.line.start;
                // Step 2 of "dispatch the event": without data there is no event.
                if !matches!(event.data, Data::None) {
                    return Ok(Some(event));
                }
            } else {
                self.field(line);
            }
        }
        Ok(None)
    }

    /// Skips what precedes a line and is not part of it; returns false until that is known.
    fn skip_start(&mut self) -> bool {
        let rest = &self.buffer.as_bytes()[self.line.start..];
        let skipped = match self.start {
            Start::Settled => return true,
            Start::AfterCarriageReturn => match rest.first() {
                None => return false,
                Some(b'\n') => 1,
                Some(_) => 0,
            },
            Start::OfStream if rest.len() < BOM.len() && BOM.starts_with(rest) => return false,
            Start::OfStream if rest.starts_with(BOM) => BOM.len(),
            Start::OfStream => 0,
        };
        if self.event.is_empty() {
            self.event.start += skipped;
        }
        self.line.start += skipped;
        self.line.scanned = self.line.start;
        self.start = Start::Settled;
        true
    }

    /// Returns the next line without its end, and advances.
    fn next_line(&mut self) -> Option<Range<usize>> {
        let bytes = self.buffer.as_bytes();
        let Some(end) = memchr2(b'\n', b'\r', &bytes[self.line.scanned..]) else {
            self.line.scanned = bytes.len();
            return None;
        };
        let end = self.line.scanned + end;
        let line = self.line.start..end;
        if bytes[end] == b'\r' {
            self.start = Start::AfterCarriageReturn;
        }
        self.line = PendingLine { start: end + 1, scanned: end + 1 };
        Some(line)
    }

    /// Reads a line that is not blank.
    fn field(&mut self, line: Range<usize>) {
        let bytes = &self.buffer.as_bytes()[line.clone()];
        // The backend's two fields, without searching for the colon.
        if let Some(value) = bytes.strip_prefix(b"data: ").map(<[u8]>::len) {
            return self.data(line.end - value..line.end);
        }
        if let Some(value) = bytes.strip_prefix(b"event: ").map(<[u8]>::len) {
            self.event.kind = Some(line.end - value..line.end);
            return;
        }
        let colon = memchr(b':', bytes).unwrap_or(bytes.len());
        let (name, value) = bytes.split_at(colon);
        // One space after the colon is not part of the value.
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value).len();
        let value = line.end - value..line.end;
        match name {
            b"event" => self.event.kind = Some(value),
            b"data" => self.data(value),
            // A comment (an empty name), `id`, `retry`, or an unknown field. Before the event's first field it is not
            // stored, so comments between events cannot fill the buffer.
            _ if self.event.is_empty() => {
                self.event.start = self.line.start;
                self.consumed = self.line.start;
            }
            _ => {}
        }
    }

    fn data(&mut self, value: Range<usize>) {
        match std::mem::replace(&mut self.event.data, Data::Joined) {
            Data::None => self.event.data = Data::Line(value),
            Data::Line(first) => {
                self.joined.clear();
                self.joined.push_str(&self.buffer[first]);
                self.joined.push('\n');
                self.joined.push_str(&self.buffer[value]);
            }
            Data::Joined => {
                self.joined.push('\n');
                self.joined.push_str(&self.buffer[value]);
            }
        }
    }

    fn frame(&self, event: Pending) -> Option<Frame<'_>> {
        let data = match event.data {
            Data::None => return None,
            Data::Line(line) => &self.buffer[line],
            Data::Joined => &self.joined,
        };
        let kind = event.kind.map(|kind| &self.buffer[kind]).filter(|kind| !kind.is_empty());
        Some(Frame { event: kind.unwrap_or("message"), data })
    }

    fn check_size(&self, end: usize) -> Result<(), DecodeError> {
        if end - self.event.start > self.limit {
            return Err(DecodeError::TooLarge { limit_bytes: self.limit });
        }
        Ok(())
    }

    fn forget_consumed(&mut self) {
        let gone = std::mem::take(&mut self.consumed);
        self.buffer.drain(..gone);
        if self.buffer.len() < RETAINED_BYTES {
            self.buffer.shrink_to(RETAINED_BYTES);
        }
        if !matches!(self.event.data, Data::Joined) {
            self.joined.clear();
            self.joined.shrink_to(RETAINED_BYTES);
        }
        self.event.start -= gone;
        self.line.start -= gone;
        self.line.scanned -= gone;
        for range in [self.event.kind.as_mut(), self.event.data.line_mut()].into_iter().flatten() {
            *range = range.start - gone..range.end - gone;
        }
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.kind.is_none() && matches!(self.data, Data::None)
    }
}

impl Data {
    fn line_mut(&mut self) -> Option<&mut Range<usize>> {
        match self {
            Self::Line(line) => Some(line),
            Self::None | Self::Joined => None,
        }
    }
}

/// Returns the text at the start of `bytes`, and the reason if it is not all of them.
fn leading_text(bytes: &[u8]) -> (&str, Option<Utf8Error>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => (std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(), Some(error)),
    }
}
