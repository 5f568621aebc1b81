//! What a connection is doing, so an idle one can be told from a busy one.
//!
//! A connection is idle, sends a request's head, or has requests running; and the reply to a running one may be
//! stalled: bytes are ready, and the client does not read them. Each state has a time limit ([`Timeouts`]). This works
//! for HTTP/1.1 and HTTP/2 alike, since it looks at bytes and requests, not at frames.

use std::sync::{Arc, Mutex, MutexGuard};

use http::Version;
use tokio::time::Instant;

use crate::request::limits::Timeouts;
use crate::sync::lock;

/// The state of one connection, shared by its reader, its writer and its requests.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionActivity(Arc<Mutex<ActivityState>>);

#[derive(Debug)]
struct ActivityState {
    /// When a request last ended or a byte last went out.
    active: Instant,
    /// When the first byte of a request's head arrived, while the head is incomplete.
    head: Option<Instant>,
    /// Over HTTP/2, bytes arrive between requests, too.
    is_http2: bool,
    running: usize,
    /// How far the request is that runs over HTTP/1, where only one runs at a time.
    stage: RequestStage,
    /// Whether the client's bytes have ended.
    has_ended: bool,
    /// The replies that handed out bytes and have not been polled since, with the time; hardly ever more than one.
    waiting: Vec<(u64, Instant)>,
    next_id: u64,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestStage {
    /// Its body has not arrived as a whole.
    Receiving,
    /// It has arrived; nothing of its reply has been written.
    Received,
    /// Its reply is a stream, which is probed.
    Streaming,
    /// Its reply is being written, and is not probed.
    Replying,
}

/// What the end of a client's bytes means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientEnd {
    /// The client is gone, or needs nothing more.
    Gone,
    /// It may still wait for its reply, whose status line can tell.
    AwaitsHead,
    /// It may still read its reply, which finds out itself.
    Reads,
}

/// Why a connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// A request's head takes too long; the client can still be told.
    HeadTooSlow,
    /// Nothing has happened for too long.
    Idle,
    /// The client does not read.
    Stalled,
}

impl ConnectionActivity {
    /// The state of a connection that was just accepted.
    pub(crate) fn new(now: Instant) -> Self {
        Self(Arc::new(Mutex::new(ActivityState {
            active: now,
            head: None,
            is_http2: false,
            running: 0,
            stage: RequestStage::Replying,
            has_ended: false,
            waiting: Vec::new(),
            next_id: 0,
        })))
    }

    /// Records that a request's head is complete, and whether that is the whole request; it runs until the returned
    /// guard is dropped.
    pub(crate) fn begin(&self, version: Version, is_whole: bool) -> ActiveRequest {
        let mut state = self.state();
        state.is_http2 |= version == Version::HTTP_2;
        state.stage = if is_whole { RequestStage::Received } else { RequestStage::Receiving };
        state.head = None;
        state.running += 1;
        state.next_id += 1;
        ActiveRequest { activity: self.clone(), id: state.next_id }
    }

    /// Records that the running request has arrived as a whole.
    pub(crate) fn has_received(&self) {
        self.state().stage = RequestStage::Received;
    }

    /// Records that the reply to the running request is a stream that probes the client.
    pub(crate) fn has_stream(&self) {
        self.state().stage = RequestStage::Streaming;
    }

    /// Returns whether the client's bytes have ended, so that only writing tells whether it is gone.
    pub(crate) fn is_half_closed(&self) -> bool {
        self.state().has_ended
    }

    /// Returns why the connection is to be closed, if it is.
    pub(crate) fn close_reason(&self, now: Instant, timeouts: &Timeouts) -> Option<CloseReason> {
        let state = self.state();
        let is_stalled = |since: &Instant| {
            now >= (*since).max(state.active) + timeouts.stall || now >= *since + timeouts.stream_stall
        };
        if state.waiting.iter().any(|(_, since)| is_stalled(since)) {
            return Some(CloseReason::Stalled);
        }
        if state.running > 0 {
            return None;
        }
        match state.head {
            Some(since) => (now >= since + timeouts.head).then_some(CloseReason::HeadTooSlow),
            None => (now >= state.active + timeouts.idle).then_some(CloseReason::Idle),
        }
    }

    /// Records that bytes arrived.
    pub(super) fn has_read(&self) {
        let mut state = self.state();
        if state.running == 0 && !state.is_http2 && state.head.is_none() {
            state.head = Some(Instant::now());
        }
    }

