//! The program: reads the command line and the settings, runs a command, reports how it ended.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use argh::FromArgs as _;
use codex_proxy::args::{Args, Command};
use codex_proxy::commands::{self, CommandError};
use codex_proxy::config::Config;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let outcome = match args() {
        Ok(args) => run(args),
        Err(code) => return code,
    };
    outcome.unwrap_or_else(|error| {
        // Nothing can be done about a closed standard error.
        let _ = writeln!(io::stderr(), "codex-proxy: {error}");
        error.exit_code()
    })
}

/// The command line; if there is nothing to run, what to exit with. argh's own way would exit with 1 for a mistake in it.
fn args() -> Result<Args, ExitCode> {
    let words: Vec<_> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    Args::from_args(&["codex-proxy"], &words).map_err(|exit| {
        let output = exit.output.trim_end();
        // As above.
        let _ = match exit.status {
            Ok(()) => writeln!(io::stdout(), "{output}"),
            Err(()) => writeln!(io::stderr(), "codex-proxy: {output}\nTry codex-proxy --help."),
        };
        if exit.status.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(commands::EX_USAGE) }
    })
}

fn run(args: Args) -> Result<ExitCode, CommandError> {
    let out = &mut io::stdout();
    if let Command::Version(_) = args.command {
        writeln!(out, "codex-proxy {}", env!("CARGO_PKG_VERSION"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let settings = || Config::from_env(&|name| std::env::var_os(name));
    let config = settings()?;
    log_to_stderr(&config, &args.command)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::other)?;
    let outcome = runtime.block_on(async {
        match args.command {
            Command::Login(args) => commands::login::run(config, args, out).await,
            Command::Logout(args) => commands::logout::run(config, args, out).await,
            Command::Serve(args) => commands::serve::run(config, args, &settings).await,
            Command::Status(args) => commands::status::run(config, args, out).await,
            Command::Doctor(args) => commands::doctor::run(config, args, out).await,
            Command::Demo(_) => commands::demo::run(config, out).await,
            Command::Version(_) => Ok(ExitCode::SUCCESS),
        }
    });
    // A name lookup cannot be called off, and nobody waits for its answer any more.
    runtime.shutdown_background();
    outcome
}

fn log_to_stderr(config: &Config, command: &Command) -> Result<(), CommandError> {
    let default = match command {
        Command::Serve(_) | Command::Login(_) => "info",
        // The others print what there is to say.
        Command::Logout(_) | Command::Status(_) | Command::Doctor(_) | Command::Demo(_) | Command::Version(_) => "warn",
    };
    let log = config.log.as_deref().unwrap_or(default);
    let filter = EnvFilter::try_new(log).map_err(|error| {
        CommandError::Usage(format!("CODEX_PROXY_LOG: `{log}` is not a log filter ({error}); try info or debug"))
    })?;
    let stderr = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    stderr.with_ansi(io::stderr().is_terminal()).init();
    Ok(())
}
