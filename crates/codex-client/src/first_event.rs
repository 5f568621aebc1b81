//! The beginning of a turn's reply: some turns are refused in an event of a stream that began normally (docs/backend.md
//! §3.6). Until the first output, nothing has been handed out, and the turn can be sent again.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use codex_translate::responses::Event;
use codex_translate::{Error, ErrorKind, EventBuffer, Flow, RawEvent};
use tokio::time::{Instant, sleep_until};

use crate::reply_events::ReplyEvents;

/// How much is read in search of the first output.
const MAX_PRELUDE_BYTES: usize = 64 * 1024;

/// Reads up to the first output; after `deadline`, only as long as the turn has not begun or more is ready. Afterwards,
/// `reply` hands out what was read, and then the rest.
///
/// # Errors
/// The turn failed before that, or its reply broke off or cannot be read.
pub(crate) async fn read_ahead(reply: &mut ReplyEvents, deadline: Instant) -> Result<(), Error> {
    let mut prelude = Prelude::default();
    let mut read_bytes = 0;
    let mut hold = pin!(sleep_until(deadline));
    while !prelude.is_complete && read_bytes < MAX_PRELUDE_BYTES {
        let next = poll_fn(|cx| match reply.poll_next(cx) {
            Poll::Pending if hold.as_mut().poll(cx).is_ready() && prelude.has_begun => Poll::Ready(None),
            next @ (Poll::Ready(_) | Poll::Pending) => next.map(Some),
        });
        let batch = match next.await {
            Some(Some(batch)) => batch,
            Some(None) => {
                return Err(Error::new(ErrorKind::Truncated, "the backend ended the reply before its first output"));
            }
            // Its client need not wait any longer to learn that the turn has begun.
            None => break,
        };
        let read = batch.and_then(|batch| {
            read_bytes += batch.bytes();
            reply.each(&batch, |event| {
                prelude.push(event);
                Ok(Flow::Continue)
            })
        });
        match (read, prelude.is_complete) {
            (Ok(_), _) => {}
            (Err(error), false) => return Err(error),
            // The reader of the reply reports it, after the output.
            (Err(error), true) => {
                reply.put_back(prelude.events, Some(error));
                return prelude.failure.map_or(Ok(()), Err);
            }
        }
    }
    reply.put_back(prelude.events, None);
    prelude.failure.map_or(Ok(()), Err)
}

/// The events up to the first output or failure, and those that arrived together with it.
#[derive(Default)]
struct Prelude {
    events: EventBuffer,
    /// Whether the backend has accepted the turn.
    has_begun: bool,
    is_complete: bool,
    failure: Option<Error>,
}

impl Prelude {
    fn push(&mut self, event: RawEvent<'_>) {
        self.events.push(event);
        if self.is_complete {
            return;
        }
        match Event::parse(event.json()) {
            Ok(Event::Opened) => self.has_begun = true,
            Ok(Event::WebSearch { .. } | Event::Other(_)) => {}
            Ok(Event::Failed(error)) => {
                self.failure = Some(error);
                self.is_complete = true;
            }
            Ok(_) | Err(_) => self.is_complete = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use codex_translate::{Chunk, ErrorKind};
    use codex_upstream::{ChunkStream, UpstreamError};
    use futures_util::{StreamExt as _, stream};

    use super::*;
    use crate::reply_events::EventBatch;

    const OPENED: &str =
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n";
    const LIMITS: &str = "data: {\"type\":\"codex.rate_limits\",\"plan_type\":\"plus\"}\n\n";
    const OUTPUT: &str =
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}\n\n";
    const OVERLOADED: &str = "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_is_overloaded\",\
                              \"message\":\"busy\"}}}\n\n";

    fn chunks(pieces: &[&str]) -> ChunkStream {
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok(Chunk::Bytes(Bytes::copy_from_slice(piece.as_bytes())))).collect();
        Box::pin(stream::iter(pieces))
    }

    /// Returns the reply to these chunks, or its failure, if that is before the first output.
    async fn begun(chunks: ChunkStream) -> Result<ReplyEvents, Error> {
        begun_by(chunks, Instant::now() + Duration::from_secs(10)).await
    }

    async fn begun_by(chunks: ChunkStream, deadline: Instant) -> Result<ReplyEvents, Error> {
        let mut reply = ReplyEvents::new(chunks, |_| {});
        read_ahead(&mut reply, deadline).await.map(|()| reply)
    }

    /// Returns the events that a reply hands out, and the error that ends it.
    async fn rest(mut reply: ReplyEvents) -> (Vec<String>, Option<Error>) {
        let mut events = Vec::new();
        while let Some(batch) = poll_fn(|cx| reply.poll_next(cx)).await {
            let read = batch.and_then(|batch| {
                reply.each(&batch, |event| {
                    events.push(event.json().to_owned());
                    Ok(Flow::Continue)
                })
            });
            if let Err(error) = read {
                return (events, Some(error));
            }
        }
        (events, None)
    }

