//! Which endpoint a request is for. Pure: a method and a path in, a [`Route`] out.

use codex_translate::images::Task;
use http::Method;

/// What a probe wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// Whether the program runs.
    Live,
    /// The same, and whether somebody is logged in.
    Login,
    /// Whether requests can be served.
    Ready,
}

/// What the backend does for a request; each such request has a body, takes a slot, and is answered with the quota.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/responses/compact`
    Compact,
    /// `POST /v1/images/generations` and `/v1/images/edits`
    Images(Task),
}

impl Work {
    /// The endpoint's name in logs and metrics.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Compact => "compact",
            Self::Images(_) => "images",
        }
    }
}

/// What is asked about a response that is kept, by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// `GET` or `DELETE /v1/responses/{id}`
    Response(String),
    /// `GET /v1/responses/{id}/input_items`
    InputItems(String),
    /// `POST /v1/responses/{id}/cancel`
    Cancel(String),
}

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// What the backend does.
    Work(Work),
    /// `GET /v1/responses`, to be upgraded to a WebSocket
    Socket,
    /// A response that is kept
    Stored(Kept),
    /// `GET /v1/models`
    Models,
    /// `GET /v1/models/{id}`
    Model(String),
    /// `GET /health`, `/health/live` and `/health/ready`
    Health(Probe),
    /// `GET /v1/usage`
    Usage,
    /// `GET /metrics`
    Metrics,
    /// `GET /`
    StatusPage,
    /// `GET /status.json`
    Status,
    /// `GET /openapi.json`
    OpenApi,
    /// The path exists, the method does not; holds the methods that do.
    WrongMethod(String),
    /// No such path.
    Unknown,
}

impl Route {
    /// The endpoint's name in logs and metrics.
    pub fn endpoint(&self) -> &'static str {
        match self {
            Self::Work(work) => work.endpoint(),
            Self::Socket => "websocket",
            Self::Stored(_) => "stored",
            Self::Models | Self::Model(_) => "models",
            Self::Usage => "usage",
            Self::Health(_) => "health",
            Self::Metrics => "metrics",
            Self::StatusPage | Self::Status => "status",
            Self::OpenApi => "openapi",
            Self::WrongMethod(_) | Self::Unknown => "other",
        }
    }

    /// Whether such requests come by themselves, again and again: probes, scrapes, an open status page.
    pub fn is_routine(&self) -> bool {
        matches!(self, Self::Health(_) | Self::Metrics | Self::StatusPage | Self::Status | Self::Usage)
    }
}

/// What there is: a path, the methods that it takes, and what they are for. An `{id}` in the path is told to the route.
static ROUTES: [(&str, &str, fn(&str) -> Route); 19] = [
    ("/", "GET, HEAD", |_| Route::StatusPage),
    ("/status.json", "GET, HEAD", |_| Route::Status),
    ("/openapi.json", "GET, HEAD", |_| Route::OpenApi),
    ("/metrics", "GET, HEAD", |_| Route::Metrics),
    ("/usage", "GET, HEAD", |_| Route::Usage),
    ("/health", "GET, HEAD", |_| Route::Health(Probe::Login)),
    ("/health/live", "GET, HEAD", |_| Route::Health(Probe::Live)),
    ("/health/ready", "GET, HEAD", |_| Route::Health(Probe::Ready)),
    ("/chat/completions", "POST", |_| Route::Work(Work::Chat)),
    ("/responses", "GET", |_| Route::Socket),
    ("/responses", "POST", |_| Route::Work(Work::Responses)),
    ("/responses/compact", "POST", |_| Route::Work(Work::Compact)),
    ("/responses/{id}", "GET, HEAD, DELETE", |id| Route::Stored(Kept::Response(percent_decoded(id)))),
    ("/responses/{id}/input_items", "GET, HEAD", |id| Route::Stored(Kept::InputItems(percent_decoded(id)))),
    ("/responses/{id}/cancel", "POST", |id| Route::Stored(Kept::Cancel(percent_decoded(id)))),
    ("/images/generations", "POST", |_| Route::Work(Work::Images(Task::Generation))),
    ("/images/edits", "POST", |_| Route::Work(Work::Images(Task::Edit))),
    ("/models", "GET, HEAD", |_| Route::Models),
    ("/models/{id}", "GET, HEAD", |id| Route::Model(percent_decoded(id))),
];

