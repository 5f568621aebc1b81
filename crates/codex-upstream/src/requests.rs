//! Builds the requests to the Codex backend: pure functions from values to [`http::Request`].
//!
//! Headers and their order are those of the official client 0.171.0, which `clients/codex-cli` runs against the same
//! simulated backend. A turn of the proxy differs from one of the official client in the following, and in nothing
//! else:
//!
//! - The headers `x-codex-window-id`, `x-codex-turn-metadata` and `x-codex-beta-features` are absent: they describe a
//!   session at a terminal.
//! - `originator` and the name in `user-agent` are `codex_cli_rs`, the official client's name when it logs in. `codex
//!   exec` sends `codex_exec`.
//! - `user-agent` does not repeat name and version after the terminal: only a client embedded in another one does so.
//! - The body contains `instructions`, perhaps empty: older models reject a request without it (`docs/backend.md
//!   §2.5`).
//! - The body contains no `client_metadata`, `text` or other members that the caller did not set: nothing is invented.
//! - `wham/accounts/check` carries `originator`, and `user-agent` is not its first header: one rule for every call.
//!
//! Compactions and images have not been captured. They have the headers of a turn that apply to them, in a turn's
//! order. The current official client compacts within a turn, with a `compaction_trigger` at the end of its input.
//!
//! [`Client`](crate::Client) adds `accept-encoding` as the last header, except when it opens a WebSocket. The official
//! client has sent it since 0.171.0.
//!
//! A turn of the official client passes through the proxy unchanged, item by item and key by key, except for
//! `instructions`. Neither sends the `version` header of earlier clients: the backend checks the version in the user
//! agent (`docs/backend.md §5.3`), and a header that no current client sends stands out.

use std::cell::RefCell;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, IF_NONE_MATCH, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use serde_json::{Map, Value};
use url::Url;
use zstd::bulk::Compressor;

use crate::client_identity::ClientIdentity;
use crate::error::UpstreamError;
use crate::headers;

/// The compression level of the official client (`docs/backend.md §2.3`).
const ZSTD_LEVEL: i32 = 3;

/// The default service tier. The official client leaves it out of hint and body, even if its user chooses it.
const DEFAULT_TIER: &str = "default";

/// The access token and account that authenticate a request.
#[derive(Clone, Copy)]
pub struct RequestAuth<'a> {
    /// The access token.
    pub access_token: &'a str,
    /// The account (workspace) id, when known.
    pub account_id: Option<&'a str>,
    /// Whether the account is in a FedRAMP workspace.
    pub fedramp: bool,
}

impl fmt::Debug for RequestAuth<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestAuth")
            .field("access_token", &"[redacted]")
            .field("account_id", &self.account_id)
            .field("fedramp", &self.fedramp)
            .finish()
    }
}

/// The destination of a request, and the client and account that send it.
#[derive(Debug, Clone, Copy)]
pub struct Backend<'a> {
    /// The base URL, to which the paths of `docs/backend.md §2.1` are appended, such as
    /// `https://chatgpt.com/backend-api`.
    pub base: &'a Url,
    /// The region that must serve the workspace, if it is bound to one; see
    /// [`WorkspaceRoute`](crate::WorkspaceRoute).
    pub region: Option<&'a str>,
    /// The client that the backend sees.
    pub identity: &'a ClientIdentity,
    /// The access token and account.
    pub auth: RequestAuth<'a>,
}

/// One model turn.
#[derive(Debug, Clone, Copy)]
pub struct TurnRequest<'a> {
    /// The model's slug, as in the body.
    pub model: &'a str,
    /// The service tier, as in the body.
    pub tier: Option<&'a str>,
    /// The id of the conversation, equal to the body's `prompt_cache_key`; prompt caching needs it (`docs/backend.md
    /// §2.6`).
    pub conversation_id: Option<&'a str>,
    /// Whether the body has the Responses Lite shape (`docs/backend.md §2.8`).
    pub lite: bool,
    /// The JSON body, uncompressed.
    pub body: &'a [u8],
}

