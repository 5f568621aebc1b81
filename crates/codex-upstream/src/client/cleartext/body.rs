//! The body of a reply, which owns its connection.

use std::future::Future as _;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes, BytesMut};
use futures_core::Stream;
use httparse::Status;
use tokio::io::AsyncReadExt as _;

use super::pool::{CleartextConnection, CleartextPool};
use crate::error::UpstreamError;

/// The largest read, used while much data arrives: the cost of a burst is the number of its reads and writes.
const READ_BYTES: usize = 64 * 1024;

/// The smallest read, used while little data arrives: a few events. Larger buffers cost more to allocate.
const LEAST_READ_BYTES: usize = 4 * 1024;

/// The longest size line, and the longest trailers, of a chunked body.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// The maximum number of trailers of a chunked body.
const MAX_TRAILERS: usize = 64;

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// This many bytes are missing.
    Length(u64),
    Chunked(ChunkState),
    /// It ends when the connection does.
    Close,
}

/// The position in a chunked body (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChunkState {
    /// Before a chunk's size.
    Size,
    /// In the data, of which this many bytes are missing.
    Data(u64),
    /// Before the line end after the data.
    DataEnd,
    /// Before the trailers.
    Trailers,
    End,
}

/// A body that is not valid HTTP.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct MalformedChunk;

impl Framing {
    pub(super) fn chunked() -> Self {
        Self::Chunked(ChunkState::Size)
    }

    pub(super) fn is_at_end(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(ChunkState::End))
    }

    /// Takes all the data out of `buffer`, as one piece. Incomplete lines between chunks stay in it.
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
    /// Moves the data of all chunks together, over the lines between them.
    fn take(&mut self, buffer: &mut BytesMut) -> Result<Bytes, MalformedChunk> {
        let (mut read, mut data) = (0, 0);
        while read < buffer.len() {
            if let Self::Data(missing) = self {
                let count = usize::try_from(*missing).unwrap_or(usize::MAX).min(buffer.len() - read);
                if read != data {
                    buffer.copy_within(read..read + count, data);
                }
                *missing -= count as u64;
                if *missing == 0 {
                    *self = Self::DataEnd;
                }
                (read, data) = (read + count, data + count);
            } else {
                let Some((next, length)) = self.after_line(&buffer[read..])? else { break };
                *self = next;
                read += length;
            }
        }
        let piece = buffer.split_to(data).freeze();
        buffer.advance(read - data);
        Ok(piece)
    }

    /// Returns the position after the line, or lines, at the start of `bytes`, and their length; `None` if more bytes
    /// are needed.
    fn after_line(self, bytes: &[u8]) -> Result<Option<(Self, usize)>, MalformedChunk> {
        let parsed = match self {
            // An empty line would be a size of zero.
            Self::Size if !bytes[0].is_ascii_hexdigit() => return Err(MalformedChunk),
            Self::Size => match httparse::parse_chunk_size(bytes).map_err(|_| MalformedChunk)? {
                Status::Complete((length, 0)) => Some((Self::Trailers, length)),
                Status::Complete((length, size)) => Some((Self::Data(size), length)),
                Status::Partial => None,
            },
            Self::DataEnd => match bytes {
                [b'\r', b'\n', ..] => Some((Self::Size, 2)),
                [b'\r'] => None,
                _ => return Err(MalformedChunk),
            },
            Self::Trailers => {
                let mut trailers = [httparse::EMPTY_HEADER; MAX_TRAILERS];
                match httparse::parse_headers(bytes, &mut trailers).map_err(|_| MalformedChunk)? {
                    Status::Complete((length, _)) => Some((Self::End, length)),
                    Status::Partial => None,
                }
            }
            Self::Data(_) | Self::End => None,
        };
        match parsed {
            None if bytes.len() > MAX_LINE_BYTES && self != Self::End => Err(MalformedChunk),
            parsed => Ok(parsed),
        }
    }
}

/// A reply's body as a stream of pieces.
pub(super) struct CleartextBody {
    /// `None` once the body has ended.
    connection: Option<CleartextConnection>,
    framing: Framing,
    /// The pool to which the connection returns at the end, if it can be used again.
    pool: Option<CleartextPool>,
    /// The size of the next read, which grows while reads fill their buffer.
    room: usize,
    host: String,
}

impl CleartextBody {
    pub(super) fn new(
        connection: CleartextConnection,
        framing: Framing,
        pool: Option<CleartextPool>,
        host: String,
    ) -> Self {
        Self { connection: Some(connection), framing, pool, room: LEAST_READ_BYTES, host }
    }

    fn broken(&mut self, reason: &str) -> Poll<Option<Result<Bytes, UpstreamError>>> {
        self.connection = None;
        Poll::Ready(Some(Err(UpstreamError::Body { host: self.host.clone(), reason: reason.to_owned() })))
    }

    /// Returns the connection to the pool, or closes it.
    fn end(&mut self) {
        if let (Some(connection), Some(pool)) = (self.connection.take(), &self.pool) {
            pool.put(connection);
        }
    }
}

impl Stream for CleartextBody {
    type Item = Result<Bytes, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            let Some(connection) = &mut this.connection else { return Poll::Ready(None) };
            let Ok(piece) = this.framing.take(&mut connection.buffer) else {
                return this.broken("invalid chunked encoding");
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
                Poll::Ready(Ok(0)) => return this.broken("the connection was closed before its end"),
                // More may be available.
                Poll::Ready(Ok(count)) if count >= this.room => this.room = (this.room * 4).min(READ_BYTES),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return this.broken(&error.to_string()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// Reads once. An idle connection keeps no buffer.
fn poll_read(connection: &mut CleartextConnection, room: usize, cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    let CleartextConnection { stream, buffer, .. } = connection;
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

    /// Returns the data of `wire` if it arrives in pieces of `split` bytes, and whether that was the end.
    fn decoded(wire: &[u8], split: usize) -> Result<(Vec<u8>, bool), MalformedChunk> {
        let (mut framing, mut buffer, mut data) = (Framing::chunked(), BytesMut::new(), Vec::new());
        for piece in wire.chunks(split) {
            buffer.extend_from_slice(piece);
            data.extend_from_slice(&framing.take(&mut buffer)?);
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
    fn malformed_chunks_are_rejected() {
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
        fn chunked_data_comes_out_unchanged(
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
