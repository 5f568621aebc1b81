//! Finds the endpoint of a request. Pure: a method and a path in, a [`Route`] out.

use codex_translate::images::Task;
use codex_translate::{Dialect, dialect};
use codex_upstream::AlphaTool;
use http::{HeaderMap, Method};
use percent_encoding::percent_decode_str;

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
            Self::WrongMethod(_) | Self::Unknown => "other",
        }
    }

    /// Returns the same route for this id, which the path contains.
    fn about(mut self, id: &str) -> Self {
        if let Self::Model(of) | Self::Stored(_, of) | Self::Backend(BackendCall::Alpha(_, of)) = &mut self {
            *of = percent_decoded(id);
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

/// The endpoints: path, accepted methods and route. The part of a path at `{id}` becomes part of the route. The first
/// match wins.
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
    ("/models/{id}", "GET, HEAD", Route::Model(String::new())),
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
    let paths: Vec<_> = open.map(|(path, ..)| *path).collect();
    match paths.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// Returns the path below `prefix`; `None` if it is not below it.
pub(crate) fn below<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    match path.strip_prefix(prefix)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

/// Finds the route of a request.
///
/// Every `/v1/x` is also served as `/x` and `/v1/v1/x`, since clients disagree on whether a base URL ends in `/v1`, and
/// under `/backend-api/codex/x`, where the Codex CLI looks (docs/features.md E5).
pub(crate) fn route(method: &Method, path: &str) -> Route {
    let path = without_prefixes(path);
    let Some((known, id)) = ROUTES.iter().find_map(|(known, ..)| Some((*known, id_of(known, path)?))) else {
        return Route::Unknown;
    };
    let mut allowed = Vec::new();
    for (_, methods, route) in ROUTES.iter().filter(|(path, ..)| *path == known) {
        if methods.split(", ").any(|name| name == method.as_str()) {
            return route.clone().about(id);
        }
        allowed.push(*methods);
    }
    Route::WrongMethod(allowed.join(", "))
}

/// Returns the part of a path at `{id}`, which is empty if `known` has no such part; `None` if the path is a different
/// one.
fn id_of<'a>(known: &str, path: &'a str) -> Option<&'a str> {
    match known.split_once("{id}") {
        None => (known == path).then_some(""),
        Some((before, after)) => path.strip_prefix(before)?.strip_suffix(after).filter(|id| !id.is_empty()),
    }
}

/// Returns why an endpoint of other servers, which clients ask for, does not exist here.
pub(crate) fn unserved(path: &str) -> Option<&'static str> {
    match without_prefixes(path) {
        "/completions" | "/fim/completions" => Some("the backend does not complete plain text"),
        "/embeddings" => Some("the backend has no embedding model"),
        "/rerank" => Some("the backend has no reranking model"),
        "/audio/transcriptions" | "/audio/translations" | "/audio/speech" => Some("the backend has no audio model"),
        _ => None,
    }
}

/// Returns the path as the table has it.
fn without_prefixes(path: &str) -> &str {
    let mut rest = path.strip_suffix('/').unwrap_or(path);
    for prefix in ["/backend-api/codex", "/v1", "/v1"] {
        match rest.strip_prefix(prefix) {
            Some(shorter) if shorter.starts_with('/') => rest = shorter,
            _ => {}
        }
    }
    if rest.is_empty() { "/" } else { rest }
}

/// Decodes a model id: it may contain a slash (`openai/gpt-5.1`), which SDKs send as `%2F`.
fn percent_decoded(id: &str) -> String {
    percent_decode_str(id).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_path_reaches_its_endpoint() {
        for path in [
            "/v1/chat/completions",
            "/chat/completions",
            "/v1/v1/chat/completions",
            "/v1/chat/completions/",
            "/backend-api/codex/chat/completions",
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
            for base in ["", "/v1", "/v1/v1", "/backend-api/codex"] {
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
    fn a_prefix_is_removed_once() {
        for (prefix, path, expected) in [
            ("", "/v1/models", Some("/v1/models")),
            ("/ai", "/ai/v1/models", Some("/v1/models")),
            ("/ai", "/ai/ai/metrics", Some("/ai/metrics")),
            ("/ai", "/ai", Some("/")),
            ("/ai", "/ai/", Some("/")),
            ("/ai", "/v1/models", None),
            ("/ai", "/", None),
            ("/ai", "/airy", None),
        ] {
            assert_eq!(below(prefix, path), expected, "{prefix} {path}");
        }
    }

    #[test]
    fn unsupported_endpoints_differ_from_unknown_paths() {
        for path in ["/v1/completions", "/completions", "/v1/fim/completions", "/v1/embeddings", "/v1/v1/rerank"] {
            assert!(unserved(path).is_some() && route(&Method::POST, path) == Route::Unknown, "{path}");
        }
        assert!(unserved("/v1/chat").is_none());
        for path in
            ["/v1/alpha", "/v1/alpha/search/x", "/alpha/notes/v2", "/alpha/notes/v1/a", "/backend-api/wham/tasks"]
        {
            assert_eq!(route(&Method::POST, path), Route::Unknown, "{path}");
        }
    }

    #[test]
    fn unknown_paths_differ_from_wrong_methods() {
        assert_eq!(route(&Method::GET, "/v1/chat/completions"), Route::WrongMethod("POST".to_owned()));
        assert_eq!(route(&Method::OPTIONS, "/v1/responses"), Route::WrongMethod("GET, POST".to_owned()));
        for path in ["/v1", "/v1/chat", "/v1chat/completions", "/v1/models/extra/", "/v2/models"] {
            let expected = if path == "/v1/models/extra/" { Route::Model("extra".to_owned()) } else { Route::Unknown };
            assert_eq!(route(&Method::GET, path), expected, "{path}");
        }
    }
}
