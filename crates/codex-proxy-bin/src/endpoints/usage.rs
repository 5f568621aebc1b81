//! `GET /v1/usage`.

use std::time::SystemTime;

use codex_client::QuotaReport;
use codex_translate::Error;
use codex_upstream::Quota;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::app::App;
use crate::reply::{self, ReplyBody};

/// Returns the remaining quota, not older than a minute unless the backend does not answer.
///
/// # Errors
/// No quota is known: there is no usable login, or the backend does not answer.
pub(crate) async fn usage(app: &App) -> Result<Response<ReplyBody>, Error> {
    let report = app.client.quota().await?;
    let mut response = reply::json(StatusCode::OK, &report_json(&report, app.clock.now()));
    reply::never_cached(response.headers_mut());
    Ok(response)
}

/// Formats a report as `GET /v1/usage` and the status page show it. Times are RFC 3339 in UTC; unknown values are null.
///
/// Windows that were reset since they were reported are left out: their usage is no longer known.
pub(crate) fn report_json(report: &QuotaReport, now: SystemTime) -> Value {
    let mut json = quota_json(&report.quota, now);
    json["as_of"] = report.at.map(rfc3339).into();
    json["age_seconds"] = report.at.map(|at| now.duration_since(at).unwrap_or_default().as_secs()).into();
    json["is_stale"] = report.problem.is_some().into();
    json["problem"] = report.problem.clone().into();
    json
}

/// Formats a quota for programs: here, on the status page and in `codex-proxy status --json`.
pub(crate) fn quota_json(quota: &Quota, now: SystemTime) -> Value {
    let windows = quota.windows.iter().filter(|window| window.is_current(now)).map(|window| {
        json!({
            "name": window.name,
            "limit": window.limit,
            "minutes": window.minutes,
            "used_percent": window.used_percent,
            "remaining_percent": (100.0 - window.used_percent).clamp(0.0, 100.0),
            "resets_at": window.resets_at.map(rfc3339),
            "resets_in_seconds": window.left(now).map(|left| left.as_secs()),
        })
    });
    json!({
        "plan": quota.plan,
        "windows": windows.collect::<Vec<_>>(),
        "credits": quota.credits.as_ref().map(|credits| json!({
            "has_credits": credits.has_credits,
            "unlimited": credits.unlimited,
            "balance": credits.balance,
        })),
        "reached": quota.reached,
    })
}

pub(crate) fn rfc3339(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use codex_upstream::QuotaWindow;

    use super::*;

    fn window(name: &str, limit: Option<&str>, resets_at: u64) -> QuotaWindow {
        QuotaWindow {
            name: name.to_owned(),
            limit: limit.map(str::to_owned),
            minutes: 300,
            used_percent: 27.5,
            resets_at: Some(UNIX_EPOCH + Duration::from_secs(resets_at)),
        }
    }

    #[test]
    fn a_window_that_was_reset_is_left_out() {
        let windows = vec![window("5h", None, 1_000), window("Spark weekly", Some("Spark"), 2_000)];
        let (quota, at) = (Quota { windows, ..Quota::default() }, Some(UNIX_EPOCH + Duration::from_secs(900)));
        let report = QuotaReport { quota, at, problem: None };
        let shown = report_json(&report, UNIX_EPOCH + Duration::from_secs(960));
        assert_eq!((&shown["age_seconds"], shown["windows"].as_array().unwrap().len()), (&json!(60), 2));
        assert_eq!(
            shown["windows"][0],
            json!({"name": "5h", "limit": null, "minutes": 300, "used_percent": 27.5, "remaining_percent": 72.5,
                   "resets_at": "1970-01-01T00:16:40Z", "resets_in_seconds": 40})
        );
        let later = report_json(&report, UNIX_EPOCH + Duration::from_secs(1_000));
        assert_eq!(later["windows"].as_array().unwrap().len(), 1);
        assert_eq!(later["windows"][0]["name"], "Spark weekly");
    }
}
