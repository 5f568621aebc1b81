//! Builds the requests to the Codex backend: pure functions from values to [`http::Request`].
//!
//! Names, order and values of headers, the order of body members, and the form of compressed bodies are those that the
//! official client 0.171.0 was seen to send in interactive use (`docs/backend.md §9`, `§10`). `tests/it/on_the_wire.rs`
//! compares them with what leaves the connection, and `clients/codex-cli` with what the official client sends to the
//! simulated backend. The known differences:
//!
//! - The headers `x-codex-window-id`, `x-codex-turn-metadata` and `x-codex-image-turn-id` are absent: they describe a
//!   session at a terminal. So is `client_metadata`, except what the caller sets and what a message on a WebSocket must
//!   contain.
//! - The body contains `instructions`, perhaps empty: older models reject a request without it (`docs/backend.md
//!   §2.5`). It contains `tools` and `reasoning` only if there is something in them.
//! - A list of models that is known already is requested with `if-none-match`.
//! - A WebSocket is opened without offering `sec-websocket-extensions`, the official client's last header.
//!
//! [`HttpUpstream`](crate::HttpUpstream) adds `accept-encoding` as the last header, except when it opens a WebSocket.
//! The official client has sent it since 0.171.0.
//!
//! A turn of the official client passes through the proxy unchanged, item by item and key by key, except for
//! `instructions`. Neither sends the `version` header of earlier clients: the backend checks the version in the user
//! agent (`docs/backend.md §5.3`), and a header that no current client sends stands out.
//!
//! # Example
//! ```
//! use codex_auth::{Bearer, Secret};
//! use codex_translate::responses::ResponsesRequest;
//! use codex_upstream::{BACKEND_URL, Backend, ClientIdentity, TurnRequest, requests};
//!
//! let (base, identity) = (url::Url::parse(BACKEND_URL)?, ClientIdentity::default());
//! let bearer = Bearer { token: Secret::new("token"), account_id: Some("acct".to_owned()), fedramp: false };
//! let backend = Backend { base: &base, identity: &identity, region: None, bearer: &bearer };
//! let turn = ResponsesRequest::from_json(br#"{"model": "gpt-5.5", "input": "Hello!", "stream": true}"#)?;
//!
//! let request = requests::responses(&backend, &TurnRequest::from(&turn))?;
//! assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/backend-api/codex/responses"));
//! let request = requests::models(&backend, None)?;
//! assert_eq!(request.uri().path(), "/backend-api/codex/models");
//! let request = requests::usage(&backend)?;
//! assert_eq!(request.uri().path(), "/backend-api/wham/usage");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::borrow::Cow;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use codex_auth::Bearer;
use codex_translate::images::{ImagesRequest, Task};
use codex_translate::responses::ResponsesRequest;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, IF_NONE_MATCH, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

use crate::alpha::AlphaRequest;
use crate::client_identity::ClientIdentity;
use crate::compression::compressed;
use crate::error::UpstreamError;
use crate::headers;

/// The default service tier. The official client leaves it out of hint and body, even if its user chooses it.
const DEFAULT_TIER: &str = "default";

/// The base URL of the real backend.
pub const BACKEND_URL: &str = "https://chatgpt.com/backend-api";

/// The destination of a request, and the client and account that send it.
///
/// ```
/// use codex_auth::{Bearer, Secret};
/// use codex_upstream::{BACKEND_URL, Backend, ClientIdentity};
///
/// let (base, identity) = (url::Url::parse(BACKEND_URL)?, ClientIdentity::default());
/// let bearer = Bearer { token: Secret::new("token"), account_id: None, fedramp: false }; // of a `TokenManager`
/// let backend = Backend { base: &base, region: None, identity: &identity, bearer: &bearer };
/// # let _ = backend;
/// # Ok::<(), url::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Backend<'a> {
    /// The base URL, to which the paths of `docs/backend.md §2.1` are appended, such as [`BACKEND_URL`].
    pub base: &'a Url,
    /// The region that must serve the workspace, if it is bound to one; see
    /// [`WorkspaceRoute`](crate::WorkspaceRoute).
    pub region: Option<&'a str>,
    /// The client that the backend sees.
    pub identity: &'a ClientIdentity,
    /// The access token and account.
    pub bearer: &'a Bearer,
}

