//! The end-to-end load benchmark of `make load`: the release binary as a process on one core, the load on the other.
//!
//! Each case alternates between the program and what it is compared with, so background load affects both; ratios
//! compare medians. A reply in which anything is lost, duplicated or changed fails the case. The method and the
//! results are in `docs/performance.md`.

mod byte_proxy;
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
use subject::{Environment, Subject, SubjectKind};
use upstream::UpstreamControl;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// compare the program with a minimal proxy and with nginx
#[derive(FromArgs)]
struct Args {
    /// how many times to run each case on each subject (default: 5)
    #[argh(option, default = "5")]
    rounds: usize,
    /// run only cases whose name contains this text; `footprint` selects memory, start-up and sizes
    #[argh(option)]
    only: Option<String>,
    /// also write the results to this file as JSON
    #[argh(option)]
    json: Option<PathBuf>,
    /// the program to measure (default: codex-proxy next to this binary)
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

/// run the minimal proxy
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

/// run the byte proxy
#[derive(FromArgs)]
#[argh(subcommand, name = "bytes")]
struct BytesArgs {
    /// port to listen on
    #[argh(option)]
    port: u16,
    /// URL of the upstream
    #[argh(option)]
    upstream: String,
    /// CA certificate of the upstream (PEM)
    #[argh(option)]
    ca: PathBuf,
}

fn main() -> Outcome<()> {
    let args: Args = argh::from_env();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
    match args.role {
        Some(Role::Limit(role)) => runtime()?.block_on(limit::serve(role.port, role.upstream)),
        Some(Role::Bytes(role)) => runtime()?.block_on(byte_proxy::serve(role.port, &role.upstream, &role.ca)),
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
    let control = UpstreamControl::new();
    let environment = Environment {
        program: args.program.map_or_else(beside, Ok)?,
        plain: upstream::start(&control).await?,
        tls: tls::start(&control).await?,
    };
    if !is_pinned {
        writeln!(out, "load: fewer than two cores, or no taskset: program and load share the cores")?;
    }
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only));
    let mut rows = Vec::new();
    for case in cases::all().iter().filter(|case| wanted(case.name)) {
        if case.subjects[1] == SubjectKind::Nginx && !Subject::has_nginx() {
            writeln!(out, "{}: skipped, nginx is not installed", case.name)?;
            continue;
        }
        let row = compare(case, args.rounds, &environment, &control).await?;
        if rows.is_empty() {
            writeln!(out, "{}", Row::HEADER)?;
        }
        writeln!(out, "{row}")?;
        rows.push(row);
    }
    let mut metrics = Vec::new();
    for part in footprint::PARTS.into_iter().filter(|part| wanted(part.name())) {
        for metric in footprint::measure(part, args.rounds, &environment, &control).await? {
            writeln!(out, "{metric}")?;
            metrics.push(metric);
        }
    }
    if let Some(file) = args.json {
        let rows: Vec<_> = rows.iter().map(Row::to_json).collect();
        let metrics: Vec<_> = metrics.iter().map(footprint::Metric::to_json).collect();
        std::fs::write(file, serde_json::to_string_pretty(&json!({"cases": rows, "footprint": metrics}))?)?;
    }
    Ok(())
}

/// Runs a case on both subjects in turn.
async fn compare(case: &Case, rounds: usize, environment: &Environment, control: &UpstreamControl) -> Outcome<Row> {
    let [one, other] = case.subjects;
    let subjects = [Subject::start(one, environment)?, Subject::start(other, environment)?];
    let mut samples = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (subject, samples) in subjects.iter().zip(&mut samples) {
            let sample = case.run(subject, control).await;
            samples.push(sample.map_err(|error| format!("{}, {}: {error}", case.name, subject.kind))?);
        }
    }
    Ok(Row::new(case, &samples))
}

/// The open files for the largest number of streams, each of which takes two in a proxy, plus some more.
#[cfg(unix)]
const OPEN_FILES: u64 = 24_000;

/// Raises the limit of open files for this process and the processes it starts. Only root can exceed the hard limit.
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

/// Returns the release binary next to this one.
fn beside() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("codex-proxy");
    if program.exists() { Ok(program) } else { Err("build the program first: cargo build --release --bins".into()) }
}
