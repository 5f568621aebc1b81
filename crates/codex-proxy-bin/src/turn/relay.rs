//! The place where I/O meets translation: a reply body that owns its upstream.
//!
//! There is no channel and no task between the two ends. The body is polled by the connection that sends it; each poll takes
//! all that upstream has ready, translates it, and hands it on as one frame. Dropping the body, as happens when the client
//! hangs up, drops the upstream stream and so ends the turn there.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use codex_translate::{Chunk, Error, EventReader, Flow, Fold, Pipe, Summary};
use codex_upstream::{ByteStream, IdleTimer};
use futures_util::StreamExt as _;
use futures_util::future::try_join_all;
use http_body::Frame;

use crate::turn::error;
use crate::turn::observer::ReplyObserver;

/// How long a stream may be silent before a comment is sent, so that no tunnel or balancer takes it for dead.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long the status is held back for the first output, so that an early failure becomes a real status.
pub const HOLD: Duration = Duration::from_secs(10);

/// More than this is not gathered into one frame, however much upstream has ready.
const FRAME_BYTES: usize = 64 * 1024;

/// A turn on its way: the upstream's reply stream, or why there is none.
pub type Opening = Pin<Box<dyn Future<Output = Result<ByteStream, Error>> + Send>>;

/// A streaming reply: of one turn, or of one for each choice that the caller wants.
#[derive(Debug)]
pub struct Relay<P, O> {
    lanes: Vec<Lane<P>>,
    /// How the reply ended, once it has: that of the first turn, and what all of them have cost.
    summary: Option<Summary>,
    state: State,
    out: Vec<u8>,
    keepalive: IdleTimer,
    observer: O,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// The end is in `out` or out.
    Ended,
}

/// One turn and what it becomes.
#[derive(Debug)]
struct Lane<P> {
    source: Source,
    events: EventReader,
    pipe: P,
}

/// Where a turn's reply comes from.
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

impl<P: Pipe<Vec<u8>>, O: ReplyObserver> Relay<P, O> {
    /// Waits for the first output, at most [`HOLD`]; the turns go on in the returned body.
    ///
    /// # Errors
    /// A turn failed before any output: the caller answers with a status.
    pub async fn hold(turns: Vec<(Opening, P)>, observer: O) -> Result<Self, Error> {
        observer.streams();
        let lane = |(opening, pipe)| Lane { source: Source::Opening(opening), events: EventReader::new(), pipe };
        let mut relay = Self {
            lanes: turns.into_iter().map(lane).collect(),
            summary: None,
            state: State::Running,
            out: Vec::new(),
            keepalive: IdleTimer::new(KEEPALIVE),
            observer,
        };
        // Elapsed: the status goes out, and what comes later, even a failure, goes into the stream.
        if let Ok(Err(error)) = tokio::time::timeout(HOLD, poll_fn(|cx| caught(|| relay.poll_fill(cx)))).await {
            if relay.out.is_empty() {
                relay.observer.failed(&error);
                return Err(error);
            }
            relay.end_with(&error);
        }
        Ok(relay)
    }

    /// Fills `out`; ready when it holds something or the reply has ended.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.state == State::Ended {
            return Poll::Ready(Ok(()));
        }
        for lane in &mut self.lanes {
            if let Poll::Ready(Some(summary)) = lane.poll_fill(cx, &mut self.out)? {
                add(&mut self.summary, summary);
            }
        }
        if self.lanes.iter().all(|lane| matches!(lane.source, Source::Ended)) {
            self.end();
        }
        if self.out.is_empty() && self.state == State::Running { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Every turn has ended in good order.
    fn end(&mut self) {
        self.state = State::Ended;
        if let (Some(lane), Some(summary)) = (self.lanes.first_mut(), &self.summary) {
            lane.pipe.end(summary.usage.as_ref(), &mut self.out);
            self.observer.completed(summary);
        }
    }

    /// Lets upstream go and tells the client why; the stream itself ends in good order, since the error is its last event.
    fn end_with(&mut self, error: &Error) {
        self.state = State::Ended;
        for lane in &mut self.lanes {
            lane.source = Source::Ended;
        }
        if let Some(lane) = self.lanes.first_mut() {
            lane.pipe.write_error(error, &mut self.out);
        }
        self.observer.failed(error);
    }

    fn poll_keepalive(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        ready!(self.keepalive.poll_elapsed(cx));
        self.keepalive.reset();
        Poll::Ready(Bytes::from_static(b": keep-alive\n\n"))
    }
}

