//! The bytes of a connection, whose activity is recorded.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::activity::{ClientEnd, ConnectionActivity};
use crate::connection::half_closed::ProbeTimer;
use crate::sync::lock;

/// Up to this size, the buffers of a write are joined: a chunk of HTTP/1.1 is three of them, which the kernel takes
/// longer to gather than a copy takes.
const JOINED_BYTES: usize = 2048;

/// The beginning of every status line (RFC 9112 §4). One byte after the other is a probe.
const STATUS_LINE: &[u8] = b"HTTP/1.";

/// How much is read ahead of hyper, in bytes: enough to see the end behind what some clients send after a body.
const READ_AHEAD: usize = 1024;

/// A connection's bytes, whose activity is recorded. Clones are the same connection: the server can still write to it
/// after hyper has released it, and looks for the end of the client's bytes while hyper does not read.
#[derive(Debug)]
pub(crate) struct MonitoredIo<S> {
    inner: Arc<Mutex<MonitoredStream<S>>>,
    activity: ConnectionActivity,
}

#[derive(Debug)]
struct MonitoredStream<S> {
    stream: S,
    /// What was read while hyper did not.
    ahead: BytesMut,
    /// Whether hyper waits for bytes, and so sees their end.
    is_reading: bool,
    /// Whether the client's bytes have ended.
    has_ended: bool,
    /// Whether bytes wait to be written. They are a probe, and nothing may be written before them.
    is_blocked: bool,
    /// How many bytes of the next status line have been written.
    written_ahead: usize,
    probe: ProbeTimer,
}

impl<S> MonitoredIo<S> {
    pub(crate) fn new(stream: S, activity: ConnectionActivity) -> Self {
        let inner = MonitoredStream {
            stream,
            ahead: BytesMut::new(),
            is_reading: false,
            has_ended: false,
            is_blocked: false,
            written_ahead: 0,
            probe: ProbeTimer::default(),
        };
        Self { inner: Arc::new(Mutex::new(inner)), activity }
    }

    fn inner(&self) -> MutexGuard<'_, MonitoredStream<S>> {
        lock(&self.inner)
    }
}

impl<S> Clone for MonitoredIo<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), activity: self.activity.clone() }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> MonitoredIo<S> {
    /// Waits until the client of the running request turns out to be gone. Only HTTP/1 needs this, where hyper does not
    /// read while a request runs.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.activity.is_http2() {
            return Poll::Pending;
        }
        let inner = &mut *self.inner();
        if !inner.has_ended {
            match ready!(inner.poll_ahead(cx)) {
                Ok(()) => self.activity.has_ended(),
                Err(error) => return Poll::Ready(error),
            }
            // The reply's body, which was polled before this, may probe the client from now on.
            cx.waker().wake_by_ref();
        }
        match self.activity.at_end() {
            _ if inner.is_blocked => Poll::Pending,
            ClientEnd::Gone => Poll::Ready(io::ErrorKind::UnexpectedEof.into()),
            ClientEnd::Reads => Poll::Pending,
            ClientEnd::AwaitsHead => inner.poll_probe(cx),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> MonitoredStream<S> {
    /// Reads ahead until the client's bytes end.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.is_reading && self.ahead.len() < READ_AHEAD {
            let mut bytes = [MaybeUninit::uninit(); READ_AHEAD];
            let mut buf = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
            if buf.filled().is_empty() {
                self.has_ended = true;
                return Poll::Ready(Ok(()));
            }
            self.ahead.extend_from_slice(buf.filled());
        }
        Poll::Pending
    }

    /// Writes the beginning of the status line, ever more of it; ready only with the error that shows that the client
    /// is gone.
    fn poll_probe(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        while let Some(rest) = STATUS_LINE.get(self.written_ahead..).filter(|rest| !rest.is_empty()) {
            ready!(self.probe.poll_due(cx));
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &rest[..1])) {
                Ok(written) => self.written_ahead += written,
                Err(error) => return Poll::Ready(error),
            }
        }
        Poll::Pending
    }
}

impl<S> MonitoredStream<S> {
    /// Returns how many bytes of `buf` need not be written: probes of the client were the beginning of this reply.
    fn take_written(&mut self, buf: &[u8]) -> usize {
        let written = self.written_ahead.min(buf.len());
        self.written_ahead -= written;
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MonitoredIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.inner();
        let before = buf.filled().len();
        let polled = if !inner.ahead.is_empty() {
            let taken = inner.ahead.len().min(buf.remaining());
            buf.put_slice(&inner.ahead.split_to(taken));
            Poll::Ready(Ok(()))
        } else if inner.has_ended {
            // At the end, hyper closes the connection, even if bytes wait to be written.
            if inner.is_blocked { Poll::Pending } else { Poll::Ready(Ok(())) }
        } else {
            Pin::new(&mut inner.stream).poll_read(cx, buf)
        };
        inner.is_reading = polled.is_pending();
        if buf.filled().len() > before {
            self.activity.has_read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MonitoredIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let inner = &mut *self.inner();
        match inner.take_written(buf) {
            0 => {}
            written => return Poll::Ready(Ok(written)),
        }
        let polled = Pin::new(&mut inner.stream).poll_write(cx, buf);
        inner.is_blocked = is_short(&polled, buf.len());
        if polled.is_ready() {
            self.activity.has_written();
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let whole: usize = bufs.iter().map(|buf| buf.len()).sum();
        if whole <= JOINED_BYTES {
            let mut joined = [0; JOINED_BYTES];
            let mut room = &mut joined[..];
            bufs.iter().for_each(|buf| room.put_slice(buf));
            return self.poll_write(cx, &joined[..whole]);
        }
        let inner = &mut *self.inner();
        match bufs.iter().find(|buf| !buf.is_empty()).map_or(0, |first| inner.take_written(first)) {
            0 => {}
            written => return Poll::Ready(Ok(written)),
        }
        let polled = Pin::new(&mut inner.stream).poll_write_vectored(cx, bufs);
        inner.is_blocked = is_short(&polled, whole);
        if polled.is_ready() {
            self.activity.has_written();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.inner().stream.is_write_vectored()
    }
}

/// Returns whether not all of `bytes` were written.
fn is_short(written: &Poll<io::Result<usize>>, bytes: usize) -> bool {
    !matches!(written, Poll::Ready(Ok(written)) if *written == bytes)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn joined_buffers_arrive_in_order() {
        for len in [1, 300, JOINED_BYTES - 7, JOINED_BYTES - 6] {
            let (near, mut far) = tokio::io::duplex(2 * JOINED_BYTES);
            let mut io = MonitoredIo::new(near, ConnectionActivity::new(Instant::now()));
            let data = vec![b'x'; len];
            let pieces = [b"12C\r\n", &data[..], b"\r\n"];
            let written = io.write_vectored(&pieces.map(io::IoSlice::new)).await.unwrap();
            assert_eq!(written, len + 7);
            let mut arrived = vec![0; written];
            far.read_exact(&mut arrived).await.unwrap();
            assert_eq!(arrived, pieces.concat());
        }
    }
}