    /// Returns whether the connection is one of HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.state().is_http2
    }

    /// Records that the client's bytes have ended.
    pub(super) fn has_ended(&self) {
        self.state().has_ended = true;
    }

    /// Returns what the end of the client's bytes means.
    pub(super) fn at_end(&self) -> ClientEnd {
        let state = self.state();
        match state.stage {
            _ if state.running == 0 || state.is_http2 => ClientEnd::Gone,
            RequestStage::Receiving | RequestStage::Replying => ClientEnd::Gone,
            RequestStage::Received => ClientEnd::AwaitsHead,
            RequestStage::Streaming => ClientEnd::Reads,
        }
    }

    /// Records that bytes went out.
    pub(super) fn has_written(&self) {
        self.state().active = Instant::now();
    }

    fn state(&self) -> MutexGuard<'_, ActivityState> {
        lock(&self.0)
    }
}

impl ActivityState {
    /// Records that the reply `id` was polled, or has ended.
    fn has_asked(&mut self, id: u64) {
        self.waiting.retain(|(waiting, _)| *waiting != id);
    }
}

/// A running request.
#[derive(Debug)]
pub(crate) struct ActiveRequest {
    activity: ConnectionActivity,
    id: u64,
}

impl ActiveRequest {
    /// Records that its reply is known.
    pub(crate) fn has_reply(&self) {
        let mut state = self.activity.state();
        if state.stage != RequestStage::Streaming {
            state.stage = RequestStage::Replying;
        }
    }

    /// Records that its reply has handed out bytes.
    pub(crate) fn has_output(&self) {
        let mut state = self.activity.state();
        state.has_asked(self.id);
        state.waiting.push((self.id, Instant::now()));
    }

    /// Records that its reply was polled and has no bytes yet.
    pub(crate) fn has_none(&self) {
        self.activity.state().has_asked(self.id);
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.has_asked(self.id);
        state.running -= 1;
        state.active = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A connection, and a clock that the test sets.
    struct Rig {
        activity: ConnectionActivity,
        timeouts: Timeouts,
    }

    impl Rig {
        fn new() -> Self {
            Self { activity: ConnectionActivity::new(Instant::now()), timeouts: Timeouts::default() }
        }

        async fn after(&self, secs: u64) -> Option<CloseReason> {
            tokio::time::advance(Duration::from_secs(secs)).await;
            self.activity.close_reason(Instant::now(), &self.timeouts)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_has_less_time_than_an_idle_connection() {
        let rig = Rig::new();
        assert_eq!(rig.after(119).await, None);
        rig.activity.has_read();
        assert_eq!(rig.after(29).await, None);
        rig.activity.has_read();
        assert_eq!(rig.after(1).await, Some(CloseReason::HeadTooSlow), "more bytes do not extend the time");
        let running = rig.activity.begin(Version::HTTP_11, true);
        assert_eq!(rig.after(100_000).await, None);
        drop(running);
        assert_eq!(rig.after(119).await, None);
        assert_eq!(rig.after(1).await, Some(CloseReason::Idle));
        // Over HTTP/2, pings arrive at any time.
        drop(rig.activity.begin(Version::HTTP_2, true));
        rig.activity.has_read();
        assert_eq!(rig.after(119).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_is_stalled_while_its_bytes_are_not_read() {
        let rig = Rig::new();
        let request = rig.activity.begin(Version::HTTP_11, true);
        assert_eq!(rig.after(1000).await, None, "nothing is ready for the client yet");
        request.has_output();
        assert_eq!(rig.after(59).await, None);
        rig.activity.has_written();
        assert_eq!(rig.after(59).await, None, "it reads");
        assert_eq!(rig.after(1).await, Some(CloseReason::Stalled));
        for _ in 0..11 {
            rig.activity.has_written();
            rig.after(59).await;
        }
        assert_eq!(rig.after(0).await, Some(CloseReason::Stalled), "it reads other streams only");
        drop(request);
        assert_eq!(rig.after(1).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_clients_bytes_depends_on_what_it_waits_for() {
        let rig = Rig::new();
        assert_eq!(rig.activity.at_end(), ClientEnd::Gone, "nothing runs");
        let request = rig.activity.begin(Version::HTTP_11, false);
        assert_eq!(rig.activity.at_end(), ClientEnd::Gone, "it broke off");
        rig.activity.has_received();
        assert_eq!(rig.activity.at_end(), ClientEnd::AwaitsHead);
        request.has_reply();
        assert_eq!(rig.activity.at_end(), ClientEnd::Gone, "nothing would find out");
        drop(request);
        let request = rig.activity.begin(Version::HTTP_11, true);
        assert_eq!(rig.activity.at_end(), ClientEnd::AwaitsHead);
        rig.activity.has_stream();
        request.has_reply();
        assert_eq!(rig.activity.at_end(), ClientEnd::Reads);
        drop(request);
        assert_eq!(rig.activity.at_end(), ClientEnd::Gone);
        let _request = rig.activity.begin(Version::HTTP_2, true);
        assert_eq!(rig.activity.at_end(), ClientEnd::Gone);
    }
}
