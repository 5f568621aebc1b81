//! The record of every request, bounded in count and in bytes.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::sync::watch;

/// The number of requests stored; the oldest are dropped first.
const MAX_RECORDED: usize = 2_000;
/// The memory they may take, estimated, so neither many large bodies nor a few highly compressed ones can exhaust the
/// machine. The newest is always stored.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// One request as it arrived, and the progress of its reply.
#[derive(Clone, Default, Serialize)]
pub struct RecordedRequest {
    /// Position in the order of arrival, from 1.
    pub id: u64,
    /// Number of its TCP connection, from 1.
    pub connection: u64,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// The method; `FRAME` for a WebSocket message, which has the headers, path and connection of its upgrade.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The query, undecoded.
    pub query: Option<String>,
    /// The headers in the order of arrival, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The names of the headers as they were spelled over HTTP/1.1, in the order of arrival; empty over HTTP/2.
    pub header_names: Vec<String>,
    /// The decompressed body: JSON as it is, a form as an object of strings, `None` for anything else. The keys are in
    /// the order of arrival.
    #[serde(serialize_with = "shared")]
    pub body: Option<Arc<Value>>,
    /// Length of the body as it was sent, before decompression, in bytes.
    pub body_bytes: usize,
    /// The scenario that was applied, as written.
    pub scenario: Option<String>,
    /// Status of the reply; `None` before there is one, or if the connection was dropped instead.
    pub status: Option<u16>,
    /// Stream events sent in full.
    pub events_sent: u64,
    /// Bytes of the reply body handed to the connection.
    pub bytes_sent: u64,
    /// Whether the reply waits for [`Control::release`](crate::Control::release).
    pub waiting: bool,
    /// How the reply ended.
    pub outcome: Outcome,
}

impl RecordedRequest {
    /// Returns the value of the first header called `name` (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl fmt::Debug for RecordedRequest {
    /// Leaves credentials out: a misconfigured client may have sent real ones.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordedRequest")
            .field("id", &self.id)
            .field("connection", &self.connection)
            .field("version", &self.version)
            .field("method", &self.method)
            .field("path", &self.path)
            .field("body_bytes", &self.body_bytes)
            .field("scenario", &self.scenario)
            .field("status", &self.status)
            .field("events_sent", &self.events_sent)
            .field("bytes_sent", &self.bytes_sent)
            .field("waiting", &self.waiting)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// How a reply ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The reply is still being built or sent.
    #[default]
    InFlight,
    /// The whole body was handed to the connection.
    Completed,
    /// The simulator cut the reply, as the scenario asked.
    Cut,
    /// The client disconnected before the end.
    Disconnected,
    /// The client interrupted the turn on its WebSocket. [`RecordedRequest::events_sent`] counts the events before
    /// those that end an interrupted turn.
    Interrupted,
}

/// The bounded list of recorded requests.
#[derive(Debug)]
pub(crate) struct RequestLog {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Inner {
    entries: VecDeque<Entry>,
    last_id: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    recorded: RecordedRequest,
    progress: Arc<Progress>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Progress {
    events: AtomicU64,
    bytes: AtomicU64,
}

impl RequestLog {
    pub(crate) fn new() -> Self {
        Self::with_limit(MAX_BYTES)
    }

    fn with_limit(max_bytes: usize) -> Self {
        Self { inner: Mutex::default(), changed: watch::Sender::new(0), max_bytes }
    }

    /// Appends a request, whose `id` is set here, and returns the ticket through which its reply reports progress.
    pub(crate) fn append(self: &Arc<Self>, mut recorded: RecordedRequest) -> Ticket {
        let progress = Arc::new(Progress::default());
        let mut inner = self.lock();
        inner.last_id += 1;
        recorded.id = inner.last_id;
        let id = recorded.id;
        let bytes = size_of_request(&recorded);
        inner.bytes += bytes;
        inner.entries.push_back(Entry { recorded, progress: Arc::clone(&progress), bytes });
        while inner.entries.len() > MAX_RECORDED || (inner.bytes > self.max_bytes && inner.entries.len() > 1) {
            let Some(oldest) = inner.entries.pop_front() else {
                break;
            };
            inner.bytes -= oldest.bytes;
        }
        drop(inner);
        self.notify();
        Ticket { log: Arc::clone(self), id, progress }
    }

    pub(crate) fn snapshot(&self) -> Vec<RecordedRequest> {
        let with_progress = |entry: &Entry| RecordedRequest {
            events_sent: entry.progress.events.load(Ordering::Relaxed),
            bytes_sent: entry.progress.bytes.load(Ordering::Relaxed),
            ..entry.recorded.clone()
        };
        self.lock().entries.iter().map(with_progress).collect()
    }

    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        inner.entries.clear();
        inner.bytes = 0;
        drop(inner);
        self.notify();
    }

