//! The load test with faults that `make soak` runs: the program as a process with a simulated backend over TLS.
//!
//! It opens a thousand concurrent streams; then it sends ten thousand requests, including clients that disconnect,
//! clients that read slowly, truncated replies, expiring tokens, overloads, and turns over a WebSocket; then it opens a
//! thousand streams again. There are exactly a thousand slots and no queue, so a lost slot fails the second thousand.
//! Every answer must belong to its question, nothing may hang, and memory and file descriptors must be released.
//!
//! ```text
//! cargo run -p codex-proxy-bin --example soak -- [REQUESTS] [SECONDS] [SEED]
//! ```

mod client;
mod process;

use std::error::Error;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use client::{Act, Caller};
use codex_sim::{Outcome, Sim, SimConfig};
use process::Proxy;
use tokio::task::JoinSet;

type Outcomes = Result<(), Box<dyn Error + Send + Sync>>;

/// The number of concurrent streams.
const STREAMS: usize = 1000;

/// The number of concurrent requests after that.
const WORKERS: usize = 128;

/// The number of access tokens, each revoked while requests are in flight. With one more a minute the program would
/// rightly stop refreshing, since the backend seems to accept none of them.
const TOKENS: usize = 4;

/// Memory growth beyond this, in MiB, is a leak.
const GROWTH_MIB: u64 = 96;

/// Growth of file descriptors beyond this is a leak; it allows for idle connections.
const SPARE_FDS: usize = 16;

/// A request that takes longer counts as hanging.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> Outcomes {
    let mut arguments = std::env::args().skip(1);
    let requests = arguments.next().map_or(Ok(10_000), |number| number.parse())?;
    let time = Duration::from_secs(arguments.next().map_or(Ok(600), |seconds| seconds.parse())?);
    let seed = match arguments.next() {
        Some(seed) => seed.parse()?,
        None => u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos() & 0xffff_ffff)?,
    };
    let mut out = io::stdout();
    writeln!(out, "soak: {requests} requests, seed {seed}")?;
    let sim = Arc::new(Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await?);
    let mut proxy = Proxy::start(&sim, STREAMS)?;
    let caller = Caller::new(&proxy.url)?;

    // The first requests create what stays: the client's connection, the models, the buffers.
    thousand(&sim, &caller, "first").await?;
    let before = settle(&proxy, &sim, usize::MAX).await?;
    writeln!(out, "{STREAMS} streams at once; then {} MiB, {} descriptors", before.rss_mib, before.fds)?;

    let started = Instant::now();
    let load = Load { requests, until: started + time, seed };
    let (sent, tally) = many(&sim, &caller, load).await?;
    writeln!(out, "{sent} requests in {:.0?}: {tally}", started.elapsed())?;

    thousand(&sim, &caller, "last").await?;
    let after = settle(&proxy, &sim, before.fds + SPARE_FDS).await?;
    writeln!(out, "{STREAMS} streams at once; then {} MiB, {} descriptors", after.rss_mib, after.fds)?;
    if after.rss_mib > before.rss_mib + GROWTH_MIB {
        return Err(format!("memory has grown from {} to {} MiB", before.rss_mib, after.rss_mib).into());
    }
    if !proxy.is_running()? {
        return Err("the program has ended".into());
    }
    writeln!(out, "soak: passed")?;
    Ok(())
}

/// Opens all streams, holds them until each has started, and reads each to its end.
async fn thousand(sim: &Sim, caller: &Caller, name: &str) -> Outcomes {
    let mut streams = JoinSet::new();
    for number in 0..STREAMS {
        let (caller, question) = (caller.clone(), format!("question-{name}-{number}"));
        streams.spawn(async move { caller.ask(&question, Act::Stall).await });
    }
    let all_wait = async {
        while sim.requests().iter().filter(|request| request.waiting).count() < STREAMS {
            // This copies the log, so do it rarely.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        waiting = tokio::time::timeout(PATIENCE, all_wait) => {
            waiting.map_err(|_| format!("not all of the {name} {STREAMS} streams have begun"))?;
        }
        Some(ended) = streams.join_next() => return Err(format!("a stream has ended early: {ended:?}").into()),
    }
    sim.control().release();
    while let Some(ended) = streams.join_next().await {
        ended??;
    }
    Ok(())
}

/// The requests after the streams: this many, or as many as time allows.
#[derive(Clone, Copy)]
struct Load {
    requests: usize,
    until: Instant,
    seed: u64,
}

/// Sends the requests and revokes the token now and then.
async fn many(sim: &Arc<Sim>, caller: &Caller, load: Load) -> Result<(usize, String), Box<dyn Error + Send + Sync>> {
    let Load { requests, until, seed } = load;
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (next, sim, caller) = (Arc::clone(&next), Arc::clone(sim), caller.clone());
        workers.spawn(async move {
            let mut tally = [0_usize; Act::ALL.len()];
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests || Instant::now() >= until {
                    return Ok::<_, Box<dyn Error + Send + Sync>>(tally);
                }
                let life = (requests / TOKENS).max(1);
                if number % life == life - 1 && number + life < requests {
                    sim.control().invalidate_access_tokens();
                }
                // The act depends only on the seed and the number, not on which task runs it.
                let chosen = (mix(seed ^ number as u64) % Act::ALL.len() as u64) as usize;
                let act = Act::ALL[chosen];
                let question = format!("question-{number}-{:x}", mix(seed.wrapping_add(number as u64)));
                let asked = tokio::time::timeout(PATIENCE, caller.ask(&question, act)).await;
                asked.map_err(|_| format!("{act:?} of {question} hangs"))??;
                tally[chosen] += 1;
            }
        });
    }
    let mut total = [0; Act::ALL.len()];
    while let Some(tally) = workers.join_next().await {
        total.iter_mut().zip(tally??).for_each(|(total, tally)| *total += tally);
    }
    let named = Act::ALL.iter().zip(total).map(|(act, count)| format!("{count} {act:?}"));
    Ok((total.iter().sum(), named.collect::<Vec<_>>().join(", ")))
}

/// Waits until nothing is in flight at the backend and the program has released its resources.
async fn settle(proxy: &Proxy, sim: &Sim, fds: usize) -> Result<process::Usage, Box<dyn Error + Send + Sync>> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let usage = proxy.usage()?;
        let open = sim.requests().iter().filter(|request| request.outcome == Outcome::InFlight).count();
        if open == 0 && usage.fds <= fds && usage.clients == 0 {
            return Ok(usage);
        }
        if Instant::now() > deadline {
            return Err(
                format!("{open} requests are still open at the backend; {usage:?}, at most {fds} expected").into()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// SplitMix64: every bit of the output depends on every bit of the number.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
