//! Where I/O meets translation: a reply that owns its upstream.
//!
//! There is no channel and no task between the two ends. The connection that sends the reply polls it; each poll reads
//! everything that upstream has ready, translates it, and hands it on in one piece. Dropping the reply, as happens when
//! the client disconnects, drops the upstream stream and so ends the turn.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use codex_translate::{Error, EventBuffer, Flow, Fold, Notice, Pipe, RequestPaths, Summary};
use codex_upstream::IdleTimer;
use futures_core::Stream;
use futures_util::future::try_join_all;
use http_body::Frame;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::observer::ReplyObserver;
use crate::panics::caught_poll;
use crate::reply_events::{LateNotice, ReplySource};

/// How long a stream may be silent before a keepalive is sent, so neither the client nor a tunnel or balancer closes
/// the connection. What the backend sends and the client does not see counts as silence.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// The maximum size of one piece, however much upstream has ready.
const MAX_PART_BYTES: usize = 64 * 1024;

/// The output of a reply, until it is handed on.
pub trait ReplyOutput: Default + Send + Unpin + 'static {
    /// Returns the size of the output in bytes; 0 only if nothing was written.
    fn bytes(&self) -> usize;

    /// Reserves space for `bytes` more.
    fn reserve(&mut self, bytes: usize);

    /// Adds what another output holds.
    fn append(&mut self, other: Self);
}

/// Server-sent events.
impl ReplyOutput for Vec<u8> {
    fn bytes(&self) -> usize {
        self.len()
    }

    fn reserve(&mut self, bytes: usize) {
        self.reserve(bytes);
    }

