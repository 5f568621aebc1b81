//! Where the requests of a workspace go: some have their own origin, some are bound to a region (`docs/backend.md §9`).

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use futures_util::future::{Either, select};
use url::Url;

use crate::lock::lock;
use crate::requests::{self, Backend};
use crate::retry::{SendError, error_for_status};
use crate::timer::Timer;
use crate::upstream::{Upstream, read_to_end};
use crate::verdict::Verdict;
use crate::workspaces::Workspaces;

/// The origin of every workspace without its own.
const PUBLIC_ORIGIN: &str = "https://chatgpt.com";

/// The path of the backend at a workspace's own origin.
const PATH: &str = "/backend-api";

/// The value for a workspace that any region may serve.
const ANYWHERE: &str = "NO_CONSTRAINT";

/// How long an answer is valid. Workspaces hardly ever move.
const TTL: Duration = Duration::from_secs(3600);

/// How long a missing answer or a refusal, which can be momentary (`docs/backend.md §3.6`), is valid.
const PAUSE: Duration = Duration::from_secs(60);

/// The time limit for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer that is accepted.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// The destination of a workspace's requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceRoute {
    /// The base URL, to which paths are appended.
    pub base: Url,
    /// The region that must serve the requests, for `x-openai-account-routing-override`.
    pub region: Option<String>,
}

/// A workspace that accepts no requests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceRouteError {
    /// The selected workspace was deactivated.
    #[error("the workspace `{workspace}` is deactivated; log in again and choose another, or ask its administrator")]
    Deactivated {
        /// Its name, or its id if it has none.
        workspace: String,
    },
}

/// Why the answer contains no usable route, so that the configured origin is used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum NoRoute {
    #[error("the account's workspaces do not include the selected one")]
    Missing,
    #[error("the workspace's origin `{0}` is not an https origin")]
    Origin(String),
}

impl WorkspaceRoute {
    /// Creates the route to `base` without a region.
    #[must_use]
    pub fn to(base: Url) -> Self {
        Self { base, region: None }
    }
}

impl Workspaces {
    /// Returns the route of a workspace; `home` is the configured one.
    ///
    /// The public origin does not override another one that was configured on purpose.
    pub(crate) fn route(&self, id: &str, home: &Url) -> Result<Result<WorkspaceRoute, NoRoute>, WorkspaceRouteError> {
        let Some(workspace) = self.find(id) else {
            return Ok(Err(NoRoute::Missing));
        };
        if workspace.is_deactivated {
            let name = workspace.name.as_ref().unwrap_or(&workspace.id);
            return Err(WorkspaceRouteError::Deactivated { workspace: name.clone() });
        }
        let base = match &workspace.origin {
            Some(origin) => match base_at(origin, home) {
                Some(base) => base,
                None => return Ok(Err(NoRoute::Origin(origin.clone()))),
            },
            None => home.clone(),
        };
        let region = workspace.region.clone().filter(|region| region != ANYWHERE);
        Ok(Ok(WorkspaceRoute { base, region }))
    }
}

/// Returns the base URL at `origin`, or `None` if the bearer must not be sent there.
fn base_at(origin: &str, home: &Url) -> Option<Url> {
    let mut url = Url::parse(origin).ok()?;
    if url.origin() == home.origin() || url.origin().ascii_serialization() == PUBLIC_ORIGIN {
        return Some(home.clone());
    }
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    if url.scheme() != "https" || !is_bare || !is_anonymous {
        return None;
    }
    url.set_path(PATH);
    Some(url)
}

