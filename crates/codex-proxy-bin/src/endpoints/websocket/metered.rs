//! A connection whose messages are counted in the memory budget of bodies while they arrive.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::request::budget::{BodyMemoryBudget, BudgetPermit, SMALL_BYTES};

/// The header of a control frame of a client: two bytes and the mask.
const CONTROL_HEADER_BYTES: usize = 6;

/// A connection that breaks when a message grows larger than there is memory for. A message counts as far as it has
/// arrived, so one that is begun and not finished costs no more than its bytes.
pub(super) struct MeteredIo<I> {
    io: I,
    budget: BodyMemoryBudget,
    /// What has been read since the last message.
    pending_bytes: usize,
    permit: Option<BudgetPermit>,
    is_full: bool,
}

impl<I> MeteredIo<I> {
    pub(super) fn new(io: I, budget: BodyMemoryBudget) -> Self {
        Self { io, budget, pending_bytes: 0, permit: None, is_full: false }
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

    /// Counts what has been read of a message.
    fn count(&mut self, bytes: usize) -> io::Result<()> {
        self.pending_bytes += bytes;
        if self.pending_bytes <= SMALL_BYTES {
            return Ok(());
        }
        // In steps, as a large message is read in many pieces.
        let counted = self.budget.try_extend(&mut self.permit, self.pending_bytes.next_multiple_of(SMALL_BYTES));
        counted.map_err(|error| {
            self.is_full = true;
            io::Error::other(error)
        })
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for MeteredIo<I> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        Poll::Ready(self.count(buf.filled().len() - before))
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
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn a_large_message_counts_as_far_as_it_has_arrived() {
        let budget = BodyMemoryBudget::default();
        let mut metered = MeteredIo::new(tokio::io::repeat(b'x'), budget.clone());
        let mut buffer = vec![0; SMALL_BYTES];
        metered.read_exact(&mut buffer).await.unwrap();
        metered.finish_control(0);
        assert!(metered.finish_message(SMALL_BYTES).is_none());

        for _ in 0..3 {
            metered.read_exact(&mut buffer).await.unwrap();
        }
        let permit = metered.finish_message(3 * SMALL_BYTES);
        assert!(permit.is_some());

        // Three are with the message, two are left.
        let _rest = budget.try_acquire(507 * SMALL_BYTES).unwrap();
        metered.read_exact(&mut buffer).await.unwrap();
        metered.read_exact(&mut buffer).await.unwrap();
        assert!(!metered.is_full());
        assert!(metered.read_exact(&mut buffer).await.is_err() && metered.is_full());
    }
}