    fn append(&mut self, mut other: Self) {
        self.append(&mut other);
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

    fn append(&mut self, other: Self) {
        self.append(other);
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
    /// Why the client wants no more of the reply, if so.
    interrupted: Option<&'static str>,
    /// Whether output was handed out.
    has_begun: bool,
    out: W,
    keepalive: IdleTimer,
    keepalive_comment: &'static str,
    late: LateNotice,
    /// Elapses when the first events need not be held back any longer; `None` after that.
    hold: Option<Pin<Box<Sleep>>>,
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
    source: ReplySource,
    pipe: P,
    /// The caller's paths, for failures that the reply reports.
    paths: RequestPaths,
    late: LateNotice,
    /// Whether there was output.
    has_begun: bool,
}

impl<P: Pipe<W>, O: ReplyObserver, W: ReplyOutput> Relay<P, O, W> {
    pub(crate) fn new(
        choices: Vec<(ReplySource, P)>,
        paths: &RequestPaths,
        observer: O,
        keepalive_comment: &'static str,
        late: LateNotice,
        started: Instant,
        hold: Duration,
    ) -> Self {
        Self {
            choices: choices
                .into_iter()
                .map(|(source, pipe)| {
                    let (paths, late) = (paths.clone(), late.clone());
                    ChoiceStream { source, pipe, paths, late, has_begun: false }
                })
                .collect(),
            summary: None,
            state: State::Running,
            interrupted: None,
            has_begun: false,
            out: W::default(),
            keepalive: IdleTimer::since(started, KEEPALIVE),
            keepalive_comment,
            late,
            hold: Some(Box::pin(sleep_until(started + hold))),
            observer,
        }
    }

    /// Waits for the first output, at most until [`Turn::hold`](crate::Turn::hold) has passed since the turn was sent,
    /// so a server can answer an early failure with a status. Without this call, it is the last event of the stream.
    ///
    /// # Errors
    /// A turn failed before any output.
    pub async fn first_output(&mut self) -> Result<(), Error> {
        let first_output = poll_fn(|cx| match caught_poll(|| self.poll_fill(cx)) {
            // Everything later, even a failure, is part of the stream.
            Poll::Pending if self.hold.is_none() => Poll::Ready(Ok(())),
            filled @ (Poll::Ready(_) | Poll::Pending) => filled,
        });
        if let Err(error) = first_output.await {
            if self.out.bytes() == 0 {
                self.observer.failed(&error);
                return Err(error);
            }
            self.end_with(&error);
        }
        Ok(())
    }

    /// Waits for the next part of the reply; `None` at its end.
    pub fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<ReplyPart<W>>> {
        match ready!(self.try_poll_part(cx)) {
            Some(Err(error)) => {
                self.end_with(&error);
                Poll::Ready(self.take_output())
            }
            part => Poll::Ready(part.and_then(Result::ok)),
        }
    }

    /// Waits for the next part as [`Relay::poll_part`] does. A failure before the first output is an error, and the
    /// end of the reply; any later one is the last event.
    pub fn try_poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<ReplyPart<W>, Error>>> {
        // Output from the wait for the first output is handed out before anything else.
        if self.out.bytes() == 0 {
            match caught_poll(|| self.poll_fill(cx)) {
                Poll::Pending => return self.poll_keepalive(cx).map(|part| Some(Ok(part))),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => match self.interrupted {
                    Some(reason) => self.end_interrupted(reason),
                    None if self.has_begun || self.out.bytes() > 0 => self.end_with(&error),
                    None => {
                        self.drop_upstream();
                        return Poll::Ready(Some(Err(error)));
                    }
                },
            }
        }
        Poll::Ready(self.take_output().map(Ok))
    }

    /// Returns what was changed about the request because the backend refused it, once the reply has begun:
    /// [`Reply::notices`](crate::Reply::notices) of a reply that was awaited has it already.
    pub fn late_notice(&self) -> Option<&Notice> {
        self.late.get()
    }

    /// Returns whether the reply has ended; its end may not have been handed out yet.
    pub fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Returns whether the reply has ended and everything was handed out.
    pub fn is_finished(&self) -> bool {
        self.state == State::Ended && self.out.bytes() == 0
    }

    /// Ends the reply because its client wants no more of it; its last event has the `reason`. A reply that has ended
    /// does not change.
    ///
    /// Over a WebSocket the backend is asked to end the turn: it stops at once, its last event ends the reply, and the
    /// connection serves further turns. Otherwise upstream is dropped, and the reply ends here.
    pub fn interrupt(&mut self, reason: &'static str) {
        if self.state == State::Ended || self.interrupted.replace(reason).is_some() {
            return;
        }
        let is_asked = match &self.choices[..] {
            [ChoiceStream { source: ReplySource::Open(events), .. }] => events.interrupt(),
            _ => false,
        };
        if !is_asked {
            self.end_interrupted(reason);
        }
    }

    /// Passes the pipe of the first turn to `write`, which may add to the output.
    pub fn write_with<T>(&mut self, write: impl FnOnce(&mut P, &mut W) -> T) -> Option<T> {
        let choice = self.choices.first_mut()?;
        Some(write(&mut choice.pipe, &mut self.out))
    }

    /// Returns the pipe of the first turn.
    pub fn first_pipe(&self) -> Option<&P> {
        self.choices.first().map(|choice| &choice.pipe)
    }

    /// Returns the pipe of the first turn, and drops the rest of the reply.
    pub fn into_first_pipe(self) -> Option<P> {
        self.choices.into_iter().next().map(|choice| choice.pipe)
    }

    /// Fills `out`; ready when it holds something or the reply has ended.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.state == State::Ended {
            return Poll::Ready(Ok(()));
        }
        for index in 0..self.choices.len() {
            if let Poll::Ready(Some(summary)) = self.poll_choice(index, cx)? {
                add(&mut self.summary, summary);
            }
        }
        if self.choices.iter().all(|choice| matches!(choice.source, ReplySource::Ended)) {
            self.end();
        }
        if self.out.bytes() == 0
            && self.state == State::Running
            && let Some(hold) = &mut self.hold
            && hold.as_mut().poll(cx).is_ready()
        {
            self.hold = None;
            self.choices.iter_mut().try_for_each(|choice| choice.pipe.release(&mut self.out))?;
        }
        if self.out.bytes() == 0 && self.state == State::Running { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    /// Appends what the choice at `index` has ready. The choices before it begin before it: openai-python's `.stream()`
    /// accepts them in no other order.
    fn poll_choice(&mut self, index: usize, cx: &mut Context<'_>) -> Poll<Result<Option<Summary>, Error>> {
        let (earlier, rest) = self.choices.split_at_mut(index);
        let Some(choice) = rest.first_mut() else { return Poll::Pending };
        if choice.has_begun || earlier.iter().all(|choice| choice.has_begun) {
            let before = self.out.bytes();
            let filled = choice.poll_fill(cx, &mut self.out);
            choice.has_begun |= self.out.bytes() > before;
            return filled;
        }
        let mut first = W::default();
        let filled = choice.poll_fill(cx, &mut first);
        if first.bytes() > 0 {
            choice.has_begun = true;
            for choice in earlier.iter_mut().filter(|choice| !choice.has_begun) {
                choice.has_begun = true;
                choice.pipe.begin(&mut self.out);
            }
            self.out.append(first);
        }
        filled
    }

    /// Ends the reply after every turn has ended normally.
    fn end(&mut self) {
        self.state = State::Ended;
        if let (Some(choice), Some(summary)) = (self.choices.first_mut(), &self.summary) {
            choice.pipe.end(summary.usage.as_ref(), &mut self.out);
            complete(&self.observer, summary);
        }
    }

    /// Drops upstream and reports the error to the client; the stream itself ends normally, since the error is its last
    /// event.
    fn end_with(&mut self, error: &Error) {
        self.drop_upstream();
        if let Some(choice) = self.choices.first_mut() {
            choice.pipe.write_error(error, &mut self.out);
        }
        self.observer.failed(error);
    }

    /// Drops upstream and ends an interrupted reply.
    fn end_interrupted(&mut self, reason: &str) {
        self.drop_upstream();
        let Some(choice) = self.choices.first_mut() else { return };
        match choice.pipe.interrupt(reason, &mut self.out) {
            Ok(summary) => {
                self.summary = Some(summary);
                self.end();
            }
            Err(error) => self.end_with(&error),
        }
    }

    fn drop_upstream(&mut self) {
        self.state = State::Ended;
        for choice in &mut self.choices {
            choice.source = ReplySource::Ended;
        }
    }

    fn take_output(&mut self) -> Option<ReplyPart<W>> {
        if self.out.bytes() == 0 {
            return None;
        }
        self.has_begun = true;
        self.observer.sent();
        self.keepalive.reset();
        Some(ReplyPart::Output(std::mem::take(&mut self.out)))
    }

    fn poll_keepalive(&mut self, cx: &mut Context<'_>) -> Poll<ReplyPart<W>> {
        ready!(self.keepalive.poll_elapsed(cx));
        self.keepalive.reset();
        let pipe = self.choices.first_mut().map(|choice| &mut choice.pipe);
        let is_written = pipe.is_some_and(|pipe| pipe.write_keepalive(&mut self.out));
        Poll::Ready(match is_written {
            true => ReplyPart::Output(std::mem::take(&mut self.out)),
            false => ReplyPart::Keepalive,
        })
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
            let Some(events) = ready!(self.source.poll_open(cx))? else { return Poll::Pending };
            let flow = match ready!(events.poll_next(cx)) {
                Some(batch) => {
                    let batch = batch?;
                    // The output is about as long as the input.
                    out.reserve(batch.bytes());
                    let flow = events.each(&batch, |event| self.pipe.push(event, out));
                    flow.map_err(|error| self.late.in_callers_words(&self.paths, error))?
                }
                None => Flow::Done,
            };
            if flow == Flow::Done {
                self.source = ReplySource::Ended;
                let summary = self.pipe.finish(out).map_err(|error| self.late.in_callers_words(&self.paths, error))?;
                return Poll::Ready(Ok(Some(summary)));
            }
        }
        Poll::Ready(Ok(None))
    }
}

impl<P: Pipe<Vec<u8>> + Unpin, O: ReplyObserver> Relay<P, O> {
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let keepalive = self.keepalive_comment;
        self.poll_part(cx).map(|part| {
            Some(match part? {
                ReplyPart::Output(bytes) => bytes.into(),
                ReplyPart::Keepalive => Bytes::from_static(keepalive.as_bytes()),
            })
        })
    }
}

