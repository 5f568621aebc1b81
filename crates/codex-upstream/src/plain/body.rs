//! The body of a reply, which owns its connection.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_core::Stream;
use tokio::io::AsyncReadExt as _;

use super::pool::{PlainConnection, PlainPool};
use crate::upstream::UpstreamError;

/// How much is read at once when much comes. What a burst costs is the number of its reads and writes.
const READ_BYTES: usize = 64 * 1024;

/// How much is read at once when little comes: an event or some. Larger buffers are not to be had as cheaply.
const LEAST_READ_BYTES: usize = 4 * 1024;

/// The most bytes that may stand in a chunked body beside its data, in one place.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are missing.
    Length(u64),
    Chunked(ChunkState),
    /// It ends when the connection does.
    Close,
}

/// Where in a chunked body the next byte stands (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkState {
    /// In a chunk's size, of which so much is known.
    Size {
        size: u64,
        digits: u8,
    },
    /// Behind the size: an extension, and the line end.
    SizeLine {
        size: u64,
        skipped: usize,
    },
    /// In the data, of which so many bytes are missing.
    Data(u64),
    /// In the line end after the data.
    DataEnd,
    /// In the trailers; so many bytes of the line were read.
    Trailers {
        line: usize,
        skipped: usize,
    },
    End,
}

/// A body that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MalformedChunk;

impl Framing {
    pub(super) fn chunked() -> Self {
        Self::Chunked(ChunkState::Size { size: 0, digits: 0 })
    }

    fn is_at_end(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(ChunkState::End))
    }

    /// Takes from `buffer` all the data in it, as one piece.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Bytes, MalformedChunk> {
        match self {
            Self::Length(missing) => {
                let count = buffer.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                *missing -= count as u64;
                Ok(buffer.split_to(count).freeze())
            }
            Self::Close => Ok(buffer.split().freeze()),
            Self::Chunked(chunk) => chunk.take(buffer),
        }
    }
}

impl ChunkState {
    /// The data of all chunks is moved together, over what stands between them.
    fn take(&mut self, buffer: &mut BytesMut) -> Result<Bytes, MalformedChunk> {
        let (mut read, mut kept) = (0, 0);
        while read < buffer.len() {
            if let Self::Data(missing) = self {
                let count = usize::try_from(*missing).unwrap_or(usize::MAX).min(buffer.len() - read);
                if read != kept {
                    buffer.copy_within(read..read + count, kept);
                }
                *missing -= count as u64;
                if *missing == 0 {
                    *self = Self::DataEnd;
                }
                (read, kept) = (read + count, kept + count);
            } else if *self == Self::End {
                break;
            } else if let (Self::DataEnd, Some((size, length))) = (*self, between(&buffer[read..])) {
                *self = Self::Data(size);
                read += length;
            } else {
                *self = self.after(buffer[read])?;
                read += 1;
            }
        }
        let data = buffer.split_to(kept).freeze();
        buffer.advance(read - kept);
        Ok(data)
    }

    /// Where a body is after one more byte that is no data.
    fn after(self, byte: u8) -> Result<Self, MalformedChunk> {
        match self {
            Self::Size { size, digits } => match char::from(byte).to_digit(16) {
                Some(digit) if digits < 15 => Ok(Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }),
                None if digits > 0 && matches!(byte, b'\r' | b'\n' | b';' | b' ' | b'\t') => {
                    Self::SizeLine { size, skipped: 0 }.after(byte)
                }
                Some(_) | None => Err(MalformedChunk),
            },
            Self::SizeLine { size: 0, .. } if byte == b'\n' => Ok(Self::Trailers { line: 0, skipped: 0 }),
            Self::SizeLine { size, .. } if byte == b'\n' => Ok(Self::Data(size)),
            Self::SizeLine { size, skipped } if skipped < MAX_LINE_BYTES => {
                Ok(Self::SizeLine { size, skipped: skipped + 1 })
            }
            Self::DataEnd => match byte {
                b'\r' => Ok(Self::DataEnd),
                b'\n' => Ok(Self::Size { size: 0, digits: 0 }),
                _ => Err(MalformedChunk),
            },
            Self::Trailers { line: 0, .. } if byte == b'\n' => Ok(Self::End),
            Self::Trailers { line, skipped } if skipped < MAX_LINE_BYTES => Ok(Self::Trailers {
                line: match byte {
                    b'\n' => 0,
                    b'\r' => line,
                    _ => line + 1,
                },
                skipped: skipped + 1,
            }),
            Self::SizeLine { .. } | Self::Trailers { .. } | Self::Data(_) | Self::End => Err(MalformedChunk),
        }
    }
}

/// A reply's body as a stream of pieces.
pub(super) struct PlainBody {
    /// `None` once the body has ended.
    connection: Option<PlainConnection>,
    framing: Framing,
    /// Where the connection goes at the end, if it can be used again.
    pool: Option<PlainPool>,
    /// How much is read at once: the more, the more has come at once so far.
    room: usize,
    host: String,
}

