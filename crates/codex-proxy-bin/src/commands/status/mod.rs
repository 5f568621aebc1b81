//! `codex-proxy status`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use codex_auth::{FileStore, LoginState, Status, TokenStore};

use crate::commands::CommandError;
use crate::config::Config;

/// Prints whether the login is usable; exits with 0 if it is, with 1 if not. Asks nobody and changes nothing.
///
/// # Errors
/// The credentials cannot be read.
pub async fn run(config: Config, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let store = FileStore::new(config.credentials_path());
    let tokens = store.load().map_err(CommandError::other)?;
    let status = Status::of(tokens.as_ref(), store.location(), SystemTime::now());
    print(&status, out)?;
    Ok(if status.is_usable() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(status: &Status, out: &mut impl Write) -> io::Result<()> {
    match &status.state {
        LoginState::Valid | LoginState::Renewable => {
            writeln!(out, "logged in as {}", status.email.as_deref().unwrap_or("(no e-mail in the tokens)"))?;
        }
        LoginState::Expired(reason) => writeln!(out, "the login has ended ({reason}): run `codex-proxy login`")?,
        LoginState::LoggedOut | LoginState::Unreadable | _ => writeln!(out, "not logged in: run `codex-proxy login`")?,
    }
    let mut row = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "  {name:<9} {value}"),
        None => Ok(()),
    };
    row("plan", status.plan.as_ref().map(ToString::to_string))?;
    row("workspace", status.workspace.clone())?;
    row("account", status.account_id.clone())?;
    row("token", status.expires_at.map(|at| expiry(at, status.renewable)))?;
    row("file", Some(status.location.clone()))
}

fn expiry(at: SystemTime, renewable: bool) -> String {
    let now = SystemTime::now();
    let when = humantime::format_rfc3339_seconds(at);
    let then = if renewable { "renewed without you" } else { "cannot be renewed" };
    match at.duration_since(now) {
        Ok(left) => format!("valid until {when} ({} left; {then})", rough(left.as_secs())),
        Err(_) => format!("ended {when} ({then})"),
    }
}

/// A duration in its largest unit: nobody plans by the second here.
fn rough(secs: u64) -> String {
    let (count, unit) = match secs {
        0..120 => (secs, "second"),
        120..7_200 => (secs / 60, "minute"),
        7_200..172_800 => (secs / 3_600, "hour"),
        _ => (secs / 86_400, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_given_in_their_largest_unit() {
        for (secs, text) in [(1, "1 second"), (119, "119 seconds"), (7_199, "119 minutes"), (864_000, "10 days")] {
            assert_eq!(rough(secs), text);
        }
    }
}