/// Builds `POST codex/responses`: a turn whose reply is an event stream.
///
/// # Errors
/// [`UpstreamError::InvalidRequest`] if a value is not allowed in a header: answer the client with a 400.
pub fn responses(backend: &Backend<'_>, turn: &TurnRequest<'_>) -> Result<Request<Bytes>, UpstreamError> {
    let body = compressed(turn.body)
        .map_err(|error| UpstreamError::InvalidRequest { reason: format!("the body cannot be compressed: {error}") })?;
    let mut headers = turn_headers(turn)?;
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    identify(&mut headers, backend)?;
    Ok(request(Method::POST, uri(&endpoint(backend.base, "codex/responses"))?, headers, Bytes::from(body)))
}

/// The largest body whose compressor is reused. Larger ones free the memory that they allocated.
const MAX_REUSED_BYTES: usize = 256 * 1024;

/// Returns the body as the official client compresses it, but in one step, so zstd allocates and clears memory for the
/// body and not for the window of a stream. As in a stream, the frame does not contain the size.
fn compressed(body: &[u8]) -> std::io::Result<Vec<u8>> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    let compressor = COMPRESSOR.take().map_or_else(|| Compressor::new(ZSTD_LEVEL), Ok);
    let mut compressor = compressor?;
    compressor.include_contentsize(false)?;
    let compressed = compressor.compress(body)?;
    if body.len() <= MAX_REUSED_BYTES {
        COMPRESSOR.set(Some(compressor));
    }
    Ok(compressed)
}

/// Builds `POST codex/responses/compact`, which shortens the conversation of `turn`;
/// [`CompactionReply`](crate::CompactionReply) parses the reply (`docs/backend.md §2.1`).
///
/// The body is that of a turn without the members about its reply. Only turns are compressed (`docs/backend.md §2.3`).
///
/// # Errors
/// As [`responses`].
pub fn compaction(backend: &Backend<'_>, turn: &TurnRequest<'_>) -> Result<Request<Bytes>, UpstreamError> {
    unary(backend, "codex/responses/compact", turn_headers(turn)?, turn.body)
}

/// The kind of image request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageCall {
    /// From a prompt.
    Generation,
    /// From other images and a prompt.
    Edit,
}

/// Builds `POST codex/images/generations` or `codex/images/edits`; [`ImagesReply`](crate::ImagesReply) parses the reply
/// (`docs/backend.md §2.1`).
///
/// # Errors
/// As [`responses`].
pub fn images(backend: &Backend<'_>, call: ImageCall, body: &[u8]) -> Result<Request<Bytes>, UpstreamError> {
    let path = match call {
        ImageCall::Generation => "codex/images/generations",
        ImageCall::Edit => "codex/images/edits",
    };
    unary(backend, path, HeaderMap::new(), body)
}

/// Returns the headers of a turn: its model, tier, conversation and shape.
fn turn_headers(turn: &TurnRequest<'_>) -> Result<HeaderMap, UpstreamError> {
    let mut headers = HeaderMap::new();
    if turn.lite {
        headers.insert(headers::X_RESPONSES_LITE, HeaderValue::from_static("true"));
    }
    headers.insert(headers::X_CODEX_ROUTING_HINT, routing_hint(turn)?);
    if let Some(id) = turn.conversation_id {
        let id = headers::value("conversation id", id)?;
        headers.insert(headers::X_CLIENT_REQUEST_ID, id.clone());
        headers.insert(headers::SESSION_ID, id.clone());
        headers.insert(headers::THREAD_ID, id);
    }
    Ok(headers)
}

