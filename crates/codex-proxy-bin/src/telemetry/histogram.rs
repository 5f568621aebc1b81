//! Durations, counted in buckets.

use std::time::Duration;

/// The upper bounds of the buckets in seconds: from an immediate error to a long turn of a reasoning model.
pub(super) const BOUNDS_SECS: [f64; 13] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// Durations by bucket.
#[derive(Clone, Debug, Default)]
pub(super) struct Histogram {
    /// The number of durations in each bucket and in no smaller one; those beyond the last are only in `count`.
    pub(super) buckets: [u64; BOUNDS_SECS.len()],
    pub(super) count: u64,
    pub(super) sum: Duration,
}

impl Histogram {
    /// Adds one duration.
    pub(super) fn observe(&mut self, duration: Duration) {
        let secs = duration.as_secs_f64();
        if let Some(bucket) = BOUNDS_SECS.iter().zip(&mut self.buckets).find(|(bound, _)| secs <= **bound) {
            *bucket.1 += 1;
        }
        self.count += 1;
        self.sum += duration;
    }
}