/// Finds and caches the route of the selected workspace.
///
/// # Example
/// ```no_run
/// use bytes::Bytes;
/// use codex_auth::Bearer;
/// use codex_upstream::{Backend, ClientIdentity, TokioTimer, TurnRequest, Upstream, WorkspaceRouter, requests};
/// use http::Request;
///
/// /// Builds a turn for the account's own origin and region.
/// async fn build(
///     router: &WorkspaceRouter,
///     upstream: &impl Upstream,
///     identity: &ClientIdentity,
///     bearer: &Bearer,
///     turn: &TurnRequest,
/// ) -> Result<Request<Bytes>, Box<dyn std::error::Error>> {
///     let home = Backend { base: &router.home().base, region: None, identity, bearer };
///     let route = router.route(upstream, &home, &TokioTimer).await?;
///     let backend = Backend { base: &route.base, region: route.region.as_deref(), ..home };
///     Ok(requests::responses(&backend, turn)?)
/// }
/// ```
#[derive(Debug)]
pub struct WorkspaceRouter {
    home: WorkspaceRoute,
    state: Mutex<RouterState>,
    /// Held by the caller that requests the route; others wait for the same answer.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct RouterState {
    known: Option<KnownRoute>,
    /// The last problem that was logged, to log a lasting one only once.
    logged: Option<String>,
}

#[derive(Debug)]
struct KnownRoute {
    account_id: String,
    route: Result<WorkspaceRoute, WorkspaceRouteError>,
    until: (SystemTime, SystemTime),
}

impl WorkspaceRouter {
    /// Creates a router for the configured base URL, without contacting it.
    #[must_use]
    pub fn new(home: Url) -> Self {
        Self { home: WorkspaceRoute::to(home), state: Mutex::default(), asking: tokio::sync::Mutex::default() }
    }

    /// Returns the configured route, which is used to request any other.
    #[must_use]
    pub fn home(&self) -> &WorkspaceRoute {
        &self.home
    }

    /// Returns the route of the workspace that `backend` names, after requesting it at [`WorkspaceRouter::home`] if it
    /// is unknown.
    ///
    /// Takes a few seconds at most. Without an answer, the configured route is used for a minute, and the reason is
    /// logged once.
    ///
    /// # Errors
    /// [`WorkspaceRouteError`]: tell the user; the backend would refuse the request.
    pub async fn route(
        &self,
        upstream: &impl Upstream,
        backend: &Backend<'_>,
        timer: &impl Timer,
    ) -> Result<WorkspaceRoute, WorkspaceRouteError> {
        let Some(account_id) = backend.bearer.account_id.as_deref() else {
            return Ok(self.home.clone());
        };
        if let Some(route) = self.known(account_id, timer.now()) {
            return route;
        }
        let _asking = self.asking.lock().await;
        if let Some(route) = self.known(account_id, timer.now()) {
            return route;
        }
        let asked = ask(upstream, backend, timer);
        let answer = match select(std::pin::pin!(asked), std::pin::pin!(timer.sleep(TIMEOUT))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(Some(format!("the request timed out after {TIMEOUT:?}"))),
        };
        self.record(account_id, answer, timer.now())
    }

    /// Records the answer for `account_id`. One that failed because of the bearer is requested again with the next
    /// bearer.
    fn record(
        &self,
        account_id: &str,
        answer: Result<Workspaces, Option<String>>,
        now: SystemTime,
    ) -> Result<WorkspaceRoute, WorkspaceRouteError> {
        let routed = match answer {
            Ok(workspaces) => workspaces
                .route(account_id, &self.home.base)
                .map(|routed| routed.map_err(|problem| problem.to_string())),
            Err(Some(problem)) => Ok(Err(problem)),
            Err(None) => return Ok(self.home.clone()),
        };
        let (route, ttl) = match routed {
            Ok(Ok(route)) => (Ok(route), TTL),
            Ok(Err(problem)) => {
                self.log(problem);
                (Ok(self.home.clone()), PAUSE)
            }
            Err(refusal) => (Err(refusal), PAUSE),
        };
        self.lock().known =
            Some(KnownRoute { account_id: account_id.to_owned(), route: route.clone(), until: (now, now + ttl) });
        route
    }

    fn known(&self, account_id: &str, now: SystemTime) -> Option<Result<WorkspaceRoute, WorkspaceRouteError>> {
        let state = self.lock();
        let known = state.known.as_ref().filter(|known| known.account_id == account_id)?;
        // If the clock was set back, the answer counts as expired.
        (known.until.0 <= now && now < known.until.1).then(|| known.route.clone())
    }

