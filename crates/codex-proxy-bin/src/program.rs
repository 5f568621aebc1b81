//! The program: reads the command line and the settings, runs a command, and reports its outcome.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use argh::FromArgs as _;
use tracing_subscriber::EnvFilter;

use crate::cli::args::{Args, Command};
use crate::cli::completion;
use crate::cli::session::UserSession;
use crate::commands::{self, CommandError};
use crate::config::{Config, ConfigError, LogFormat};

/// Runs the program and returns its exit code.
pub fn main() -> ExitCode {
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

/// Parses the command line; `Err` is the exit code when there is nothing to run. argh itself would exit with 1 on
/// invalid arguments.
fn args() -> Result<Args, ExitCode> {
    let words: Vec<_> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    let mut words: Vec<_> = words.iter().map(String::as_str).collect();
    // The usual spellings of `version`.
    if let ["--version" | "-V"] = words[..] {
        words = vec!["version"];
    }
    Args::from_args(&[completion::PROGRAM], &words).map_err(|exit| {
        // As above.
        let _ = match exit.status {
            Ok(()) => writeln!(io::stdout(), "{}", exit.output.trim_end()),
            Err(()) => writeln!(io::stderr(), "codex-proxy: {}", completion::mistake(&exit.output, &words)),
        };
        if exit.status.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(commands::EX_USAGE) }
    })
}

fn run(args: Args) -> Result<ExitCode, CommandError> {
    let out = &mut io::stdout();
    // These do not depend on the settings, and must work even when those are invalid.
    if let Command::Version(_) = args.command {
        writeln!(out, "codex-proxy {}", env!("CARGO_PKG_VERSION"))?;
        return Ok(ExitCode::SUCCESS);
    } else if let Command::Completions(args) = &args.command {
        return commands::completions::run(args, out);
    } else if let Command::Man(_) = args.command {
        return commands::man::run(out);
    }
    let env = std::env::vars_os().collect();
    let config = Config::from_flags(&args.settings(), &env)?;
    // Every command that is left uses the home directory.
    config.home().map_err(|_| {
        let problem = "there is no home directory (HOME is not set); set it to a directory for the credentials";
        ConfigError::new("CODEX_PROXY_HOME", problem)
    })?;
    let session = UserSession::detect(&env);
    log_to_stderr(&config, &args.command, &session)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::other)?;
    let outcome = runtime.block_on(async {
        match args.command {
            Command::Login(args) => commands::login::run(config, &session, args, out).await,
            Command::Logout(args) => commands::logout::run(config, args, out).await,
            Command::Serve(args) => commands::serve::run(config, args).await,
            Command::Status(args) => commands::status::run(config, args, out).await,
            Command::Doctor(args) => commands::doctor::run(config, &session, args, out).await,
            Command::Config(args) => commands::config::run(&config, &args, out),
            Command::Demo(_) => commands::demo::run(config, out).await,
            Command::Health(_) => commands::health::run(config, out).await,
            Command::Service(args) => commands::service::run(&config, &session, &args, out),
            Command::Completions(_) | Command::Man(_) | Command::Version(_) => Ok(ExitCode::SUCCESS),
        }
    });
    // A name lookup cannot be cancelled, and its result is no longer needed.
    runtime.shutdown_background();
    outcome
}

fn log_to_stderr(config: &Config, command: &Command, session: &UserSession) -> Result<(), CommandError> {
    let log = config.log().unwrap_or_else(|| command.default_log());
    let filter = EnvFilter::try_new(log).map_err(|error| {
        CommandError::Usage(format!("CODEX_PROXY_LOG: invalid log filter `{log}` ({error}); try `info` or `debug`"))
    })?;
    let stderr = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    match config.log_format() {
        LogFormat::Text => stderr.with_ansi(io::stderr().is_terminal() && !session.no_color).init(),
        LogFormat::Json => stderr.json().flatten_event(true).init(),
    }
    Ok(())
}
