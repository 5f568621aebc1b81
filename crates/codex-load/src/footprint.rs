//! Measures what is not a rate: memory, start-up, and whether cost grows linearly.

use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use serde_json::{Value, json};

use crate::Outcome;
use crate::cases::{Dialect, question};
use crate::client::{Connection, Expected};
use crate::reply::Reply;
use crate::report::Spread;
use crate::subject::{Kind, Subject, Surroundings};
use crate::upstream::{Play, Stage};

const MIB: usize = 1024 * 1024;

/// A reply that takes longer counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

/// One figure.
pub(crate) struct Fact {
    name: String,
    spread: Spread,
    unit: &'static str,
}

impl Fact {
    fn new(name: impl Into<String>, numbers: impl IntoIterator<Item = f64>, unit: &'static str) -> Self {
        Self { name: name.into(), spread: Spread::of(numbers), unit }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({"name": self.name, "value": self.spread.to_json(), "unit": self.unit})
    }
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Spread { least, median, most } = self.spread;
        write!(f, "{:<56} {median:>10.2} {:<10} ({least:.2} .. {most:.2})", self.name, self.unit)
    }
}

/// A group of measurements.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Size,
    Start,
    Idle(Kind, usize),
    Sizes,
    History,
    SlowBesideFast,
}

/// All parts.
pub(crate) const PARTS: [Part; 11] = [
    Part::Size,
    Part::Start,
    Part::Idle(Kind::Proxy, 1_000),
    Part::Idle(Kind::Limit, 1_000),
    Part::Idle(Kind::Proxy, 10_000),
    Part::Idle(Kind::Limit, 10_000),
    Part::Idle(Kind::ProxyTls, 1_000),
    Part::Idle(Kind::BytesTls, 1_000),
    Part::Sizes,
    Part::History,
    Part::SlowBesideFast,
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
            Self::SlowBesideFast => "footprint: slow next to fast readers",
        }
    }
}

/// Measures a part.
pub(crate) async fn measure(
    part: Part,
    rounds: usize,
    surroundings: &Surroundings,
    stage: &Stage,
) -> Outcome<Vec<Fact>> {
    match part {
        Part::Size => {
            let size = std::fs::metadata(&surroundings.program)?.len() as f64 / MIB as f64;
            Ok(vec![Fact::new("size of the program", [size], "MiB")])
        }
        Part::Start => start(rounds * 4, surroundings, stage).await,
        Part::Idle(kind, streams) => idle(kind, streams.min(most_streams()), surroundings, stage).await,
        Part::Sizes => sizes(rounds, surroundings, stage).await,
        Part::History => history(rounds, surroundings, stage).await,
        Part::SlowBesideFast => slow_beside_fast(rounds, surroundings, stage).await,
    }
}

/// Measures the time from exec to the end of the first reply.
async fn start(rounds: usize, surroundings: &Surroundings, stage: &Stage) -> Outcome<Vec<Fact>> {
    let reply = Reply::of_deltas(1);
    stage.set(Play::burst(&reply));
    let kinds = [Kind::Proxy, Kind::Limit];
    let mut times = [Vec::new(), Vec::new()];
    let mut resident = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (at, kind) in kinds.into_iter().enumerate() {
            let subject = Subject::start(kind, surroundings)?;
            let mut connection = Connection::open(subject.port).await?;
            let asked = question(Dialect::ChatWhole, kind, "Hello!");
            connection.ask(&asked, Expected::Text(&reply.text), stage.epoch).await?;
            times[at].push(subject.started.elapsed().as_secs_f64() * 1e3);
            resident[at].push(subject.rss_kib()? as f64 / 1024.0);
        }
    }
    let mut facts = Vec::new();
    for ((kind, times), resident) in kinds.iter().zip(times).zip(resident) {
        facts.push(Fact::new(format!("{kind}: exec to first complete reply"), times, "ms"));
        facts.push(Fact::new(format!("{kind}: resident after it"), resident, "MiB"));
    }
    Ok(facts)
}

/// Returns the number of streams that open files allow: each needs two in every process.
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