    /// Returns the data of the events in a text.
    fn data(text: &str) -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
    }

    #[tokio::test]
    async fn a_failure_before_the_first_output_is_found_at_every_split() {
        let text = [LIMITS, OPENED, ": keep-alive\n", OVERLOADED].concat();
        for at in 0..=text.len() {
            let failure = begun(chunks(&[&text[..at], &text[at..]])).await.unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Overloaded, "split at {at}");
        }
    }

    #[tokio::test]
    async fn no_event_before_the_first_output_is_lost_and_a_later_failure_is_left_to_the_reader() {
        let text = [LIMITS, OPENED, OUTPUT, OVERLOADED].concat();
        for at in 0..=text.len() {
            let reply = begun(chunks(&[&text[..at], &text[at..]])).await.unwrap();
            assert_eq!(rest(reply).await, (data(&text), None), "split at {at}");
        }
    }

    #[tokio::test]
    async fn a_message_is_an_event_too() {
        let messages = data(&[OPENED, OVERLOADED].concat());
        let stream = stream::iter(messages.into_iter().map(|text| Ok(Chunk::Message(Bytes::from(text)))));
        let failure = begun(Box::pin(stream)).await.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Overloaded);
    }

    #[tokio::test]
    async fn a_stream_that_ends_or_breaks_before_the_first_output_is_a_failure() {
        for text in ["", OPENED, LIMITS, "data: {", "<html>"] {
            let failure = begun(chunks(&[text])).await.unwrap_err();
            assert_eq!(failure.kind(), ErrorKind::Truncated, "{text}");
        }
        let error = UpstreamError::Body { host: "h".to_owned(), reason: "reset".to_owned() };
        let broken = chunks(&[OPENED]).chain(stream::iter([Err(error)]));
        let unreadable = chunks(&[OPENED]).chain(stream::iter([Ok(Chunk::Bytes(Bytes::from_static(b"\xff")))]));
        let rows: [(ChunkStream, _); 2] =
            [(Box::pin(broken), ErrorKind::Truncated), (Box::pin(unreadable), ErrorKind::Protocol)];
        for (chunks, kind) in rows {
            assert_eq!(begun(chunks).await.unwrap_err().kind(), kind);
        }
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_read_or_a_break_after_the_first_output_is_left_to_the_reader() {
        for text in ["data: {\n\n", "data: 7\n\n"] {
            let reply = begun(chunks(&[text])).await.unwrap();
            assert_eq!(rest(reply).await, (data(text), None), "{text}");
        }
        let text = [OPENED, OUTPUT, "data: \u{7}"].concat();
        let unreadable = [text.as_bytes(), b"\xff\n\n"].concat();
        let stream = stream::iter([Ok(Chunk::Bytes(Bytes::from(unreadable)))]);
        let reply = begun(Box::pin(stream)).await.unwrap();
        let (events, error) = rest(reply).await;
        let expected = (data(&[OPENED, OUTPUT].concat()), Some(ErrorKind::Protocol));
        assert_eq!((events, error.map(|error| error.kind())), expected);
    }

    #[tokio::test]
    async fn an_endless_beginning_is_not_awaited() {
        for text in [OPENED, ": keep-alive\n"] {
            let endless = stream::repeat_with(|| Ok(Chunk::Bytes(Bytes::from_static(text.as_bytes()))));
            assert!(begun(Box::pin(endless)).await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_turn_that_has_begun_is_awaited_until_the_deadline() {
        let start = Instant::now();
        let silent = |text: &str| -> ChunkStream { Box::pin(chunks(&[text]).chain(stream::pending())) };
        let mut reply = begun(silent(OPENED)).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        assert!(matches!(poll_fn(|cx| reply.poll_next(cx)).await, Some(Ok(EventBatch::Prelude(_)))));
        // One that has not begun can still fail, and be sent again.
        let failing = chunks(&[LIMITS]).chain(stream::once(async {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(Chunk::Bytes(Bytes::from_static(OVERLOADED.as_bytes())))
        }));
        assert_eq!(begun(Box::pin(failing)).await.unwrap_err().kind(), ErrorKind::Overloaded);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_hold_a_turn_is_handed_out_at_the_first_pause_after_its_beginning() {
        let start = Instant::now();
        let silent: ChunkStream = Box::pin(chunks(&[LIMITS, OPENED]).chain(stream::pending()));
        let mut reply = begun_by(silent, start).await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
        assert!(matches!(poll_fn(|cx| reply.poll_next(cx)).await, Some(Ok(EventBatch::Prelude(_)))));
        // What arrives together with the beginning is a failure of the turn.
        let failure = begun_by(chunks(&[OPENED, OVERLOADED]), start).await.unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Overloaded);
    }
}