impl<P: Pipe<Vec<u8>>> Lane<P> {
    /// Appends all that upstream has ready to `out`; the summary when the turn has just ended, `None` when there is enough for
    /// one frame, pending when upstream has nothing more now or ever.
    fn poll_fill(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) -> Poll<Result<Option<Summary>, Error>> {
        while out.len() < FRAME_BYTES {
            match &mut self.source {
                Source::Opening(opening) => self.source = Source::Open(ready!(opening.as_mut().poll(cx))?),
                Source::Open(upstream) => match ready!(upstream.as_mut().poll_next(cx)) {
                    Some(Ok(bytes)) => {
                        // What comes out is about as long as what goes in.
                        out.reserve(bytes.len());
                        match self.pipe.feed(&mut self.events, &Chunk::Bytes(&bytes), out)? {
                            Flow::Continue => {}
                            Flow::Done => return Poll::Ready(self.finish(out).map(Some)),
                        }
                    }
                    Some(Err(error)) => return Poll::Ready(Err(error::of_transport(&error))),
                    None => return Poll::Ready(self.finish(out).map(Some)),
                },
                Source::Ended => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(None))
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<Summary, Error> {
        self.source = Source::Ended;
        self.pipe.finish(out)
    }
}

impl<P: Pipe<Vec<u8>> + Unpin, O: ReplyObserver> http_body::Body for Relay<P, O> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        // What the wait for the first output has brought goes out before anything else.
        if this.out.is_empty() {
            match caught(|| this.poll_fill(cx)) {
                Poll::Pending => return this.poll_keepalive(cx).map(|comment| Some(Ok(Frame::data(comment)))),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => this.end_with(&error),
            }
        }
        if this.out.is_empty() {
            return Poll::Ready(None);
        }
        this.observer.sent();
        this.keepalive.reset();
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.out).into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Ended && self.out.is_empty()
    }
}

/// A defect costs the reply it is met in, and the client is told.
fn caught(fill: impl FnOnce() -> Poll<Result<(), Error>>) -> Poll<Result<(), Error>> {
    // What is left in a state in between is not used again but to write the error.
    catch_unwind(AssertUnwindSafe(fill)).unwrap_or_else(|_| Poll::Ready(Err(error::of_panic())))
}

/// Reads whole turns for a client that asked for no stream; what they come to, in the order of the turns.
///
/// # Errors
/// A turn failed, or broke off.
pub async fn collect<F: Fold>(turns: Vec<(Opening, F)>, observer: &impl ReplyObserver) -> Result<Vec<F::Whole>, Error> {
    match try_join_all(turns.into_iter().map(|(opening, fold)| gather(opening, fold))).await {
        Ok(replies) => {
            let mut total = None;
            let (wholes, summaries): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
            summaries.into_iter().for_each(|summary| add(&mut total, summary));
            if let Some(summary) = total {
                observer.completed(&summary);
            }
            Ok(wholes)
        }
        Err(error) => {
            observer.failed(&error);
            Err(error)
        }
    }
}

async fn gather<F: Fold>(opening: Opening, mut fold: F) -> Result<(F::Whole, Summary), Error> {
    let mut upstream = opening.await?;
    let mut events = EventReader::new();
    while let Some(bytes) = upstream.next().await {
        let bytes = bytes.map_err(|error| error::of_transport(&error))?;
        if fold.feed(&mut events, &Chunk::Bytes(bytes))? == Flow::Done {
            break;
        }
    }
    let summary = fold.finish()?;
    Ok((fold.end()?, summary))
}

/// Adds a turn to what is known of the reply.
fn add(total: &mut Option<Summary>, turn: Summary) {
    match total {
        None => *total = Some(turn),
        Some(total) => match (&mut total.usage, turn.usage) {
            (Some(usage), Some(more)) => *usage += more,
            (usage @ None, more) => *usage = more,
            (Some(_), None) => {}
        },
    }
}
