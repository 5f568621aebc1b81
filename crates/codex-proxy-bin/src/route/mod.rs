//! Finds the endpoint of a request. Pure: a method and a path in, a [`Route`] out.

mod path;
mod query;
mod unserved;

use codex_translate::images::Task;
use codex_translate::{Dialect, dialect};
use codex_upstream::AlphaTool;
use http::{HeaderMap, Method};

pub(crate) use self::path::{below, normalised};
use self::path::{decoded, without_bases};
pub(crate) use self::query::UnreadQuery;
pub(crate) use self::unserved::Unserved;

/// What a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Whether the program runs.
    Live,
    /// The same, and whether the program is logged in.
    Login,
    /// Whether the program can serve requests.
    Ready,
}

/// The calls of the backend: each has a body, takes a slot, and reports the quota in its reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BackendCall {
    /// A turn in a dialect: `POST /v1/chat/completions`, `POST /v1/responses`
    Turn(&'static Dialect),
    /// `POST /v1/responses/compact`
    Compact,
    /// `POST /v1/images/generations` and `/v1/images/edits`
    Images(Task),
    /// `POST /v1/alpha/search`, and `/v1/alpha/history/v2/{id}` and `/v1/alpha/notes/v2/{id}` with an operation
    Alpha(AlphaTool, String),
}

impl BackendCall {
    /// Returns the endpoint's name in logs and metrics.
    pub(crate) fn endpoint(&self) -> &'static str {
        match self {
            Self::Turn(dialect) => dialect.name,
            Self::Compact => "compact",
            Self::Images(_) => "images",
            Self::Alpha(tool, _) => tool.as_str(),
        }
    }
}

/// What the Codex CLI asks about the account before its first turn and for its `/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CliQuery {
    /// The workspace of the CLI's own login, and where its requests go.
    Workspaces,
    /// The remaining quota.
    Usage,
    /// The credits that reset a rate-limit window.
    ResetCredits,
}

/// The queries about a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoredQuery {
    /// `GET` or `DELETE /v1/responses/{id}`
    Response,
    /// `GET /v1/responses/{id}/input_items`
    InputItems,
    /// `POST /v1/responses/{id}/cancel`
    Cancel,
}

