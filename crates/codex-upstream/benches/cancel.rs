//! How soon the backend notices that a reply was dropped: from the drop to the simulator's seeing its client gone, over
//! a connection of HTTP/1.1, which is closed, and over HTTP/2, where one stream is reset. The bound that is promised is
//! 100 ms.
//!
//! ```text
//! cargo bench -p codex-upstream
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use std::time::{Duration, Instant};

use codex_auth::Bearer;
use codex_sim::{Mint, Outcome, Sim, SimConfig};
use codex_translate::responses::ResponsesRequest;
use codex_upstream::{
    Backend, ChunkStream, ClientIdentity, HttpUpstream, HttpUpstreamConfig, RetryPolicy, TokioTimer, TurnRequest,
    requests, send_with_retry,
};
use criterion::{Criterion, criterion_group, criterion_main};
use futures_util::StreamExt as _;
use serde_json::json;
use tokio::runtime::Runtime;
use url::Url;

/// Beyond this the benchmark fails.
const BOUND: Duration = Duration::from_millis(100);

struct Rig {
    sim: Sim,
    client: HttpUpstream,
    base: Url,
}

impl Rig {
    async fn start(tls: bool) -> Self {
        let sim = Sim::start(SimConfig { tls, ..SimConfig::default() }).await.unwrap();
        let roots = sim.ca_pem().map(|pem| pem.as_bytes().to_vec()).into_iter().collect();
        let client =
            HttpUpstream::new(HttpUpstreamConfig { extra_roots_pem: roots, ..HttpUpstreamConfig::default() }).unwrap();
        let base = sim.upstream_url().parse().unwrap();
        Self { sim, client, base }
    }

    /// A reply that has begun and that stalls.
    async fn stalled(&self) -> ChunkStream {
        // Earlier requests are forgotten, so that looking through them costs nothing.
        self.sim.control().reset();
        let tokens = self.sim.mint_tokens(Mint::default());
        let bearer = Bearer { token: tokens.access_token.into(), account_id: Some(tokens.account_id), fedramp: false };
        let backend = Backend { base: &self.base, region: None, identity: &ClientIdentity::default(), bearer: &bearer };
        let body = json!({
            "model": "gpt-5.5", "instructions": "", "store": false, "stream": true,
            "input": [{"role": "user", "content": "[sim:text=one two three][sim:stall] hello"}],
        })
        .to_string();
        let turn = TurnRequest::from(&ResponsesRequest::from_json(body.as_bytes()).unwrap());
        let request = requests::responses(&backend, &turn).unwrap();
        let reply = send_with_retry(&self.client, &request, &RetryPolicy::NEVER, &TokioTimer).await.unwrap();
        let mut body = reply.into_body();
        body.next().await.unwrap().unwrap();
        self.sim.requests_until(|all| all[0].waiting).await;
        body
    }

    /// The time until the simulator has noticed.
    async fn cancelled(&self) -> Duration {
        let body = self.stalled().await;
        let dropped = Instant::now();
        drop(body);
        let seen = self.sim.requests_until(|all| all[0].outcome != Outcome::InFlight).await;
        let noticed = dropped.elapsed();
        assert_eq!(seen[0].outcome, Outcome::Disconnected);
        assert!(noticed < BOUND, "noticed after {noticed:?}");
        noticed
    }
}

fn cancel(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let mut group = c.benchmark_group("dropped reply noticed");
    for (name, tls) in [("HTTP/1.1", false), ("HTTP/2", true)] {
        let rig = runtime.block_on(Rig::start(tls));
        group.bench_function(name, |b| {
            b.iter_custom(|times| {
                runtime.block_on(async {
                    let mut total = Duration::ZERO;
                    for _ in 0..times {
                        total += rig.cancelled().await;
                    }
                    total
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, cancel);
criterion_main!(benches);
