//! Where I/O meets translation: a reply that owns its upstream.
//!
//! There is no channel and no task between the two ends. The connection that sends the reply polls it; each poll reads
//! everything that upstream has ready, translates it, and hands it on in one piece. Dropping the reply, as happens when
//! the client disconnects, drops the upstream stream and so ends the turn.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use codex_translate::{Error, EventBuffer, Flow, Fold, Pipe, Summary, dialect};
use codex_upstream::IdleTimer;
use futures_util::future::try_join_all;
use http_body::Frame;

use crate::turn::error;
use crate::turn::observer::ReplyObserver;
use crate::turn::reply_events::ReplyEvents;

/// How long a stream may be silent before a keepalive is sent, so no tunnel or balancer closes the connection.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How long the status is held back for the first output, so an early failure gets a status of its own.
pub const FIRST_OUTPUT_WAIT: Duration = Duration::from_secs(10);

/// The maximum size of one piece, however much upstream has ready.
const MAX_PART_BYTES: usize = 64 * 1024;

/// A pending turn: the events of its reply, or the reason why there are none.
pub type PendingReply = Pin<Box<dyn Future<Output = Result<ReplyEvents, Error>> + Send>>;

/// The output of a reply, until it is handed on.
pub trait ReplyOutput: Default + Send + Unpin + 'static {
    /// Returns the size of the output in bytes; 0 only if nothing was written.
    fn bytes(&self) -> usize;

    /// Reserves space for `bytes` more.
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

/// The parts of a streaming reply.
#[derive(Debug)]
pub enum ReplyPart<W> {
    /// All output that was ready.
    Output(W),
    /// Nothing for a while: the connection needs a keepalive.
    Keepalive,
}

/// A streaming reply of one turn, or of one turn for each choice that the caller wants. Pipes `P` write it to outputs
/// `W`.
#[derive(Debug)]
pub struct Relay<P, O, W = Vec<u8>> {
    choices: Vec<ChoiceStream<P>>,
    /// How the reply ended, once it has: the finish of the first turn, and the usage of all of them.
    summary: Option<Summary>,
    state: State,
    out: W,
    keepalive: IdleTimer,
    keepalive_event: &'static str,
    observer: O,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// The end is in `out`, or has been handed out.
    Ended,
}

/// One turn and its translation.
#[derive(Debug)]
struct ChoiceStream<P> {
    source: Source,
    pipe: P,
}

/// Where a turn's reply comes from.
#[expect(clippy::large_enum_variant, reason = "a reply has few turns, and each is open for nearly all of its time")]
enum Source {
    Pending(PendingReply),
    Open(ReplyEvents),
    /// The reply is complete, and upstream was dropped.
    Ended,
}

impl<P: Pipe<W>, O: ReplyObserver, W: ReplyOutput> Relay<P, O, W> {
    /// Waits for the first output, for at most [`FIRST_OUTPUT_WAIT`]; the turns continue in the returned reply.
    ///
    /// # Errors
    /// A turn failed before any output: the caller replies with a status.
    pub async fn await_first_output(turns: Vec<(PendingReply, P)>, observer: O) -> Result<Self, Error> {
        observer.streams();
        let choice = |(pending, pipe)| ChoiceStream { source: Source::Pending(pending), pipe };
        let mut relay = Self {
            choices: turns.into_iter().map(choice).collect(),
            summary: None,
            state: State::Running,
            out: W::default(),
            keepalive: IdleTimer::new(KEEPALIVE),
            keepalive_event: dialect::RESPONSES.keepalive,
            observer,
        };
        let first_output = poll_fn(|cx| caught(|| relay.poll_fill(cx)));
        // Elapsed: the status is sent, and everything later, even a failure, is part of the stream.
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
        // Output from the wait for the first output is handed out before anything else.
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

    /// Ends the reply after every turn has ended normally.
    fn end(&mut self) {
        self.state = State::Ended;
        if let (Some(choice), Some(summary)) = (self.choices.first_mut(), &self.summary) {
            choice.pipe.end(summary.usage.as_ref(), &mut self.out);
            self.observer.completed(summary);
        }
    }

    /// Drops upstream and reports the error to the client; the stream itself ends normally, since the error is its last
    /// event.
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

    /// Sets the event that keeps a silent stream of server-sent events open: that of the reply's dialect.
    #[must_use]
    pub fn with_keepalive(mut self, event: &'static str) -> Self {
        self.keepalive_event = event;
        self
    }

    fn poll_keepalive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.keepalive.poll_elapsed(cx));
        self.keepalive.reset();
        Poll::Ready(())
    }
}

impl<P> ChoiceStream<P> {
    /// Appends everything that upstream has ready to `out`. Returns the summary when the turn has just ended, `None`
    /// when there is enough for one part; pending if upstream has nothing more for now.
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
                            // The output is about as long as the input.
                            out.reserve(batch.bytes());
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

/// The body of a stream of server-sent events.
impl<P: Pipe<Vec<u8>> + Unpin, O: ReplyObserver> http_body::Body for Relay<P, O> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let keepalive = self.keepalive_event;
        let part = ready!(self.poll_part(cx));
        Poll::Ready(part.map(|part| {
            Ok(Frame::data(match part {
                ReplyPart::Output(bytes) => bytes.into(),
                ReplyPart::Keepalive => Bytes::from_static(keepalive.as_bytes()),
            }))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Ended && self.out.is_empty()
    }
}

/// Turns a panic into an error: it ends only the reply in which it occurred, and the client gets the error.
fn caught(fill: impl FnOnce() -> Poll<Result<(), Error>>) -> Poll<Result<(), Error>> {
    // A state that the panic left inconsistent is used again only to write the error.
    catch_unwind(AssertUnwindSafe(fill)).unwrap_or_else(|_| Poll::Ready(Err(error::panicked())))
}

/// Reads complete turns for a client that wants no stream; returns their results in the order of the turns.
///
/// # Errors
/// A turn failed, or was cut off.
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

/// Adds a turn to the summary of the reply.
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
