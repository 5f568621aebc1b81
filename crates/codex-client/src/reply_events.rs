//! The events of a turn's reply, as they arrive, and where they come from.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use codex_translate::{Chunk, Error, ErrorKind, EventBuffer, EventReader, Flow, Notice, RawEvent, RequestPaths};
use codex_upstream::{ChunkStream, TurnInterrupt};

/// The event that reports the quota; it may appear anywhere (docs/backend.md §3.5).
const RATE_LIMITS: &str = "codex.rate_limits";

/// A pending turn: the events of its reply, or the reason why there are none.
pub(crate) type PendingReply = Pin<Box<dyn Future<Output = Result<ReplyEvents, Error>> + Send>>;

/// What was changed about a request because the backend refused it: it was sent again without the reasoning of earlier
/// replies (docs/backend.md §2.7). Known once the reply to its turn begins; clones share it.
#[derive(Clone, Debug, Default)]
pub struct LateNotice(Arc<OnceLock<Notice>>);

impl LateNotice {
    /// Returns the notice, if anything was changed.
    pub fn get(&self) -> Option<&Notice> {
        self.0.get()
    }

    /// Sets the notice, unless another choice of the same request has done so.
    pub(crate) fn set(&self, notice: Notice) {
        self.0.get_or_init(|| notice);
    }

    /// Returns an error that a reply reports, with the caller's paths.
    pub(crate) fn in_callers_words(&self, paths: &RequestPaths, error: Error) -> Error {
        match self.get() {
            Some(_) => paths.without_reasoning().in_callers_words(error),
            None => paths.in_callers_words(error),
        }
    }
}

/// Where the events of a turn's reply come from.
#[expect(clippy::large_enum_variant, reason = "a reply has few turns, and each is open for nearly all of its time")]
pub(crate) enum ReplySource {
    Pending(PendingReply),
    Open(ReplyEvents),
    /// The reply is complete, and upstream was dropped.
    Ended,
}

impl ReplySource {
    /// Waits until the reply begins; `None` if it has ended.
    ///
    /// # Errors
    /// The turn failed before that.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<&mut ReplyEvents>, Error>> {
        if let Self::Pending(pending) = self {
            *self = Self::Open(ready!(pending.as_mut().poll(cx))?);
        }
        Poll::Ready(Ok(match self {
            Self::Open(events) => Some(events),
            Self::Pending(_) | Self::Ended => None,
        }))
    }

    /// Waits until the reply begins.
    ///
    /// # Errors
    /// As [`ReplySource::poll_open`].
    pub(crate) async fn open(self) -> Result<ReplyEvents, Error> {
        match self {
            Self::Pending(pending) => pending.await,
            Self::Open(events) => Ok(events),
            Self::Ended => Err(Error::new(ErrorKind::Internal, "the reply has ended")),
        }
    }
}

impl fmt::Debug for ReplySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending(_) => "Pending",
            Self::Open(_) => "Open",
            Self::Ended => "Ended",
        })
    }
}

/// The reply of one turn. Dropping it ends the turn at the backend.
pub struct ReplyEvents {
    /// Events from the beginning that were read ahead and not handed out yet.
    prelude: EventBuffer,
    /// Why nothing follows the prelude.
    failure: Option<Error>,
    /// `None` once upstream has ended.
    chunks: Option<ChunkStream>,
    reader: EventReader,
    observe_rate_limits: Box<dyn FnMut(&str) + Send>,
    /// How the backend is asked to end the turn; `None` if it cannot be asked.
    interrupt: Option<TurnInterrupt>,
}

/// Events that are ready together.
#[derive(Debug)]
pub enum EventBatch {
    /// Events that were read ahead.
    Prelude(EventBuffer),
    /// Events that a chunk completes.
    Chunk(Chunk<Bytes>),
}

impl ReplyEvents {
    /// Reads `chunks`. Each event about rate limits is also passed to `observe_rate_limits` as soon as it arrives.
    pub(crate) fn new(chunks: ChunkStream, observe_rate_limits: impl FnMut(&str) + Send + 'static) -> Self {
        Self {
            prelude: EventBuffer::default(),
            failure: None,
            chunks: Some(chunks),
            reader: EventReader::new(),
            observe_rate_limits: Box::new(observe_rate_limits),
            interrupt: None,
        }
    }

    /// Sets how the backend is asked to end the turn.
    pub(crate) fn with_interrupt(self, interrupt: Option<TurnInterrupt>) -> Self {
        Self { interrupt, ..self }
    }

    /// Asks the backend to end the turn, which it reports with a last event; false if it cannot be asked.
    pub(crate) fn interrupt(&self) -> bool {
        self.interrupt.as_ref().filter(|_| self.chunks.is_some()).map(TurnInterrupt::request).is_some()
    }

