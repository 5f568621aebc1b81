//! The cases: which requests are sent to which subjects, and how they are measured.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use crate::Outcome;
use crate::client::{ChatRequest, Connection, Expected};
use crate::reply::Reply;
use crate::subject::{Subject, SubjectKind};
use crate::upstream::{ReplyMode, UpstreamControl};

/// One row of the table.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    dialect: Dialect,
    streams: usize,
    /// The number of requests on each connection.
    times: usize,
    pattern: Pattern,
    /// The measured subjects: the program, and the subject it is compared with.
    pub(crate) subjects: [SubjectKind; 2],
    /// The required ratio of the rates, or for paced streams the permitted ratio of the costs.
    pub(crate) goal: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    ChatUnary,
    Responses,
}

#[derive(Clone, Copy)]
enum Pattern {
    Burst { deltas: usize },
    Paced { deltas: usize },
}

/// The result of one run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sample {
    /// Chunks or requests per second.
    pub(crate) rate: f64,
    /// CPU time for each of them, in microseconds.
    pub(crate) cpu_us: f64,
    /// Latency in microseconds: of deltas that carry a time, or of requests that are sent one at a time.
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
}

/// The interval between two deltas of a paced stream.
const PACE: Duration = Duration::from_millis(20);

impl Case {
    pub(crate) const fn is_paced(&self) -> bool {
        matches!(self.pattern, Pattern::Paced { .. })
    }

    /// Runs the case once on `subject`.
    pub(crate) async fn run(&self, subject: &Subject, control: &UpstreamControl) -> Outcome<Sample> {
        let (reply, deltas) = match self.pattern {
            Pattern::Burst { deltas } => (Reply::of_deltas(deltas), deltas),
            Pattern::Paced { deltas } => (Reply::of_deltas(0), deltas),
        };
        let expected = match self.pattern {
            Pattern::Burst { .. } => {
                control.set(ReplyMode::burst(&reply));
                Expected::Text(&reply.text)
            }
            Pattern::Paced { .. } => {
                control.set(ReplyMode::Paced { deltas, every: PACE });
                Expected::Stamps(deltas)
            }
        };
        let request = chat_request(self.dialect, subject.kind, "Hello!");
        let mut connections = try_join_all((0..self.streams).map(|_| Connection::open(subject.port))).await?;
        if !self.is_paced() {
            // Warm up: connections, buffers and pools are created now.
            send_all(&mut connections, &request, expected, 1, control).await?;
        }
        let (cpu, started) = (subject.cpu()?, Instant::now());
        let latencies = send_all(&mut connections, &request, expected, self.times, control).await?;
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
        self.dialect == Dialect::ChatUnary || matches!(self.pattern, Pattern::Burst { deltas: 1 })
    }

    /// Returns the unit that is counted.
    pub(crate) fn unit(&self) -> &'static str {
        if self.counts_requests() { "requests" } else { "chunks" }
    }
}

/// Sends `times` requests one after the other on each connection, all connections at once. Returns the latencies in
/// nanoseconds.
async fn send_all(
    connections: &mut [Connection],
    request: &ChatRequest,
    expected: Expected<'_>,
    times: usize,
    control: &UpstreamControl,
) -> Outcome<Vec<u64>> {
    let asking = connections.iter_mut().map(|connection| async move {
        let mut all = Vec::new();
        for _ in 0..times {
            let asked = Instant::now();
            let latencies = connection.ask(request, expected, control.epoch).await?;
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

/// Returns the request of a turn. Subjects that forward bytes answer with the events of upstream.
pub(crate) fn chat_request(dialect: Dialect, kind: SubjectKind, text: &str) -> ChatRequest {
    let (path, body) = match dialect {
        Dialect::Chat | Dialect::ChatUnary => (
            "/v1/chat/completions",
            format!(
                r#"{{"model":"gpt-5.5","messages":[{{"role":"user","content":"{text}"}}],"stream":{}}}"#,
                dialect == Dialect::Chat
            ),
        ),
        Dialect::Responses => ("/v1/responses", format!(r#"{{"model":"gpt-5.5","input":"{text}","stream":true}}"#)),
    };
    let is_forwarded = dialect == Dialect::Responses || matches!(kind, SubjectKind::Nginx | SubjectKind::BytesTls);
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    ChatRequest { bytes: request.into_bytes(), key: if is_forwarded { "\"delta\":\"" } else { "\"content\":\"" } }
}

/// Returns all cases.
pub(crate) fn all() -> Vec<Case> {
    let burst = |name, streams, deltas, times, dialect, subjects, goal| Case {
        name,
        dialect,
        streams,
        times,
        pattern: Pattern::Burst { deltas },
        subjects,
        goal,
    };
    let paced = |name, streams, subjects| Case {
        name,
        dialect: Dialect::Chat,
        streams,
        times: 1,
        pattern: Pattern::Paced { deltas: 100 },
        subjects,
        goal: 1.15,
    };
    let (limit, nginx) = ([SubjectKind::Proxy, SubjectKind::Limit], [SubjectKind::Proxy, SubjectKind::Nginx]);
    let (tls, chat) = ([SubjectKind::ProxyTls, SubjectKind::BytesTls], Dialect::Chat);
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
        burst("complete replies, 16 at once", 16, 50, 100, Dialect::ChatUnary, limit, 0.8),
        burst("one word, 16 at once", 16, 1, 200, chat, limit, 0.8),
        burst("one word, one at a time", 1, 1, 1000, chat, limit, 0.8),
        burst("TLS chat burst, 1 stream", 1, 20_000, 5, chat, tls, 0.8),
        burst("TLS chat burst, 10 streams", 10, 2_000, 5, chat, tls, 0.8),
        burst("TLS chat burst, 100 streams", 100, 2_000, 1, chat, tls, 0.8),
        paced("TLS chat paced, 100 streams", 100, tls),
        burst("TLS one word, 16 at once", 16, 1, 100, chat, tls, 0.8),
    ]
}
