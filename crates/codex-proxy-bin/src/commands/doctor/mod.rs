//! `codex-proxy doctor`.

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use codex_auth::{AnyStore, CodexCliStore};
use codex_upstream::{HttpUpstream, HttpUpstreamConfig};
use serde_json::json;

use crate::cli::args::DoctorArgs;
use crate::cli::session::UserSession;
use crate::commands::{CommandError, progress};
use crate::config::Config;
use crate::credentials::store::OwnStore;

mod finding;
mod local;
mod remote;

use finding::{CheckResult, Finding, MAX_WAIT};

/// Checks everything that the proxy depends on; exits with 1 if a check fails.
///
/// # Errors
/// The output could not be written, or the directory of the Codex CLI is unknown.
pub(crate) async fn run(
    config: Config,
    session: &UserSession,
    args: DoctorArgs,
    out: &mut impl Write,
) -> Result<ExitCode, CommandError> {
    let examined = async {
        if args.from_codex {
            let store = CodexCliStore::new(config.codex_auth_path()?);
            let credentials = local::credentials(&store).await;
            return Ok::<_, CommandError>(examine(&config, credentials, AnyStore::new(store)).await);
        }
        Ok(match OwnStore::open(&config) {
            Ok(store) => examine(&config, local::own_credentials(&store).await, AnyStore::new(store)).await,
            Err(error) => vec![Finding::fail("credentials", error.to_string())],
        })
    };
    let findings = progress::during("checking files, login and network", progress::terminal(), examined).await?;
    let is_well = findings.iter().all(|finding| finding.verdict != CheckResult::Fail);
    if args.json {
        let report = json!({"ok": is_well, "checks": findings});
        writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&findings, io::stdout().is_terminal() && !session.no_color, out)?;
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn examine(config: &Config, credentials: Finding, store: AnyStore) -> Vec<Finding> {
    let home = match config.home() {
        Ok(home) => local::home(home),
        Err(error) => Finding::fail("home", error.to_string()),
    };
    let mut findings = vec![home, credentials, local::proxy(&config.proxy)];
    let settings = HttpUpstreamConfig { connect_timeout: MAX_WAIT, read_timeout: MAX_WAIT, ..config.http() };
    match HttpUpstream::new(settings) {
        Ok(client) => {
            findings.extend(remote::examine(config, client.clone(), store).await);
            findings.push(local::port(&client, &config.host, config.port).await);
        }
        Err(error) => findings.push(Finding::fail("client", error.to_string())),
    }
    findings
}

fn print(findings: &[Finding], is_colored: bool, out: &mut impl Write) -> io::Result<()> {
    for finding in findings {
        // Green, yellow and red.
        let (verdict, color) = match finding.verdict {
            CheckResult::Ok => ("ok", 32),
            CheckResult::Warn => ("warn", 33),
            CheckResult::Fail => ("FAIL", 31),
        };
        let verdict = format!("{verdict:<5}");
        let verdict = if is_colored { format!("\x1b[{color}m{verdict}\x1b[0m") } else { verdict };
        writeln!(out, "{verdict} {:<12} {}", finding.check, finding.found)?;
        if let Some(advice) = &finding.advice {
            writeln!(out, "{:<5} {:<12} -> {advice}", "", "")?;
        }
    }
    let count = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    match (count(CheckResult::Fail), count(CheckResult::Warn)) {
        (0, 0) => writeln!(out, "\nNo problems found."),
        (0, warnings) => writeln!(out, "\nNo failures; warnings: {warnings}."),
        (failures, warnings) => writeln!(out, "\nFailures: {failures}; warnings: {warnings}."),
    }
}
