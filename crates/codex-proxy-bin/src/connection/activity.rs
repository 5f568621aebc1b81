//! What a connection is doing, so that one that does nothing can be told from one that is at work.
//!
//! A connection is idle, sends a request's head, or has requests running; and of those that run, a reply may be stalled: bytes
//! are ready, and the client does not take them. Each has its time ([`Times`]). HTTP/1.1 and HTTP/2 alike: this looks at bytes
//! and requests, not at frames.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::{BufMut as _, Bytes};
use http::Version;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::reply::Body;
use crate::request::limits::Times;

/// Up to here, the pieces of a write are put together: a chunk of HTTP/1.1 is three of them, which the kernel takes longer to
/// gather than they take to copy.
const JOINED_BYTES: usize = 2048;

/// The state of one connection, shared by what reads it, what writes it, and its requests.
#[derive(Clone, Debug)]
pub(crate) struct Pulse(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// When a request ended or a byte went out last.
    active: Instant,
    /// When the first byte of a request's head came, while it has not come whole.
    head: Option<Instant>,
    /// Over HTTP/2 bytes come between requests, too.
    is_http2: bool,
    running: usize,
    /// The replies that have handed out bytes and were not asked for more since when; hardly ever more than one.
    waiting: Vec<(u64, Instant)>,
    next_id: u64,
}

/// Why a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A request's head takes too long; the client can still be told.
    HeadTooSlow,
    /// Nothing has happened for long.
    Idle,
    /// The client does not read.
    Stalled,
}

impl Pulse {
    /// The state of a connection that was just accepted.
    pub(crate) fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(State {
            active: now,
            head: None,
            is_http2: false,
            running: 0,
            waiting: Vec::new(),
            next_id: 0,
        })))
    }

    /// Notes that a request has come whole; it runs until what is returned is dropped.
    pub(crate) fn begin(&self, version: Version) -> Running {
        let mut state = self.state();
        state.is_http2 |= version == Version::HTTP_2;
        state.head = None;
        state.running += 1;
        state.next_id += 1;
        Running { pulse: self.clone(), id: state.next_id }
    }

    /// Says whether the connection is to be given up.
    pub(crate) fn verdict(&self, now: Instant, times: &Times) -> Option<Verdict> {
        let state = self.state();
        let is_stalled =
            |since: &Instant| now >= (*since).max(state.active) + times.stall || now >= *since + times.stream_stall;
        if state.waiting.iter().any(|(_, since)| is_stalled(since)) {
            return Some(Verdict::Stalled);
        }
        if state.running > 0 {
            return None;
        }
        match state.head {
            Some(since) => (now >= since + times.head).then_some(Verdict::HeadTooSlow),
            None => (now >= state.active + times.idle).then_some(Verdict::Idle),
        }
    }

    fn has_read(&self) {
        let mut state = self.state();
        if state.running == 0 && !state.is_http2 && state.head.is_none() {
            state.head = Some(Instant::now());
        }
    }

    fn has_written(&self) {
        self.state().active = Instant::now();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Notes that the reply `id` was asked for more, or is over.
    fn has_asked(&mut self, id: u64) {
        self.waiting.retain(|(waiting, _)| *waiting != id);
    }
}

/// A request that runs.
#[derive(Debug)]
pub(crate) struct Running {
    pulse: Pulse,
    id: u64,
}

impl Running {
    /// Wraps the request's reply, with which it ends.
    pub(crate) fn until_the_end_of(self, body: Body) -> Watched {
        Watched { body, running: Some(self) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut state = self.pulse.state();
        state.has_asked(self.id);
        state.running -= 1;
        state.active = Instant::now();
    }
}

/// A reply whose client is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    body: Body,
    running: Option<Running>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Some(running) = &self.running else { return polled };
        match &polled {
            Poll::Ready(Some(_)) => {
                let mut state = running.pulse.state();
                state.has_asked(running.id);
                state.waiting.push((running.id, Instant::now()));
            }
            Poll::Pending => {
                running.pulse.state().has_asked(running.id);
            }
            Poll::Ready(None) => self.running = None,
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection's bytes, each of which is noted. Clones are the same connection: what is left of it can be used when the
/// protocol has let go.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    stream: Arc<Mutex<S>>,
    pulse: Pulse,
}

impl<S> Wire<S> {
    pub(crate) fn new(stream: S, pulse: Pulse) -> Self {
        Self { stream: Arc::new(Mutex::new(stream)), pulse }
    }

