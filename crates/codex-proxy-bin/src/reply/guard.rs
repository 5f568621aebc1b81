//! A reply that holds what it needs until its last byte is out.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::admission::slots::Slot;
use crate::reply::Body;

/// A reply's body with its slot: the slot is given back with the end of the reply, or when nobody wants it any more.
#[derive(Debug)]
pub(crate) struct Guarded {
    body: Body,
    slot: Option<Slot>,
}

impl Guarded {
    pub(crate) fn new(body: Body, slot: Slot) -> Self {
        Self { body, slot: Some(slot) }
    }
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(None)) {
            self.slot = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
