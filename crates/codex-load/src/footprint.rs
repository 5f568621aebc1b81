//! Everything except rates: memory, start-up, and whether cost grows proportionally.

use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::Outcome;
use crate::cases::{Dialect, chat_request};
use crate::client::{Connection, Expected};
use crate::reply::Reply;
use crate::report::Spread;
use crate::subject::{Environment, Subject, SubjectKind};
use crate::upstream::{ReplyMode, UpstreamControl};

const MIB: usize = 1024 * 1024;

/// The longest wait; after that, a reply counts as stalled.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// One measured value.
pub(crate) struct Metric {
    name: String,
    spread: Spread,
    unit: &'static str,
}

impl Metric {
    fn new(name: impl Into<String>, numbers: impl IntoIterator<Item = f64>, unit: &'static str) -> Self {
        Self { name: name.into(), spread: Spread::of(numbers), unit }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({"name": self.name, "value": self.spread.to_json(), "unit": self.unit})
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { least, median, most } = self.spread;
        write!(f, "{:<56} {median:>10.2} {:<10} ({least:.2} .. {most:.2})", self.name, self.unit)
    }
}

/// The values that are measured together.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Size,
    Start,
    Idle(SubjectKind, usize),
    Sizes,
    History,
    SlowAndFastReaders,
}

/// All parts.
pub(crate) const PARTS: [Part; 11] = [
    Part::Size,
    Part::Start,
    Part::Idle(SubjectKind::Proxy, 1_000),
    Part::Idle(SubjectKind::Limit, 1_000),
    Part::Idle(SubjectKind::Proxy, 10_000),
    Part::Idle(SubjectKind::Limit, 10_000),
    Part::Idle(SubjectKind::ProxyTls, 1_000),
    Part::Idle(SubjectKind::BytesTls, 1_000),
    Part::Sizes,
    Part::History,
    Part::SlowAndFastReaders,
];

impl Part {
    /// Returns the name that `--only` matches.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Size => "footprint: size",
            Self::Start => "footprint: start",
            Self::Idle(..) => "footprint: idle streams",
            Self::Sizes => "footprint: large events and requests",
            Self::History => "footprint: long histories",
            Self::SlowAndFastReaders => "footprint: slow and fast readers",
        }
    }
}

/// Measures a part.
pub(crate) async fn measure(
    part: Part,
    rounds: usize,
    environment: &Environment,
    control: &UpstreamControl,
) -> Outcome<Vec<Metric>> {
    match part {
        Part::Size => {
            let size = std::fs::metadata(&environment.program)?.len() as f64 / MIB as f64;
            Ok(vec![Metric::new("size of the program", [size], "MiB")])
        }
        Part::Start => start(rounds * 4, environment, control).await,
        Part::Idle(kind, streams) => idle(kind, streams.min(most_streams()), environment, control).await,
        Part::Sizes => sizes(rounds, environment, control).await,
        Part::History => history(rounds, environment, control).await,
        Part::SlowAndFastReaders => slow_and_fast_readers(rounds, environment, control).await,
    }
}

/// Measures the time from exec to the end of the first answer.
async fn start(rounds: usize, environment: &Environment, control: &UpstreamControl) -> Outcome<Vec<Metric>> {
    let reply = Reply::of_deltas(1);
    control.set(ReplyMode::burst(&reply));
    let kinds = [SubjectKind::Proxy, SubjectKind::Limit];
    let mut times = [Vec::new(), Vec::new()];
    let mut resident = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (at, kind) in kinds.into_iter().enumerate() {
            let subject = Subject::start(kind, environment)?;
            let mut connection = Connection::open(subject.port).await?;
            let asked = chat_request(Dialect::ChatUnary, kind, "Hello!");
            connection.ask(&asked, Expected::Text(&reply.text), control.epoch).await?;
            times[at].push(subject.started.elapsed().as_secs_f64() * 1e3);
            resident[at].push(subject.rss_kib()? as f64 / 1024.0);
        }
    }
    let mut metrics = Vec::new();
    for ((kind, times), resident) in kinds.iter().zip(times).zip(resident) {
        metrics.push(Metric::new(format!("{kind}: exec to first complete answer"), times, "ms"));
        metrics.push(Metric::new(format!("{kind}: resident after that"), resident, "MiB"));
    }
    Ok(metrics)
}

/// Returns as many streams as the limit of open files allows: each takes two files in every process.
fn most_streams() -> usize {
    #[cfg(unix)]
    {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let files = limit.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX);
        files.saturating_sub(400) / 200 * 100
    }
    #[cfg(not(unix))]
    usize::MAX
}

/// Measures the memory of an idle stream, the CPU time of idle streams, and the memory after they are closed.
async fn idle(
    kind: SubjectKind,
    streams: usize,
    environment: &Environment,
    control: &UpstreamControl,
) -> Outcome<Vec<Metric>> {
    let subject = Subject::start(kind, environment)?;
    let reply = Reply::of_deltas(100);
    let asked = chat_request(Dialect::Chat, kind, "Hello!");
    control.set(ReplyMode::burst(&reply));
    let mut first = Connection::open(subject.port).await?;
    for _ in 0..100 {
        first.ask(&asked, Expected::Text(&reply.text), control.epoch).await?;
    }
    control.set(ReplyMode::Idle);
    let before = subject.rss_kib()? as f64;
    let mut open = Vec::new();
    // Not more at once than fit into a listener's backlog.
    while open.len() < streams {
        let opening = (0..100).map(|_| async {
            let mut connection = Connection::open(subject.port).await?;
            connection.ask(&asked, Expected::Beginning, control.epoch).await?;
            Outcome::Ok(connection)
        });
        open.extend(try_join_all(opening).await?);
    }
    let during = subject.rss_kib()? as f64;
    let cpu = subject.cpu()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let cpu = (subject.cpu()? - cpu).as_secs_f64() * 1e3;
    drop(open);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = subject.rss_kib()? as f64;
    let named = |what: &str| format!("{kind}: {streams} idle streams, {what}");
    Ok(vec![
        Metric::new(named("each"), [(during - before) / streams as f64], "KiB"),
        Metric::new(named("CPU in a second"), [cpu], "ms"),
        Metric::new(named("resident before"), [before / 1024.0], "MiB"),
        Metric::new(named("resident 2 s after closing them"), [after / 1024.0], "MiB"),
    ])
}

