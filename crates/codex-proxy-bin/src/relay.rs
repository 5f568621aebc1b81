//! The place where I/O meets translation: a reply body that owns its upstream.
//!
//! There is no channel and no task between the two ends. The body is polled by the connection that sends it; each poll takes
//! all that upstream has ready, translates it, and hands it on as one frame. Dropping the body, as happens when the client
//! hangs up, drops the upstream stream and so ends the turn there.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use codex_translate::{ChatPipe, Decoder, Error, Event, Flow, Response, ResponseFold, ResponsesPipe, Summary};
use codex_upstream::ByteStream;
use futures_util::StreamExt as _;
use http_body::Frame;
use tokio::time::{Instant, Interval};

use crate::record::Record;
use crate::reply;

/// The largest upstream event that is read: images come as one event (wire.md §3.1).
pub const MAX_EVENT_BYTES: usize = 32 * 1024 * 1024;

/// How long a stream may be silent before a comment is sent, so that no tunnel or balancer takes it for dead.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long the status is held back for the first output, so that an early failure becomes a real status.
pub const HOLD: Duration = Duration::from_secs(10);

/// More than this is not gathered into one frame, however much upstream has ready.
const FRAME_BYTES: usize = 64 * 1024;

/// A turn on its way: the upstream's reply stream, or why there is none.
pub type Opening = Pin<Box<dyn Future<Output = Result<ByteStream, Error>> + Send>>;

/// Upstream bytes in, bytes for the client out.
pub trait Pipe: Send + Unpin + 'static {
    /// Takes upstream bytes and appends what they mean to `out`.
    ///
    /// # Errors
    /// The turn failed; nothing about the failure is in `out` yet.
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Flow, Error>;

    /// Ends the reply; called once, after `Flow::Done` or the end of upstream.
    ///
    /// # Errors
    /// The reply is not whole.
    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Summary, Error>;

    /// Appends the event that tells the client of `error`.
    fn encode_error(&mut self, error: &Error, out: &mut Vec<u8>);
}

/// A streaming reply.
#[derive(Debug)]
pub struct Relay<P> {
    source: Source,
    pipe: P,
    out: Vec<u8>,
    keepalive: Interval,
    record: Record,
}

/// Where the reply comes from.
enum Source {
    Opening(Opening),
    Open(ByteStream),
    /// The reply is decided; upstream is let go.
    Ended,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Opening(_) => "Opening",
            Self::Open(_) => "Open",
            Self::Ended => "Ended",
        })
    }
}

impl<P: Pipe> Relay<P> {
    /// Waits for the first output, at most [`HOLD`]; the turn goes on in the returned body.
    ///
    /// # Errors
    /// The turn failed before any output: the caller answers with a status.
    pub async fn hold(opening: Opening, pipe: P, record: Record) -> Result<Self, Error> {
        let mut relay = Self {
            source: Source::Opening(opening),
            pipe,
            out: Vec::new(),
            keepalive: tokio::time::interval_at(Instant::now() + KEEPALIVE, KEEPALIVE),
            record,
        };
        // Elapsed: the status goes out, and what comes later, even a failure, goes into the stream.
        if let Ok(Err(error)) = tokio::time::timeout(HOLD, poll_fn(|cx| relay.poll_fill(cx))).await {
            relay.source = Source::Ended;
            if relay.out.is_empty() {
                relay.record.fail(&error);
                return Err(error);
            }
            relay.end_with(&error);
        }
        Ok(relay)
    }

    /// Fills `out`; ready when it holds something or the reply has ended.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while self.out.len() < FRAME_BYTES {
            match &mut self.source {
                Source::Opening(opening) => self.source = Source::Open(ready!(opening.as_mut().poll(cx))?),
                Source::Open(upstream) => match upstream.as_mut().poll_next(cx) {
                    Poll::Pending if self.out.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(bytes))) => match self.pipe.feed(&bytes, &mut self.out)? {
                        Flow::Continue => {}
                        Flow::Done => self.finish()?,
                    },
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(reply::of_transport(&error))),
                    Poll::Ready(None) => self.finish()?,
                },
                Source::Ended => break,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.source = Source::Ended;
        let summary = self.pipe.finish(&mut self.out)?;
        self.record.complete(&summary);
        Ok(())
    }

    /// Lets upstream go and tells the client why; the stream itself ends in good order, since the error is its last event.
    fn end_with(&mut self, error: &Error) {
        self.source = Source::Ended;
        self.pipe.encode_error(error, &mut self.out);
        self.record.fail(error);
    }

    fn poll_keepalive(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        ready!(self.keepalive.poll_tick(cx));
        Poll::Ready(Bytes::from_static(b": keep-alive\n\n"))
    }
}

impl<P: Pipe> http_body::Body for Relay<P> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        match this.poll_fill(cx) {
            Poll::Pending => return this.poll_keepalive(cx).map(|comment| Some(Ok(Frame::data(comment)))),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => this.end_with(&error),
        }
        if this.out.is_empty() {
            return Poll::Ready(None);
        }
        this.record.sent();
        this.keepalive.reset();
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.out).into()))))
    }
}

/// Reads a whole turn for a client that asked for no stream.
///
/// # Errors
/// The turn failed, or broke off.
pub async fn collect(opening: Opening, mut record: Record) -> Result<Response, Error> {
    let folded = fold(opening).await;
    match &folded {
        Ok(response) => record.complete(&response.summary()),
        Err(error) => record.fail(error),
    }
    folded
}

async fn fold(opening: Opening) -> Result<Response, Error> {
    let mut upstream = opening.await?;
    let mut decoder = Decoder::new(MAX_EVENT_BYTES);
    let mut fold = ResponseFold::new();
    while let Some(bytes) = upstream.next().await {
        decoder.feed(&bytes.map_err(|error| reply::of_transport(&error))?);
        while let Some(frame) = decoder.next_frame()? {
            if fold.push(&Event::parse(frame.data)?)? == Flow::Done {
                return fold.finish();
            }
        }
    }
    fold.finish()
}

impl Pipe for ChatPipe {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Flow, Error> {
        Self::feed(self, bytes, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Summary, Error> {
        Self::finish(self, out)
    }

    fn encode_error(&mut self, error: &Error, out: &mut Vec<u8>) {
        Self::encode_error(self, error, out);
    }
}

impl Pipe for ResponsesPipe {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<Flow, Error> {
        Self::feed(self, bytes, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Summary, Error> {
        Self::finish(self, out)
    }

    fn encode_error(&mut self, error: &Error, out: &mut Vec<u8>) {
        Self::encode_error(self, error, out);
    }
}