    fn stream(&self) -> MutexGuard<'_, S> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for Wire<S> {
    fn clone(&self) -> Self {
        Self { stream: Arc::clone(&self.stream), pulse: self.pulse.clone() }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut *self.stream()).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.pulse.has_read();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut *self.stream()).poll_write(cx, buf);
        if polled.is_ready() {
            self.pulse.has_written();
        }
        polled
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream()).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let whole: usize = bufs.iter().map(|buf| buf.len()).sum();
        if whole <= JOINED_BYTES {
            let mut joined = [0; JOINED_BYTES];
            let mut room = &mut joined[..];
            bufs.iter().for_each(|buf| room.put_slice(buf));
            return self.poll_write(cx, &joined[..whole]);
        }
        let polled = Pin::new(&mut *self.stream()).poll_write_vectored(cx, bufs);
        if polled.is_ready() {
            self.pulse.has_written();
        }
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.stream().is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::{BodyExt as _, Full};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A connection, and the time as it is told.
    struct Rig {
        pulse: Pulse,
        times: Times,
    }

    impl Rig {
        fn new() -> Self {
            Self { pulse: Pulse::new(Instant::now()), times: Times::default() }
        }

        async fn after(&self, secs: u64) -> Option<Verdict> {
            tokio::time::advance(Duration::from_secs(secs)).await;
            self.pulse.verdict(Instant::now(), &self.times)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_less_time_than_an_idle_connection() {
        let rig = Rig::new();
        assert_eq!(rig.after(119).await, None);
        rig.pulse.has_read();
        assert_eq!(rig.after(29).await, None);
        rig.pulse.has_read();
        assert_eq!(rig.after(1).await, Some(Verdict::HeadTooSlow), "more bytes are no more time");
        let running = rig.pulse.begin(Version::HTTP_11);
        assert_eq!(rig.after(100_000).await, None);
        drop(running);
        assert_eq!(rig.after(119).await, None);
        assert_eq!(rig.after(1).await, Some(Verdict::Idle));
        // Over HTTP/2, pings come at any time.
        drop(rig.pulse.begin(Version::HTTP_2));
        rig.pulse.has_read();
        assert_eq!(rig.after(119).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_is_stalled_while_its_bytes_are_not_taken() {
        let rig = Rig::new();
        let body = Full::new(Bytes::from_static(b"x")).boxed_unsync();
        let mut body = rig.pulse.begin(Version::HTTP_11).until_the_end_of(body);
        assert_eq!(rig.after(1000).await, None, "nothing is ready for the client yet");
        assert!(body.frame().await.is_some());
        assert_eq!(rig.after(59).await, None);
        rig.pulse.has_written();
        assert_eq!(rig.after(59).await, None, "it takes bytes");
        assert_eq!(rig.after(1).await, Some(Verdict::Stalled));
        for _ in 0..11 {
            rig.pulse.has_written();
            rig.after(59).await;
        }
        assert_eq!(rig.after(0).await, Some(Verdict::Stalled), "it takes those of other streams only");
        assert!(body.frame().await.is_none());
        assert_eq!(rig.after(1).await, None);
    }

    #[tokio::test]
    async fn pieces_of_a_write_arrive_in_order() {
        for len in [1, 300, JOINED_BYTES - 7, JOINED_BYTES - 6] {
            let (near, mut far) = tokio::io::duplex(2 * JOINED_BYTES);
            let mut wire = Wire::new(near, Pulse::new(Instant::now()));
            let data = vec![b'x'; len];
            let pieces = [b"12C\r\n", &data[..], b"\r\n"];
            let written = wire.write_vectored(&pieces.map(io::IoSlice::new)).await.unwrap();
            assert_eq!(written, len + 7);
            let mut arrived = vec![0; written];
            far.read_exact(&mut arrived).await.unwrap();
            assert_eq!(arrived, pieces.concat());
        }
    }
}
