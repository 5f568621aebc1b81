//! The totals over all requests of this run, for `GET /metrics`.
//!
//! The values of labels come from short lists, so no caller can make the metrics grow: a model that is not in the
//! account's catalogue is `other`, and so is the endpoint of an unknown path.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use codex_client::RefreshOutcome;
use codex_upstream::Quota;

use crate::sync::lock;
use crate::telemetry::exposition::{self, Exposition, MetricKind};
use crate::telemetry::histogram::Histogram;
use crate::telemetry::record::LogEntry;

/// The counters of this run.
#[derive(Debug)]
pub struct Metrics {
    /// When the run began.
    pub started_at: SystemTime,
    counts: Mutex<Counts>,
    retries: AtomicU64,
    refreshes: [AtomicU64; REFRESHES.len()],
}

/// The outcomes of a refresh: new tokens, a rejection that ends the login, or no usable reply.
const REFRESHES: [&str; 3] = ["ok", "refused", "failed"];

#[derive(Clone, Debug, Default)]
struct Counts {
    requests: BTreeMap<Labels, u64>,
    durations: BTreeMap<&'static str, Histogram>,
    first_bytes: BTreeMap<&'static str, Histogram>,
    /// By model and kind.
    tokens: BTreeMap<(String, &'static str), u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Labels {
    endpoint: &'static str,
    model: String,
    code: String,
    finish: &'static str,
}

/// The current state of the program, in addition to the counters.
#[derive(Debug)]
pub struct Gauges<'a> {
    /// The requests in progress.
    pub live: &'a [LogEntry],
    /// How many requests wait for a slot.
    pub queued: usize,
    /// Whether the login is usable.
    pub is_login_usable: bool,
    /// The known quota.
    pub quota: &'a Quota,
    /// The current time.
    pub now: SystemTime,
}

impl Metrics {
    /// Starts at zero.
    pub fn new(started_at: SystemTime) -> Self {
        let (counts, retries) = (Mutex::default(), AtomicU64::new(0));
        Self { started_at, counts, retries, refreshes: Default::default() }
    }

    /// Counts a request that has ended.
    pub fn count(&self, entry: &LogEntry) {
        let endpoint = entry.info.endpoint;
        let model = match &entry.model {
            Some(model) if entry.is_known_model => model.clone(),
            Some(_) => "other".to_owned(),
            None => String::new(),
        };
        let code = entry.status.map_or_else(String::new, |status| status.to_string());
        let mut counts = self.counts();
        let labels = Labels { endpoint, model: model.clone(), code, finish: entry.finish.unwrap_or_default() };
        *counts.requests.entry(labels).or_default() += 1;
        counts.durations.entry(endpoint).or_default().observe(entry.total);
        if let Some(first_byte) = entry.first_byte.filter(|_| entry.is_stream) {
            counts.first_bytes.entry(endpoint).or_default().observe(first_byte);
        }
        if let Some(usage) = &entry.usage {
            let kinds = [
                ("input", usage.input_tokens),
                ("cached", usage.cached_tokens),
                ("output", usage.output_tokens),
                ("reasoning", usage.reasoning_tokens),
            ];
            for (kind, tokens) in kinds {
                let counter = counts.tokens.entry((model.clone(), kind)).or_default();
                *counter = counter.saturating_add(tokens);
            }
        }
    }

    /// Returns how many requests have ended, and their input and output tokens, without requests that are sent
    /// automatically.
    pub fn totals(&self) -> Totals {
        let counts = self.counts();
        // The backend's numbers may be of any size.
        let tokens = |kind: &str| {
            let of_kind = counts.tokens.iter().filter(|((_, of), _)| *of == kind);
            of_kind.fold(0, |sum: u64, (_, tokens)| sum.saturating_add(*tokens))
        };
        let turns = counts.requests.iter().filter(|(labels, _)| !labels.model.is_empty()).map(|(_, count)| count).sum();
        Totals { turns, input_tokens: tokens("input"), output_tokens: tokens("output") }
    }

