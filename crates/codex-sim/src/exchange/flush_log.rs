//! Knowing when what was written to a connection has left it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long a connection is waited for that is never quiet, or that stands still since its client does not read.
const PATIENCE: Duration = Duration::from_secs(5);
/// The silence after which nothing more is expected to leave.
const QUIET: Duration = Duration::from_millis(25);

/// Tells of the flushes of one connection that had something to flush.
#[derive(Debug, Clone)]
pub(crate) struct FlushLog(Arc<watch::Sender<u64>>);

impl FlushLog {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// Waits until what was handed to the connection before has left, as far as can be told: until it was flushed, and is not
    /// flushed again. A reset takes back what has not left, on HTTP/2 even the headers.
    pub(crate) async fn quiet(&self) {
        let mut flushes = self.0.subscribe();
        let settled = async {
            let mut more = flushes.changed().await.is_ok();
            while more {
                more = timeout(QUIET, flushes.changed()).await.is_ok_and(|changed| changed.is_ok());
            }
        };
        // Whoever is not quiet by then is cut where it is.
        let _ = timeout(PATIENCE, settled).await;
    }
}

/// A connection that reports its flushes.
#[derive(Debug)]
pub(crate) struct FlushLogged<S> {
    inner: S,
    flushes: FlushLog,
    written: bool,
}

impl<S> FlushLogged<S> {
    pub(crate) fn new(inner: S, flushes: FlushLog) -> Self {
        Self { inner, flushes, written: false }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for FlushLogged<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for FlushLogged<S> {
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
            self.flushes.0.send_modify(|count| *count = count.wrapping_add(1));
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
