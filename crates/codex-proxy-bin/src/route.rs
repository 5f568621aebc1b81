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
    /// The path exists, the method does not; holds the methods that do.
    WrongMethod(&'static str),
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
            Self::WrongMethod(_) | Self::Unknown => "other",
        }
    }

    /// Whether such requests come by themselves, again and again: probes, scrapes, an open status page.
    pub fn is_routine(&self) -> bool {
        matches!(self, Self::Health(_) | Self::Metrics | Self::StatusPage | Self::Status | Self::Usage)
    }
}

/// Finds the route of a request.
///
/// Every `/v1/x` is also served as `/x` and `/v1/v1/x`, since clients disagree on whether a base URL ends in `/v1`, and
/// under `/backend-api/codex/x`, where the Codex CLI looks (features.md E5).
pub fn route(method: &Method, path: &str) -> Route {
    let path = without_prefixes(path);
    match path {
        "" => only(method, "GET, HEAD", Route::StatusPage),
        "/status.json" => only(method, "GET, HEAD", Route::Status),
        "/metrics" => only(method, "GET, HEAD", Route::Metrics),
        "/usage" => only(method, "GET, HEAD", Route::Usage),
        "/health" => only(method, "GET, HEAD", Route::Health(Probe::Login)),
        "/health/live" => only(method, "GET, HEAD", Route::Health(Probe::Live)),
        "/health/ready" => only(method, "GET, HEAD", Route::Health(Probe::Ready)),
        "/chat/completions" => only(method, "POST", Route::Work(Work::Chat)),
        "/responses" if method == Method::GET => Route::Socket,
        "/responses" => only(method, "POST", Route::Work(Work::Responses)),
        "/responses/compact" => only(method, "POST", Route::Work(Work::Compact)),
        "/images/generations" => only(method, "POST", Route::Work(Work::Images(Task::Generation))),
        "/images/edits" => only(method, "POST", Route::Work(Work::Images(Task::Edit))),
        "/models" => only(method, "GET, HEAD", Route::Models),
        _ => match (path.strip_prefix("/models/"), path.strip_prefix("/responses/")) {
            (Some(id), _) if !id.is_empty() => only(method, "GET, HEAD", Route::Model(percent_decoded(id))),
            (_, Some(asked)) => stored(method, asked),
            _ => Route::Unknown,
        },
    }
}

/// The route of what stands behind `/responses/`.
fn stored(method: &Method, asked: &str) -> Route {
    match asked.split_once('/') {
        None if !asked.is_empty() => {
            only(method, "GET, HEAD, DELETE", Route::Stored(Kept::Response(percent_decoded(asked))))
        }
        Some((id, "input_items")) => only(method, "GET, HEAD", Route::Stored(Kept::InputItems(percent_decoded(id)))),
        Some((id, "cancel")) => only(method, "POST", Route::Stored(Kept::Cancel(percent_decoded(id)))),
        _ => Route::Unknown,
    }
}

/// Why there is no such path, where other servers have it and clients ask for it.
pub fn unserved(path: &str) -> Option<&'static str> {
    match without_prefixes(path) {
        "/completions" | "/fim/completions" => Some("the backend's models answer chats and complete no text"),
        "/embeddings" => Some("the backend has no model for embeddings"),
        "/rerank" => Some("the backend has no model that ranks"),
        "/audio/transcriptions" | "/audio/translations" | "/audio/speech" => Some("the backend has no model for audio"),
        _ => None,
    }
}

fn without_prefixes(path: &str) -> &str {
    let mut rest = path.strip_suffix('/').unwrap_or(path);
    for prefix in ["/backend-api/codex", "/v1", "/v1"] {
        match rest.strip_prefix(prefix) {
            Some(shorter) if shorter.starts_with('/') => rest = shorter,
            _ => {}
        }
    }
    rest
}

fn only(method: &Method, allowed: &'static str, route: Route) -> Route {
    if allowed.split(", ").any(|name| name == method.as_str()) { route } else { Route::WrongMethod(allowed) }
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
                assert_eq!(route(&Method::GET, &format!("{base}{path}")), Route::WrongMethod("POST"));
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
    fn what_other_servers_have_is_told_apart_from_a_wrong_path() {
        for path in ["/v1/completions", "/completions", "/v1/fim/completions", "/v1/embeddings", "/v1/v1/rerank"] {
            assert!(unserved(path).is_some() && route(&Method::POST, path) == Route::Unknown, "{path}");
        }
        assert!(unserved("/v1/chat").is_none());
    }

    #[test]
    fn what_does_not_exist_is_told_from_the_wrong_method() {
        assert_eq!(route(&Method::GET, "/v1/chat/completions"), Route::WrongMethod("POST"));
        for path in ["/v1", "/v1/chat", "/v1chat/completions", "/v1/models/extra/", "/v2/models"] {
            let expected = if path == "/v1/models/extra/" { Route::Model("extra".to_owned()) } else { Route::Unknown };
            assert_eq!(route(&Method::GET, path), expected, "{path}");
        }
    }
}