    fn log(&self, problem: String) {
        let mut state = self.lock();
        if state.logged.as_ref() != Some(&problem) {
            tracing::warn!(problem, "the workspace's route is unknown; using {}", self.home.base);
            state.logged = Some(problem);
        }
    }

    fn lock(&self) -> MutexGuard<'_, RouterState> {
        lock(&self.state)
    }
}

/// Requests the workspaces once. The error is the reason, or `None` if the bearer was rejected.
async fn ask(
    upstream: &impl Upstream,
    backend: &Backend<'_>,
    timer: &impl Timer,
) -> Result<Workspaces, Option<String>> {
    let request = requests::accounts_check(backend).map_err(|error| Some(error.to_string()))?;
    let reply = upstream.send(request).await.map_err(|error| Some(error.to_string()))?;
    let reply = error_for_status(reply, timer).await.map_err(|error| match error {
        SendError::Transport(error) => Some(error.to_string()),
        SendError::Refused { failure, .. } => {
            Some(failure.error.message().to_owned()).filter(|_| failure.verdict() != Verdict::Reauth)
        }
    })?;
    let body = read_to_end(reply.into_body(), MAX_REPLY_BYTES).await.map_err(|error| Some(error.to_string()))?;
    Workspaces::parse(&body).map_err(|error| Some(error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const GATEWAY: &str = "https://gateway.example/codex/backend-api";

    fn workspaces(entry: &serde_json::Value) -> Workspaces {
        Workspaces::parse(json!({"accounts": [entry]}).to_string().as_bytes()).unwrap()
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_workspace_may_have_an_origin_and_a_region_of_its_own() {
        let public = "https://chatgpt.com/backend-api";
        let local = "http://127.0.0.1:9/backend-api";
        let gov = "https://gov.chatgpt.com";
        let rows = [
            (public, json!(null), json!(null), public, None),
            (public, json!("https://chatgpt.com"), json!("NO_CONSTRAINT"), public, None),
            (public, json!(gov), json!("us"), "https://gov.chatgpt.com/backend-api", Some("us")),
            (
                public,
                json!("https://gov.chatgpt.com/"),
                json!("us_cr"),
                "https://gov.chatgpt.com/backend-api",
                Some("us_cr"),
            ),
            (GATEWAY, json!("https://chatgpt.com"), json!("us"), GATEWAY, Some("us")),
            (GATEWAY, json!(gov), json!(null), "https://gov.chatgpt.com/backend-api", None),
            (local, json!("http://127.0.0.1:9"), json!(null), local, None),
        ];
        for (home, origin, region, base, expected) in rows {
            let entry = json!({"id": "a-1", "workspace_backend_origin": origin, "account_routing_override": region});
            let route = workspaces(&entry).route("a-1", &url(home)).unwrap().unwrap();
            assert_eq!((route.base.as_str(), route.region.as_deref()), (base, expected), "{entry}");
        }
    }

    #[test]
    fn the_bearer_is_only_sent_to_an_https_origin() {
        for origin in [
            "http://gov.chatgpt.com",
            "http://127.0.0.1:9",
            "ftp://gov.chatgpt.com",
            "https://user:password@gov.chatgpt.com",
            "https://gov.chatgpt.com/elsewhere",
            "https://gov.chatgpt.com?x",
            "gov.chatgpt.com",
        ] {
            let answer =
                workspaces(&json!({"id": "a-1", "workspace_backend_origin": origin})).route("a-1", &url(GATEWAY));
            assert_eq!(answer, Ok(Err(NoRoute::Origin(origin.to_owned()))), "{origin}");
        }
    }

    #[test]
    fn a_deactivated_workspace_is_refused_and_a_missing_one_is_left_to_the_backend() {
        let gone = workspaces(&json!({"id": "a-1", "name": "Acme", "is_deactivated": true}));
        let refused = gone.route("a-1", &url(GATEWAY)).unwrap_err();
        assert_eq!(refused, WorkspaceRouteError::Deactivated { workspace: "Acme".to_owned() });
        assert_eq!(gone.route("a-2", &url(GATEWAY)), Ok(Err(NoRoute::Missing)));
    }
}