/// Measures the memory of an idle stream, the CPU time with idle streams, and the memory after they have closed.
async fn idle(kind: Kind, streams: usize, surroundings: &Surroundings, stage: &Stage) -> Outcome<Vec<Fact>> {
    let subject = Subject::start(kind, surroundings)?;
    let reply = Reply::of_deltas(100);
    let asked = question(Dialect::Chat, kind, "Hello!");
    stage.set(Play::burst(&reply));
    let mut first = Connection::open(subject.port).await?;
    for _ in 0..100 {
        first.ask(&asked, Expected::Text(&reply.text), stage.epoch).await?;
    }
    stage.set(Play::Idle);
    let before = subject.rss_kib()? as f64;
    let mut open = Vec::new();
    // No more at once than a listener's queue holds.
    while open.len() < streams {
        let opening = (0..100).map(|_| async {
            let mut connection = Connection::open(subject.port).await?;
            connection.ask(&asked, Expected::Beginning, stage.epoch).await?;
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
        Fact::new(named("each"), [(during - before) / streams as f64], "KiB"),
        Fact::new(named("CPU in a second"), [cpu], "ms"),
        Fact::new(named("resident before"), [before / 1024.0], "MiB"),
        Fact::new(named("resident 2 s after they end"), [after / 1024.0], "MiB"),
    ])
}

/// Measures the additional memory for an event and a request of 16 MiB.
async fn sizes(rounds: usize, surroundings: &Surroundings, stage: &Stage) -> Outcome<Vec<Fact>> {
    let (small, large) = (Reply::of_deltas(1), Reply::of_one_event(16 * MIB));
    let mut events = Vec::new();
    let mut requests = Vec::new();
    let text = "w".repeat(16 * MIB);
    for _ in 0..rounds {
        let subject = Subject::start(Kind::Proxy, surroundings)?;
        let mut connection = Connection::open(subject.port).await?;
        let asked = question(Dialect::Chat, Kind::Proxy, "Hello!");
        stage.set(Play::burst(&small));
        connection.ask(&asked, Expected::Text(&small.text), stage.epoch).await?;
        let before = subject.rss_kib()?;
        subject.forget_peak()?;
        stage.set(Play::burst(&large));
        connection.ask(&asked, Expected::Text(&large.text), stage.epoch).await?;
        events.push((subject.peak_kib()? - before) as f64 / 1024.0);
        let before = subject.rss_kib()?;
        subject.forget_peak()?;
        stage.set(Play::burst(&small));
        connection.ask(&question(Dialect::Chat, Kind::Proxy, &text), Expected::Text(&small.text), stage.epoch).await?;
        requests.push((subject.peak_kib()? - before) as f64 / 1024.0);
    }
    Ok(vec![
        Fact::new("proxy: an event of 16 MiB takes at most", events, "MiB"),
        Fact::new("proxy: a request of 16 MiB takes at most", requests, "MiB"),
    ])
}

/// Compares the time for requests with that for requests ten times as large.
async fn history(rounds: usize, surroundings: &Surroundings, stage: &Stage) -> Outcome<Vec<Fact>> {
    let reply = Reply::of_deltas(1);
    stage.set(Play::burst(&reply));
    let line = "let total = items.iter().map(|item| item.price).sum(); // the sum of it all; ";
    let long = |bytes: usize| question(Dialect::Chat, Kind::Proxy, &line.repeat(bytes / line.len()));
    let items = |count: usize| {
        let messages: Vec<_> = (0..count)
            .map(|at| json!({"role": if at % 2 == 0 { "user" } else { "assistant" }, "content": "w"}))
            .collect();
        let body = json!({"model": "gpt-5.5", "stream": true, "messages": messages}).to_string();
        let mut question = question(Dialect::Chat, Kind::Proxy, "");
        question.request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        question
    };
    let questions = [
        ("a request of 1 MiB", long(MIB)),
        ("a request of 10 MiB", long(10 * MIB)),
        ("a history of 10,000 items", items(10_000)),
        ("a history of 100,000 items", items(100_000)),
    ];
    let subject = Subject::start(Kind::Proxy, surroundings)?;
    let mut connection = Connection::open(subject.port).await?;
    let mut times = questions.each_ref().map(|_| Vec::new());
    for _ in 0..rounds {
        for ((_, asked), times) in questions.iter().zip(&mut times) {
            let started = Instant::now();
            connection.ask(asked, Expected::Text(&reply.text), stage.epoch).await?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
    }
    Ok(questions.iter().zip(times).map(|((name, _), times)| Fact::new(format!("proxy: {name}"), times, "ms")).collect())
}

/// Measures fast streams alone, and next to unread streams on the same upstream connection.
async fn slow_beside_fast(rounds: usize, surroundings: &Surroundings, stage: &Stage) -> Outcome<Vec<Fact>> {
    let reply = Reply::of_deltas(50_000);
    stage.set(Play::burst(&reply));
    let subject = Subject::start(Kind::ProxyTls, surroundings)?;
    let asked = question(Dialect::Chat, Kind::ProxyTls, "Hello!");
    let mut fast = Connection::open(subject.port).await?;
    let mut slow = Vec::new();
    let mut facts = Vec::new();
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
            let answer = fast.ask(&asked, Expected::Text(&reply.text), stage.epoch);
            let Ok(answer) = tokio::time::timeout(PATIENCE, answer).await else {
                let held_up = Fact::new(format!("{named} never ends"), [PATIENCE.as_secs_f64() * 1e3], "ms");
                facts.push(held_up);
                return Ok(facts);
            };
            answer?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        facts.push(Fact::new(named, times, "ms"));
    }
    Ok(facts)
}
