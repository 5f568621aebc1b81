//! When the bytes written to a connection have left it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;

/// The longest wait for a connection that keeps writing, or that stalls because its client does not read.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// The pause in flushes after which everything is considered sent.
const QUIET_PERIOD: Duration = Duration::from_millis(25);

/// Counts the flushes of one connection that had something to flush.
#[derive(Debug, Clone)]
pub(crate) struct FlushLog(Arc<watch::Sender<u64>>);

impl FlushLog {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Waits until the bytes handed to the connection have left, as far as can be known: until there was a flush and
    /// then none for a while. A reset discards unsent bytes, on HTTP/2 even the headers.
    pub(crate) async fn settled(&self) {
        let mut flushes = self.0.subscribe();
        let settled = async {
            let mut more = flushes.changed().await.is_ok();
            while more {
                more = timeout(QUIET_PERIOD, flushes.changed()).await.is_ok_and(|changed| changed.is_ok());
            }
        };
        // A connection that is still flushing by then is cut anyway.
        let _ = timeout(MAX_WAIT, settled).await;
    }
}

/// A stream that counts its flushes in a [`FlushLog`].
#[derive(Debug)]
pub(crate) struct FlushLogStream<S> {
    inner: S,
    flush_log: FlushLog,
    written: bool,
}

impl<S> FlushLogStream<S> {
    pub(crate) fn new(inner: S, flush_log: FlushLog) -> Self {
        Self { inner, flush_log, written: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FlushLogStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FlushLogStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.written = true;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.written = true;
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) && std::mem::take(&mut self.written) {
            self.flush_log.0.send_modify(|count| *count = count.wrapping_add(1));
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
