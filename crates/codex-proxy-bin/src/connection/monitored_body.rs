//! The body of a reply, whose activity is recorded.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::connection::activity::ActiveRequest;

pin_project! {
    /// A reply's body. Its request runs until the body has ended or is dropped; the connection sees what the body waits
    /// for.
    #[derive(Debug)]
    pub(crate) struct MonitoredBody<B> {
        #[pin]
        body: B,
        request: Option<ActiveRequest>,
    }
}

impl<B> MonitoredBody<B> {
    pub(crate) fn new(body: B, request: ActiveRequest) -> Self {
        Self { body, request: Some(request) }
    }
}

impl<B: Body> Body for MonitoredBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        match (&polled, &this.request) {
            (Poll::Ready(Some(_)), Some(request)) => request.has_output(),
            (Poll::Pending, Some(request)) => request.has_none(),
            _ => {}
        }
        if matches!(polled, Poll::Ready(None)) {
            *this.request = None;
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
