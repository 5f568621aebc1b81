//! The one body of all replies.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::admission::slots::Slot;
use crate::connection::activity::ConnectionActivity;
use crate::connection::half_closed::ProbeTimer;
use crate::telemetry::request_log::RequestGuard;

/// The body of a reply: bytes or a stream, and the guards that last exactly as long as it.
///
/// The slot ends with the last byte; dropping the body, as when the client is gone, ends
/// everything.
#[derive(Debug, Default)]
pub struct ReplyBody {
    content: Content,
    slot: Option<Slot>,
    request: Option<RequestGuard>,
    client: Option<ProbedClient>,
}

/// The client of a stream, which may have ended its side of the connection.
#[derive(Debug)]
struct ProbedClient {
    connection: ConnectionActivity,
    probe: ProbeTimer,
}

/// What is written to find out whether a client is gone: a comment (the HTML standard, §9.2.6), which ends no event.
const PROBE: &[u8] = b": keep-alive\n";

type Stream = Pin<Box<dyn Body<Data = Bytes, Error = Infallible> + Send>>;

enum Content {
    /// What is left to hand out; `None` when there is nothing.
    Bytes(Option<Bytes>),
    Stream(Stream),
}

impl ReplyBody {
    /// Wraps a stream.
    pub fn stream(stream: impl Body<Data = Bytes, Error = Infallible> + Send + 'static) -> Self {
        Self { content: Content::Stream(Box::pin(stream)), ..Self::default() }
    }

    /// Holds `slot` until the last byte is out.
    pub(crate) fn set_slot(&mut self, slot: Slot) {
        self.slot = Some(slot);
    }

    /// Probes the client of a stream when it has ended its side of the connection.
    pub(crate) fn set_connection(&mut self, connection: ConnectionActivity) {
        if matches!(self.content, Content::Stream(_)) {
            connection.has_stream();
            self.client = Some(ProbedClient { connection, probe: ProbeTimer::default() });
        }
    }

    /// Reports to `request` how the body ends. The reply to a `HEAD` request has no body.
    pub(crate) fn set_request(&mut self, mut request: RequestGuard, is_head: bool) {
        if is_head || self.is_end_stream() {
            request.all_sent();
        }
        self.request = Some(request);
    }
}

impl From<Bytes> for ReplyBody {
    fn from(bytes: Bytes) -> Self {
        let bytes = Some(bytes).filter(|bytes| !bytes.is_empty());
        Self { content: Content::Bytes(bytes), ..Self::default() }
    }
}

impl From<Vec<u8>> for ReplyBody {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        let polled = match &mut this.content {
            Content::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Content::Stream(stream) => match stream.as_mut().poll_frame(cx) {
                Poll::Pending => this.client.as_mut().map_or(Poll::Pending, |client| client.poll_probe(cx)),
                ready => ready,
            },
        };
        let has_ended = matches!(polled, Poll::Ready(None));
        if let Some(request) = &mut this.request {
            if matches!(polled, Poll::Ready(Some(_))) {
                request.part_sent();
            }
            // hyper does not poll a body again when it knows that it has ended.
            if has_ended || polled.is_ready() && this.content.is_end_stream() {
                request.all_sent();
            }
        }
        if has_ended {
            this.slot = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Bytes(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Content::Stream(stream) => stream.size_hint(),
        }
    }
}

impl ProbedClient {
    /// Waits until the client is to be probed; what is returned is to be written.
    fn poll_probe(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.connection.is_half_closed() {
            // Its end is read by the task that polls this.
            return Poll::Pending;
        }
        self.probe.poll_due(cx).map(|()| Some(Ok(Frame::data(Bytes::from_static(PROBE)))))
    }
}

impl Content {
    fn is_end_stream(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.is_none(),
            Self::Stream(stream) => stream.is_end_stream(),
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Bytes(None)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.as_ref().map(Bytes::len)).finish(),
            Self::Stream(_) => f.write_str("Stream"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use codex_upstream::AnyTimer;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::telemetry::record::RequestInfo;
    use crate::telemetry::request_log::RequestLog;

    #[tokio::test]
    async fn the_end_of_the_body_is_the_end_of_the_request() {
        for (reads, finish) in [(true, None), (false, Some("client_gone"))] {
            let log = Arc::new(RequestLog::new(AnyTimer::default()));
            let info = RequestInfo { request_id: "r".into(), endpoint: "models", client: None, is_routine: false };
            let guard = log.open(info);
            assert_eq!(log.live().len(), 1);
            guard.answered(200);
            let mut body = ReplyBody::from(Bytes::from_static(b"{}"));
            body.set_request(guard, false);
            if reads {
                assert_eq!(body.collect().await.unwrap().to_bytes(), "{}");
            } else {
                drop(body);
            }
            assert!(log.live().is_empty());
            let recent = log.recent();
            assert_eq!((recent[0].status, recent[0].finish), (Some(200), finish));
        }
    }
}