/// Builds a request whose reply is one JSON object.
fn unary(
    backend: &Backend<'_>,
    path: &str,
    mut headers: HeaderMap,
    body: &[u8],
) -> Result<Request<Bytes>, UpstreamError> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    identify(&mut headers, backend)?;
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    Ok(request(Method::POST, uri(&endpoint(backend.base, path))?, headers, Bytes::copy_from_slice(body)))
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
    turn: &TurnRequest<'_>,
    now: SystemTime,
) -> Result<Request<Bytes>, UpstreamError> {
    let mut headers = HeaderMap::new();
    let mut identity = HeaderMap::new();
    identify(&mut identity, backend)?;
    // The order of the official client for WebSockets.
    for name in [headers::CHATGPT_ACCOUNT_ID, AUTHORIZATION, USER_AGENT, headers::ORIGINATOR] {
        headers.extend(identity.remove(&name).map(|value| (name, value)));
    }
    headers.extend(identity);
    headers.insert(headers::OPENAI_BETA, HeaderValue::from_static("responses_websockets=2026-02-06"));
    if let Some(id) = turn.conversation_id {
        let id = headers::value("conversation id", id)?;
        headers.insert(headers::X_CLIENT_REQUEST_ID, id.clone());
        headers.insert(headers::SESSION_ID, id.clone());
        headers.insert(headers::THREAD_ID, id);
    }
    headers.insert(headers::X_CODEX_ROUTING_HINT, routing_hint(turn)?);
    let message = message(turn, now)?;
    Ok(request(Method::GET, uri(&endpoint(backend.base, "codex/responses"))?, headers, message))
}

