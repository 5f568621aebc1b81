//! A reply body that is tracked to its end.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};

use crate::exchange::reply::Body;
use crate::request_log::{Outcome, Ticket};

/// A reply body that reports to its ticket how much was sent and how it ended.
#[derive(Debug)]
pub(crate) struct TrackedBody {
    inner: Body,
    ticket: Ticket,
    ended: bool,
}

impl TrackedBody {
    pub(crate) fn new(inner: Body, ticket: Ticket) -> Self {
        Self { inner, ticket, ended: false }
    }

    /// Returns a body whose end is not the end of the exchange.
    pub(crate) fn silent(inner: Body, ticket: Ticket) -> Self {
        Self { inner, ticket, ended: true }
    }

    fn end(&mut self, outcome: Outcome) {
        if !self.ended {
            self.ended = true;
            self.ticket.finished(outcome);
        }
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                let sent = frame.data_ref().map_or(0, Bytes::len);
                self.ticket.bytes_sent(sent as u64);
                if self.inner.is_end_stream() {
                    self.end(Outcome::Completed);
                }
            }
            Poll::Ready(Some(Err(_))) => self.end(Outcome::Cut),
            Poll::Ready(None) => self.end(Outcome::Completed),
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for TrackedBody {
    fn drop(&mut self) {
        let outcome = if self.inner.is_end_stream() { Outcome::Completed } else { Outcome::Disconnected };
        self.end(outcome);
    }
}
