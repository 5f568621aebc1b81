//! The place where I/O meets translation: a reply that owns its upstream.
//!
//! There is no channel and no task between the two ends. The reply is polled by the connection that sends it; each poll takes
//! all that upstream has ready, translates it, and hands it on in one piece. Dropping the reply, as happens when the client
//! hangs up, drops the upstream stream and so ends the turn there.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use codex_translate::{Error, EventBuffer, Flow, Fold, Pipe, Summary};
use codex_upstream::IdleTimer;
use futures_util::future::try_join_all;
use http_body::Frame;

use crate::turn::error;
use crate::turn::observer::ReplyObserver;
use crate::turn::reply_events::ReplyEvents;

/// How long a stream may be silent before a keepalive is sent, so that no tunnel or balancer takes it for dead.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long the status is held back for the first output, so that an early failure becomes a real status.
pub const FIRST_OUTPUT_WAIT: Duration = Duration::from_secs(10);

/// More than this is not handed on in one piece, however much upstream has ready.
const MAX_PART_BYTES: usize = 64 * 1024;

/// A turn on its way: the events of its reply, or the reason why there are none.
pub type PendingReply = Pin<Box<dyn Future<Output = Result<ReplyEvents, Error>> + Send>>;

/// What a reply is written to, until it is handed on.
pub trait ReplyOutput: Default + Send + Unpin + 'static {
    /// Returns the size of what was written, in bytes; 0 only if nothing was.
    fn bytes(&self) -> usize;

    /// Makes room for `bytes` more.
    fn reserve(&mut self, bytes: usize);
}

/// Server-sent events.
impl ReplyOutput for Vec<u8> {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn reserve(&mut self, bytes: usize) {
        self.reserve(bytes);
    }
}

/// Messages.
impl ReplyOutput for EventBuffer {
    fn bytes(&self) -> usize {
        self.bytes()
    }

    fn reserve(&mut self, bytes: usize) {
        self.reserve(bytes);
    }
}

/// What a streaming reply hands on.
#[derive(Debug)]
pub enum ReplyPart<W> {
    /// Output: all that was ready.
    Output(W),
    /// Nothing for a while: the connection wants a sign of life.
    Keepalive,
}

/// A streaming reply: of one turn, or of one for each choice that the caller wants. It is written by pipes `P` to outputs `W`.
#[derive(Debug)]
pub struct Relay<P, O, W = Vec<u8>> {
    choices: Vec<ChoiceStream<P>>,
    /// How the reply ended, once it has: that of the first turn, and what all of them have cost.
    summary: Option<Summary>,
    state: State,
    out: W,
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
struct ChoiceStream<P> {
    source: Source,
    pipe: P,
}

/// Where a turn's reply comes from.
enum Source {
    Pending(PendingReply),
    Open(ReplyEvents),
    /// The reply is decided; upstream is let go.
    Ended,
}

impl<P: Pipe<W>, O: ReplyObserver, W: ReplyOutput> Relay<P, O, W> {
    /// Waits for the first output, at most [`FIRST_OUTPUT_WAIT`]; the turns go on in what is returned.
    ///
    /// # Errors
    /// A turn failed before any output: the caller answers with a status.
    pub async fn await_first_output(turns: Vec<(PendingReply, P)>, observer: O) -> Result<Self, Error> {
        observer.streams();
        let choice = |(pending, pipe)| ChoiceStream { source: Source::Pending(pending), pipe };
        let mut relay = Self {
            choices: turns.into_iter().map(choice).collect(),
            summary: None,
            state: State::Running,
            out: W::default(),
            keepalive: IdleTimer::new(KEEPALIVE),
            observer,
        };
        let first_output = poll_fn(|cx| caught(|| relay.poll_fill(cx)));
        // Elapsed: the status goes out, and what comes later, even a failure, goes into the stream.
        if let Ok(Err(error)) = tokio::time::timeout(FIRST_OUTPUT_WAIT, first_output).await {
            if relay.out.bytes() == 0 {
                relay.observer.failed(&error);
                return Err(error);
            }
            relay.end_with(&error);
        }
        Ok(relay)
    }