    /// Waits until `wanted` is true of the recorded requests, and returns them.
    pub(crate) async fn until(&self, mut wanted: impl FnMut(&[RecordedRequest]) -> bool) -> Vec<RecordedRequest> {
        let mut changes = self.changed.subscribe();
        loop {
            changes.borrow_and_update();
            let requests = self.snapshot();
            if wanted(&requests) || changes.changed().await.is_err() {
                return requests;
            }
        }
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut RecordedRequest)) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.iter_mut().rev().find(|entry| entry.recorded.id == id) {
            change(&mut entry.recorded);
        }
        drop(inner);
        self.notify();
    }

    fn notify(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The handle through which the reply to one recorded request reports its progress.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    log: Arc<RequestLog>,
    id: u64,
    progress: Arc<Progress>,
}

impl Ticket {
    pub(crate) fn scenario(&self, words: &str) {
        if !words.is_empty() {
            self.log.update(self.id, |r| r.scenario = Some(words.to_owned()));
        }
    }

    pub(crate) fn status(&self, status: u16) {
        self.log.update(self.id, |r| r.status = Some(status));
    }

    pub(crate) fn waiting(&self, waiting: bool) {
        self.log.update(self.id, |r| r.waiting = waiting);
    }

    pub(crate) fn event_sent(&self) {
        self.progress.events.fetch_add(1, Ordering::Relaxed);
        if self.log.changed.receiver_count() > 0 {
            self.log.notify();
        }
    }

    /// Ends the reply, interrupted after `events` events.
    pub(crate) fn interrupted(&self, events: u64) {
        self.progress.events.store(events, Ordering::Relaxed);
        self.finished(Outcome::Interrupted);
    }

    pub(crate) fn bytes_sent(&self, count: u64) {
        self.progress.bytes.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn finished(&self, outcome: Outcome) {
        self.log.update(self.id, |r| {
            if r.outcome == Outcome::InFlight {
                r.outcome = outcome;
                r.waiting = false;
            }
        });
    }
}

/// Returns the memory of one request, within a few bytes per string.
fn size_of_request(recorded: &RecordedRequest) -> usize {
    let headers: usize =
        recorded.headers.iter().map(|(name, value)| size_of::<(String, String)>() + name.len() + value.len()).sum();
    let line = recorded.path.len() + recorded.query.as_ref().map_or(0, String::len);
    let names: usize = recorded.header_names.iter().map(|name| size_of::<String>() + name.len()).sum();
    size_of::<RecordedRequest>() + headers + names + line + recorded.body.as_deref().map_or(0, size_of_value)
}

/// Returns the memory of a value. The recursion is bounded by the parser's depth limit, 128.
fn size_of_value(value: &Value) -> usize {
    let inside = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(size_of_value).sum(),
        // A key, its hash and its place in the index.
        Value::Object(map) => map.iter().map(|(key, value)| 48 + key.len() + size_of_value(value)).sum(),
    };
    size_of::<Value>() + inside
}

fn shared<S: Serializer>(body: &Option<Arc<Value>>, serializer: S) -> Result<S::Ok, S::Error> {
    body.as_deref().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with_body(body: Value) -> RecordedRequest {
        RecordedRequest {
            connection: 1,
            version: "HTTP/1.1".to_owned(),
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: None,
            headers: Vec::new(),
            body: Some(Arc::new(body)),
            body_bytes: 0,
            ..RecordedRequest::default()
        }
    }

    #[test]
    fn the_oldest_requests_are_dropped_by_their_memory_and_not_by_their_length() {
        let log = Arc::new(RequestLog::with_limit(100_000));
        // Two bytes each as JSON, many more in memory.
        for _ in 0..10 {
            log.append(with_body(json!(vec![0; 1_000])));
        }
        let ids: Vec<u64> = log.snapshot().iter().map(|recorded| recorded.id).collect();
        assert!(ids.len() < 5 && ids.last() == Some(&10), "{ids:?}");
        let held = log.lock().entries.iter().map(|entry| entry.bytes).sum::<usize>();
        assert_eq!(log.lock().bytes, held);
        assert!(held <= 100_000);
    }

    #[test]
    fn the_newest_request_is_stored_whatever_its_size_and_the_number_is_bounded() {
        let log = Arc::new(RequestLog::with_limit(10));
        log.append(with_body(json!("x".repeat(1_000))));
        assert_eq!(log.snapshot().len(), 1);
        let log = Arc::new(RequestLog::new());
        let first = log.append(with_body(json!(null)));
        for _ in 0..MAX_RECORDED {
            log.append(with_body(json!(null)));
        }
        assert_eq!(log.snapshot().len(), MAX_RECORDED);
        // The reply to a dropped request still reports, without effect.
        first.finished(Outcome::Completed);
    }
}
