//! The cases that are compared: what is asked, of whom, and how it is measured.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::Outcome;
use crate::client::{Connection, Expected, Question};
use crate::reply::Reply;
use crate::subject::{Kind, Subject};
use crate::upstream::{Play, Stage};

/// One row of the table.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    dialect: Dialect,
    streams: usize,
    /// How often each stream is asked for.
    times: usize,
    said: Said,
    /// Who is measured, the program first, and beside it whom it is compared with.
    pub(crate) subjects: [Kind; 2],
    /// What the program has to reach of the other's rate, or, of paced streams, may exceed of its cost.
    pub(crate) goal: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    ChatWhole,
    Responses,
}

#[derive(Clone, Copy)]
enum Said {
    Burst { deltas: usize },
    Paced { deltas: usize },
}

/// What one run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Chunks or requests a second.
    pub(crate) rate: f64,
    /// Time on a core for each of them, in microseconds.
    pub(crate) cpu_us: f64,
    /// How late they came, in microseconds: of deltas that carry a time, or of requests that are asked one at a time.
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
}

/// Between two deltas of a paced stream.
const PACE: Duration = Duration::from_millis(20);

impl Case {
    pub(crate) const fn is_paced(&self) -> bool {
        matches!(self.said, Said::Paced { .. })
    }

    /// Runs the case once on `subject`.
    pub(crate) async fn run(&self, subject: &Subject, stage: &Stage) -> Outcome<Sample> {
        let (reply, deltas) = match self.said {
            Said::Burst { deltas } => (Reply::of_deltas(deltas), deltas),
            Said::Paced { deltas } => (Reply::of_deltas(0), deltas),
        };
        let expected = match self.said {
            Said::Burst { .. } => {
                stage.set(Play::burst(&reply));
                Expected::Text(&reply.text)
            }
            Said::Paced { .. } => {
                stage.set(Play::Paced { deltas, every: PACE });
                Expected::Stamps(deltas)
            }
        };
        let question = question(self.dialect, subject.kind, "Hello!");
        let mut connections = try_join_all((0..self.streams).map(|_| Connection::open(subject.port))).await?;
        if !self.is_paced() {
            // What is made once is made now: connections, buffers, pools.
            ask(&mut connections, &question, expected, 1, stage).await?;
        }
        let (cpu, started) = (subject.cpu()?, Instant::now());
        let latencies = ask(&mut connections, &question, expected, self.times, stage).await?;
        let (elapsed, cpu) = (started.elapsed(), subject.cpu()?.saturating_sub(cpu));
        let per_reply = if self.counts_requests() { 1 } else { deltas };
        let count = (self.streams * self.times * per_reply) as f64;
        let has_latencies = self.is_paced() || self.streams == 1 && self.counts_requests();
        let at = |part| has_latencies.then(|| percentile(&latencies, part)).flatten();
        Ok(Sample {
            rate: count / elapsed.as_secs_f64(),
            cpu_us: cpu.as_secs_f64() * 1e6 / count,
            p50_us: at(0.5),
            p99_us: at(0.99),
        })
    }

    fn counts_requests(&self) -> bool {
        self.dialect == Dialect::ChatWhole || matches!(self.said, Said::Burst { deltas: 1 })
    }

    /// What is counted.
    pub(crate) fn unit(&self) -> &'static str {
        if self.counts_requests() { "requests" } else { "chunks" }
    }
}

/// Asks on all connections at once, `times` after each other on each; how late everything came.
async fn ask(
    connections: &mut [Connection],
    question: &Question,
    expected: Expected<'_>,
    times: usize,
    stage: &Stage,
) -> Outcome<Vec<u64>> {
    let asking = connections.iter_mut().map(|connection| async move {
        let mut all = Vec::new();
        for _ in 0..times {
            let asked = Instant::now();
            let latencies = connection.ask(question, expected, stage.epoch).await?;
            if latencies.is_empty() {
                all.push(u64::try_from(asked.elapsed().as_nanos())?);
            } else {
                all.extend(latencies);
            }
        }
        Outcome::Ok(all)
    });
    Ok(try_join_all(asking).await?.concat())
}

fn percentile(nanos: &[u64], part: f64) -> Option<f64> {
    let mut sorted = nanos.to_vec();
    sorted.sort_unstable();
    let at = ((sorted.len().checked_sub(1)? as f64) * part).round() as usize;
    sorted.get(at).map(|nanos| *nanos as f64 / 1e3)
}

/// Returns the request of a turn for `kind`. A byte-for-byte proxy returns what upstream sends.
pub(crate) fn question(dialect: Dialect, kind: Kind, text: &str) -> Question {
    let (path, body) = match dialect {
        Dialect::Chat | Dialect::ChatWhole => (
            "/v1/chat/completions",
            format!(
                r#"{{"model":"gpt-5.5","messages":[{{"role":"user","content":"{text}"}}],"stream":{}}}"#,
                dialect == Dialect::Chat
            ),
        ),
        Dialect::Responses => ("/v1/responses", format!(r#"{{"model":"gpt-5.5","input":"{text}","stream":true}}"#)),
    };
    let is_passed_on = dialect == Dialect::Responses || matches!(kind, Kind::Nginx | Kind::BytesTls);
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    Question { request: request.into_bytes(), key: if is_passed_on { "\"delta\":\"" } else { "\"content\":\"" } }
}

/// Returns all cases.
pub(crate) fn all() -> Vec<Case> {
    let burst = |name, streams, deltas, times, dialect, subjects, goal| Case {
        name,
        dialect,
        streams,
        times,
        said: Said::Burst { deltas },
        subjects,
        goal,
    };
    let paced = |name, streams, subjects| Case {
        name,
        dialect: Dialect::Chat,
        streams,
        times: 1,
        said: Said::Paced { deltas: 100 },
        subjects,
        goal: 1.15,
    };
    let (limit, nginx) = ([Kind::Proxy, Kind::Limit], [Kind::Proxy, Kind::Nginx]);
    let (tls, chat) = ([Kind::ProxyTls, Kind::BytesTls], Dialect::Chat);
    vec![
        burst("chat burst, 1 stream", 1, 20_000, 10, chat, limit, 0.8),
        burst("chat burst, 10 streams", 10, 2_000, 10, chat, limit, 0.8),
        burst("chat burst, 100 streams", 100, 2_000, 1, chat, limit, 0.8),
        burst("chat burst, 1000 streams", 1000, 1_000, 1, chat, limit, 0.8),
        burst("responses burst, 1 stream", 1, 20_000, 10, Dialect::Responses, nginx, 0.8),
        burst("responses burst, 10 streams", 10, 2_000, 10, Dialect::Responses, nginx, 0.8),
        burst("responses burst, 100 streams", 100, 2_000, 1, Dialect::Responses, nginx, 0.8),
        paced("chat paced, 10 streams", 10, limit),
        paced("chat paced, 500 streams", 500, limit),
        burst("chat whole, 16 at once", 16, 50, 100, Dialect::ChatWhole, limit, 0.8),
        burst("one word, 16 at once", 16, 1, 200, chat, limit, 0.8),
        burst("one word, one at a time", 1, 1, 1000, chat, limit, 0.8),
        burst("TLS chat burst, 1 stream", 1, 20_000, 5, chat, tls, 0.8),
        burst("TLS chat burst, 10 streams", 10, 2_000, 5, chat, tls, 0.8),
        burst("TLS chat burst, 100 streams", 100, 2_000, 1, chat, tls, 0.8),
        paced("TLS chat paced, 100 streams", 100, tls),
        burst("TLS one word, 16 at once", 16, 1, 100, chat, tls, 0.8),
    ]
}