    /// Formats everything in Prometheus' text format, version 0.0.4.
    pub fn to_text(&self, gauges: &Gauges<'_>) -> String {
        let counts = self.counts().clone();
        let mut out = Exposition::default();
        self.write_requests(&counts, gauges, &mut out);
        out.family("upstream_retries_total", MetricKind::Counter, "Requests to the backend that were retried.");
        out.sample("upstream_retries_total", &[], self.retries.load(Ordering::Relaxed));
        out.family("token_refreshes_total", MetricKind::Counter, "Refreshes of the login's tokens, by outcome.");
        for (outcome, count) in REFRESHES.iter().zip(&self.refreshes) {
            out.sample("token_refreshes_total", &[("outcome", outcome)], count.load(Ordering::Relaxed));
        }
        out.family("login_usable", MetricKind::Gauge, "Whether the login is usable (1) or a new login is needed (0).");
        out.sample("login_usable", &[], u8::from(gauges.is_login_usable));
        write_quota(gauges, &mut out);
        out.family("build_info", MetricKind::Gauge, "The program's version.");
        out.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        out.process_start(self.started_at);
        out.into_text()
    }

    fn write_requests(&self, counts: &Counts, gauges: &Gauges<'_>, out: &mut Exposition) {
        out.family("requests_total", MetricKind::Counter, "Finished requests, by outcome.");
        for (Labels { endpoint, model, code, finish }, count) in &counts.requests {
            let labels = [("endpoint", *endpoint), ("model", model), ("code", code), ("finish", *finish)];
            out.sample("requests_total", &labels, count);
        }
        let help = "Time from the head of a request to the last byte of its reply.";
        out.histograms("request_duration_seconds", help, &counts.durations);
        let help = "Time from the head of a request to the first output of its stream.";
        out.histograms("first_byte_seconds", help, &counts.first_bytes);
        let help = "Tokens as counted by the backend; input includes cached tokens, output includes reasoning tokens.";
        out.family("tokens_total", MetricKind::Counter, help);
        for ((model, kind), count) in &counts.tokens {
            out.sample("tokens_total", &[("model", model), ("kind", kind)], count);
        }
        let live = |of: fn(&LogEntry) -> bool| gauges.live.iter().filter(|entry| of(entry)).count();
        out.family("active_turns", MetricKind::Gauge, "Turns in progress.");
        out.sample("active_turns", &[], live(|entry| entry.model.is_some()));
        out.family("queued_requests", MetricKind::Gauge, "Requests that wait for a free slot.");
        out.sample("queued_requests", &[], gauges.queued);
        out.family("open_streams", MetricKind::Gauge, "Streams in progress.");
        out.sample("open_streams", &[], live(|entry| entry.is_stream));
    }

    /// Counts a request that was sent to the backend again.
    pub(super) fn count_retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refresh of the login's tokens.
    pub(super) fn count_refresh(&self, outcome: RefreshOutcome) {
        let [ok, refused, failed] = &self.refreshes;
        let count = match outcome {
            RefreshOutcome::Refreshed => ok,
            RefreshOutcome::Refused => refused,
            RefreshOutcome::Failed => failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        lock(&self.counts)
    }
}

/// The totals on the status page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Requests that named a model.
    pub turns: u64,
    /// Input tokens.
    pub input_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
}

/// Omits windows that were reset since they were reported: their usage is no longer known.
fn write_quota(gauges: &Gauges<'_>, out: &mut Exposition) {
    let windows = || gauges.quota.windows.iter().filter(|window| window.is_current(gauges.now));
    out.family(
        "quota_used_ratio",
        MetricKind::Gauge,
        "Used share of a rate-limit window; 1 is the limit, which can be exceeded.",
    );
    for window in windows() {
        let labels = [("window", window.length()), ("limit", window.limit.as_deref().unwrap_or("codex"))];
        out.sample("quota_used_ratio", &labels, window.used_percent / 100.0);
    }
    out.family("quota_reset_timestamp_seconds", MetricKind::Gauge, "Unix time at which a rate-limit window resets.");
    for (window, at) in windows().filter_map(|window| Some((window, window.resets_at?))) {
        let labels = [("window", window.length()), ("limit", window.limit.as_deref().unwrap_or("codex"))];
        out.sample("quota_reset_timestamp_seconds", &labels, exposition::unix_secs(at));
    }
}

#[cfg(test)]
mod tests {
    use codex_client::TurnInfo;
    use std::time::{Duration, UNIX_EPOCH};

    use codex_translate::{Finish, Summary, Usage};
    use codex_upstream::QuotaWindow;

    use super::*;
    use crate::telemetry::record::{RequestInfo, RequestRecord};

