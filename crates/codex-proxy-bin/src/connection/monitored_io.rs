//! The bytes of a connection, whose activity is recorded.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::BufMut as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::connection::activity::ConnectionActivity;
use crate::sync::lock;

/// Up to this size, the buffers of a write are joined: a chunk of HTTP/1.1 is three of them, which the kernel takes
/// longer to gather than a copy takes.
const JOINED_BYTES: usize = 2048;

/// A connection's bytes, whose activity is recorded. Clones are the same connection: the server can still write to it
/// after hyper has released it.
#[derive(Debug)]
pub(crate) struct MonitoredIo<S> {
    stream: Arc<Mutex<S>>,
    activity: ConnectionActivity,
}

impl<S> MonitoredIo<S> {
    pub(crate) fn new(stream: S, activity: ConnectionActivity) -> Self {
        Self { stream: Arc::new(Mutex::new(stream)), activity }
    }

    fn stream(&self) -> MutexGuard<'_, S> {
        lock(&self.stream)
    }
}

impl<S> Clone for MonitoredIo<S> {
    fn clone(&self) -> Self {
        Self { stream: Arc::clone(&self.stream), activity: self.activity.clone() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MonitoredIo<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut *self.stream()).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.has_read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MonitoredIo<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut *self.stream()).poll_write(cx, buf);
        if polled.is_ready() {
            self.activity.has_written();
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_shutdown(cx)
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
        let polled = Pin::new(&mut *self.stream()).poll_write_vectored(cx, bufs);
        if polled.is_ready() {
            self.activity.has_written();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream().is_write_vectored()
    }
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
