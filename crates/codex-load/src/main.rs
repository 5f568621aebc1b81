//! The end-to-end load bench, as `make load` runs it: the release binary as a process on a core of its own, load on the other.
//!
//! Each case is run on the program and on what it is compared with in turns, so that what else goes on on the machine strikes
//! both; ratios are of medians. A reply in which anything is lost, doubled or changed fails the case. The method and its results are
//! in `docs/performance.md`.

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

/// Measure the program beside the least that a proxy can do, and beside nginx.
#[derive(FromArgs)]
struct Args {
    /// how often each case is run on each (5)
    #[argh(option, default = "5")]
    rounds: usize,
    /// only the cases whose name contains this; `footprint` for memory, start and sizes
    #[argh(option)]
    only: Option<String>,
    /// where the numbers go as JSON
    #[argh(option)]
    json: Option<PathBuf>,
    /// the program, if it is not the release binary beside this one
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

/// Be the limit.
#[derive(FromArgs)]
#[argh(subcommand, name = "limit")]
struct LimitArgs {
    /// where to listen
    #[argh(option)]
    port: u16,
    /// the upstream's port
    #[argh(option)]
    upstream: u16,
}

/// Be the byte proxy.
#[derive(FromArgs)]
#[argh(subcommand, name = "bytes")]
struct BytesArgs {
    /// where to listen
    #[argh(option)]
    port: u16,
    /// the upstream's address
    #[argh(option)]
    upstream: String,
    /// its certificate
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
        writeln!(out, "load: there are not two cores, or no taskset: program and load share what there is")?;
    }
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only));
    let mut rows = Vec::new();
    for case in cases::all().iter().filter(|case| wanted(case.name)) {
        if case.subjects[1] == Kind::Nginx && !Subject::has_nginx() {
            writeln!(out, "{}: left out, there is no nginx", case.name)?;
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

/// Runs a case on both in turns.
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

/// Twice as many open files as there are ever streams, for each of which a proxy has two, and what else there is.
#[cfg(unix)]
const OPEN_FILES: u64 = 24_000;

/// Raises the limit of open files, for this process and those that it starts. Beyond the hard limit only root gets.
#[cfg(unix)]
fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map(|maximum| maximum.max(OPEN_FILES));
    if setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: wanted }).is_err() {
        // If that is not enough, opening the streams says so.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}

/// The release binary, which lies beside this one.
fn beside() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("codex-proxy");
    if program.exists() { Ok(program) } else { Err("build the program first: cargo build --release --bins".into()) }
}
