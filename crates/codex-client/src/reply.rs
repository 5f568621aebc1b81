//! The reply to a turn, before it is decided how it is read.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use codex_translate::chat::DeltaSink;
use codex_translate::dialect::BoxedPipe;
use codex_translate::{
    ChatStream, Dialect, Error, ErrorKind, Flow, Fold, Notice, Pipe, ReplyId, ReplyPlan, Summary, WholeReply,
};
use tokio::time::Instant;

use crate::ids;
use crate::observer::ReplyObserver;
use crate::relay::{Relay, ReplyOutput, collect};
use crate::reply_events::{LateNotice, PendingReply, ReplyEvents, ReplySource};

/// How long the first events of a reply are held back by default, so an early failure is an error and not an event of
/// the stream.
pub const FIRST_OUTPUT_WAIT: Duration = Duration::from_secs(10);

/// A reply as server-sent events, in the dialect of its request.
pub type ReplyStream<O = ()> = Relay<BoxedPipe, O>;

/// A reply that has begun, or that takes longer than [`Turn::hold`](crate::Turn::hold) to begin. Dropping it ends the
/// turn at the backend.
///
/// It can be read as a stream or as a whole, whichever the request asked for ([`Reply::is_stream`]).
#[derive(Debug)]
#[must_use = "dropping a reply ends its turn"]
pub struct Reply {
    dialect: &'static Dialect,
    reply_id: ReplyId,
    notices: Vec<Notice>,
    late: LateNotice,
    plan: ReplyPlan,
    /// A turn for each choice.
    turns: Vec<(ReplySource, ReplyPlan)>,
    /// When its client began to wait.
    started: Instant,
    hold: Duration,
}

impl Reply {
    /// Makes the reply of turns that are opened when it is read. Their first events are held back for `hold`.
    pub(crate) fn new(
        plan: ReplyPlan,
        turns: Vec<(PendingReply, ReplyPlan)>,
        dialect: &'static Dialect,
        now: SystemTime,
        notices: Vec<Notice>,
        started: Instant,
        hold: Duration,
    ) -> Self {
        let turns = turns.into_iter().map(|(pending, plan)| (ReplySource::Pending(pending), plan)).collect();
        Self {
            dialect,
            reply_id: ids::reply_id(dialect, now),
            notices,
            late: LateNotice::default(),
            plan,
            turns,
            started,
            hold,
        }
    }

    /// Sets where the turns leave what was changed about the request after a refusal.
    pub(crate) fn with_late_notice(self, late: LateNotice) -> Self {
        Self { late, ..self }
    }

    /// Opens the turns, and waits until one of their replies begins, at most until the hold ends.
    pub(crate) async fn begun(mut self) -> Result<Self, Error> {
        let first = poll_fn(|cx| {
            let mut has_begun = false;
            for (source, _) in &mut self.turns {
                match source.poll_open(cx) {
                    Poll::Ready(Ok(_)) => has_begun = true,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => {}
                }
            }
            if has_begun { Poll::Ready(Ok(())) } else { Poll::Pending }
        });
        // Elapsed: everything later, even a failure, is part of the reply.
        if let Ok(begun) = tokio::time::timeout_at(self.started + self.hold, crate::panics::caught(first)).await {
            begun?;
        }
        self.notices.extend(self.late.get().cloned());
        Ok(self)
    }

    /// Returns the dialect of the reply.
    pub fn dialect(&self) -> &'static Dialect {
        self.dialect
    }

    /// Returns whether the request asked for a stream.
    pub fn is_stream(&self) -> bool {
        self.plan.stream
    }

    /// Returns what the translation has decided about the reply. A [`ChatStream`] over [`Reply::into_events`] needs it.
    pub fn plan(&self) -> &ReplyPlan {
        &self.plan
    }

    /// Returns what of the request could not be forwarded unchanged. What changes after a refusal of the backend is
    /// part of it only once the reply has begun; see [`Relay::late_notice`].
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    /// Returns what is changed about the request if the backend refuses it, for those who keep the conversation: what
    /// it could not read once, it cannot read in the next turn.
    pub fn late_notice(&self) -> &LateNotice {
        &self.late
    }

    /// Returns the reply as server-sent events, with a comment as a keepalive in long silences: a
    /// [`Stream`](futures_core::Stream) of bytes and an [`http_body::Body`].
    pub fn into_sse(self) -> ReplyStream {
        self.into_sse_observed(())
    }

    /// Returns the reply as [`Reply::into_sse`] does, and reports it to `observer`.
    pub fn into_sse_observed<O: ReplyObserver>(self, observer: O) -> ReplyStream<O> {
        let dialect = self.dialect;
        self.into_relay(observer, |plan, reply_id| dialect.pipe(plan, reply_id))
    }

    /// Returns the reply as written by pipes of your own, one for each choice.
    pub fn into_relay<P, O, W>(self, observer: O, mut pipe: impl FnMut(&ReplyPlan, &ReplyId) -> P) -> Relay<P, O, W>
    where
        P: Pipe<W>,
        O: ReplyObserver,
        W: ReplyOutput,
    {
        let choices = self.turns.into_iter().map(|(source, plan)| (source, pipe(&plan, &self.reply_id))).collect();
        Relay::new(choices, &self.plan.paths, observer, self.dialect.keepalive, self.late, self.started, self.hold)
    }

    /// Reads the whole reply.
    ///
    /// # Errors
    /// The turn failed, or was cut off.
    pub async fn collect(self) -> Result<WholeReply, Error> {
        self.collect_observed(&()).await
    }

    /// Reads the whole reply, and reports it to `observer`.
    ///
    /// # Errors
    /// As [`Reply::collect`].
    pub async fn collect_observed(self, observer: &impl ReplyObserver) -> Result<WholeReply, Error> {
        let dialect = self.dialect;
        let wholes = self.fold(observer, |plan, reply_id| dialect.fold(plan, reply_id)).await?;
        let whole = wholes.into_iter().reduce(WholeReply::merged);
        whole.ok_or_else(no_choices)
    }

    /// Reads the whole reply with folds of your own, one for each choice.
    ///
    /// # Errors
    /// As [`Reply::collect`].
    pub async fn fold<F: Fold>(
        self,
        observer: &impl ReplyObserver,
        mut fold: impl FnMut(&ReplyPlan, &ReplyId) -> F,
    ) -> Result<Vec<F::Whole>, Error> {
        let turns = self.turns.into_iter().map(|(source, plan)| (source, fold(&plan, &self.reply_id))).collect();
        collect(turns, &self.plan.paths, &self.late, observer).await
    }

    /// Passes the deltas of the reply to `sink` as they arrive, and returns how it ended; of the first choice, if there
    /// are several.
    ///
    /// # Errors
    /// The turn failed, or was cut off: what `sink` got is incomplete.
    pub async fn each_delta(self, sink: &mut impl DeltaSink) -> Result<Summary, Error> {
        let mut stream = ChatStream::new(&self.plan);
        let mut events = self.into_events().await?;
        while let Some(batch) = events.next().await {
            if events.each(&batch?, |event| stream.push(event, sink))? == Flow::Done {
                break;
            }
        }
        stream.finish()
    }

    /// Returns the events of the reply as the backend sends them; of the first choice, if there are several.
    ///
    /// # Errors
    /// The turn failed before its reply began.
    pub async fn into_events(self) -> Result<ReplyEvents, Error> {
        let first = self.turns.into_iter().next();
        let (source, _) = first.ok_or_else(no_choices)?;
        source.open().await
    }
}

pub(crate) fn no_choices() -> Error {
    Error::new(ErrorKind::Internal, "the request has no choices")
}