    /// Waits for the next events; `None` at the end.
    pub async fn next(&mut self) -> Option<Result<EventBatch, Error>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Polls for the next events; `None` at the end.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<EventBatch, Error>>> {
        if !self.prelude.is_empty() {
            return Poll::Ready(Some(Ok(EventBatch::Prelude(std::mem::take(&mut self.prelude)))));
        }
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(Some(Err(failure)));
        }
        let Some(chunks) = &mut self.chunks else { return Poll::Ready(None) };
        let next = ready!(chunks.as_mut().poll_next(cx));
        if !matches!(next, Some(Ok(_))) {
            // A stream is not polled again after an error or its end.
            self.chunks = None;
        }
        Poll::Ready(next.map(|chunk| chunk.map(EventBatch::Chunk).map_err(Error::from)))
    }

    /// Passes the events of `batch` to `take`, until that returns [`Flow::Done`] or fails.
    ///
    /// # Errors
    /// The rest of the reply cannot be read, or `take` failed.
    pub fn each(
        &mut self,
        batch: &EventBatch,
        mut take: impl FnMut(RawEvent<'_>) -> Result<Flow, Error>,
    ) -> Result<Flow, Error> {
        let Self { reader, observe_rate_limits, .. } = self;
        match batch {
            EventBatch::Prelude(events) => {
                for event in events.iter() {
                    if take(event)? == Flow::Done {
                        return Ok(Flow::Done);
                    }
                }
                Ok(Flow::Continue)
            }
            EventBatch::Chunk(chunk) => {
                let mut flow = Flow::Continue;
                let read = reader.read(chunk, |event| {
                    if event.is_kind(RATE_LIMITS) {
                        observe_rate_limits(event.json());
                    }
                    // Rate limits are seen even after the last event that is wanted.
                    if flow == Flow::Continue {
                        flow = take(event)?;
                    }
                    Ok(Flow::Continue)
                });
                if flow == Flow::Done { Ok(flow) } else { read }
            }
        }
    }

    /// Puts back events that were read ahead; `failure` ended the reply after them.
    pub(crate) fn put_back(&mut self, prelude: EventBuffer, failure: Option<Error>) {
        if failure.is_some() {
            self.chunks = None;
        }
        (self.prelude, self.failure) = (prelude, failure);
    }
}

impl EventBatch {
    /// Returns the size in bytes.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Prelude(events) => events.bytes(),
            Self::Chunk(chunk) => chunk.len(),
        }
    }
}

impl fmt::Debug for ReplyEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyEvents").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::{Arc, Mutex};

    use futures_util::stream;

    use super::*;

    const DELTA: &str = r#"{"type":"response.output_text.delta","delta":"codex.rate_limits"}"#;

    fn limits(plan: &str) -> String {
        format!(r#"{{"plan_type":"{plan}","type":"codex.rate_limits"}}"#)
    }

    /// Returns the events that are handed out, up to one that is `last`, and those about rate limits.
    async fn read(chunks: Vec<Chunk<Bytes>>, last: &str) -> (Vec<String>, Vec<String>) {
        let observed = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&observed);
        let chunks = Box::pin(stream::iter(chunks.into_iter().map(Ok)));
        let mut reply = ReplyEvents::new(chunks, move |json| seen.lock().unwrap().push(json.to_owned()));
        let mut events = Vec::new();
        while let Some(batch) = poll_fn(|cx| reply.poll_next(cx)).await {
            let flow = reply.each(&batch.unwrap(), |event| {
                events.push(event.json().to_owned());
                Ok(if event.json() == last { Flow::Done } else { Flow::Continue })
            });
            if flow.unwrap() == Flow::Done {
                break;
            }
        }
        let observed = std::mem::take(&mut *observed.lock().unwrap());
        (events, observed)
    }

    #[tokio::test]
    async fn rate_limits_are_seen_in_bytes_at_every_split_and_in_messages() {
        let events = [DELTA.to_owned(), limits("plus"), DELTA.to_owned(), limits("pro")];
        let expected = (events.to_vec(), vec![limits("plus"), limits("pro")]);
        let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        for at in 0..=text.len() {
            let (one, other) = text.split_at(at);
            let chunks = [one, other].map(|bytes| Chunk::Bytes(Bytes::copy_from_slice(bytes.as_bytes())));
            assert_eq!(read(chunks.to_vec(), "").await, expected, "split at {at}");
        }
        let messages = events.map(|event| Chunk::Message(Bytes::from(event)));
        assert_eq!(read(messages.to_vec(), "").await, expected);
    }

    #[tokio::test]
    async fn rate_limits_are_seen_after_the_last_event_that_is_wanted() {
        let text = format!("data: {DELTA}\n\ndata: {{}}\n\ndata: {}\n\n", limits("plus"));
        let expected = (vec![DELTA.to_owned()], vec![limits("plus")]);
        assert_eq!(read(vec![Chunk::Bytes(Bytes::from(text))], DELTA).await, expected);
    }
}