/// One model turn: the body of a request, and what its headers repeat of it.
///
/// Made from a [`ResponsesRequest`], so headers and body cannot disagree. The conversation's id is its
/// `prompt_cache_key` ([`conversation_id`](codex_translate::conversation_id()) derives one); prompt caching needs it
/// (`docs/backend.md §2.6`).
///
/// ```
/// use codex_translate::responses::ResponsesRequest;
/// use codex_upstream::TurnRequest;
///
/// let request = ResponsesRequest::from_json(br#"{"model": "gpt-5.5", "input": "Hello!"}"#)?;
/// let turn = TurnRequest::from(&request);
/// assert_eq!(turn.model(), "gpt-5.5");
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone)]
pub struct TurnRequest {
    model: String,
    tier: Option<String>,
    conversation_id: Option<String>,
    /// Whether the body has the Responses Lite shape (`docs/backend.md §2.8`).
    lite: bool,
    /// The JSON body, uncompressed.
    body: Bytes,
}

impl TurnRequest {
    /// Makes the turn of `request`, whose body has about `bytes` bytes: memory for it is reserved at once.
    #[must_use]
    pub fn with_capacity(request: &ResponsesRequest, bytes: usize) -> Self {
        let mut body = Vec::with_capacity(bytes);
        request.write_json(&mut body);
        Self {
            model: request.model.clone(),
            tier: request.service_tier.clone(),
            conversation_id: request.prompt_cache_key.clone(),
            lite: request.is_lite(),
            body: body.into(),
        }
    }

    /// Returns the model's slug.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Returns the same turn without the reasoning of earlier replies, for a backend that cannot read it: encrypted
    /// reasoning is bound to its account and model family (`docs/backend.md §2.7`). `None` if there is none, or if
    /// nothing else would remain.
    ///
    /// ```
    /// use codex_translate::responses::ResponsesRequest;
    /// use codex_upstream::TurnRequest;
    ///
    /// let request = ResponsesRequest::from_json(br#"{"model": "gpt-5.5", "input": "Hello!"}"#)?;
    /// assert!(TurnRequest::from(&request).without_reasoning().is_none());
    /// # Ok::<(), codex_translate::Error>(())
    /// ```
    #[must_use]
    pub fn without_reasoning(&self) -> Option<Self> {
        #[derive(Deserialize)]
        struct Conversation<'a> {
            #[serde(borrow)]
            input: &'a RawValue,
        }
        #[derive(Deserialize)]
        struct Typed<'a> {
            #[serde(borrow, default)]
            r#type: Option<Cow<'a, str>>,
        }
        let body = std::str::from_utf8(&self.body).ok()?;
        let Conversation { input } = serde_json::from_str(body).ok()?;
        let items: Vec<&RawValue> = serde_json::from_str(input.get()).ok()?;
        let is_reasoning = |item: &RawValue| {
            serde_json::from_str(item.get()).is_ok_and(|Typed { r#type }| r#type.as_deref() == Some("reasoning"))
        };
        let rest: Vec<&str> = items.iter().filter(|item| !is_reasoning(item)).map(|item| item.get()).collect();
        if rest.is_empty() || rest.len() == items.len() {
            return None;
        }
        // The input is a slice of the body; everything around it stays as it is.
        let start = input.get().as_ptr().addr().checked_sub(body.as_ptr().addr())?;
        let (before, after) = (body.get(..start)?, body.get(start + input.get().len()..)?);
        let body = [before, "[", &rest.join(","), "]", after].concat();
        Some(Self { body: body.into(), ..self.clone() })
    }
}

impl From<&ResponsesRequest> for TurnRequest {
    fn from(request: &ResponsesRequest) -> Self {
        Self::with_capacity(request, 0)
    }
}

/// Shows no content.
impl fmt::Debug for TurnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TurnRequest")
            .field("model", &self.model)
            .field("tier", &self.tier)
            .field("lite", &self.lite)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Builds `POST codex/responses`: a turn whose reply is an event stream.
