//! `GET /health`, `/health/live` and `/health/ready`: whether the program runs, and whether it can serve requests. They
//! need no key and reveal nothing private.

use codex_auth::LoginState;
use codex_upstream::CatalogueSource;
use http::{Response, StatusCode};
use serde::Serialize;

use crate::app::App;
use crate::reply::{self, ReplyBody};
use crate::route::Probe;

#[derive(Serialize)]
struct HealthReply {
    status: &'static str,
    version: &'static str,
    logged_in: bool,
}

#[derive(Serialize)]
struct LiveReply {
    status: &'static str,
}

#[derive(Serialize)]
struct ReadyReply {
    status: &'static str,
    login: ReadinessCheck,
    models: ReadinessCheck,
}

/// One of the requirements for serving.
#[derive(Serialize)]
struct ReadinessCheck {
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

/// Replies with 200 as long as the program runs, except to the readiness probe.
pub(crate) async fn health(app: &App, probe: Probe) -> Response<ReplyBody> {
    let (status, version) = ("ok", env!("CARGO_PKG_VERSION"));
    match probe {
        Probe::Live => reply::json(StatusCode::OK, &LiveReply { status }),
        Probe::Login => {
            let logged_in = app.client.login_status().await.is_usable();
            reply::json(StatusCode::OK, &HealthReply { status, version, logged_in })
        }
        Probe::Ready => ready(app).await,
    }
}

/// Replies with 200 if the program can serve requests: the login is usable and the account's models are known.
/// Otherwise with 503, the problems and the next steps.
async fn ready(app: &App) -> Response<ReplyBody> {
    let login = match login_problem(&app.client.login_status().await.state) {
        None => ReadinessCheck { ok: true, problem: None },
        Some(problem) => ReadinessCheck {
            ok: false,
            problem: Some(format!("{problem}; run `{}`", app.client.tokens().login_command())),
        },
    };
    let models = match app.client.model_cache().snapshot().source {
        // A program that is not ready gets no requests, which would otherwise fetch the models.
        CatalogueSource::BuiltIn => {
            let _ = app.client.models_at_hand();
            let mut problem = "the account's models are not known yet".to_owned();
            if let Some(command) = &app.advice().doctor_command {
                problem += &format!("; if this persists, run `{command}`");
            }
            ReadinessCheck { ok: false, problem: Some(problem) }
        }
        CatalogueSource::Live | CatalogueSource::Disk | _ => ReadinessCheck { ok: true, problem: None },
    };
    let is_ready = login.ok && models.ok;
    let status = if is_ready { "ready" } else { "not_ready" };
    let mut response = reply::probe_result(is_ready, &ReadyReply { status, login, models });
    reply::never_cached(response.headers_mut());
    response
}

fn login_problem(state: &LoginState) -> Option<String> {
    match state {
        LoginState::Valid | LoginState::Renewable => None,
        LoginState::Expired(reason) => Some(format!("the login has ended ({reason})")),
        LoginState::Unreadable => Some("the credentials cannot be read".to_owned()),
        LoginState::LoggedOut | _ => Some("not logged in".to_owned()),
    }
}
