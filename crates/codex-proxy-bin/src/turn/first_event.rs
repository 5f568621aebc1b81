//! How a turn's reply starts: some are refused in an event of a stream that has begun in good order (docs/backend.md §3.6). Until the
//! first output, nothing has been handed out, and the turn can be sent again.

use bytes::Bytes;
use codex_translate::bounds::MAX_EVENT_BYTES;
use codex_translate::responses::Event;
use codex_translate::{Decoder, Error};
use codex_upstream::{ByteStream, Timer, UpstreamError};
use futures_util::future::{Either, select};
use futures_util::{StreamExt as _, stream};

use crate::turn::relay::HOLD;

/// No more than this is read in search of the first output.
const START_BYTES: usize = 64 * 1024;

/// The start of a reply.
pub(crate) struct Start {
    /// The reply, whole.
    pub(crate) body: ByteStream,
    /// Why the turn failed, if that is the first thing it says.
    pub(crate) failure: Option<Error>,
}

/// Reads as far as the first output or failure, at most for as long as a status is held back anyway.
///
/// Dropping the future drops the reply. What was read comes out of [`Start::body`] again, in the same pieces.
pub(crate) async fn peek(mut body: ByteStream, clock: &impl Timer) -> Start {
    let mut reader = Reader::new();
    let mut read: Vec<Result<Bytes, UpstreamError>> = Vec::new();
    let mut deadline = std::pin::pin!(clock.sleep(HOLD));
    while !reader.is_done {
        match select(body.next(), deadline.as_mut()).await {
            Either::Left((Some(Ok(piece)), _)) => {
                reader.take(&piece);
                read.push(Ok(piece));
            }
            // After an error, as after the end, nothing more is asked of a stream.
            Either::Left((last, _)) => {
                read.extend(last);
                body = Box::pin(stream::empty());
                break;
            }
            Either::Right(_) => break,
        }
    }
    Start { body: Box::pin(stream::iter(read).chain(body)), failure: reader.failure }
}

struct Reader {
    decoder: Decoder,
    bytes: usize,
    is_done: bool,
    failure: Option<Error>,
}

impl Reader {
    fn new() -> Self {
        Self { decoder: Decoder::new(MAX_EVENT_BYTES), bytes: 0, is_done: false, failure: None }
    }

    /// What cannot be read is left to those who read the body, and who say so.
    fn take(&mut self, piece: &[u8]) {
        self.bytes += piece.len();
        self.is_done = self.bytes >= START_BYTES;
        self.decoder.feed(piece);
        while let Ok(Some(frame)) = self.decoder.next_frame() {
            match Event::parse(frame.data) {
                Ok(Event::Opened | Event::Other(_)) => {}
                Ok(Event::Failed(error)) => {
                    self.failure = Some(error);
                    self.is_done = true;
                    return;
                }
                Ok(_) | Err(_) => {
                    self.is_done = true;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use codex_translate::Retry;
    use codex_upstream::read_to_end;

    use super::*;

    const OPENED: &str =
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n";
    const LIMITS: &str = "data: {\"type\":\"codex.rate_limits\",\"plan_type\":\"plus\"}\n\n";
    const OUTPUT: &str =
        "data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"hi\"}\n\n";
    const OVERLOADED: &str = "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"server_is_overloaded\",\
                              \"message\":\"busy\"}}}\n\n";

    /// A clock whose sleeps never end, or are over at once.
    struct Still {
        is_late: bool,
    }

    impl Timer for Still {
        fn now(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH
        }

        fn jitter(&self) -> f64 {
            0.5
        }

        async fn sleep(&self, _: Duration) {
            if !self.is_late {
                std::future::pending::<()>().await;
            }
        }
    }

    fn body(pieces: &[&str]) -> ByteStream {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::copy_from_slice(piece.as_bytes()))).collect();
        Box::pin(stream::iter(pieces))
    }

    #[tokio::test]
    async fn a_failure_is_found_at_every_split_and_the_body_stays_whole() {
        let text = [LIMITS, OPENED, ": keep-alive\n\n", OVERLOADED].concat();
        for at in 0..=text.len() {
            let start = peek(body(&[&text[..at], &text[at..]]), &Still { is_late: false }).await;
            let failure = start.failure.unwrap();
            assert_eq!((failure.code(), failure.retry()), (Some("server_is_overloaded"), Retry::AfterDelay));
            assert_eq!(read_to_end(start.body, 4096).await.unwrap(), text);
        }
    }

    #[tokio::test]
    async fn what_comes_after_the_first_output_is_not_looked_at() {
        let text = [OPENED, OUTPUT, OVERLOADED].concat();
        for pieces in [vec![text.as_str()], vec![OPENED, OUTPUT, OVERLOADED]] {
            let start = peek(body(&pieces), &Still { is_late: false }).await;
            assert!(start.failure.is_none());
            assert_eq!(read_to_end(start.body, 4096).await.unwrap(), text);
        }
    }

    #[tokio::test]
    async fn a_stream_that_ends_breaks_or_says_nonsense_is_handed_on() {
        for text in ["", OPENED, "data: {\n\n", "data: 7\n\n", "<html>"] {
            let start = peek(body(&[text]), &Still { is_late: false }).await;
            assert!(start.failure.is_none(), "{text}");
            assert_eq!(read_to_end(start.body, 4096).await.unwrap(), text);
        }
        let error = UpstreamError::Body { host: "h".to_owned(), reason: "reset".to_owned() };
        let broken: ByteStream = Box::pin(body(&[OPENED]).chain(stream::iter([Err(error.clone())])));
        let mut start = peek(broken, &Still { is_late: false }).await;
        assert_eq!(start.body.next().await.unwrap().unwrap(), OPENED);
        assert_eq!(start.body.next().await.unwrap().unwrap_err(), error);
        assert!(start.body.next().await.is_none());
    }

    #[tokio::test]
    async fn a_silent_or_endless_start_is_not_waited_for() {
        let silent: ByteStream = Box::pin(body(&[OPENED]).chain(stream::pending()));
        let mut start = peek(silent, &Still { is_late: true }).await;
        assert_eq!(start.body.next().await.unwrap().unwrap(), OPENED);
        let endless: ByteStream = Box::pin(stream::repeat_with(|| Ok(Bytes::from_static(OPENED.as_bytes()))));
        assert!(peek(endless, &Still { is_late: false }).await.failure.is_none());
    }
}