///
/// # Errors
/// [`UpstreamError::InvalidRequest`] if a value is not allowed in a header: answer the client with a 400.
pub fn responses(backend: &Backend<'_>, turn: &TurnRequest) -> Result<Request<Bytes>, UpstreamError> {
    let body = compressed(&turn.body)
        .map_err(|error| UpstreamError::InvalidRequest { reason: format!("the body cannot be compressed: {error}") })?;
    let mut headers = turn_headers(turn)?;
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    authorize(&mut headers, backend)?;
    identify(&mut headers, backend.identity)?;
    Ok(request(Method::POST, uri(&endpoint(backend.base, "codex/responses"))?, headers, Bytes::from(body)))
}

/// Builds `POST codex/images/generations` or `codex/images/edits`, which make one image whatever
/// [`ImagesRequest::n`] is; [`ImagesReply`](crate::ImagesReply) parses the reply (`docs/backend.md §2.1`).
///
/// # Errors
/// As [`responses`].
pub fn images(backend: &Backend<'_>, request: &ImagesRequest) -> Result<Request<Bytes>, UpstreamError> {
    let path = match request.task {
        Task::Generation => "codex/images/generations",
        Task::Edit => "codex/images/edits",
    };
    unary(backend, path, HeaderMap::new(), request.to_json().into())
}

/// Builds the call of one of the official client's own tools, such as `POST codex/alpha/search`
/// (`docs/backend.md §2.1`).
///
/// # Errors
/// As [`responses`].
pub fn alpha(backend: &Backend<'_>, request: &AlphaRequest) -> Result<Request<Bytes>, UpstreamError> {
    unary(backend, request.path(), request.headers.clone(), request.body.clone())
}

/// Returns the headers of a turn: its model, tier, conversation and shape.
fn turn_headers(turn: &TurnRequest) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::new();
    headers.insert(headers::X_CODEX_BETA_FEATURES, BETA_FEATURES);
    if turn.lite {
        headers.insert(headers::X_RESPONSES_LITE, HeaderValue::from_static("true"));
    }
    headers.insert(headers::X_CODEX_ROUTING_HINT, routing_hint(turn)?);
    name_conversation(&mut headers, turn)?;
    Ok(headers)
}

/// The features of the official client's default configuration. Without this one the backend may answer a
/// `compaction_trigger` with a message (`docs/backend.md §2.1`).
const BETA_FEATURES: HeaderValue = HeaderValue::from_static("remote_compaction_v2");

/// Adds the conversation, under three names.
fn name_conversation(headers: &mut HeaderMap, turn: &TurnRequest) -> Result<(), UpstreamError> {
    if let Some(id) = &turn.conversation_id {
        let id = headers::value("conversation id", id)?;
        headers.insert(headers::X_CLIENT_REQUEST_ID, id.clone());
        headers.insert(headers::SESSION_ID, id.clone());
        headers.insert(headers::THREAD_ID, id);
    }
    Ok(())
}

/// Builds a turn for [`WebSocketUpstream`](crate::WebSocketUpstream): the head opens the connection, the body is the
/// message of the turn (`docs/backend.md §4`, `§9`).
///
/// What differs from request to request, such as the Responses Lite shape, is in the message's `client_metadata`, and
/// so is the time `now`, as the official client sends it.
///
/// # Errors
/// As [`responses`]; also if the body is not a JSON object.
pub fn responses_websocket(
    backend: &Backend<'_>,
    turn: &TurnRequest,
    now: SystemTime,
) -> Result<Request<Bytes>, UpstreamError> {
    let mut headers = HeaderMap::new();
    let mut access = HeaderMap::new();
    authorize(&mut access, backend)?;
    // The order of the official client for WebSockets.
    for name in [headers::CHATGPT_ACCOUNT_ID, AUTHORIZATION] {
        headers.extend(access.remove(&name).map(|value| (name, value)));
    }
    headers.insert(USER_AGENT, headers::value("user agent", &backend.identity.user_agent)?);
    headers.insert(headers::ORIGINATOR, headers::value("originator", &backend.identity.originator)?);
    headers.extend(access);
    headers.insert(headers::OPENAI_BETA, HeaderValue::from_static("responses_websockets=2026-02-06"));
    headers.insert(headers::X_CODEX_BETA_FEATURES, BETA_FEATURES);
    name_conversation(&mut headers, turn)?;
    headers.insert(headers::X_CODEX_ROUTING_HINT, routing_hint(turn)?);
    let message = message(turn, now)?;
    Ok(request(Method::GET, uri(&endpoint(backend.base, "codex/responses"))?, headers, message))
}

