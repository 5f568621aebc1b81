//! The `codex-sim` program; see [`codex_sim::run`].

use std::io::{self, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: codex_sim::Args = argh::from_env();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let served = runtime.and_then(|runtime| {
        runtime.block_on(async {
            let mut out = io::stdout();
            tokio::select! {
                served = codex_sim::run(args, &mut out) => served,
                stopped = tokio::signal::ctrl_c() => stopped,
            }
        })
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed too, there is no one to tell.
            let _ = writeln!(io::stderr(), "codex-sim: {error}");
            ExitCode::FAILURE
        }
    }
}