fn message(turn: &TurnRequest<'_>, now: SystemTime) -> Result<Bytes, UpstreamError> {
    let body: Map<String, Value> = serde_json::from_slice(turn.body)
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
/// With `etag` the backend answers 304 if nothing has changed.
///
/// # Errors
/// As [`responses`].
pub fn models(backend: &Backend<'_>, etag: Option<&str>) -> Result<Request<Bytes>, UpstreamError> {
    let mut url = endpoint(backend.base, "codex/models");
    url.query_pairs_mut().append_pair("client_version", &backend.identity.version);
    let mut request = get(backend, &url)?;
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
    get(backend, &endpoint(backend.base, "wham/usage"))
}

/// Builds `GET wham/accounts/check`: the account's workspaces and where their requests go (`docs/backend.md §9`).
///
/// # Errors
/// As [`responses`].
pub fn accounts_check(backend: &Backend<'_>) -> Result<Request<Bytes>, UpstreamError> {
    get(backend, &endpoint(backend.base, "wham/accounts/check"))
}

fn routing_hint(turn: &TurnRequest<'_>) -> Result<HeaderValue, UpstreamError> {
    // The default tier is not hinted at.
    let hint = match turn.tier.filter(|tier| *tier != DEFAULT_TIER) {
        Some(tier) => format!("model={};tier={tier}", turn.model),
        None => format!("model={}", turn.model),
    };
    headers::value("model or service tier", &hint)
}

fn get(backend: &Backend<'_>, url: &Url) -> Result<Request<Bytes>, UpstreamError> {
    let mut headers = HeaderMap::new();
    identify(&mut headers, backend)?;
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    Ok(request(Method::GET, uri(url)?, headers, Bytes::new()))
}

/// Adds the headers of every request. Headers are sent in the order in which they are added.
fn identify(headers: &mut HeaderMap, backend: &Backend<'_>) -> Result<(), UpstreamError> {
    let Backend { region, identity, auth, .. } = backend;
    headers.insert(AUTHORIZATION, headers::bearer(auth.access_token)?);
    if let Some(account_id) = auth.account_id {
        headers.insert(headers::CHATGPT_ACCOUNT_ID, headers::value("account id", account_id)?);
    }
    if auth.fedramp {
        headers.insert(headers::X_OPENAI_FEDRAMP, HeaderValue::from_static("true"));
    }
    if let Some(region) = region {
        headers.insert(headers::X_OPENAI_ACCOUNT_ROUTING_OVERRIDE, headers::value("workspace's region", region)?);
    }
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
    use super::*;

    const ID: &str = "01a2062c-22de-7320-84ce-6a407485ff83";

    fn with_backend<T>(base: &str, auth: RequestAuth<'_>, test: impl FnOnce(&Backend<'_>) -> T) -> T {
        let base = Url::parse(base).unwrap();
        let identity = ClientIdentity {
            originator: "codex_cli_rs".to_owned(),
            version: "0.171.0".to_owned(),
            user_agent: "codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm".to_owned(),
        };
        test(&Backend { base: &base, region: None, identity: &identity, auth })
    }

    fn auth() -> RequestAuth<'static> {
        RequestAuth { access_token: "tok", account_id: Some("acct_test"), fedramp: false }
    }

    fn sent(request: &Request<Bytes>) -> Vec<(&str, &str)> {
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
    }

    #[test]
    fn a_turn_has_exactly_these_headers_in_this_order() {
        let turn =
            TurnRequest { model: "gpt-5.5", tier: None, conversation_id: Some(ID), lite: false, body: b"{\"a\":1}" };
        let request = with_backend("https://chatgpt.com/backend-api", auth(), |b| responses(b, &turn)).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://chatgpt.com/backend-api/codex/responses");
        let expected = [
            ("x-codex-routing-hint", "model=gpt-5.5"),
            ("x-client-request-id", ID),
            ("session-id", ID),
            ("thread-id", ID),
            ("accept", "text/event-stream"),
            ("content-encoding", "zstd"),
            ("content-type", "application/json"),
            ("authorization", "Bearer tok"),
            ("chatgpt-account-id", "acct_test"),
            ("originator", "codex_cli_rs"),
            ("user-agent", "codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm"),
        ];
        assert_eq!(sent(&request), expected);
        assert_eq!(zstd::decode_all(&request.body()[..]).unwrap(), b"{\"a\":1}");
        assert!(request.headers()[AUTHORIZATION].is_sensitive());
    }

    #[test]
    fn unary_requests_have_their_paths_and_are_not_compressed() {
        let turn =
            TurnRequest { model: "gpt-5.5", tier: None, conversation_id: Some(ID), lite: false, body: b"{\"a\":1}" };
        with_backend("https://chatgpt.com/backend-api", auth(), |b| {
            let compacted = compaction(b, &turn).unwrap();
            let expected = [
                ("x-codex-routing-hint", "model=gpt-5.5"),
                ("x-client-request-id", ID),
                ("session-id", ID),
                ("thread-id", ID),
                ("content-type", "application/json"),
                ("authorization", "Bearer tok"),
                ("chatgpt-account-id", "acct_test"),
                ("originator", "codex_cli_rs"),
                ("user-agent", "codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm"),
                ("accept", "*/*"),
            ];
            assert_eq!(sent(&compacted), expected);
            let drawn = images(b, ImageCall::Generation, b"{\"a\":1}").unwrap();
            assert_eq!(sent(&drawn), expected[4..]);
            let edited = images(b, ImageCall::Edit, b"{\"a\":1}").unwrap();
            let paths = [(compacted, "responses/compact"), (drawn, "images/generations"), (edited, "images/edits")];
            for (request, path) in paths {
                assert_eq!(request.uri(), &*format!("https://chatgpt.com/backend-api/codex/{path}"));
                assert_eq!((request.method(), &request.body()[..]), (&Method::POST, &b"{\"a\":1}"[..]));
            }
        });
    }

    #[test]
    fn tier_lite_and_fedramp_add_their_headers() {
        let turn = TurnRequest { model: "m", tier: Some("priority"), conversation_id: None, lite: true, body: b"{}" };
        let fedramp = RequestAuth { access_token: "tok", account_id: None, fedramp: true };
        let tiered = with_backend("https://chatgpt.com/backend-api/", fedramp, |b| responses(b, &turn)).unwrap();
        let headers = tiered.headers();
        assert_eq!(headers[headers::X_CODEX_ROUTING_HINT], "model=m;tier=priority");
        assert_eq!(headers[headers::X_RESPONSES_LITE], "true");
        let turn = TurnRequest { tier: Some("default"), ..turn };
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
        let turn = TurnRequest { model: "gpt-5.5", tier: None, conversation_id: Some(ID), lite: false, body };
        let now = UNIX_EPOCH + std::time::Duration::from_millis(1_795_400_096_650);
        let build = |turn: &TurnRequest<'_>| {
            with_backend("https://chatgpt.com/backend-api", auth(), |b| responses_websocket(b, turn, now))
        };
        let request = build(&turn).unwrap();
        assert_eq!((request.method(), request.uri().path()), (&Method::GET, "/backend-api/codex/responses"));
        let expected = [
            ("chatgpt-account-id", "acct_test"),
            ("authorization", "Bearer tok"),
            ("user-agent", "codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm"),
            ("originator", "codex_cli_rs"),
            ("openai-beta", "responses_websockets=2026-02-06"),
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
        let lite = build(&TurnRequest { lite: true, body: b"{}", ..turn }).unwrap();
        assert!(!lite.headers().contains_key(headers::X_RESPONSES_LITE));
        let lite: Value = serde_json::from_slice(lite.body()).unwrap();
        assert_eq!(lite["client_metadata"]["ws_request_header_x_openai_internal_codex_responses_lite"], "true");
        assert!(matches!(build(&TurnRequest { body: b"[]", ..turn }), Err(UpstreamError::InvalidRequest { .. })));
    }

    #[test]
    fn a_region_goes_into_every_request() {
        let turn = TurnRequest { model: "m", tier: None, conversation_id: None, lite: false, body: b"{}" };
        with_backend("https://gov.chatgpt.com/backend-api", auth(), |b| {
            let bound = Backend { region: Some("us"), ..*b };
            for request in [responses(&bound, &turn), models(&bound, None), usage(&bound)] {
                assert_eq!(request.unwrap().headers()[headers::X_OPENAI_ACCOUNT_ROUTING_OVERRIDE], "us");
            }
        });
    }

    #[test]
    fn reads_have_their_paths_and_the_version_query() {
        with_backend("http://127.0.0.1:9/backend-api", auth(), |b| {
            let listed = models(b, Some("W/\"abc\"")).unwrap();
            assert_eq!(listed.uri(), "http://127.0.0.1:9/backend-api/codex/models?client_version=0.171.0");
            assert_eq!(listed.headers()[IF_NONE_MATCH], "W/\"abc\"");
            assert!(!models(b, None).unwrap().headers().contains_key(IF_NONE_MATCH));
            assert_eq!(usage(b).unwrap().uri(), "http://127.0.0.1:9/backend-api/wham/usage");
            assert_eq!(accounts_check(b).unwrap().uri(), "http://127.0.0.1:9/backend-api/wham/accounts/check");
            for request in [listed, usage(b).unwrap(), accounts_check(b).unwrap()] {
                assert_eq!(request.method(), Method::GET);
                assert_eq!(request.headers()[ACCEPT], "*/*");
                assert_eq!(request.headers()[headers::ORIGINATOR], "codex_cli_rs");
                assert!(request.body().is_empty());
            }
        });
    }

    #[test]
    fn values_that_break_headers_are_rejected_without_being_quoted() {
        let bad = "s3cret\r\nx-evil: 1";
        let turn =
            |model, conversation_id| TurnRequest { model, tier: None, conversation_id, lite: false, body: b"{}" };
        let rows = [
            (RequestAuth { access_token: bad, ..auth() }, turn("m", None), "access token"),
            (RequestAuth { account_id: Some(bad), ..auth() }, turn("m", None), "account id"),
            (auth(), turn(bad, None), "model or service tier"),
            (auth(), turn("m", Some(bad)), "conversation id"),
        ];
        for (auth, turn, named) in rows {
            let error = with_backend("https://chatgpt.com", auth, |b| responses(b, &turn)).unwrap_err();
            assert!(error.before_dispatch());
            let message = error.to_string();
            assert!(message.contains(named) && !message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn debug_does_not_show_the_bearer() {
        let shown = format!("{:?}", RequestAuth { access_token: "s3cret", account_id: Some("acct"), fedramp: false });
        assert!(shown.contains("acct") && !shown.contains("s3cret"), "{shown}");
    }
}
