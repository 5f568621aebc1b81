//! All requests of this run: those under way, the last hundred, and what all of them add up to.
//!
//! One request is one line in the log, one count in the metrics and one row of the status page, from the same [`Entry`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::telemetry::metrics::Metrics;
use crate::telemetry::record::{Entry, Opening, Record, Watch};

/// How many requests are remembered after their end.
pub(crate) const RECENT: usize = 100;

/// The requests of this run.
#[derive(Debug, Default)]
pub struct Journal {
    /// What they add up to.
    pub metrics: Metrics,
    next: AtomicU64,
    live: Mutex<BTreeMap<u64, Record>>,
    recent: Mutex<VecDeque<Entry>>,
}

impl Journal {
    /// Opens the record of a request.
    pub fn open(self: &Arc<Self>, opening: Opening) -> Watch {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let record = Record::new(opening);
        lock(&self.live).insert(number, record.clone());
        Watch::new(Arc::clone(self), number, record)
    }

    pub(crate) fn close(&self, number: u64, entry: Entry) {
        lock(&self.live).remove(&number);
        log(&entry);
        self.metrics.count(&entry);
        if !entry.opening.is_routine {
            let mut recent = lock(&self.recent);
            recent.truncate(RECENT - 1);
            recent.push_front(entry);
        }
    }

    /// The requests under way, the oldest first.
    pub fn live(&self) -> Vec<Entry> {
        lock(&self.live).values().map(Record::entry).collect()
    }

    /// The last requests that ended, the newest first; without those that come by themselves.
    pub fn recent(&self) -> Vec<Entry> {
        lock(&self.recent).iter().cloned().collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the one line of a request. No content and no key is in it.
fn log(entry: &Entry) {
    let Entry { opening, usage, .. } = entry;
    let tokens = |of: fn(&codex_translate::Usage) -> u64| usage.as_ref().map(of);
    let millis = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                request_id = opening.request_id,
                client = opening.client,
                endpoint = opening.endpoint,
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
    match (opening.is_routine, is_trouble) {
        (true, _) => line!(debug),
        (false, true) => line!(warn),
        (false, false) => line!(info),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(number: usize, is_routine: bool) -> Opening {
        Opening { request_id: number.to_string(), endpoint: "chat", client: None, is_routine }
    }

    #[test]
    fn the_last_hundred_are_remembered_the_newest_first() {
        let journal = Arc::new(Journal::default());
        for number in 0..RECENT + 20 {
            drop(journal.open(opening(number, false)));
            drop(journal.open(opening(number, true)));
        }
        let recent = journal.recent();
        assert_eq!(recent.len(), RECENT);
        assert_eq!((recent[0].opening.request_id.as_str(), recent[99].opening.request_id.as_str()), ("119", "20"));
    }
}