    fn entry(model: &str, is_known: bool) -> LogEntry {
        let info = RequestInfo { request_id: "r".into(), endpoint: "chat", client: None, is_routine: false };
        let record = RequestRecord::new(info, UNIX_EPOCH);
        let notices = Vec::new();
        record.set_model(&TurnInfo { model: model.to_owned(), is_known_model: is_known, effort: None, notices });
        let usage =
            Usage { input_tokens: 5, cached_tokens: 4, output_tokens: 3, reasoning_tokens: 2, ..Usage::default() };
        record.complete(&Summary::new(Finish::Stop, Some(usage)));
        LogEntry { status: Some(200), finish: Some("stop"), is_stream: true, ..record.entry() }
    }

    fn text(metrics: &Metrics, quota: &Quota) -> String {
        metrics.to_text(&Gauges {
            live: &[],
            queued: 0,
            is_login_usable: true,
            quota,
            now: UNIX_EPOCH + Duration::from_secs(100),
        })
    }

    #[test]
    fn buckets_are_cumulative() {
        let metrics = Metrics::new(UNIX_EPOCH);
        for millis in [0, 50, 51, 2_500, 700_000] {
            let total = Duration::from_millis(millis);
            metrics.count(&LogEntry { total, first_byte: Some(total), ..entry("m", true) });
        }
        let text = text(&metrics, &Quota::default());
        for name in ["request_duration_seconds", "first_byte_seconds"] {
            for (le, count) in [("0.05", 2), ("0.1", 3), ("1", 3), ("2.5", 4), ("600", 4), ("+Inf", 5)] {
                let line = format!("\ncodex_proxy_{name}_bucket{{endpoint=\"chat\",le=\"{le}\"}} {count}\n");
                assert!(text.contains(&line), "{line} in {text}");
            }
            assert!(text.contains(&format!("\ncodex_proxy_{name}_sum{{endpoint=\"chat\"}} 702.601\n")), "{text}");
        }
        assert!(text.contains("\ncodex_proxy_tokens_total{model=\"m\",kind=\"cached\"} 20\n"), "{text}");
    }

    #[test]
    fn names_from_outside_cannot_break_the_format_or_multiply() {
        let metrics = Metrics::new(UNIX_EPOCH);
        for number in 0..50 {
            metrics.count(&entry(&format!("invented-{number}"), false));
        }
        metrics.count(&entry("a\"b\\c", true));
        let text = text(&metrics, &Quota::default());
        assert_eq!(text.lines().filter(|line| line.starts_with("codex_proxy_requests_total")).count(), 2, "{text}");
        assert!(text.contains("model=\"other\",code=\"200\",finish=\"stop\"} 50"), "{text}");
        assert!(text.contains(r#"model="a\"b\\c""#), "{text}");
        assert_eq!(metrics.totals(), Totals { turns: 51, input_tokens: 255, output_tokens: 153 });
    }

    #[test]
    fn counts_of_any_size_are_added() {
        let metrics = Metrics::new(UNIX_EPOCH);
        for model in ["m", "m", "n"] {
            let usage = Usage { input_tokens: u64::MAX, ..Usage::default() };
            metrics.count(&LogEntry { usage: Some(usage), ..entry(model, true) });
        }
        assert_eq!(metrics.totals().input_tokens, u64::MAX);
    }

    #[test]
    fn a_window_that_was_reset_is_not_shown_as_used() {
        let window = |resets_at: u64| QuotaWindow {
            name: "Spark weekly".to_owned(),
            limit: Some("Spark".to_owned()),
            minutes: 10_080,
            used_percent: 50.0,
            resets_at: Some(UNIX_EPOCH + Duration::from_secs(resets_at)),
        };
        let shown = |resets_at| {
            text(&Metrics::new(UNIX_EPOCH), &Quota { windows: vec![window(resets_at)], ..Quota::default() })
        };
        let text = shown(101);
        assert!(text.contains("\ncodex_proxy_quota_used_ratio{window=\"weekly\",limit=\"Spark\"} 0.5\n"), "{text}");
        assert!(
            text.contains("\ncodex_proxy_quota_reset_timestamp_seconds{window=\"weekly\",limit=\"Spark\"} 101\n"),
            "{text}"
        );
        assert!(!shown(100).contains("weekly"));
    }
}
