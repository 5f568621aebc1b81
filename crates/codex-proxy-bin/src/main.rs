//! The program: reads the command line and the settings, runs a command, reports how it ended.

use std::io::{self, Write as _};
use std::process::ExitCode;

use codex_proxy::args::{Args, Command};
use codex_proxy::commands::{self, CommandError};
use codex_proxy::config::Config;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args: Args = argh::from_env();
    match run(args) {
        Ok(code) => code,
        Err(error) => {
            // Nothing can be done about a closed standard error.
            let _ = writeln!(io::stderr(), "codex-proxy: {error}");
            error.exit_code()
        }
    }
}

fn run(args: Args) -> Result<ExitCode, CommandError> {
    let out = &mut io::stdout();
    if let Command::Version(_) = args.command {
        writeln!(out, "codex-proxy {}", env!("CARGO_PKG_VERSION"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::from_env(&|name| std::env::var_os(name))?;
    log_to_stderr(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CommandError::other)?;
    runtime.block_on(async {
        match args.command {
            Command::Login(args) => commands::login::run(config, args, out).await,
            Command::Serve(args) => commands::serve::run(config, args).await,
            Command::Status(_) => commands::status::run(config, out).await,
            Command::Demo(_) => commands::demo::run(config, out).await,
            Command::Version(_) => Ok(ExitCode::SUCCESS),
        }
    })
}

fn log_to_stderr(config: &Config) -> Result<(), CommandError> {
    let filter = EnvFilter::try_new(&config.log).map_err(|error| {
        CommandError::Usage(format!("CODEX_PROXY_LOG: `{}` is not a log filter ({error}); try info or debug", config.log))
    })?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false).init();
    Ok(())
}
