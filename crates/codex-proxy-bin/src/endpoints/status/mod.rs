//! `GET /`, a page that shows the program's state, and `GET /status.json`, its data.
//!
//! The page is the same for everyone and contains no data; its data are under the access rules of the API. Neither
//! contains secrets or the content of requests. The data change with the page: programs use `/v1/usage` and `/metrics`
//! instead.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use codex_auth::LoginState;
use codex_upstream::{CatalogueSnapshot, CatalogueSource};
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::admission::advice::Advice;
use crate::app::App;
use crate::endpoints::usage::{report_json, rfc3339};
use crate::reply::{self, ReplyBody};
use crate::telemetry::record::LogEntry;
use crate::telemetry::request_log::RECENT;

/// The page, and its content security policy.
struct StatusPage {
    html: String,
    policy: String,
}

static PAGE: LazyLock<StatusPage> = LazyLock::new(|| {
    const STYLE: &str = include_str!("page.css");
    const SCRIPT: &str = include_str!("page.js");
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
    StatusPage {
        html: include_str!("page.html").replace("/*style*/", STYLE).replace("/*script*/", SCRIPT),
        // Only the page's own script and style run, it connects only to this program, and no text can become markup.
        policy: format!(
            "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; img-src data:; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
             trusted-types 'none'",
            hash(STYLE),
            hash(SCRIPT)
        ),
    }
});

/// Returns the page, which names the key and the commands as `advice` does.
pub(crate) fn status_page(advice: &Advice) -> Response<ReplyBody> {
    let label = match &advice.key_setting {
        Some(setting) => format!("The value of <code>{}</code>", escaped(setting)),
        None => "Key".to_owned(),
    };
    let command = match &advice.status_command {
        Some(command) => format!(" <code>{}</code> shows the same data.", escaped(command)),
        None => String::new(),
    };
    let html = PAGE.html.replace("<!--key-->", &label).replace("<!--command-->", &command);
    let mut response = Response::new(ReplyBody::from(html.into_bytes()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, PAGE.policy.as_str()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    reply::never_cached(headers);
    response
}

/// Escapes a text for HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Returns the page's data. Sends no requests: the page works even if the backend does not.
pub(crate) async fn status(app: &App) -> Response<ReplyBody> {
    let now = app.clock.now();
    let totals = app.request_log.metrics.totals();
    let mut live = app.request_log.live();
    live.retain(|entry| !entry.info.is_routine);
    let running = live.len();
    // Newest first, and at most as many as are remembered after their end.
    let live = live.iter().rev().take(RECENT);
    let status = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": rfc3339(now),
        "started_at": rfc3339(app.request_log.metrics.started_at),
        "needs_key": app.runtime.current().access.needs_key(),
        "key_setting": app.advice().key_setting,
        "login": login_json(&app.client.login_status().await, &app.client.tokens().login_command()),
        "quota": report_json(&app.client.known_quota(), now),
        "models": models_json(&app.client.model_cache().snapshot()),
        "totals": {
            "turns": totals.turns,
            "input_tokens": totals.input_tokens,
            "output_tokens": totals.output_tokens,
        },
        "running": running,
        "live": live.map(entry_json).collect::<Vec<_>>(),
        "recent": app.request_log.recent().iter().map(entry_json).collect::<Vec<_>>(),
    });
    let mut response = reply::json(StatusCode::OK, &status);
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply::never_cached(headers);
    response
}

fn login_json(status: &codex_auth::LoginStatus, login_command: &str) -> Value {
    json!({
        "state": match &status.state {
            LoginState::Valid => "valid",
            LoginState::Renewable => "renewable",
            LoginState::Expired(_) => "ended",
            LoginState::Unreadable => "unreadable",
            LoginState::LoggedOut | _ => "logged_out",
        },
        "is_usable": status.is_usable(),
        "email": status.email.as_deref().map(masked),
        "plan": status.plan.as_ref().map(ToString::to_string),
        "workspace": status.workspace,
        "expires_at": status.expires_at.map(rfc3339),
        "is_renewable": status.renewable,
        "problem": status.problem,
        "login_command": login_command,
    })
}

/// Masks an e-mail address: its owner still recognizes it, but a bystander does not learn it.
fn masked(email: &str) -> String {
    match email.split_once('@') {
        Some((name, host)) => format!("{}•••@{host}", name.chars().next().unwrap_or('•')),
        None => "•••".to_owned(),
    }
}

fn models_json(snapshot: &CatalogueSnapshot) -> Value {
    let models = snapshot.catalogue.listed().map(|model| {
        json!({
            "id": model.slug,
            "name": model.display_name,
            "efforts": model.efforts,
            "default_effort": model.default_effort,
            "context_window": model.context_window,
        })
    });
    json!({
        "source": match snapshot.source {
            CatalogueSource::Live => "live",
            CatalogueSource::Disk => "disk",
            CatalogueSource::BuiltIn | _ => "built_in",
        },
        "as_of": snapshot.fetched_at.map(rfc3339),
        "problem": snapshot.problem,
        "data": models.collect::<Vec<_>>(),
    })
}

fn entry_json(entry: &LogEntry) -> Value {
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    json!({
        "request_id": entry.info.request_id,
        "started_at": rfc3339(entry.started_at),
        "endpoint": entry.info.endpoint,
        "client": entry.info.client,
        "model": entry.model,
        "effort": entry.effort,
        "is_stream": entry.is_stream,
        "status": entry.status,
        "first_byte_ms": entry.first_byte.map(millis),
        "total_ms": millis(entry.total),
        "finish": entry.finish,
        "error": entry.error,
        "notices": entry.notices,
        "input_tokens": entry.usage.map(|usage| usage.input_tokens),
        "cached_tokens": entry.usage.map(|usage| usage.cached_tokens),
        "output_tokens": entry.usage.map(|usage| usage.output_tokens),
        "reasoning_tokens": entry.usage.map(|usage| usage.reasoning_tokens),
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn an_address_is_masked() {
        assert_eq!(masked("ada@example.com"), "a•••@example.com");
        assert_eq!(masked("@example.com"), "••••@example.com");
        assert_eq!(masked("ada"), "•••");
    }

    #[tokio::test]
    async fn the_policy_matches_the_page() {
        let advice = Advice { key_setting: Some("<script>&".into()), ..Advice::default() };
        let page = status_page(&advice).into_body().collect().await.unwrap().to_bytes();
        let html = std::str::from_utf8(&page).unwrap();
        assert!(html.contains("<code>&lt;script>&amp;</code>"));
        for (tag, directive) in [("style", "style-src"), ("script", "script-src")] {
            let inside = html.split(&format!("<{tag}>")).nth(1).unwrap().split(&format!("</{tag}>")).next().unwrap();
            let hash = STANDARD.encode(Sha256::digest(inside));
            assert!(PAGE.policy.contains(&format!("{directive} 'sha256-{hash}'")), "{tag}");
        }
        for banned in ["innerHTML", "onclick=", "style=", "http://", "https://", "eval("] {
            assert!(!html.replace("http://www.w3.org/2000/svg", "").contains(banned), "{banned}");
        }
    }
}