/// The bytes of a stream of server-sent events.
impl<P: Pipe<Vec<u8>> + Unpin, O: ReplyObserver> Stream for Relay<P, O> {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.poll_bytes(cx)
    }
}

/// The body of a stream of server-sent events.
impl<P: Pipe<Vec<u8>> + Unpin, O: ReplyObserver> http_body::Body for Relay<P, O> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll_bytes(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.state == State::Ended && self.out.is_empty()
    }
}

/// Reads complete turns for a client that wants no stream; returns their results in the order of the turns.
///
/// # Errors
/// A turn failed, or was cut off.
pub(crate) async fn collect<F: Fold>(
    turns: Vec<(ReplySource, F)>,
    paths: &RequestPaths,
    late: &LateNotice,
    observer: &impl ReplyObserver,
) -> Result<Vec<F::Whole>, Error> {
    match try_join_all(turns.into_iter().map(|(source, fold)| gather(source, fold, paths, late))).await {
        Ok(replies) => {
            let mut total = None;
            let (wholes, summaries): (Vec<_>, Vec<_>) = replies.into_iter().unzip();
            summaries.into_iter().for_each(|summary| add(&mut total, summary));
            if let Some(summary) = total {
                complete(observer, &summary);
            }
            Ok(wholes)
        }
        Err(error) => {
            observer.failed(&error);
            Err(error)
        }
    }
}

async fn gather<F: Fold>(
    source: ReplySource,
    mut fold: F,
    paths: &RequestPaths,
    late: &LateNotice,
) -> Result<(F::Whole, Summary), Error> {
    let mut events = source.open().await?;
    let in_callers_words = |error| late.in_callers_words(paths, error);
    while let Some(batch) = events.next().await {
        if events.each(&batch?, |event| fold.push(event)).map_err(in_callers_words)? == Flow::Done {
            break;
        }
    }
    let summary = fold.finish().map_err(in_callers_words)?;
    Ok((fold.end()?, summary))
}

/// Adds a turn to the summary of the reply.
fn add(total: &mut Option<Summary>, turn: Summary) {
    match total {
        None => *total = Some(turn),
        Some(total) => {
            total.revised += turn.revised;
            match (&mut total.usage, turn.usage) {
                (Some(usage), Some(more)) => *usage += more,
                (usage @ None, more) => *usage = more,
                (Some(_), None) => {}
            }
        }
    }
}

/// Tells the observer that the reply is complete, and the log if a stream is not what the backend said at last.
fn complete(observer: &impl ReplyObserver, summary: &Summary) {
    if summary.revised > 0 {
        tracing::warn!(
            items = summary.revised,
            "the backend ended a text otherwise than it had sent it; the client has it as it was sent"
        );
    }
    observer.completed(summary);
}