fn message(turn: &TurnRequest, now: SystemTime) -> Result<Bytes, UpstreamError> {
    let body: Map<String, Value> = serde_json::from_slice(&turn.body)
        .map_err(|_| UpstreamError::InvalidRequest { reason: "its body is not a JSON object".to_owned() })?;
    let mut message = Map::with_capacity(body.len() + 2);
    message.insert("type".to_owned(), "response.create".into());
    message.extend(body);
    let metadata = message.entry("client_metadata").or_insert_with(|| Value::Object(Map::new()));
    // The backend reports a value of another type.
    if let Value::Object(metadata) = metadata {
        let millis = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        metadata.insert("x-codex-ws-stream-request-start-ms".to_owned(), millis.to_string().into());
        if turn.lite {
            metadata.insert(LITE_METADATA.to_owned(), "true".into());
        }
    }
    Ok(Value::Object(message).to_string().into())
}

/// The member of `client_metadata` that replaces the header of the Responses Lite shape.
const LITE_METADATA: &str = "ws_request_header_x_openai_internal_codex_responses_lite";

/// Builds `GET codex/models`: the catalogue that this identity may see (`docs/backend.md §5.1`).
///
/// With `etag` the backend answers 304 if nothing has changed. Without, no list is known yet: as the official client
/// does when it starts, the request has the name of startup.
///
/// # Errors
/// As [`responses`].
pub fn models(backend: &Backend<'_>, etag: Option<&str>) -> Result<Request<Bytes>, UpstreamError> {
    let mut url = endpoint(backend.base, "codex/models");
    url.query_pairs_mut().append_pair("client_version", &backend.identity.version);
    let mut headers = HeaderMap::new();
    authorize(&mut headers, backend)?;
    if etag.is_some() {
        identify(&mut headers, backend.identity)?;
    } else {
        headers.insert(headers::ORIGINATOR, HeaderValue::from_static(ClientIdentity::STARTUP_ORIGINATOR));
        headers.insert(USER_AGENT, headers::value("user agent", &backend.identity.startup_user_agent)?);
    }
    let mut request = get(&url, headers)?;
    if let Some(etag) = etag {
        request.headers_mut().insert(IF_NONE_MATCH, headers::value("catalogue's entity tag", etag)?);
    }
    Ok(request)
}

/// Builds `GET wham/usage`: the plan and its rate-limit windows (`docs/backend.md §6`).
///
/// # Errors
/// As [`responses`].
pub fn usage(backend: &Backend<'_>) -> Result<Request<Bytes>, UpstreamError> {
    let mut headers = account_headers(backend, &backend.identity.user_agent)?;
    headers.insert(headers::X_CODEX_LUNA_RESERVE, HeaderValue::from_static("1"));
    get(&endpoint(backend.base, "wham/usage"), headers)
}

/// Builds `GET wham/rate-limit-reset-credits`: the credits that reset a rate-limit window (`docs/backend.md §6`).
///
/// # Errors
/// As [`responses`].
pub fn reset_credits(backend: &Backend<'_>) -> Result<Request<Bytes>, UpstreamError> {
    let headers = account_headers(backend, &backend.identity.user_agent)?;
    get(&endpoint(backend.base, "wham/rate-limit-reset-credits"), headers)
}

/// Builds `GET wham/accounts/check`: the account's workspaces and where their requests go (`docs/backend.md §9`).
///
/// # Errors
/// As [`responses`].
pub fn accounts_check(backend: &Backend<'_>) -> Result<Request<Bytes>, UpstreamError> {
    let headers = account_headers(backend, &backend.identity.startup_user_agent)?;
    get(&endpoint(backend.base, "wham/accounts/check"), headers)
}

