//! The soak test of `make soak`: load and faults on the program, run as a process over a simulated backend with TLS.
//!
//! It opens a thousand streams at once; then it sends ten thousand requests, among them clients that disconnect or
//! read slowly, replies that are cut, tokens that are invalidated, overloads, and turns over a WebSocket; then it
//! opens a thousand streams again. There is one slot for each of the thousand and no queue, so a leaked slot fails
//! the second thousand. Every answer must match its own question, nothing may hang, and memory and file descriptors
//! must be released.
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

use client::{Action, Client};
use codex_sim::{Outcome, Sim, SimConfig};
use process::Proxy;
use tokio::task::JoinSet;

type SoakResult = Result<(), Box<dyn Error + Send + Sync>>;

/// The number of concurrent streams.
const STREAMS: usize = 1000;

/// The number of concurrent requests after that.
const WORKERS: usize = 128;

/// The number of access tokens, each invalidated while requests are in flight. The program rightly stops refreshing
/// if a backend rejects more tokens than that per minute.
const TOKENS: usize = 4;

/// Memory growth in MiB that counts as a leak.
const GROWTH_MIB: u64 = 96;

/// Additional file descriptors that are not a leak: idle connections.
const SPARE_FDS: usize = 16;

/// The longest wait; anything slower hangs.
const MAX_WAIT: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> SoakResult {
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
    let client = Client::new(&proxy.url)?;

    // The first requests create what stays: connections, models, buffers.
    open_streams(&sim, &client, "first").await?;
    let before = wait_until_idle(&proxy, &sim, usize::MAX).await?;
    writeln!(out, "{STREAMS} streams at once; then {} MiB, {} descriptors", before.rss_mib, before.fds)?;

    let started = Instant::now();
    let load = Load { requests, until: started + time, seed };
    let (sent, tally) = send_requests(&sim, &client, load).await?;
    writeln!(out, "{sent} requests in {:.0?}: {tally}", started.elapsed())?;

    open_streams(&sim, &client, "last").await?;
    let after = wait_until_idle(&proxy, &sim, before.fds + SPARE_FDS).await?;
    writeln!(out, "{STREAMS} streams at once; then {} MiB, {} descriptors", after.rss_mib, after.fds)?;
    if after.rss_mib > before.rss_mib + GROWTH_MIB {
        return Err(format!("memory grew from {} to {} MiB", before.rss_mib, after.rss_mib).into());
    }
    if !proxy.is_running()? {
        return Err("the program has exited".into());
    }
    writeln!(out, "soak: passed")?;
    Ok(())
}

/// Opens all streams, stalls them until each has begun, and reads each to its end.
async fn open_streams(sim: &Sim, client: &Client, name: &str) -> SoakResult {
    let mut streams = JoinSet::new();
    for number in 0..STREAMS {
        let (client, question) = (client.clone(), format!("question-{name}-{number}"));
        streams.spawn(async move { client.ask(&question, Action::Stall).await });
    }
    let all_wait = async {
        while sim.requests().iter().filter(|request| request.waiting).count() < STREAMS {
            // Each check copies the log, so check rarely.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        waiting = tokio::time::timeout(MAX_WAIT, all_wait) => {
            waiting.map_err(|_| format!("not all of the {name} {STREAMS} streams have begun"))?;
        }
        Some(ended) = streams.join_next() => return Err(format!("a stream ended early: {ended:?}").into()),
    }
    sim.control().release();
    while let Some(ended) = streams.join_next().await {
        ended??;
    }
    Ok(())
}

/// The requests after the streams: a number of them, or as many as fit into the time.
#[derive(Clone, Copy)]
struct Load {
    requests: usize,
    until: Instant,
    seed: u64,
}

/// Sends the requests, and invalidates the token from time to time.
async fn send_requests(
    sim: &Arc<Sim>,
    client: &Client,
    load: Load,
) -> Result<(usize, String), Box<dyn Error + Send + Sync>> {
    let Load { requests, until, seed } = load;
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (next, sim, client) = (Arc::clone(&next), Arc::clone(sim), client.clone());
        workers.spawn(async move {
            let mut tally = [0_usize; Action::ALL.len()];
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= requests || Instant::now() >= until {
                    return Ok::<_, Box<dyn Error + Send + Sync>>(tally);
                }
                let life = (requests / TOKENS).max(1);
                if number % life == life - 1 && number + life < requests {
                    sim.control().invalidate_access_tokens();
                }
                // The action depends only on the seed and the number, not on the worker.
                let chosen = (mix(seed ^ number as u64) % Action::ALL.len() as u64) as usize;
                let action = Action::ALL[chosen];
                let question = format!("question-{number}-{:x}", mix(seed.wrapping_add(number as u64)));
                let asked = tokio::time::timeout(MAX_WAIT, client.ask(&question, action)).await;
                asked.map_err(|_| format!("{action:?} of {question} hangs"))??;
                tally[chosen] += 1;
            }
        });
    }
    let mut total = [0; Action::ALL.len()];
    while let Some(tally) = workers.join_next().await {
        total.iter_mut().zip(tally??).for_each(|(total, tally)| *total += tally);
    }
    let named = Action::ALL.iter().zip(total).map(|(action, count)| format!("{count} {action:?}"));
    Ok((total.iter().sum(), named.collect::<Vec<_>>().join(", ")))
}

/// Waits until nothing is in flight at the backend and the program has released its resources.
async fn wait_until_idle(proxy: &Proxy, sim: &Sim, fds: usize) -> Result<process::Usage, Box<dyn Error + Send + Sync>> {
    let deadline = Instant::now() + MAX_WAIT;
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

/// Mixes a number by SplitMix64: every bit of the number affects every bit of the result.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