/// What a request is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// A call of the backend.
    Backend(BackendCall),
    /// `GET /v1/responses`, to be upgraded to a WebSocket
    WebSocket,
    /// A query about a stored response, by its id
    Stored(StoredQuery, String),
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`
    Model(String),
    /// `GET /health`, `/health/live` and `/health/ready`
    Health(Probe),
    /// `GET /v1/usage`
    Usage,
    /// The queries of the Codex CLI, below `/api/codex` and `/backend-api/wham`
    Cli(CliQuery),
    /// `GET /metrics`
    Metrics,
    /// `GET /`
    StatusPage,
    /// `GET /status.json`
    Status,
    /// `GET /openapi.json`
    OpenApi,
    /// The path exists, but not with this method; holds the methods that it accepts.
    WrongMethod(String),
    /// The path is one of other servers.
    Unserved(&'static Unserved),
    /// The path does not exist.
    Unknown,
}

/// The credential that a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Credential {
    /// None: the reply is the same in every copy of the program, and clients read it before they have a key.
    Nothing,
    /// No key, but the same origin checks as with one: the status page contains no data, and asks for the key that its
    /// data require.
    AnyKey,
    /// The key, if one is configured.
    Key,
}

impl Route {
    /// Returns the endpoint's name in logs and metrics.
    pub(crate) fn endpoint(&self) -> &'static str {
        match self {
            Self::Backend(call) => call.endpoint(),
            Self::WebSocket => "websocket",
            Self::Stored(..) => "stored",
            Self::Models | Self::Model(_) => "models",
            Self::Usage | Self::Cli(CliQuery::Usage | CliQuery::ResetCredits) => "usage",
            Self::Cli(CliQuery::Workspaces) => "workspaces",
            Self::Health(_) => "health",
            Self::Metrics => "metrics",
            Self::StatusPage | Self::Status => "status",
            Self::OpenApi => "openapi",
            Self::WrongMethod(_) | Self::Unserved(_) | Self::Unknown => "other",
        }
    }

    /// Returns the same route for this id, which the path contains.
    fn about(mut self, id: &str) -> Self {
        if let Self::Model(of) | Self::Stored(_, of) | Self::Backend(BackendCall::Alpha(_, of)) = &mut self {
            *of = decoded(id);
        }
        self
    }

    /// Returns the dialect of the reply, which is that of the path, or of `headers` where dialects share a path.
    pub(crate) fn dialect(&self, headers: &HeaderMap) -> &'static Dialect {
        if let Self::Backend(BackendCall::Turn(dialect)) = self {
            dialect
        } else {
            Dialect::of_shared_path(|name| headers.contains_key(name))
        }
    }

    /// Returns the required credential. `README.md`, the help of `serve` and `ARCHITECTURE.md` list the paths that need
    /// no key; `tests/it/openapi.rs` compares the lists with this.
    pub(crate) fn credential(&self) -> Credential {
        match self {
            Self::Health(_) | Self::OpenApi => Credential::Nothing,
            Self::StatusPage => Credential::AnyKey,
            Self::Backend(_)
            | Self::WebSocket
            | Self::Stored(..)
            | Self::Models
            | Self::Model(_)
            | Self::Usage
            | Self::Cli(_)
            | Self::Metrics
            | Self::Status
            | Self::WrongMethod(_)
            | Self::Unserved(_)
            | Self::Unknown => Credential::Key,
        }
    }

    /// Returns whether the reply shows the requests of all callers, or the account's quota.
    pub(crate) fn is_status(&self) -> bool {
        matches!(
            self,
            Self::StatusPage
                | Self::Status
                | Self::Metrics
                | Self::Usage
                | Self::Cli(CliQuery::Usage | CliQuery::ResetCredits)
        )
    }

    /// Returns whether such requests are sent automatically, again and again: probes, scrapes, an open status page, a
    /// Codex CLI that is open.
    pub(crate) fn is_routine(&self) -> bool {
        matches!(self, Self::Health(_) | Self::Metrics | Self::StatusPage | Self::Status | Self::Usage | Self::Cli(_))
    }
}

/// The endpoints: path, accepted methods and route. The part of a path at `{id}` or `{model}` becomes part of the
/// route. The first match wins.
static ROUTES: [(&str, &str, Route); 29] = [
    ("/", "GET, HEAD", Route::StatusPage),
    ("/status.json", "GET, HEAD", Route::Status),
    ("/openapi.json", "GET, HEAD", Route::OpenApi),
    ("/metrics", "GET, HEAD", Route::Metrics),
    ("/usage", "GET, HEAD", Route::Usage),
    ("/health", "GET, HEAD", Route::Health(Probe::Login)),
    ("/health/live", "GET, HEAD", Route::Health(Probe::Live)),
    ("/health/ready", "GET, HEAD", Route::Health(Probe::Ready)),
    ("/chat/completions", "POST", Route::Backend(BackendCall::Turn(&dialect::CHAT))),
    ("/responses", "GET", Route::WebSocket),
    ("/responses", "POST", Route::Backend(BackendCall::Turn(&dialect::RESPONSES))),
    ("/responses/compact", "POST", Route::Backend(BackendCall::Compact)),
    ("/responses/{id}/input_items", "GET, HEAD", Route::Stored(StoredQuery::InputItems, String::new())),
    ("/responses/{id}/cancel", "POST", Route::Stored(StoredQuery::Cancel, String::new())),
    ("/responses/{id}", "GET, HEAD", Route::Stored(StoredQuery::Response, String::new())),
    ("/responses/{id}", "DELETE", Route::Stored(StoredQuery::Response, String::new())),
    ("/images/generations", "POST", Route::Backend(BackendCall::Images(Task::Generation))),
    ("/images/edits", "POST", Route::Backend(BackendCall::Images(Task::Edit))),
    ("/alpha/search", "POST", Route::Backend(BackendCall::Alpha(AlphaTool::Search, String::new()))),
    ("/alpha/history/v2/{id}", "POST", Route::Backend(BackendCall::Alpha(AlphaTool::History, String::new()))),
    ("/alpha/notes/v2/{id}", "POST", Route::Backend(BackendCall::Alpha(AlphaTool::Notes, String::new()))),
    ("/models", "GET, HEAD", Route::Models),
    ("/models/{model}", "GET, HEAD", Route::Model(String::new())),
    ("/api/codex/accounts/check", "GET, HEAD", Route::Cli(CliQuery::Workspaces)),
    ("/api/codex/usage", "GET, HEAD", Route::Cli(CliQuery::Usage)),
    ("/api/codex/rate-limit-reset-credits", "GET, HEAD", Route::Cli(CliQuery::ResetCredits)),
    ("/backend-api/wham/accounts/check", "GET, HEAD", Route::Cli(CliQuery::Workspaces)),
    ("/backend-api/wham/usage", "GET, HEAD", Route::Cli(CliQuery::Usage)),
    ("/backend-api/wham/rate-limit-reset-credits", "GET, HEAD", Route::Cli(CliQuery::ResetCredits)),
];

/// Returns the path and the method of every endpoint; a HEAD is routed like a GET.
pub fn endpoints() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|(path, methods, _)| (*path, methods.split(", ").next().unwrap_or_default()))
}

/// Returns the paths that need no key, as a list in words.
pub fn paths_without_key() -> String {
    let open = ROUTES.iter().filter(|(.., route)| route.credential() != Credential::Key);
    in_words(&open.map(|(path, ..)| *path).collect::<Vec<_>>().join(", "))
}

/// Returns a list that is separated by commas as one in words.
pub(crate) fn in_words(list: &str) -> String {
    list.rsplit_once(", ").map_or_else(|| list.to_owned(), |(most, last)| format!("{most} and {last}"))
}

/// Finds the route of a request to a path in its normal form.
///
/// Every `/v1/x` is also served as `/x`, with `/v1` twice, and below other bases (docs/features.md E5). As Azure's
/// clients send it, `/openai/deployments/{model}/x` is `/x`; see [`deployment`].
pub(crate) fn route(method: &Method, path: &str) -> Route {
    let (_, path) = split_deployment(path);
    let found = ROUTES.iter().find_map(|(known, ..)| Some((*known, part_of(known, path)?)));
    // What is listed there can look like an id, such as `/responses/input_tokens`.
    if found.is_none_or(|(_, part)| !part.is_empty())
        && let Some(unserved) = unserved::unserved(path)
    {
        return Route::Unserved(unserved);
    }
    let Some((known, part)) = found else { return Route::Unknown };
    let mut allowed = Vec::new();
    for (_, methods, route) in ROUTES.iter().filter(|(path, ..)| *path == known) {
        if methods.split(", ").any(|name| name == method.as_str()) {
            return route.clone().about(part);
        }
        allowed.push(*methods);
    }
    Route::WrongMethod(allowed.join(", "))
}

/// Returns the deployment of Azure that a path in its normal form names: the model.
pub(crate) fn deployment(path: &str) -> Option<String> {
    split_deployment(path).0.map(decoded)
}

/// Splits a path into the deployment of Azure that it names, if it does, and the path of the endpoint.
fn split_deployment(path: &str) -> (Option<&str>, &str) {
    let path = without_bases(path);
    let Some(rest) = path.strip_prefix("/deployments/") else { return (None, path) };
    let Some(end) = rest.find('/') else { return (None, path) };
    let (model, below) = rest.split_at(end);
    // The name of a model may contain slashes: what is served is looked for at the end.
    let served = ROUTES.iter().find_map(|(known, ..)| Some((rest.strip_suffix(known)?, *known)));
    match served.filter(|(model, _)| !model.is_empty() && unserved::listed(below).is_none()) {
        Some((model, path)) => (Some(model), path),
        None => (Some(model), below),
    }
}

/// Returns the part of a path that `known` leaves open, which is empty if it leaves none; `None` if the path is a
/// different one.
fn part_of<'a>(known: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, (name, after))) =
        known.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    else {
        return (known == path).then_some("");
    };
    let part = path.strip_prefix(before)?.strip_suffix(after)?;
    let is_one_segment = !part.contains('/');
    (!part.is_empty() && (is_one_segment || name == "model")).then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Finds the route of a path as a client sends it.
    fn route(method: &Method, path: &str) -> Route {
        super::route(method, &normalised(path))
    }

    #[test]
    fn every_spelling_of_a_path_reaches_its_endpoint() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/v1/v1/chat/completions",
            "/v1/chat/completions/",
            "/v1//chat/completions",
            "//v1/chat/completions",
            "//chat///completions//",
            "/%76%31/chat/./%63ompletions",
            "/backend-api/codex/chat/completions",
            "/openai/v1/chat/completions",
            "/openai/deployments/gpt-5.5/chat/completions",
            "/v1/deployments/openai/gpt-5.5//chat/completions/",
        ] {
            assert_eq!(route(&Method::POST, path), Route::Backend(BackendCall::Turn(&dialect::CHAT)), "{path}");
        }
        assert_eq!(
            route(&Method::POST, "/backend-api/codex/responses"),
            Route::Backend(BackendCall::Turn(&dialect::RESPONSES))
        );
        for (path, expected) in [
            ("/responses/compact", Route::Backend(BackendCall::Compact)),
            ("/images/generations", Route::Backend(BackendCall::Images(Task::Generation))),
            ("/images/edits", Route::Backend(BackendCall::Images(Task::Edit))),
            ("/alpha/search", Route::Backend(BackendCall::Alpha(AlphaTool::Search, String::new()))),
            ("/alpha/notes/v2/a_b", Route::Backend(BackendCall::Alpha(AlphaTool::Notes, "a_b".to_owned()))),
        ] {
            for base in ["", "/v1", "/v1/v1", "/backend-api/codex", "/openai", "/openai/v1"] {
                assert_eq!(route(&Method::POST, &format!("{base}{path}")), expected, "{base}{path}");
                assert_eq!(route(&Method::GET, &format!("{base}{path}")), Route::WrongMethod("POST".to_owned()));
            }
        }
        assert_eq!(route(&Method::GET, "/v1/models/openai%2Fgpt-5.1"), Route::Model("openai/gpt-5.1".to_owned()));
        // Nothing in a path separates parameters.
        assert_eq!(route(&Method::GET, "/v1/models/a+b&c=d;e"), Route::Model("a+b&c=d;e".to_owned()));
        assert_eq!(route(&Method::GET, "/backend-api/codex/responses"), Route::WebSocket);
        let stored = |query| Route::Stored(query, "r".to_owned());
        for method in [Method::GET, Method::DELETE] {
            assert_eq!(route(&method, "/v1/responses/r"), stored(StoredQuery::Response), "{method}");
        }
        assert_eq!(route(&Method::GET, "/responses/r/input_items"), stored(StoredQuery::InputItems));
        assert_eq!(route(&Method::POST, "/v1/responses/r/cancel"), stored(StoredQuery::Cancel));
        assert_eq!(route(&Method::HEAD, "/health"), Route::Health(Probe::Login));
        assert_eq!(route(&Method::GET, "/health/ready"), Route::Health(Probe::Ready));
        assert_eq!(route(&Method::GET, "/"), Route::StatusPage);
        // The base URL that the CLI queries may be with or without `/backend-api`, and end in `/v1`.
        for path in ["/api/codex/usage", "/v1/api/codex/usage", "/backend-api/wham/usage"] {
            assert_eq!(route(&Method::GET, path), Route::Cli(CliQuery::Usage), "{path}");
        }
    }

    #[test]
    fn a_deployment_is_the_name_of_a_model() {
        for (path, expected) in [
            ("/openai/deployments/gpt-5.5/chat/completions", Some("gpt-5.5")),
            ("/openai/deployments/openai%2Fgpt-5.5/responses", Some("openai/gpt-5.5")),
            ("/openai/deployments/openai/gpt-5.5/images/edits", Some("openai/gpt-5.5")),
            ("/deployments/chat/chat/completions", Some("chat")),
            ("/openai/deployments/a/embeddings", Some("a")),
            ("/openai/deployments/a/responses/resp_1", Some("a")),
            ("/openai/deployments/chat/completions", Some("chat")),
            ("/openai/deployments/a", None),
            ("/openai/v1/chat/completions", None),
        ] {
            assert_eq!(deployment(path).as_deref(), expected, "{path}");
        }
        let stored = Route::Stored(StoredQuery::Response, "resp_1".to_owned());
        assert_eq!(route(&Method::GET, "/openai/deployments/a/responses/resp_1"), stored);
        assert_eq!(route(&Method::GET, "/openai/deployments/a/models"), Route::Models);
    }

    #[test]
    fn paths_of_other_servers_differ_from_unknown_paths_and_from_ids() {
        for path in [
            "/embeddings",
            "/completions",
            "/responses/input_tokens",
            "/chat/completions/chatcmpl_1/messages",
            "/realtime/client_secrets",
            "/messages/count_tokens",
            "/models/gemini-3-pro:streamGenerateContent",
            "/models/chat/completions",
            "/v1beta/models/gemini-3-pro:generateContent",
            "/images/generations:submit",
            "/organization/usage/costs",
            "/api/tags",
            "/api/codex/tasks",
            "/backend-api/wham/tasks",
            "/deployments",
            "/deployments/text-embedding-3-small/embeddings",
            "/deployments/a/extensions/chat/completions",
        ] {
            for base in ["", "/v1", "/v1/v1", "/openai", "/openai/v1", "/v1/", "//"] {
                let path = format!("{base}{path}");
                for method in [Method::GET, Method::POST, Method::DELETE, Method::HEAD, Method::OPTIONS] {
                    assert!(matches!(route(&method, &path), Route::Unserved(_)), "{method} {path}");
                }
            }
        }
        for path in [
            "/v1/alpha",
            "/v1/alpha/search/x",
            "/alpha/notes/v2",
            "/alpha/notes/v1/a",
            "/v1/chat",
            "/v1/embeddingsx",
            "/v1/responses/r/x",
            "/v1beta3/models",
        ] {
            assert_eq!(route(&Method::POST, path), Route::Unknown, "{path}");
        }
        let model = Route::Model("org/model:free".to_owned());
        assert_eq!(route(&Method::GET, "/v1/models/org/model:free"), model, "a colon alone is not Gemini's");
    }

    #[test]
    fn each_path_of_another_server_has_the_reason_of_that_server() {
        for (path, word) in [
            ("/model/info", "LiteLLM"),
            ("/v1/model/info", "LiteLLM"),
            ("/model_group/info", "LiteLLM"),
            ("/key/generate", "LiteLLM"),
            ("/model/anthropic.claude-v2/invoke", "Bedrock"),
            ("/v1/projects/p/locations/l/publishers/google/models/g:generateContent", "Vertex"),
            ("/v1beta1/projects/p/locations/l/publishers/google/models/g", "Gemini"),
            ("/v1/publishers/google/models/g:streamGenerateContent", "Vertex"),
            ("/v1/models/g:streamRawPredict", "Gemini"),
            ("/v1/organization/projects", "organization"),
            ("/v1/projects/p/users", "organization"),
            ("/api/v1/models", "LM Studio"),
            ("/api/chat", "Ollama"),
            ("/models/chat/completions", "Azure"),
        ] {
            let Route::Unserved(unserved) = route(&Method::POST, path) else { panic!("{path}") };
            assert!(unserved.why.contains(word), "{path}: {}", unserved.why);
        }
        // The endpoint exists, but not below the base of another server.
        for base in [
            "/api/v1",
            "/api",
            "/v1beta/openai",
            "/inference/v1",
            "/compatible-mode/v1",
            "/api/paas/v4",
            "/v1/projects/p/locations/l/endpoints/openapi",
            "/models/org/model/v1",
            "/v2",
        ] {
            for endpoint in ["/chat/completions", "/responses", "/responses/compact", "/images/edits"] {
                let path = format!("{base}{endpoint}");
                let Route::Unserved(unserved) = route(&Method::POST, &path) else { panic!("{path}") };
                assert!(unserved.why.contains("base URL") && !unserved.has_plain_errors, "{path}: {}", unserved.why);
            }
        }
    }

    #[test]
    fn unknown_paths_differ_from_wrong_methods() {
        assert_eq!(route(&Method::GET, "/v1/chat/completions"), Route::WrongMethod("POST".to_owned()));
        assert_eq!(route(&Method::OPTIONS, "/v1/responses"), Route::WrongMethod("GET, POST".to_owned()));
        for path in ["/v1", "/v1/", "/v1/chat", "/v1chat/completions", "/v1/models/extra/", "/v2/models"] {
            let expected = if path == "/v1/models/extra/" { Route::Model("extra".to_owned()) } else { Route::Unknown };
            assert_eq!(route(&Method::GET, path), expected, "{path}");
        }
    }
}