/// Returns the first headers of requests about the account. They have no originator: the user agent names it.
fn account_headers(backend: &Backend<'_>, user_agent: &str) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, headers::value("user agent", user_agent)?);
    authorize(&mut headers, backend)?;
    Ok(headers)
}

fn routing_hint(turn: &TurnRequest) -> Result<HeaderValue, UpstreamError> {
    // The default tier is not hinted at.
    let hint = match turn.tier.as_deref().filter(|tier| *tier != DEFAULT_TIER) {
        Some(tier) => format!("model={};tier={tier}", turn.model),
        None => format!("model={}", turn.model),
    };
    headers::value("model or service tier", &hint)
}

/// Builds a request whose reply is one JSON object.
fn unary(
    backend: &Backend<'_>,
    path: &str,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Bytes>, UpstreamError> {
    authorize(&mut headers, backend)?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    identify(&mut headers, backend.identity)?;
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    Ok(request(Method::POST, uri(&endpoint(backend.base, path))?, headers, body))
}

fn get(url: &Url, mut headers: HeaderMap) -> Result<Request<Bytes>, UpstreamError> {
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    Ok(request(Method::GET, uri(url)?, headers, Bytes::new()))
}

/// Adds the access token and the account. Headers are sent in the order in which they are added.
fn authorize(headers: &mut HeaderMap, backend: &Backend<'_>) -> Result<(), UpstreamError> {
    let Backend { region, bearer, .. } = backend;
    headers.insert(AUTHORIZATION, headers::bearer(bearer.token.expose())?);
    if let Some(account_id) = &bearer.account_id {
        headers.insert(headers::CHATGPT_ACCOUNT_ID, headers::value("account id", account_id)?);
    }
    if bearer.fedramp {
        headers.insert(headers::X_OPENAI_FEDRAMP, HeaderValue::from_static("true"));
    }
    if let Some(region) = region {
        headers.insert(headers::X_OPENAI_ACCOUNT_ROUTING_OVERRIDE, headers::value("workspace's region", region)?);
    }
    Ok(())
}

/// Adds the name of the client.
fn identify(headers: &mut HeaderMap, identity: &ClientIdentity) -> Result<(), UpstreamError> {
    headers.insert(headers::ORIGINATOR, headers::value("originator", &identity.originator)?);
    headers.insert(USER_AGENT, headers::value("user agent", &identity.user_agent)?);
    Ok(())
}

fn request(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    request
}

/// Appends a path to the base, whether or not that ends with a slash.
fn endpoint(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn uri(url: &Url) -> Result<Uri, UpstreamError> {
    url.as_str().parse().map_err(|_| UpstreamError::InvalidRequest {
        reason: format!("the backend's address {url} is not a valid HTTP URL; correct it"),
    })
}

#[cfg(test)]
mod tests {
    use codex_translate::Options;

    use super::*;
    use crate::alpha::AlphaTool;

    const ID: &str = "01a2062c-22de-7320-84ce-6a407485ff83";
    const AGENT: &str = "codex-tui/0.171.0 (Debian 12.0.0; x86_64) xterm-256color (codex-tui; 0.171.0)";
    const STARTUP_AGENT: &str = "codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm-256color";

    fn with_backend<T>(base: &str, bearer: &Bearer, test: impl FnOnce(&Backend<'_>) -> T) -> T {
        let base = Url::parse(base).unwrap();
        let identity = ClientIdentity {
            originator: "codex-tui".to_owned(),
            version: "0.171.0".to_owned(),
            user_agent: AGENT.to_owned(),
            startup_user_agent: STARTUP_AGENT.to_owned(),
        };
        test(&Backend { base: &base, region: None, identity: &identity, bearer })
    }

    fn bearer() -> Bearer {
        Bearer { token: "tok".into(), account_id: Some("acct_test".to_owned()), fedramp: false }
    }

    fn turn(model: &str, conversation_id: Option<&str>, body: &'static [u8]) -> TurnRequest {
        TurnRequest {
            model: model.to_owned(),
            tier: None,
            conversation_id: conversation_id.map(str::to_owned),
            lite: false,
            body: Bytes::from_static(body),
        }
    }

    fn sent(request: &Request<Bytes>) -> Vec<(&str, &str)> {
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_turn_has_exactly_these_headers_in_this_order() {
        let turn = turn("gpt-5.5", Some(ID), b"{\"a\":1}");
        let request = with_backend("https://chatgpt.com/backend-api", &bearer(), |b| responses(b, &turn)).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://chatgpt.com/backend-api/codex/responses");
        let expected = [
            ("x-codex-beta-features", "remote_compaction_v2"),
            ("x-codex-routing-hint", "model=gpt-5.5"),
            ("x-client-request-id", ID),
            ("session-id", ID),
            ("thread-id", ID),
            ("accept", "text/event-stream"),
            ("content-encoding", "zstd"),
            ("content-type", "application/json"),
            ("authorization", "Bearer tok"),
            ("chatgpt-account-id", "acct_test"),
            ("originator", "codex-tui"),
            ("user-agent", AGENT),
        ];
        assert_eq!(sent(&request), expected);
        assert_eq!(zstd::decode_all(&request.body()[..]).unwrap(), b"{\"a\":1}");
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn unary_requests_have_their_paths_and_are_not_compressed() {
        with_backend("https://chatgpt.com/backend-api", &bearer(), |b| {
            let expected = [
                ("authorization", "Bearer tok"),
                ("chatgpt-account-id", "acct_test"),
                ("content-type", "application/json"),
                ("originator", "codex-tui"),
                ("user-agent", AGENT),
                ("accept", "*/*"),
            ];
            let picture = |task, body: &[u8]| ImagesRequest::from_json(task, body, &Options::default()).unwrap();
            let drawing = picture(Task::Generation, br#"{"prompt": "a fox"}"#);
            let drawn = images(b, &drawing).unwrap();
            assert_eq!(sent(&drawn), expected);
            let edit = picture(Task::Edit, br#"{"prompt": "a hat", "image": "https://example.com/fox.png"}"#);
            let edited = images(b, &edit).unwrap();
            let paths = [(drawn, "images/generations", drawing.to_json()), (edited, "images/edits", edit.to_json())];
            for (request, path, body) in paths {
                assert_eq!(request.uri(), &*format!("https://chatgpt.com/backend-api/codex/{path}"));
                assert_eq!((request.method(), &request.body()[..]), (&Method::POST, &body[..]));
            }
        });
    }

    #[test]
    fn a_call_of_a_tool_begins_with_the_headers_of_the_client() {
        let asked = HeaderMap::from_iter([
            (headers::X_OPENAI_ENCRYPTED_TOOL_ARGUMENTS, HeaderValue::from_static("true")),
            (headers::X_OPENAI_TOOL_OUTPUT_TRUNCATION_POLICY, HeaderValue::from_static("{}")),
            (AUTHORIZATION, HeaderValue::from_static("Bearer of-the-client")),
        ]);
        let body = Bytes::from_static(br#"{"path": "a.md"}"#);
        let call = AlphaRequest::new(AlphaTool::Notes, "read_file", &asked, body.clone()).unwrap();
        let request = with_backend("https://chatgpt.com/backend-api", &bearer(), |b| alpha(b, &call)).unwrap();
        assert_eq!(request.uri(), "https://chatgpt.com/backend-api/codex/alpha/notes/v2/read_file");
        assert_eq!((request.method(), request.body()), (&Method::POST, &body));
        let first = [("x-openai-tool-output-truncation-policy", "{}"), ("x-openai-encrypted-tool-arguments", "true")];
        assert_eq!(sent(&request)[..2], first);
        assert_eq!(request.headers()[AUTHORIZATION], "Bearer tok");
        assert_eq!(request.headers()[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn tier_lite_and_fedramp_add_their_headers() {
        let turn = TurnRequest { tier: Some("priority".to_owned()), lite: true, ..turn("m", None, b"{}") };
        let fedramp = &Bearer { account_id: None, fedramp: true, ..bearer() };
        let tiered = with_backend("https://chatgpt.com/backend-api/", fedramp, |b| responses(b, &turn)).unwrap();
        let headers = tiered.headers();
        assert_eq!(headers[headers::X_CODEX_ROUTING_HINT], "model=m;tier=priority");
        assert_eq!(headers[headers::X_RESPONSES_LITE], "true");
        let turn = TurnRequest { tier: Some("default".to_owned()), ..turn };
        let request = with_backend("https://chatgpt.com/backend-api/", fedramp, |b| responses(b, &turn)).unwrap();
        assert_eq!(request.headers()[headers::X_CODEX_ROUTING_HINT], "model=m");
        assert_eq!(headers[headers::X_OPENAI_FEDRAMP], "true");
        for absent in [headers::CHATGPT_ACCOUNT_ID, headers::SESSION_ID, headers::THREAD_ID] {
            assert!(!headers.contains_key(&absent), "{absent}");
        }
        assert_eq!(tiered.uri(), "https://chatgpt.com/backend-api/codex/responses");
    }

    #[test]
    fn a_turn_on_a_websocket_has_the_official_clients_headers_and_message() {
        let body = br#"{"model":"gpt-5.5","input":[],"stream":true,"client_metadata":{"a":"b"}}"#;
        let turn = turn("gpt-5.5", Some(ID), body);
        let now = UNIX_EPOCH + std::time::Duration::from_millis(1_795_400_096_650);
        let build = |turn: &TurnRequest| {
            with_backend("https://chatgpt.com/backend-api", &bearer(), |b| responses_websocket(b, turn, now))
        };
        let request = build(&turn).unwrap();
        assert_eq!((request.method(), request.uri().path()), (&Method::GET, "/backend-api/codex/responses"));
        let expected = [
            ("chatgpt-account-id", "acct_test"),
            ("authorization", "Bearer tok"),
            ("user-agent", AGENT),
            ("originator", "codex-tui"),
            ("openai-beta", "responses_websockets=2026-02-06"),
            ("x-codex-beta-features", "remote_compaction_v2"),
            ("x-client-request-id", ID),
            ("session-id", ID),
            ("thread-id", ID),
            ("x-codex-routing-hint", "model=gpt-5.5"),
        ];
        assert_eq!(sent(&request), expected);
        let message = concat!(
            r#"{"type":"response.create","model":"gpt-5.5","input":[],"stream":true,"#,
            r#""client_metadata":{"a":"b","x-codex-ws-stream-request-start-ms":"1795400096650"}}"#,
        );
        assert_eq!(request.body(), message);
        let lite = build(&TurnRequest { lite: true, body: Bytes::from_static(b"{}"), ..turn.clone() }).unwrap();
        assert!(!lite.headers().contains_key(headers::X_RESPONSES_LITE));
        let lite: Value = serde_json::from_slice(lite.body()).unwrap();
        assert_eq!(lite["client_metadata"]["ws_request_header_x_openai_internal_codex_responses_lite"], "true");
        assert!(matches!(
            build(&TurnRequest { body: Bytes::from_static(b"[]"), ..turn }),
            Err(UpstreamError::InvalidRequest { .. })
        ));
    }

    #[test]
    fn a_region_goes_into_every_request() {
        let turn = turn("m", None, b"{}");
        with_backend("https://gov.chatgpt.com/backend-api", &bearer(), |b| {
            let bound = Backend { region: Some("us"), ..*b };
            for request in [responses(&bound, &turn), models(&bound, None), usage(&bound)] {
                assert_eq!(request.unwrap().headers()[headers::X_OPENAI_ACCOUNT_ROUTING_OVERRIDE], "us");
            }
        });
    }

    #[test]
    fn reads_have_their_paths_and_the_version_query() {
        with_backend("http://127.0.0.1:9/backend-api", &bearer(), |b| {
            let listed = models(b, Some("W/\"abc\"")).unwrap();
            assert_eq!(listed.uri(), "http://127.0.0.1:9/backend-api/codex/models?client_version=0.171.0");
            assert_eq!(listed.headers()[IF_NONE_MATCH], "W/\"abc\"");
            assert!(!models(b, None).unwrap().headers().contains_key(IF_NONE_MATCH));
            assert_eq!(usage(b).unwrap().uri(), "http://127.0.0.1:9/backend-api/wham/usage");
            let credits = reset_credits(b).unwrap();
            assert_eq!(credits.uri(), "http://127.0.0.1:9/backend-api/wham/rate-limit-reset-credits");
            assert_eq!(accounts_check(b).unwrap().uri(), "http://127.0.0.1:9/backend-api/wham/accounts/check");
            for request in [listed, usage(b).unwrap(), accounts_check(b).unwrap()] {
                assert_eq!(request.method(), Method::GET);
                assert_eq!(request.headers()[ACCEPT], "*/*");
                assert!(request.body().is_empty());
            }
        });
    }

    #[test]
    fn the_client_has_another_name_until_it_knows_the_models() {
        with_backend("https://chatgpt.com/backend-api", &bearer(), |b| {
            let names = |request: Request<Bytes>| {
                let name = |name| request.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
                (name(headers::ORIGINATOR), name(USER_AGENT).unwrap())
            };
            let (startup, turns) = (Some("codex_cli_rs".to_owned()), Some("codex-tui".to_owned()));
            assert_eq!(names(models(b, None).unwrap()), (startup, STARTUP_AGENT.to_owned()));
            assert_eq!(names(models(b, Some("x")).unwrap()), (turns, AGENT.to_owned()));
            assert_eq!(names(accounts_check(b).unwrap()), (None, STARTUP_AGENT.to_owned()));
            assert_eq!(names(usage(b).unwrap()), (None, AGENT.to_owned()));
        });
    }

    #[test]
    fn values_that_break_headers_are_rejected_without_being_quoted() {
        let bad = "s3cret\r\nx-evil: 1";
        let turn = |model, conversation_id| turn(model, conversation_id, b"{}");
        let rows = [
            (Bearer { token: bad.into(), ..bearer() }, turn("m", None), "access token"),
            (Bearer { account_id: Some(bad.to_owned()), ..bearer() }, turn("m", None), "account id"),
            (bearer(), turn(bad, None), "model or service tier"),
            (bearer(), turn("m", Some(bad)), "conversation id"),
        ];
        for (bearer, turn, named) in rows {
            let error = with_backend("https://chatgpt.com", &bearer, |b| responses(b, &turn)).unwrap_err();
            assert!(error.before_dispatch());
            let message = error.to_string();
            assert!(message.contains(named) && !message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn debug_shows_neither_bearer_nor_content() {
        let turn = turn("m", None, b"s3cret");
        let shown = with_backend("https://chatgpt.com", &Bearer { token: "s3cret".into(), ..bearer() }, |b| {
            format!("{b:?} {turn:?}")
        });
        assert!(shown.contains("acct") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn a_turn_without_its_reasoning_is_otherwise_the_same() {
        let body = br#"{"model":"m","input":[{"a":1.50},{"type":"reasoning","summary":[]},{"type" : "reas\u006fning"},
            {"type":"message"}],"text":{"input":[]}}"#;
        let rest = turn("m", None, body).without_reasoning().unwrap();
        assert_eq!(rest.body, &br#"{"model":"m","input":[{"a":1.50},{"type":"message"}],"text":{"input":[]}}"#[..]);
        for body in [&br#"{"input":[{"type":"message"}]}"#[..], br#"{"input":[{"type":"reasoning"}]}"#, b"{}"] {
            assert!(turn("m", None, body).without_reasoning().is_none());
        }
    }

    #[test]
    fn the_headers_of_a_turn_come_from_its_body() {
        let body = br#"{"model": "m", "input": "hi", "service_tier": "priority", "prompt_cache_key": "k"}"#;
        let request = ResponsesRequest::from_json(body).unwrap();
        let turn = TurnRequest::from(&request);
        let sent = (&*turn.model, turn.tier.as_deref(), turn.conversation_id.as_deref(), turn.lite);
        assert_eq!(sent, ("m", Some("priority"), Some("k"), request.is_lite()));
        assert_eq!(turn.body, request.to_json());
    }
}
