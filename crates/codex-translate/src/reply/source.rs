//! The sources of events: the bytes of a stream of server-sent events, or the messages of a WebSocket.

use crate::bounds::MAX_EVENT_BYTES;
use crate::outcome::Flow;
use crate::responses::RawEvent;
use crate::sse::{DecodeError, Decoder};

/// A part of a reply as it arrived. `B` contains the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chunk<B> {
    /// Bytes of a body, split anywhere. A streamed reply consists of server-sent events.
    Bytes(B),
    /// One whole WebSocket message, which is one event.
    Message(B),
}

impl<B> Chunk<B> {
    /// Returns the bytes.
    pub fn into_inner(self) -> B {
        match self {
            Self::Bytes(bytes) | Self::Message(bytes) => bytes,
        }
    }
}

impl<B: AsRef<[u8]>> Chunk<B> {
    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<B: AsRef<[u8]>> AsRef<[u8]> for Chunk<B> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) | Self::Message(bytes) => bytes.as_ref(),
        }
    }
}

/// Reads the events of one reply from either source.
///
/// The events do not depend on how bytes are split, and none is larger than [`MAX_EVENT_BYTES`].
///
/// # Example
/// ```
/// use codex_translate::{Chunk, DecodeError, EventReader, Flow};
///
/// let mut reader = EventReader::new();
/// let mut kinds = Vec::new();
/// for chunk in [Chunk::Bytes("data: {\"type\":\"a\"}\n\ndata: {\"ty"), Chunk::Bytes("pe\":\"b\"}\n\n")] {
///     let _ = reader.read(&chunk, |event| {
///         kinds.push(event.kind().into_owned());
///         Ok::<_, DecodeError>(Flow::Continue)
///     })?;
/// }
/// assert_eq!(kinds, ["a", "b"]);
/// # Ok::<(), DecodeError>(())
/// ```
#[derive(Debug)]
pub struct EventReader {
    decoder: Decoder,
}

impl EventReader {
    /// Makes a reader for the beginning of a reply.
    pub fn new() -> Self {
        Self { decoder: Decoder::new(MAX_EVENT_BYTES) }
    }

    /// Passes each event that `chunk` completes to `take`, until `take` returns [`Flow::Done`] or an error. The rest of
    /// the chunk is then dropped.
    ///
    /// # Errors
    /// The reply cannot be read any further, or `take` failed.
    pub fn read<E: From<DecodeError>>(
        &mut self,
        chunk: &Chunk<impl AsRef<[u8]>>,
        mut take: impl FnMut(RawEvent<'_>) -> Result<Flow, E>,
    ) -> Result<Flow, E> {
        match chunk {
            Chunk::Bytes(bytes) => self.decoder.each(bytes.as_ref(), |frame| take(RawEvent::new(frame.data))),
            Chunk::Message(message) => {
                let message = message.as_ref();
                if message.len() > MAX_EVENT_BYTES {
                    return Err(DecodeError::TooLarge { limit_bytes: MAX_EVENT_BYTES }.into());
                }
                let json = std::str::from_utf8(message).map_err(|_| DecodeError::InvalidUtf8)?;
                take(RawEvent::new(json))
            }
        }
    }
}

impl Default for EventReader {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8]) -> Result<String, DecodeError> {
        let mut json = String::new();
        let _continues = EventReader::new().read(&Chunk::Message(message), |event| {
            json.push_str(event.json());
            Ok::<_, DecodeError>(Flow::Continue)
        })?;
        Ok(json)
    }

    #[test]
    fn a_message_is_one_unchanged_event() {
        assert_eq!(read(b"{\n\"type\": \"x\"}\n").unwrap(), "{\n\"type\": \"x\"}\n");
        assert_eq!(read(b"{\xff}"), Err(DecodeError::InvalidUtf8));
        assert!(read(&vec![b' '; MAX_EVENT_BYTES]).is_ok());
        assert!(matches!(read(&vec![b' '; MAX_EVENT_BYTES + 1]), Err(DecodeError::TooLarge { .. })));
    }
}