/// Measures the additional memory for an event and for a request of 16 MiB.
async fn sizes(rounds: usize, environment: &Environment, control: &UpstreamControl) -> Outcome<Vec<Metric>> {
    let (small, large) = (Reply::of_deltas(1), Reply::of_one_event(16 * MIB));
    let mut events = Vec::new();
    let mut requests = Vec::new();
    let text = "w".repeat(16 * MIB);
    for _ in 0..rounds {
        let subject = Subject::start(SubjectKind::Proxy, environment)?;
        let mut connection = Connection::open(subject.port).await?;
        let asked = chat_request(Dialect::Chat, SubjectKind::Proxy, "Hello!");
        control.set(ReplyMode::burst(&small));
        connection.ask(&asked, Expected::Text(&small.text), control.epoch).await?;
        let before = subject.rss_kib()?;
        subject.forget_peak()?;
        control.set(ReplyMode::burst(&large));
        connection.ask(&asked, Expected::Text(&large.text), control.epoch).await?;
        events.push((subject.peak_kib()? - before) as f64 / 1024.0);
        let before = subject.rss_kib()?;
        subject.forget_peak()?;
        control.set(ReplyMode::burst(&small));
        connection
            .ask(&chat_request(Dialect::Chat, SubjectKind::Proxy, &text), Expected::Text(&small.text), control.epoch)
            .await?;
        requests.push((subject.peak_kib()? - before) as f64 / 1024.0);
    }
    Ok(vec![
        Metric::new("proxy: additional memory for an event of 16 MiB", events, "MiB"),
        Metric::new("proxy: additional memory for a request of 16 MiB", requests, "MiB"),
    ])
}

/// Measures requests of two sizes, one ten times the other.
async fn history(rounds: usize, environment: &Environment, control: &UpstreamControl) -> Outcome<Vec<Metric>> {
    let reply = Reply::of_deltas(1);
    control.set(ReplyMode::burst(&reply));
    let line = "let total = items.iter().map(|item| item.price).sum(); // the sum of it all; ";
    let long = |bytes: usize| chat_request(Dialect::Chat, SubjectKind::Proxy, &line.repeat(bytes / line.len()));
    let items = |count: usize| {
        let messages: Vec<_> = (0..count)
            .map(|at| json!({"role": if at % 2 == 0 { "user" } else { "assistant" }, "content": "w"}))
            .collect();
        let body = json!({"model": "gpt-5.5", "stream": true, "messages": messages}).to_string();
        let mut request = chat_request(Dialect::Chat, SubjectKind::Proxy, "");
        request.bytes = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        request
    };
    let requests = [
        ("a request of 1 MiB", long(MIB)),
        ("a request of 10 MiB", long(10 * MIB)),
        ("a history of 10,000 items", items(10_000)),
        ("a history of 100,000 items", items(100_000)),
    ];
    let subject = Subject::start(SubjectKind::Proxy, environment)?;
    let mut connection = Connection::open(subject.port).await?;
    let mut times = requests.each_ref().map(|_| Vec::new());
    for _ in 0..rounds {
        for ((_, asked), times) in requests.iter().zip(&mut times) {
            let started = Instant::now();
            connection.ask(asked, Expected::Text(&reply.text), control.epoch).await?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(requests
        .iter()
        .zip(times)
        .map(|((name, _), times)| Metric::new(format!("proxy: {name}"), times, "ms"))
        .collect())
}

/// Measures fast streams alone, and together with streams on the same upstream connection that their clients do not
/// read.
async fn slow_and_fast_readers(
    rounds: usize,
    environment: &Environment,
    control: &UpstreamControl,
) -> Outcome<Vec<Metric>> {
    let reply = Reply::of_deltas(50_000);
    control.set(ReplyMode::burst(&reply));
    let subject = Subject::start(SubjectKind::ProxyTls, environment)?;
    let asked = chat_request(Dialect::Chat, SubjectKind::ProxyTls, "Hello!");
    let mut fast = Connection::open(subject.port).await?;
    let mut slow = Vec::new();
    let mut metrics = Vec::new();
    for count in [0, 1, 2, 4] {
        let named = format!("proxy/tls: 15 MiB next to {count} unread streams");
        while slow.len() < count {
            let mut connection = Connection::open(subject.port).await?;
            connection.leave(&asked).await?;
            slow.push(connection);
        }
        let mut times = Vec::new();
        for _ in 0..rounds {
            let started = Instant::now();
            let answer = fast.ask(&asked, Expected::Text(&reply.text), control.epoch);
            let Ok(answer) = tokio::time::timeout(MAX_WAIT, answer).await else {
                let stalled = Metric::new(format!("{named} never ends"), [MAX_WAIT.as_secs_f64() * 1e3], "ms");
                metrics.push(stalled);
                return Ok(metrics);
            };
            answer?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        metrics.push(Metric::new(named, times, "ms"));
    }
    Ok(metrics)
}
