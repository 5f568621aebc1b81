//! All requests of this run: those in progress, the last hundred, and their totals.
//!
//! Each request is one line in the log, one count in the metrics and one row of the status page, all from one
//! [`LogEntry`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use codex_client::{RefreshOutcome, TurnObserver};
use codex_upstream::AnyTimer;

use crate::sync::lock;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::{LogEntry, RequestInfo, RequestRecord};

/// How many requests are remembered after their end.
pub(crate) const RECENT: usize = 100;

/// The requests of this run.
#[derive(Debug)]
pub struct RequestLog {
    /// The metrics.
    pub metrics: Metrics,
    next: AtomicU64,
    live: Mutex<BTreeMap<u64, RequestRecord>>,
    recent: Mutex<VecDeque<LogEntry>>,
    clock: AnyTimer,
}

impl RequestLog {
    /// Starts without a request.
    pub fn new(clock: AnyTimer) -> Self {
        Self {
            metrics: Metrics::new(clock.now()),
            next: AtomicU64::default(),
            live: Mutex::default(),
            recent: Mutex::default(),
            clock,
        }
    }

    /// Opens the record of a request.
    pub fn open(self: &Arc<Self>, info: RequestInfo) -> RequestGuard {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let record = RequestRecord::new(info, self.clock.now());
        lock(&self.live).insert(number, record.clone());
        RequestGuard { log: Arc::clone(self), number, record, is_out: false }
    }

    fn close(&self, number: u64, entry: LogEntry) {
        lock(&self.live).remove(&number);
        log(&entry);
        self.metrics.count(&entry);
        if !entry.info.is_routine {
            let mut recent = lock(&self.recent);
            recent.truncate(RECENT - 1);
            recent.push_front(entry);
        }
    }

    /// Returns the requests in progress, oldest first.
    pub fn live(&self) -> Vec<LogEntry> {
        lock(&self.live).values().map(RequestRecord::entry).collect()
    }

    /// Returns the last requests that ended, newest first, without those that are sent automatically.
    pub fn recent(&self) -> Vec<LogEntry> {
        lock(&self.recent).iter().cloned().collect()
    }
}

/// The guard of a request: dropping it ends the request. It lives in the reply's body, so it is dropped when the last
/// byte is out or the client is gone.
#[derive(Debug)]
pub struct RequestGuard {
    log: Arc<RequestLog>,
    number: u64,
    record: RequestRecord,
    is_out: bool,
}

impl RequestGuard {
    /// Returns the request's record.
    pub fn record(&self) -> &RequestRecord {
        &self.record
    }

    /// Records the status of the reply.
    pub fn answered(&self, status: u16) {
        self.record.answered(status);
    }

    /// Records that a part of the reply's body went out.
    pub fn part_sent(&self) {
        self.record.part_sent();
    }

    /// Records that the whole reply went out.
    pub fn all_sent(&mut self) {
        self.is_out = true;
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.log.close(self.number, self.record.last_entry(self.is_out));
    }
}

impl TurnObserver for RequestLog {
    fn retried(&self) {
        self.metrics.count_retry();
    }

    fn refreshed(&self, outcome: RefreshOutcome) {
        self.metrics.count_refresh(outcome);
    }
}

/// Logs a request in one line. It contains no content and no key.
fn log(entry: &LogEntry) {
    let LogEntry { info, usage, .. } = entry;
    let tokens = |of: fn(&codex_translate::Usage) -> u64| usage.as_ref().map(of);
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request_id = info.request_id,
                client = info.client,
                endpoint = info.endpoint,
                model = entry.model,
                effort = entry.effort,
                status = entry.status,
                first_byte_ms = entry.first_byte.map(millis),
                total_ms = millis(entry.total),
                input_tokens = tokens(|usage| usage.input_tokens),
                cached_tokens = tokens(|usage| usage.cached_tokens),
                output_tokens = tokens(|usage| usage.output_tokens),
                reasoning_tokens = tokens(|usage| usage.reasoning_tokens),
                finish = entry.finish,
                notices = (entry.notices > 0).then_some(entry.notices),
                error = entry.error,
                cause = entry.cause,
                "request"
            )
        };
    }
    let is_trouble = entry.error.is_some() && !entry.is_own_error || entry.finish == Some("panic");
    match (info.is_routine, is_trouble) {
        (true, _) => line!(debug),
        (false, true) => line!(warn),
        (false, false) => line!(info),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(number: usize, is_routine: bool) -> RequestInfo {
        RequestInfo { request_id: number.to_string(), endpoint: "chat", client: None, is_routine }
    }

    #[test]
    fn the_last_hundred_are_remembered_the_newest_first() {
        let log = Arc::new(RequestLog::new(AnyTimer::default()));
        for number in 0..RECENT + 20 {
            drop(log.open(info(number, false)));
            drop(log.open(info(number, true)));
        }
        let recent = log.recent();
        assert_eq!(recent.len(), RECENT);
        assert_eq!((recent[0].info.request_id.as_str(), recent[99].info.request_id.as_str()), ("119", "20"));
    }
}
