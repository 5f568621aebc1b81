//! Medians, ratios, and their display.

use std::fmt;

use serde_json::{Value, json};

use crate::cases::{Case, Sample};
use crate::subject::SubjectKind;

/// The results of a case.
pub(crate) struct Row {
    name: &'static str,
    unit: &'static str,
    is_paced: bool,
    goal: f64,
    columns: [Column; 2],
}

struct Column {
    kind: SubjectKind,
    rate: Spread,
    cpu_us: Spread,
    p50_us: Option<Spread>,
    p99_us: Option<Spread>,
}

/// A median and its range.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        Self { least: at(0), median: at(sorted.len() / 2), most: at(sorted.len().saturating_sub(1)) }
    }

    pub(crate) fn to_json(self) -> Value {
        json!({"least": self.least, "median": self.median, "most": self.most})
    }
}

impl Row {
    pub(crate) const HEADER: &'static str = "\
case                          subject       per second   (least .. most)        CPU µs   (least .. most)    p50 µs  p99 µs
----                          -------       ----------   ----------------       ------   ---------------    ------  ------";

    pub(crate) fn new(case: &Case, samples: &[Vec<Sample>; 2]) -> Self {
        let column = |at: usize| {
            let all = &samples[at];
            let some = |of: fn(&Sample) -> Option<f64>| all.iter().map(of).collect::<Option<Vec<_>>>().map(Spread::of);
            Column {
                kind: case.subjects[at],
                rate: Spread::of(all.iter().map(|sample| sample.rate)),
                cpu_us: Spread::of(all.iter().map(|sample| sample.cpu_us)),
                p50_us: some(|sample| sample.p50_us),
                p99_us: some(|sample| sample.p99_us),
            }
        };
        Self {
            name: case.name,
            unit: case.unit(),
            is_paced: case.is_paced(),
            goal: case.goal,
            columns: [column(0), column(1)],
        }
    }

    /// Returns the ratio of the program's value to the other subject's.
    fn ratio(&self, of: impl Fn(&Column) -> f64) -> f64 {
        of(&self.columns[0]) / of(&self.columns[1])
    }

    pub(crate) fn to_json(&self) -> Value {
        let column = |column: &Column| {
            json!({
                "subject": column.kind.to_string(),
                "per_second": column.rate.to_json(),
                "cpu_us": column.cpu_us.to_json(),
                "p50_us": column.p50_us.map(Spread::to_json),
                "p99_us": column.p99_us.map(Spread::to_json),
            })
        };
        json!({
            "case": self.name,
            "unit": self.unit,
            "columns": self.columns.iter().map(column).collect::<Vec<_>>(),
            "rate_ratio": self.ratio(|column| column.rate.median),
            "cpu_ratio": self.ratio(|column| column.cpu_us.median),
            "goal": self.goal,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (column, name) in self.columns.iter().zip([self.name, self.unit]) {
            let Column { kind, rate, cpu_us, p50_us, p99_us } = column;
            write!(f, "{name:<29} {kind:<10} {:>13.0}   ({:.0} .. {:.0})", rate.median, rate.least, rate.most)?;
            write!(f, "\t{:>7.2}   ({:.2} .. {:.2})", cpu_us.median, cpu_us.least, cpu_us.most)?;
            if let (Some(p50), Some(p99)) = (p50_us, p99_us) {
                write!(f, "\t{:>8.0} {:>8.0}", p50.median, p99.median)?;
            }
            writeln!(f)?;
        }
        let (rate, cpu) = (self.ratio(|column| column.rate.median), self.ratio(|column| column.cpu_us.median));
        let goal = self.goal;
        if self.is_paced {
            let late = |of: fn(&Column) -> Option<Spread>| {
                self.ratio(|column| of(column).map_or(f64::NAN, |spread| spread.median))
            };
            let (p50, p99) = (late(|column| column.p50_us), late(|column| column.p99_us));
            writeln!(f, "  ratio: CPU {cpu:.2}, p50 {p50:.2}, p99 {p99:.2} (goal: at most {goal})")
        } else {
            writeln!(f, "  ratio: {rate:.2} (goal: at least {goal}), CPU {cpu:.2}")
        }
    }
}
