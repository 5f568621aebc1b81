//! The body of a reply, whose activity is recorded.

use std::error::Error;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::connection::activity::ActiveRequest;
use crate::connection::monitored_io::MonitoredIo;

pin_project! {
    /// A reply's body. Its request runs until the body has ended or is dropped; the connection sees what the body waits
    /// for. While it waits, the client may turn out to be gone, which is its error.
    #[derive(Debug)]
    pub(crate) struct MonitoredBody<B, S> {
        #[pin]
        body: B,
        request: Option<ActiveRequest>,
        io: MonitoredIo<S>,
    }
}

impl<B, S> MonitoredBody<B, S> {
    pub(crate) fn new(body: B, request: ActiveRequest, io: MonitoredIo<S>) -> Self {
        request.has_reply();
        Self { body, request: Some(request), io }
    }
}

impl<B, S> Body for MonitoredBody<B, S>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    S: AsyncRead + AsyncWrite + Unpin,
{
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, Box<dyn Error + Send + Sync>>>> {
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
        match polled {
            Poll::Ready(frame) => Poll::Ready(frame.map(|frame| frame.map_err(Into::into))),
            Poll::Pending => this.io.poll_gone(cx).map(|gone| Some(Err(gone.into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
