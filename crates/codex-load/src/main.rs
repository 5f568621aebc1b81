//! The end-to-end load benchmark that `make load` runs: the release binary as a process on one core, the load on the
//! other.
//!
//! Runs of each case alternate between proxy and baseline, so background load hits both; ratios compare medians. A
//! reply in which anything is lost, duplicated or changed fails the case. `docs/performance.md` describes the method
//! and its results.

mod bytes;
mod cases;
mod client;
mod footprint;
mod limit;
mod reply;
mod report;
mod request;
mod subject;
mod tls;
mod upstream;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::PathBuf;

use argh::FromArgs;
use cases::Case;
use report::Row;
use serde_json::json;
use subject::{Kind, Subject, Surroundings};
use upstream::Stage;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// compare the program with a minimal proxy and with nginx
#[derive(FromArgs)]
struct Args {
    /// number of rounds (default: 5)
    #[argh(option, default = "5")]
    rounds: usize,
    /// run only the cases whose name contains this; `footprint` for memory, start-up and sizes
    #[argh(option)]
    only: Option<String>,
    /// write the results to this file as JSON
    #[argh(option)]
    json: Option<PathBuf>,
    /// program to measure (default: the release binary next to this one)
    #[argh(option)]
    program: Option<PathBuf>,
    #[argh(subcommand)]
    role: Option<Role>,
}

#[derive(FromArgs)]
#[argh(subcommand)]
enum Role {
    Limit(LimitArgs),
    Bytes(BytesArgs),
}

/// run as the limit
#[derive(FromArgs)]
#[argh(subcommand, name = "limit")]
struct LimitArgs {
    /// port to listen on
    #[argh(option)]
    port: u16,
    /// port of the upstream
    #[argh(option)]
    upstream: u16,
}

/// run as the byte proxy
#[derive(FromArgs)]
#[argh(subcommand, name = "bytes")]
struct BytesArgs {
    /// port to listen on
    #[argh(option)]
    port: u16,
    /// address of the upstream
    #[argh(option)]
    upstream: String,
    /// certificate of the upstream
    #[argh(option)]
    ca: PathBuf,
}

fn main() -> Outcome<()> {
    let args: Args = argh::from_env();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match args.role {
        Some(Role::Limit(role)) => runtime()?.block_on(limit::serve(role.port, role.upstream)),
        Some(Role::Bytes(role)) => runtime()?.block_on(bytes::serve(role.port, &role.upstream, &role.ca)),
        None => {
            #[cfg(unix)]
            raise_limit();
            let is_pinned = subject::pin_self();
            runtime()?.block_on(bench(args, is_pinned))
        }
    }
}

async fn bench(args: Args, is_pinned: bool) -> Outcome<()> {
    let out = &mut io::stdout();
    let stage = Stage::new();
    let surroundings = Surroundings {
        program: args.program.map_or_else(beside, Ok)?,
        plain: upstream::start(&stage).await?,
        tls: tls::start(&stage).await?,
    };
    if !is_pinned {
        writeln!(out, "load: not two cores, or no taskset: the program and the load share the cores")?;
    }
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only));
    let mut rows = Vec::new();
    for case in cases::all().iter().filter(|case| wanted(case.name)) {
        if case.subjects[1] == Kind::Nginx && !Subject::has_nginx() {
            writeln!(out, "{}: skipped, nginx is not installed", case.name)?;
            continue;
        }
        let row = compare(case, args.rounds, &surroundings, &stage).await?;
        if rows.is_empty() {
            writeln!(out, "{}", Row::HEADER)?;
        }
        writeln!(out, "{row}")?;
        rows.push(row);
    }
    let mut facts = Vec::new();
    for part in footprint::PARTS.into_iter().filter(|part| wanted(part.name())) {
        for fact in footprint::measure(part, args.rounds, &surroundings, &stage).await? {
            writeln!(out, "{fact}")?;
            facts.push(fact);
        }
    }
    if let Some(file) = args.json {
        let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
        let facts: Vec<_> = facts.iter().map(footprint::Fact::to_json).collect();
        std::fs::write(file, serde_json::to_string_pretty(&json!({"cases": rows, "footprint": facts}))?)?;
    }
    Ok(())
}

/// Runs a case alternately on both subjects.
async fn compare(case: &Case, rounds: usize, surroundings: &Surroundings, stage: &Stage) -> Outcome<Row> {
    let [one, other] = case.subjects;
    let subjects = [Subject::start(one, surroundings)?, Subject::start(other, surroundings)?];
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (subject, samples) in subjects.iter().zip(&mut samples) {
            let sample = case.run(subject, stage).await;
            samples.push(sample.map_err(|error| format!("{}, {}: {error}", case.name, subject.kind))?);
        }
    }
    Ok(Row::new(case, &samples))
}

/// Two files for each stream, which a proxy has open at the same time, and some more.
#[cfg(unix)]
const OPEN_FILES: u64 = 24_000;

/// Raises the limit of open files for this process and its children. Only root can exceed the hard limit.
#[cfg(unix)]
fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map(|maximum| maximum.max(OPEN_FILES));
    if setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: wanted }).is_err() {
        // If that is not enough, opening the streams fails.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// Returns the release binary, which is next to this one.
fn beside() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("codex-proxy");
    if program.exists() { Ok(program) } else { Err("build the program first: cargo build --release --bins".into()) }
}
