//! The idle timeout of a reply's body.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use codex_translate::Chunk;
use futures_core::Stream;

use crate::error::{TimeoutPhase, UpstreamError};
use crate::idle_timer::IdleTimer;
use crate::upstream::ChunkStream;

/// A body that fails after too long a time without data.
struct IdleTimeoutBody<S> {
    /// `None` after the timeout, which closes the connection or stream.
    body: Option<S>,
    idle: IdleTimer,
    host: String,
}

/// Wraps the body of a reply from `host`, which fails after `read_timeout` without data.
pub(crate) fn with_idle_timeout<S>(body: S, read_timeout: Duration, host: String) -> ChunkStream
where
    S: Stream<Item = Result<Bytes, UpstreamError>> + Send + Unpin + 'static,
{
    Box::pin(IdleTimeoutBody { body: Some(body), idle: IdleTimer::new(read_timeout), host })
}

impl<S: Stream<Item = Result<Bytes, UpstreamError>> + Unpin> Stream for IdleTimeoutBody<S> {
    type Item = Result<Chunk<Bytes>, UpstreamError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if let Poll::Ready(item) = Pin::new(body).poll_next(cx) {
            this.idle.reset();
            return Poll::Ready(item.map(|bytes| bytes.map(Chunk::Bytes)));
        }
        ready!(this.idle.poll_elapsed(cx));
        this.body = None;
        let host = std::mem::take(&mut this.host);
        Poll::Ready(Some(Err(UpstreamError::Timeout { host, phase: TimeoutPhase::Body })))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{StreamExt as _, stream};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_without_data_times_out() {
        let pieces = stream::iter(0..3).then(|number| async move {
            tokio::time::sleep(Duration::from_secs(9)).await;
            Ok(Bytes::from(vec![number]))
        });
        let body = pieces.chain(stream::pending());
        let mut body = with_idle_timeout(Box::pin(body), Duration::from_secs(10), "h".to_owned());
        for number in 0..3 {
            assert_eq!(body.next().await.unwrap().unwrap().as_ref(), [number]);
        }
        let timeout = UpstreamError::Timeout { host: "h".to_owned(), phase: TimeoutPhase::Body };
        assert_eq!(body.next().await.unwrap().unwrap_err(), timeout);
        assert!(body.next().await.is_none());
    }
}
