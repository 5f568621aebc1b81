//! The message for an exhausted quota: which window of the plan is used up, and when it resets (`docs/backend.md §3.5`,
//! `§3.6`).

use std::time::{Duration, SystemTime};

use crate::quota::{Quota, QuotaWindow};

/// The latest reset that the message contains: no window is longer, and a date must have a year of four digits.
const FARTHEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The use at which a window is exhausted.
const FULL_PERCENT: f64 = 100.0;

/// Returns the window that blocks requests: of those that are full, the one that resets at `resets_at`, or the one that
/// resets last.
pub(crate) fn blocking(quota: &Quota, resets_at: Option<SystemTime>) -> Option<&QuotaWindow> {
    let full = quota.windows.iter().filter(|window| window.used_percent >= FULL_PERCENT);
    match resets_at {
        Some(told) => full.min_by_key(|window| window.resets_at.map_or(Duration::MAX, |at| distance(at, told))),
        None => full.max_by_key(|window| window.resets_at),
    }
}

/// Adds to the backend's message what it leaves out: the window, the plan and the reset.
pub(crate) fn sentence(
    message: &str,
    plan: Option<&str>,
    window: Option<&QuotaWindow>,
    resets_at: Option<SystemTime>,
    now: SystemTime,
) -> String {
    let message = message.trim_end_matches('.');
    let what = window.map_or_else(|| "quota".to_owned(), |window| format!("{} window", window.name));
    let whose = plan.map(|plan| format!(" of the {plan} plan")).unwrap_or_default();
    let reset = resets_at
        .and_then(|at| Some((at, at.duration_since(now).ok()?)))
        .filter(|(_, wait)| *wait <= FARTHEST)
        .map(|(at, wait)| format!(" and resets in {}, on {}", words(wait), httpdate::fmt_http_date(at)))
        .unwrap_or_default();
    format!("{message}: the {what}{whose} is used up{reset}")
}

fn distance(a: SystemTime, b: SystemTime) -> Duration {
    a.duration_since(b).unwrap_or_else(|earlier| earlier.duration())
}

/// Formats a duration in its two largest units; the message also contains the exact time.
fn words(duration: Duration) -> String {
    let total = duration.as_secs().div_ceil(60).max(1);
    let unit = |count: u64, name: &str| match count {
        0 => None,
        1 => Some(format!("1 {name}")),
        _ => Some(format!("{count} {name}s")),
    };
    let (days, hours, minutes) = (total / 1440, total / 60 % 24, total % 60);
    let parts = match days {
        0 => [unit(hours, "hour"), unit(minutes, "minute")],
        _ => [unit(days, "day"), unit(hours, "hour")],
    };
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn window(name: &str, used_percent: f64, resets_at: Option<SystemTime>) -> QuotaWindow {
        QuotaWindow { name: name.to_owned(), limit: None, minutes: 300, used_percent, resets_at }
    }

    #[test]
    fn durations_have_their_two_largest_units() {
        let rows = [
            (0, "1 minute"),
            (60, "1 minute"),
            (61, "2 minutes"),
            (3600, "1 hour"),
            (3601, "1 hour 1 minute"),
            (7260, "2 hours 1 minute"),
            (86_399, "1 day"),
            (317_531, "3 days 16 hours"),
        ];
        for (secs, expected) in rows {
            assert_eq!(words(Duration::from_secs(secs)), expected, "{secs}");
        }
    }

    #[test]
    fn the_blocking_window_is_the_full_one_that_resets_at_the_given_time_or_last() {
        let windows = vec![
            window("5h", 100.0, Some(at(100))),
            window("weekly", 104.5, Some(at(900))),
            window("monthly", 99.9, Some(at(5000))),
            window("daily", 100.0, None),
        ];
        let quota = Quota { windows, ..Quota::default() };
        let name = |resets_at| blocking(&quota, resets_at).map(|window| window.name.as_str());
        assert_eq!(name(None), Some("weekly"));
        assert_eq!(name(Some(at(101))), Some("5h"));
        assert_eq!(name(Some(at(899))), Some("weekly"));
        assert_eq!(blocking(&Quota::default(), None), None);
    }

    #[test]
    fn unknown_parts_are_left_out() {
        let now = at(1_775_000_000);
        let full = window("weekly", 100.0, None);
        let rows = [
            (
                Some("plus"),
                Some(&full),
                Some(at(1_775_003_600)),
                "m: the weekly window of the plus plan is used up and resets in 1 hour, on Wed, 01 Apr 2026 00:33:20 GMT",
            ),
            (None, Some(&full), None, "m: the weekly window is used up"),
            (Some("plus"), None, Some(at(1)), "m: the quota of the plus plan is used up"),
            (None, None, Some(at(u64::from(u32::MAX) * 100)), "m: the quota is used up"),
        ];
        for (plan, window, resets_at, expected) in rows {
            assert_eq!(sentence("m.", plan, window, resets_at, now), expected);
        }
    }
}
