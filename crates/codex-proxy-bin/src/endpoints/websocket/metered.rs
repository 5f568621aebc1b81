//! A connection whose messages are counted in the memory budget of bodies while they arrive.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use codex_translate::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::request::budget::{BodyMemoryBudget, BudgetPermit, SMALL_BYTES};

/// The header of a control frame of a client: two bytes and the mask.
const CONTROL_HEADER_BYTES: usize = 6;

/// A permit that is waited for.
type AcquiringPermit = Pin<Box<dyn Future<Output = Result<BudgetPermit, Error>> + Send>>;

/// A connection that stops reading, before a message grows large, until there is memory for it.
pub(super) struct MeteredIo<I> {
    io: I,
    budget: BodyMemoryBudget,
    /// The longest message.
    limit_bytes: usize,
    /// How long it may wait for memory.
    max_wait: Duration,
    /// What has been read since the last message.
    pending_bytes: usize,
    acquiring: Option<AcquiringPermit>,
    permit: Option<BudgetPermit>,
    is_full: bool,
}

impl<I> MeteredIo<I> {
    pub(super) fn new(io: I, budget: BodyMemoryBudget, limit_bytes: usize, max_wait: Duration) -> Self {
        Self { io, budget, limit_bytes, max_wait, pending_bytes: 0, acquiring: None, permit: None, is_full: false }
    }

    /// Returns the memory of a message of `bytes` that has been read, which is the caller's from now on.
    pub(super) fn finish_message(&mut self, bytes: usize) -> Option<BudgetPermit> {
        self.pending_bytes = 0;
        let mut permit = self.permit.take()?;
        permit.shrink_to(bytes);
        Some(permit)
    }

    /// Forgets a control frame, which may come within a message.
    pub(super) fn finish_control(&mut self, payload_bytes: usize) {
        self.pending_bytes = self.pending_bytes.saturating_sub(payload_bytes + CONTROL_HEADER_BYTES);
    }

    /// Returns whether the connection broke because there was no memory.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    fn poll_memory(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.pending_bytes <= SMALL_BYTES || self.permit.is_some() {
            return Poll::Ready(Ok(()));
        }
        let acquiring = self.acquiring.get_or_insert_with(|| {
            let (budget, bytes, max_wait) = (self.budget.clone(), self.limit_bytes, self.max_wait);
            Box::pin(async move { budget.acquire(bytes, max_wait).await })
        });
        let acquired = ready!(acquiring.as_mut().poll(cx));
        self.acquiring = None;
        match acquired {
            Ok(permit) => {
                self.permit = Some(permit);
                Poll::Ready(Ok(()))
            }
            Err(error) => {
                self.is_full = true;
                Poll::Ready(Err(io::Error::other(error)))
            }
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for MeteredIo<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_memory(cx))?;
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.pending_bytes += buf.filled().len() - before;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for MeteredIo<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const LIMIT: usize = 64 * SMALL_BYTES;

    #[tokio::test(start_paused = true)]
    async fn a_large_message_waits_for_memory_and_gives_up_in_time() {
        let budget = BodyMemoryBudget::default();
        let mut metered = MeteredIo::new(tokio::io::repeat(b'x'), budget.clone(), LIMIT, Duration::from_secs(30));
        let mut buffer = vec![0; SMALL_BYTES];
        metered.read_exact(&mut buffer).await.unwrap();
        metered.finish_control(0);
        assert!(metered.finish_message(SMALL_BYTES).is_none());

        for _ in 0..3 {
            metered.read_exact(&mut buffer).await.unwrap();
        }
        let permit = metered.finish_message(3 * SMALL_BYTES);
        assert!(permit.is_some());

        // The rest of the budget is elsewhere.
        let _all = budget.try_acquire(500 * SMALL_BYTES).unwrap();
        metered.read_exact(&mut buffer).await.unwrap();
        metered.read_exact(&mut buffer[..1]).await.unwrap();
        assert!(metered.read_exact(&mut buffer).now_or_never().is_none());
        assert!(metered.read_exact(&mut buffer).await.is_err() && metered.is_full());
    }
}