/// The path and the method of all there is; a HEAD goes where a GET does.
pub fn endpoints() -> impl Iterator<Item = (&'static str, &'static str)> {
    let methods =
        |row: &(&'static str, &'static str, _)| row.1.split(", ").map(|method| (row.0, method)).collect::<Vec<_>>();
    ROUTES.iter().flat_map(methods).filter(|(_, method)| *method != "HEAD")
}

/// Finds the route of a request.
///
/// Every `/v1/x` is also served as `/x` and `/v1/v1/x`, since clients disagree on whether a base URL ends in `/v1`, and
/// under `/backend-api/codex/x`, where the Codex CLI looks (features.md E5).
pub fn route(method: &Method, path: &str) -> Route {
    let path = without_prefixes(path);
    let Some((known, id)) = ROUTES.iter().find_map(|(known, ..)| Some((known, id_in(known, path)?))) else {
        return Route::Unknown;
    };
    let mut allowed = Vec::new();
    for (_, methods, route) in ROUTES.iter().filter(|(path, ..)| path == known) {
        if methods.split(", ").any(|name| name == method.as_str()) {
            return route(id);
        }
        allowed.push(*methods);
    }
    Route::WrongMethod(allowed.join(", "))
}

/// What stands in `path` for the `{id}` of `known`, nothing where it has none; `None` if it is another path. The name of a model
/// may hold a slash.
fn id_in<'a>(known: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, after)) = known.split_once("{id}") else { return (path == known).then_some("") };
    let id = path.strip_prefix(before)?.strip_suffix(after)?;
    (!id.is_empty() && (before == "/models/" || !id.contains('/'))).then_some(id)
}

/// The path as it stands in the table.
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

/// Model ids may hold a slash (`openai/gpt-5.1`), which SDKs send as `%2F`.
fn percent_decoded(id: &str) -> String {
    url::form_urlencoded::parse(format!("id={}", id.replace('+', "%2B")).as_bytes())
        .next()
        .map_or_else(|| id.to_owned(), |(_, value)| value.into_owned())
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
            assert_eq!(route(&Method::POST, path), Route::Work(Work::Chat), "{path}");
        }
        assert_eq!(route(&Method::POST, "/backend-api/codex/responses"), Route::Work(Work::Responses));
        for (path, expected) in [
            ("/responses/compact", Route::Work(Work::Compact)),
            ("/images/generations", Route::Work(Work::Images(Task::Generation))),
            ("/images/edits", Route::Work(Work::Images(Task::Edit))),
        ] {
            for base in ["", "/v1", "/v1/v1", "/backend-api/codex"] {
                assert_eq!(route(&Method::POST, &format!("{base}{path}")), expected, "{base}{path}");
                assert_eq!(route(&Method::GET, &format!("{base}{path}")), Route::WrongMethod("POST".to_owned()));
            }
        }
        assert_eq!(route(&Method::GET, "/v1/models/openai%2Fgpt-5.1"), Route::Model("openai/gpt-5.1".to_owned()));
        assert_eq!(route(&Method::GET, "/backend-api/codex/responses"), Route::Socket);
        let kept = |kept| Route::Stored(kept);
        assert_eq!(route(&Method::DELETE, "/v1/responses/resp_1"), kept(Kept::Response("resp_1".to_owned())));
        assert_eq!(route(&Method::GET, "/responses/r/input_items"), kept(Kept::InputItems("r".to_owned())));
        assert_eq!(route(&Method::POST, "/v1/responses/r/cancel"), kept(Kept::Cancel("r".to_owned())));
        assert_eq!(route(&Method::GET, "/v1/responses/r/other"), Route::Unknown);
        assert_eq!(route(&Method::HEAD, "/health"), Route::Health(Probe::Login));
        assert_eq!(route(&Method::GET, "/health/ready"), Route::Health(Probe::Ready));
        assert_eq!(route(&Method::GET, "/"), Route::StatusPage);
    }

    #[test]
    fn what_does_not_exist_is_told_from_the_wrong_method() {
        assert_eq!(route(&Method::GET, "/v1/chat/completions"), Route::WrongMethod("POST".to_owned()));
        assert_eq!(route(&Method::OPTIONS, "/v1/responses"), Route::WrongMethod("GET, POST".to_owned()));
        for path in ["/v1", "/v1/chat", "/v1chat/completions", "/v1/models/extra/", "/v2/models"] {
            let expected = if path == "/v1/models/extra/" { Route::Model("extra".to_owned()) } else { Route::Unknown };
            assert_eq!(route(&Method::GET, path), expected, "{path}");
        }
    }
}
