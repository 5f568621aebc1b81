//! The state of the login as JSON, for programs.

use std::io::Write;
use std::time::SystemTime;

use codex_auth::LoginState;
use serde_json::json;

use crate::commands::CommandError;
use crate::commands::status::report::LoginReport;
use crate::endpoints::usage::{quota_json, rfc3339};

/// Prints one object. Times are RFC 3339 in UTC; unknown values are null.
pub(super) fn print(report: &LoginReport, now: SystemTime, out: &mut impl Write) -> Result<(), CommandError> {
    let status = &report.status;
    let object = json!({
        "usable": report.is_usable(),
        "state": state(&status.state),
        "email": status.email,
        "plan": report.plan().map(|plan| plan.as_str().to_owned()),
        "workspace": report.workspace(),
        "account_id": status.account_id,
        "expires_at": status.expires_at.map(rfc3339),
        "last_refresh": status.last_refresh.map(rfc3339),
        "renewable": status.renewable,
        "credentials": status.location,
        "login_command": report.login_command,
        "quota": report.reported().map(|(quota, _)| quota_json(quota, now)),
        "quota_problem": report.problem(),
    });
    writeln!(out, "{}", serde_json::to_string_pretty(&object)?)?;
    Ok(())
}

fn state(state: &LoginState) -> &'static str {
    match state {
        LoginState::Valid => "valid",
        LoginState::Renewable => "renewable",
        LoginState::Expired(_) => "ended",
        LoginState::Unreadable => "unreadable",
        LoginState::LoggedOut | _ => "logged_out",
    }
}
