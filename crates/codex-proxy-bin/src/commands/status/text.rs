//! The state of the login as text, for people.

use std::io::{self, Write};
use std::time::SystemTime;

use codex_auth::{LoginState, LoginStatus};
use codex_upstream::{Quota, QuotaWindow};

use crate::commands::duration::rough;
use crate::commands::status::report::LoginReport;

/// The length of a bar in characters.
const BAR: usize = 20;

pub(super) fn print(report: &LoginReport, now: SystemTime, out: &mut impl Write) -> io::Result<()> {
    let LoginReport { status, login_command, .. } = report;
    headline(status, login_command, out)?;
    let mut row = |name: &str, value: Option<String>| match value {
        Some(value) => writeln!(out, "  {name:<9} {value}"),
        None => Ok(()),
    };
    row("plan", report.plan().map(|plan| plan.to_string()))?;
    row("workspace", report.workspace().map(str::to_owned))?;
    row("account", status.account_id.clone())?;
    row("token", status.expires_at.map(|at| expiry(at, status.renewable, now)))?;
    row("stored in", Some(status.location.clone()))?;
    // Without a login there is nothing more to show.
    row("quota", report.problem().filter(|_| status.is_usable()))?;
    match report.reported() {
        Some((quota, _)) => print_quota(quota, now, out),
        None => Ok(()),
    }
}

fn headline(status: &LoginStatus, login_command: &str, out: &mut impl Write) -> io::Result<()> {
    match &status.state {
        LoginState::Valid | LoginState::Renewable => {
            writeln!(out, "logged in as {}", status.email.as_deref().unwrap_or("(unknown e-mail address)"))
        }
        LoginState::Expired(reason) => writeln!(out, "the login has ended ({reason}): run `{login_command}`"),
        LoginState::LoggedOut | LoginState::Unreadable | _ => writeln!(out, "not logged in: run `{login_command}`"),
    }
}

fn expiry(at: SystemTime, renewable: bool, now: SystemTime) -> String {
    let when = humantime::format_rfc3339_seconds(at);
    let then = if renewable { "refreshed automatically" } else { "not refreshed by codex-proxy" };
    match at.duration_since(now) {
        Ok(left) => format!("valid until {when} ({} left; {then})", rough(left)),
        Err(_) => format!("expired {when} ({then})"),
    }
}

fn print_quota(quota: &Quota, now: SystemTime, out: &mut impl Write) -> io::Result<()> {
    let width = quota.windows.iter().map(|window| window.name.chars().count()).max().unwrap_or(0);
    for window in &quota.windows {
        writeln!(out, "  {}", bar(window, width.max(9), now))?;
    }
    if let Some(credits) = quota.credits.as_ref().filter(|credits| credits.has_credits) {
        let balance = if credits.unlimited { "unlimited" } else { credits.balance.as_deref().unwrap_or("some") };
        writeln!(out, "  credits   {balance}")?;
    }
    match &quota.reached {
        Some(reached) => writeln!(out, "  limit     reached: {}", reached.replace('_', " ")),
        None => Ok(()),
    }
}

fn bar(window: &QuotaWindow, width: usize, now: SystemTime) -> String {
    let used = window.used_percent.clamp(0.0, 100.0);
    // A window that is used at all shows it, and only a full one shows a full bar.
    let filled = ((used / 100.0 * BAR as f64).floor() as usize).max(usize::from(used > 0.0));
    let bar = "#".repeat(filled) + &".".repeat(BAR - filled);
    let resets = match window.resets_at {
        Some(at) => {
            let left = at.duration_since(now).unwrap_or_default();
            format!("; resets in {} ({})", rough(left), humantime::format_rfc3339_seconds(at))
        }
        None => String::new(),
    };
    format!("{:<width$} [{bar}] {:>3.0} % used{resets}", window.name, window.used_percent)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn window(used_percent: f64) -> QuotaWindow {
        let resets_at = Some(UNIX_EPOCH + Duration::from_secs(1_800));
        QuotaWindow { name: "5h".to_owned(), limit: None, minutes: 300, used_percent, resets_at }
    }

    #[test]
    fn a_bar_shows_how_much_of_the_window_is_used() {
        let drawn = |used| bar(&window(used), 9, UNIX_EPOCH);
        assert_eq!(
            drawn(0.0),
            "5h        [....................]   0 % used; resets in 30 minutes (1970-01-01T00:30:00Z)"
        );
        assert!(drawn(1.0).contains("[#...................]   1 %"), "{}", drawn(1.0));
        assert!(drawn(50.0).contains("[##########..........]  50 %"));
        assert!(drawn(99.9).contains("[###################.]"));
        assert!(drawn(100.0).contains("[####################] 100 %"));
        assert!(drawn(120.0).contains("[####################] 120 %"));
    }

    #[test]
    fn an_unknown_reset_is_left_out() {
        let unknown = QuotaWindow { resets_at: None, ..window(7.0) };
        assert!(bar(&unknown, 9, UNIX_EPOCH).ends_with("7 % used"));
    }
}