impl PlainBody {
    pub(super) fn new(connection: PlainConnection, framing: Framing, pool: Option<PlainPool>, host: String) -> Self {
        Self { connection: Some(connection), framing, pool, room: LEAST_READ_BYTES, host }
    }

    fn broken(&mut self, reason: &str) -> Poll<Option<Result<Bytes, UpstreamError>>> {
        self.connection = None;
        Poll::Ready(Some(Err(UpstreamError::Body { host: self.host.clone(), reason: reason.to_owned() })))
    }

    /// The connection waits for its next request, or is closed.
    fn end(&mut self) {
        if let (Some(connection), Some(pool)) = (self.connection.take(), &self.pool) {
            pool.put(connection);
        }
    }
}

impl Stream for PlainBody {
    type Item = Result<Bytes, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(connection) = &mut this.connection else { return Poll::Ready(None) };
            let Ok(piece) = this.framing.take(&mut connection.buffer) else {
                return this.broken("a chunk of it cannot be read");
            };
            if this.framing.is_at_end() {
                this.end();
            }
            if !piece.is_empty() {
                return Poll::Ready(Some(Ok(piece)));
            }
            let Some(connection) = &mut this.connection else { return Poll::Ready(None) };
            drop(piece);
            match poll_read(connection, this.room, cx) {
                Poll::Ready(Ok(0)) if this.framing == Framing::Close => {
                    this.connection = None;
                    return Poll::Ready(None);
                }
                Poll::Ready(Ok(0)) => return this.broken("the connection was closed in the middle of it"),
                // There may be more than there was room for.
                Poll::Ready(Ok(count)) if count >= this.room => this.room = (this.room * 4).min(READ_BYTES),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return this.broken(&error.to_string()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The size of the next chunk, and the length of what stands between it and the one before, if that is whole and of the usual
/// form. What it is not sure of is left to [`ChunkState::after`].
fn between(bytes: &[u8]) -> Option<(u64, usize)> {
    let digits = bytes.strip_prefix(b"\r\n")?;
    let mut size = 0;
    // No more than four: larger chunks are rare enough.
    for (at, byte) in digits.iter().take(5).enumerate() {
        match char::from(*byte).to_digit(16) {
            Some(digit) => size = size << 4 | u64::from(digit),
            None => return (size > 0 && digits[at..].starts_with(b"\r\n")).then_some((size, at + 4)),
        }
    }
    None
}

/// Reads once. A stream on which nothing comes keeps no buffer.
fn poll_read(connection: &mut PlainConnection, room: usize, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    let PlainConnection { stream, buffer, .. } = connection;
    let polled = match stream.poll_read_ready(cx) {
        Poll::Ready(Ok(())) => {
            buffer.reserve(room);
            pin!(stream.read_buf(buffer)).poll(cx)
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    };
    if polled.is_pending() && buffer.is_empty() {
        *buffer = BytesMut::new();
    }
    polled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All the data of `wire` when it comes in pieces of `split` bytes, and whether that was the end.
    fn decoded(wire: &[u8], split: usize) -> Result<(Vec<u8>, bool), MalformedChunk> {
        let (mut framing, mut buffer, mut data) = (Framing::chunked(), BytesMut::new(), Vec::new());
        for piece in wire.chunks(split) {
            buffer.extend_from_slice(piece);
            data.extend_from_slice(&framing.take(&mut buffer)?);
            assert!(buffer.is_empty() || framing.is_at_end(), "everything that can be taken is taken");
        }
        Ok((data, framing.is_at_end()))
    }

    #[test]
    fn chunks_are_put_together_at_every_split() {
        let wire = b"3\r\nabc\r\n1;name=\"value\"\r\nd\r\nA \r\n0123456789\r\n0\r\nsome: trailer\r\n\r\n";
        for split in 1..=wire.len() {
            assert_eq!(decoded(wire, split), Ok((b"abcd0123456789".to_vec(), true)), "{split}");
        }
        assert_eq!(decoded(b"3\r\nabc\r\n0\r\n", 1), Ok((b"abc".to_vec(), false)));
    }

    #[test]
    fn what_are_no_chunks_is_refused() {
        for wire in ["\r\n", "x\r\n", "3\r\nabcd\r\n", "-1\r\n", "fffffffffffffffff\r\n", "3x\r\nabc"] {
            assert_eq!(decoded(wire.as_bytes(), 1), Err(MalformedChunk), "{wire}");
        }
        let endless = format!("3;{}", "x".repeat(2 * MAX_LINE_BYTES));
        assert_eq!(decoded(endless.as_bytes(), 100), Err(MalformedChunk));
        let endless = format!("0\r\n{}", "x: y\r\n".repeat(MAX_LINE_BYTES));
        assert_eq!(decoded(endless.as_bytes(), 100), Err(MalformedChunk));
    }

    proptest! {
        #[test]
        fn what_was_sent_in_chunks_comes_out(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            split in 1_usize..64,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(decoded(&wire, split), Ok((chunks.concat(), true)));
        }
    }
}
