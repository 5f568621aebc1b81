//! Prometheus' text format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::telemetry::histogram::{BOUNDS_SECS, Histogram};

/// The prefix of every name.
const PREFIX: &str = "codex_proxy_";

/// The types of metrics.
#[derive(Clone, Copy, Debug)]
pub(super) enum MetricKind {
    Counter,
    Gauge,
    Histogram,
}

/// The text, to which families and their samples are added. Writing to a `String` cannot fail.
#[derive(Debug, Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// Begins a family; its samples follow. `help` is one line without a backslash.
    pub(super) fn family(&mut self, name: &str, kind: MetricKind, help: &str) {
        self.head(&format!("{PREFIX}{name}"), kind, help);
    }

    /// Adds a sample.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let _ = write!(self.0, "{PREFIX}{name}");
        for (at, (label, text)) in labels.iter().enumerate() {
            let separator = if at == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{separator}{label}=\"{}\"", escaped(text));
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{close} {value}");
    }

    /// Adds a family of histograms, one for each endpoint.
    pub(super) fn histograms(&mut self, name: &str, help: &str, histograms: &BTreeMap<&'static str, Histogram>) {
        self.family(name, MetricKind::Histogram, help);
        for (endpoint, histogram) in histograms {
            let endpoint = ("endpoint", *endpoint);
            let mut below = 0;
            for (bound, count) in BOUNDS_SECS.iter().zip(histogram.buckets) {
                below += count;
                self.sample(&format!("{name}_bucket"), &[endpoint, ("le", &bound.to_string())], below);
            }
            self.sample(&format!("{name}_bucket"), &[endpoint, ("le", "+Inf")], histogram.count);
            self.sample(&format!("{name}_sum"), &[endpoint], histogram.sum.as_secs_f64());
            self.sample(&format!("{name}_count"), &[endpoint], histogram.count);
        }
    }

    /// Adds the start time of the process, under the name that all programs use.
    pub(super) fn process_start(&mut self, at: SystemTime) {
        const NAME: &str = "process_start_time_seconds";
        self.head(NAME, MetricKind::Gauge, "Unix time at which the program started.");
        let _ = writeln!(self.0, "{NAME} {}", unix_secs(at));
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn head(&mut self, name: &str, kind: MetricKind, help: &str) {
        let kind = match kind {
            MetricKind::Counter => "counter",
            MetricKind::Gauge => "gauge",
            MetricKind::Histogram => "histogram",
        };
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }
}

/// Returns the seconds since 1970.
pub(super) fn unix_secs(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Escapes a label's value, in which three characters are special.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
