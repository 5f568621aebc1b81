//! `codex-proxy status`.

use std::io::Write;
use std::process::ExitCode;
use std::time::SystemTime;

use codex_auth::CodexCliStore;

use crate::cli::args::StatusArgs;
use crate::commands::CommandError;
use crate::config::Config;
use crate::credentials::store::OwnStore;

mod json;
mod report;
mod text;

use report::LoginReport;

/// Prints whether the login is usable; exits with 0 if it is, with 1 if not. Changes nothing and renews no token.
///
/// # Errors
/// The credentials cannot be read.
pub async fn run(config: Config, args: StatusArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let report = if args.from_codex {
        LoginReport::of(&config, &CodexCliStore::new(config.codex_auth_path()?), args.offline).await?
    } else {
        LoginReport::of(&config, &OwnStore::open(&config).map_err(CommandError::other)?, args.offline).await?
    };
    if args.json {
        json::print(&report, SystemTime::now(), out)?;
    } else {
        text::print(&report, SystemTime::now(), out)?;
    }
    Ok(if report.is_usable() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
