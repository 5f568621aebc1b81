//! The state of the login for programs.

use std::io::Write;
use std::time::SystemTime;

use codex_auth::LoginState;
use codex_upstream::{Quota, Window};
use serde_json::{Value, json};

use super::Report;
use crate::commands::CommandError;

/// Prints one object. Times are RFC 3339 in UTC; what is not known is null.
pub(super) fn print(report: &Report, out: &mut impl Write) -> Result<(), CommandError> {
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
        "quota": report.told().map(|(quota, _)| quota_json(quota)),
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

fn quota_json(quota: &Quota) -> Value {
    json!({
        "windows": quota.windows.iter().map(window_json).collect::<Vec<_>>(),
        "credits": quota.credits.as_ref().map(|credits| json!({
            "has_credits": credits.has_credits,
            "unlimited": credits.unlimited,
            "balance": credits.balance,
        })),
        "reached": quota.reached,
    })
}

fn window_json(window: &Window) -> Value {
    json!({
        "name": window.name,
        "limit": window.limit,
        "minutes": window.minutes,
        "used_percent": window.used_percent,
        "resets_at": window.resets_at.map(rfc3339),
    })
}

fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}