    /// Waits for the next part of the reply; `None` at its end.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<ReplyPart<W>>> {
        // What the wait for the first output has brought goes out before anything else.
        if self.out.bytes() == 0 {
            match caught(|| self.poll_fill(cx)) {
                Poll::Pending => return self.poll_keepalive(cx).map(|()| Some(ReplyPart::Keepalive)),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => self.end_with(&error),
            }
        }
        if self.out.bytes() == 0 {
            return Poll::Ready(None);
        }
        self.observer.sent();
        self.keepalive.reset();
        Poll::Ready(Some(ReplyPart::Output(std::mem::take(&mut self.out))))
    }

    /// Returns the pipe of the first turn.
    pub fn first_pipe(&self) -> Option<&P> {
        self.choices.first().map(|choice| &choice.pipe)
    }

    /// Fills `out`; ready when it holds something or the reply has ended.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.state == State::Ended {
            return Poll::Ready(Ok(()));
        }
        for choice in &mut self.choices {
            if let Poll::Ready(Some(summary)) = choice.poll_fill(cx, &mut self.out)? {
                add(&mut self.summary, summary);
            }
        }
        if self.choices.iter().all(|choice| matches!(choice.source, Source::Ended)) {
            self.end();
        }
        if self.out.bytes() == 0 && self.state == State::Running { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Every turn has ended in good order.
    fn end(&mut self) {
        self.state = State::Ended;
        if let (Some(choice), Some(summary)) = (self.choices.first_mut(), &self.summary) {
            choice.pipe.end(summary.usage.as_ref(), &mut self.out);
            self.observer.completed(summary);
        }
    }

    /// Lets upstream go and tells the client why; the stream itself ends in good order, since the error is its last event.
    fn end_with(&mut self, error: &Error) {
        self.state = State::Ended;
        for choice in &mut self.choices {
            choice.source = Source::Ended;
        }
        if let Some(choice) = self.choices.first_mut() {
            choice.pipe.write_error(error, &mut self.out);
        }
        self.observer.failed(error);
    }

    fn poll_keepalive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.keepalive.poll_elapsed(cx));
        self.keepalive.reset();
        Poll::Ready(())
    }
}

impl<P> ChoiceStream<P> {
    /// Appends all that upstream has ready to `out`; the summary when the turn has just ended, `None` when there is enough for
    /// one part, pending when upstream has nothing more now or ever.
    fn poll_fill<W: ReplyOutput>(&mut self, cx: &mut Context<'_>, out: &mut W) -> Poll<Result<Option<Summary>, Error>>
    where
        P: Pipe<W>,
    {
        while out.bytes() < MAX_PART_BYTES {
            match &mut self.source {
                Source::Pending(pending) => self.source = Source::Open(ready!(pending.as_mut().poll(cx))?),
                Source::Open(events) => {
                    let flow = match ready!(events.poll_next(cx)) {
                        Some(batch) => {
                            let batch = batch?;
                            // What comes out is about as long as what goes in.
                            out.reserve(batch.len());
                            events.each(&batch, |event| self.pipe.push(event, out))?
                        }
                        None => Flow::Done,
                    };
                    if flow == Flow::Done {
                        self.source = Source::Ended;
                        return Poll::Ready(self.pipe.finish(out).map(Some));
                    }
                }
                Source::Ended => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(None))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending(_) => "Pending",
            Self::Open(_) => "Open",
            Self::Ended => "Ended",
        })
    }
}

/// The body of a stream of server-sent events; a keepalive is a comment.
impl<P: Pipe<Vec<u8>> + Unpin, O: ReplyObserver> http_body::Body for Relay<P, O> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = ready!(self.poll_part(cx));
        Poll::Ready(part.map(|part| {
            Ok(Frame::data(match part {
                ReplyPart::Output(bytes) => bytes.into(),
                ReplyPart::Keepalive => Bytes::from_static(b": keep-alive\n\n"),
            }))
        }))
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
pub async fn collect<F: Fold>(
    turns: Vec<(PendingReply, F)>,
    observer: &impl ReplyObserver,
) -> Result<Vec<F::Whole>, Error> {
    match try_join_all(turns.into_iter().map(|(pending, fold)| gather(pending, fold))).await {
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

async fn gather<F: Fold>(pending: PendingReply, mut fold: F) -> Result<(F::Whole, Summary), Error> {
    let mut events = pending.await?;
    while let Some(batch) = poll_fn(|cx| events.poll_next(cx)).await {
        if events.each(&batch?, |event| fold.push(event))? == Flow::Done {
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
