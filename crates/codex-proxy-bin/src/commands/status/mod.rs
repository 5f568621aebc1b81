//! `codex-proxy status`.

use std::io::Write;
use std::process::ExitCode;

use codex_auth::CodexCliStore;
use codex_upstream::AnyTimer;

use crate::cli::args::StatusArgs;
use crate::commands::CommandError;
use crate::config::Config;
use crate::credentials::store::OwnStore;

mod json;
mod report;
mod text;

use report::LoginReport;

/// Prints whether the login is usable; exits with 0 if it is, with 1 if not. Changes nothing and refreshes no token.
///
/// # Errors
/// The credentials cannot be read.
pub(crate) async fn run(config: Config, args: StatusArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let clock = AnyTimer::default();
    let report = if args.from_codex {
        LoginReport::of(&config, &CodexCliStore::new(config.codex_auth_path()?), args.offline, &clock).await?
    } else {
        LoginReport::of(&config, &OwnStore::open(&config).map_err(CommandError::other)?, args.offline, &clock).await?
    };
    if args.json {
        json::print(&report, clock.now(), out)?;
    } else {
        text::print(&report, clock.now(), out)?;
    }
    Ok(if report.is_usable() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
