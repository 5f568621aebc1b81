//! What leaves the connection for each call, byte by byte: ALPN, names of headers with their case and order, and the
//! beginning of bodies.
//!
//! The expected values are those of the official client 0.171.0 in interactive use, captured over HTTP/1.1 on
//! 2026-11-29 (`docs/backend.md §2.2`, `§9`, `§10`). What the proxy leaves out is listed in the documentation of
//! `codex_upstream::requests`.

use std::future::Future;
use std::io::Cursor;

use bytes::Bytes;
use codex_auth::{AuthConfig, Bearer, DeviceLogin, HttpTokenEndpoint, RefreshReason, SystemClock, TokenEndpoint as _};
use codex_translate::images::{ImagesRequest, Task};
use codex_translate::responses::ResponsesRequest;
use codex_upstream::{
    AlphaRequest, AlphaTool, Backend, ClientIdentity, Emulation, HttpUpstream, HttpUpstreamConfig, TurnRequest,
};
use codex_upstream::{Upstream as _, requests};
use http::{HeaderName, HeaderValue, Request};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use url::Url;

use crate::hello::Hello;
use crate::server::soon;
use crate::tls_server::{accept_tls, ca_pem};

const ID: &str = "01a2062c-22de-7320-84ce-6a407485ff83";

/// The first request of a connection.
struct Sent {
    /// In ALPN's form; `None` without the extension.
    offered: Option<Bytes>,
    /// The request line and headers as they were written, without what differs from run to run.
    head: Vec<String>,
    body: Vec<u8>,
}

impl Sent {
    fn members(&self) -> Vec<String> {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body.as_object().unwrap().keys().cloned().collect()
    }
}

/// Runs `call` with a client and the URL of a server that answers with `reply`, and returns what the server received.
async fn sent<F: Future>(emulation: Emulation, reply: Vec<u8>, call: impl FnOnce(HttpUpstream, Url) -> F) -> Sent {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let config = HttpUpstreamConfig { emulation, extra_roots_pem: vec![ca_pem()], ..HttpUpstreamConfig::default() };
    let client = HttpUpstream::new(config).unwrap();
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut start = [0; 5];
        stream.read_exact(&mut start).await.unwrap();
        let mut record = start.to_vec();
        record.resize(Hello::record_bytes(start), 0);
        stream.read_exact(&mut record[5..]).await.unwrap();
        let hello = Hello::read(Bytes::from(record.clone()));
        let (read, write) = stream.into_split();
        let stream = tokio::io::join(Cursor::new(record).chain(read), write);
        let mut stream = accept_tls(stream, b"\x08http/1.1").await.unwrap();
        let (head, body) = request(&mut stream).await;
        stream.write_all(&reply).await.unwrap();
        let offered = hello.extensions.contains_key(&16).then_some(hello.protocols);
        // The connection stays open until the call has ended.
        (Sent { offered, head, body }, stream)
    };
    let both = async { tokio::join!(server, call(client, Url::parse(&url).unwrap())) };
    soon("the call", both).await.0.0
}

async fn request(stream: &mut (impl AsyncRead + Unpin)) -> (Vec<String>, Vec<u8>) {
    let mut received = Vec::new();
    let end = loop {
        if let Some(at) = received.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the connection ended within the head");
    };
    let lines: Vec<_> = std::str::from_utf8(&received[..end]).unwrap().split("\r\n").map(str::to_owned).collect();
    let mut body = received.split_off(end + 4);
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
    while body.len() < length.map_or(0, |length| length.parse().unwrap()) {
        assert_ne!(stream.read_buf(&mut body).await.unwrap(), 0, "the connection ended within the body");
    }
    let varying = ["host: ", "Host: ", "content-length: ", "Sec-WebSocket-Key: "];
    let masked = |line: String| match varying.iter().find(|name| line.starts_with(**name)) {
        Some(name) => format!("{name}…"),
        None => line,
    };
    (lines.into_iter().map(masked).collect(), body)
}

/// A reply with a compressed body, which the requests permit.
fn zstd_reply(body: &str) -> Vec<u8> {
    let body = zstd::encode_all(body.as_bytes(), 3).unwrap();
    let head = format!("HTTP/1.1 200 OK\r\ncontent-encoding: zstd\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), &body].concat()
}

fn identity() -> ClientIdentity {
    let system = "(Debian 12.0.0; x86_64) xterm-256color";
    ClientIdentity {
        originator: "codex-tui".to_owned(),
        version: "0.171.0".to_owned(),
        user_agent: format!("codex-tui/0.171.0 {system} (codex-tui; 0.171.0)"),
        startup_user_agent: format!("codex_cli_rs/0.171.0 {system}"),
    }
}

/// Sends a request to the backend and returns what arrives.
async fn sent_to_backend(build: impl FnOnce(&Backend<'_>) -> Request<Bytes>) -> Sent {
    sent(Emulation::Chrome, zstd_reply("{}"), async |client, base| {
        let bearer = Bearer { token: "token".into(), account_id: Some("account".to_owned()), fedramp: false };
        let base = base.join("/backend-api").unwrap();
        let request = build(&Backend { base: &base, region: None, identity: &identity(), bearer: &bearer });
        client.send(request).await.unwrap()
    })
    .await
}

fn turn() -> TurnRequest {
    let body = br#"{"model": "gpt-5.5", "input": "Hello!", "stream": true, "reasoning": {"effort": "low"}}"#;
    let mut request = ResponsesRequest::from_json(body).unwrap();
    request.prompt_cache_key = Some(ID.to_owned());
    TurnRequest::from(&request)
}

const AGENT: &str = "user-agent: codex-tui/0.171.0 (Debian 12.0.0; x86_64) xterm-256color (codex-tui; 0.171.0)";
const STARTUP_AGENT: &str = "user-agent: codex_cli_rs/0.171.0 (Debian 12.0.0; x86_64) xterm-256color";

#[tokio::test]
async fn a_turn_is_sent_as_the_official_client_sends_it() {
    let sent = sent_to_backend(|backend| requests::responses(backend, &turn()).unwrap()).await;
    let expected = [
        "POST /backend-api/codex/responses HTTP/1.1",
        "x-codex-beta-features: remote_compaction_v2",
        "x-codex-routing-hint: model=gpt-5.5",
        &format!("x-client-request-id: {ID}"),
        &format!("session-id: {ID}"),
        &format!("thread-id: {ID}"),
        "accept: text/event-stream",
        "content-encoding: zstd",
        "content-type: application/json",
        "authorization: Bearer token",
        "chatgpt-account-id: account",
        "originator: codex-tui",
        AGENT,
        "accept-encoding: zstd,gzip",
        "host: …",
        "content-length: …",
    ];
    assert_eq!(sent.head, expected);
    assert_eq!(sent.offered.as_deref(), Some(&b"\x02h2\x08http/1.1"[..]));
    assert_eq!(sent.body[..6], [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]);
    let plain = Sent { body: zstd::decode_all(&sent.body[..]).unwrap(), ..sent };
    let members = ["model", "stream", "input", "tool_choice", "parallel_tool_calls", "reasoning", "store", "include"];
    assert_eq!(plain.members(), [&members[..], &["prompt_cache_key", "text"]].concat());
}

#[tokio::test]
async fn an_image_is_requested_as_the_official_client_requests_it() {
    let image = ImagesRequest::from_json(Task::Generation, br#"{"prompt": "a fox"}"#, &Default::default()).unwrap();
    let sent = sent_to_backend(|backend| requests::images(backend, &image).unwrap()).await;
    let expected = [
        "POST /backend-api/codex/images/generations HTTP/1.1",
        "authorization: Bearer token",
        "chatgpt-account-id: account",
        "content-type: application/json",
        "originator: codex-tui",
        AGENT,
        "accept: */*",
        "accept-encoding: zstd,gzip",
        "host: …",
        "content-length: …",
    ];
    assert_eq!(sent.head, expected);
    assert_eq!(sent.members(), ["prompt", "background", "model", "quality", "size"]);
}

#[tokio::test]
async fn a_call_of_a_tool_is_handed_on_as_the_official_client_sends_it() {
    let given = [("x-openai-tool-output-truncation-policy", "{}"), ("x-openai-encrypted-tool-arguments", "true")];
    let given = given.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
    let call = AlphaRequest::new(AlphaTool::Notes, "append_to_file", &given.into_iter().collect(), "{}".into());
    let sent = sent_to_backend(|backend| requests::alpha(backend, &call.unwrap()).unwrap()).await;
    let expected = [
        "POST /backend-api/codex/alpha/notes/v2/append_to_file HTTP/1.1",
        "x-openai-tool-output-truncation-policy: {}",
        "x-openai-encrypted-tool-arguments: true",
        "authorization: Bearer token",
        "chatgpt-account-id: account",
        "content-type: application/json",
        "originator: codex-tui",
        AGENT,
        "accept: */*",
        "accept-encoding: zstd,gzip",
        "host: …",
        "content-length: …",
    ];
    assert_eq!(sent.head, expected);
}

#[tokio::test]
async fn reads_are_sent_as_the_official_client_sends_them() {
    let (authorization, account) = ("authorization: Bearer token", "chatgpt-account-id: account");
    let end = ["accept: */*", "accept-encoding: zstd,gzip", "host: …"];
    let listed = sent_to_backend(|backend| requests::models(backend, None).unwrap()).await;
    let names = [authorization, account, "originator: codex_cli_rs", STARTUP_AGENT];
    assert_eq!(listed.head[0], "GET /backend-api/codex/models?client_version=0.171.0 HTTP/1.1");
    assert_eq!(listed.head[1..], [&names[..], &end].concat());

    let listed = sent_to_backend(|backend| requests::models(backend, Some("\"x\"")).unwrap()).await;
    assert_eq!(listed.head[3..5], ["originator: codex-tui", AGENT]);

    let check = sent_to_backend(|backend| requests::accounts_check(backend).unwrap()).await;
    assert_eq!(check.head[0], "GET /backend-api/wham/accounts/check HTTP/1.1");
    assert_eq!(check.head[1..], [&[STARTUP_AGENT, authorization, account][..], &end].concat());

    let usage = sent_to_backend(|backend| requests::usage(backend).unwrap()).await;
    assert_eq!(usage.head[0], "GET /backend-api/wham/usage HTTP/1.1");
    let reserve = "x-openai-codex-luna-reserve: 1";
    assert_eq!(usage.head[1..], [&[AGENT, authorization, account, reserve][..], &end].concat());

    let credits = sent_to_backend(|backend| requests::reset_credits(backend).unwrap()).await;
    assert_eq!(credits.head[0], "GET /backend-api/wham/rate-limit-reset-credits HTTP/1.1");
    assert_eq!(credits.head[1..], [&[AGENT, authorization, account][..], &end].concat());
}

#[tokio::test]
async fn a_websocket_is_opened_as_the_official_client_opens_it() {
    // Chrome offers HTTP/1.1 for a WebSocket; the official client has no ALPN extension.
    for (emulation, offered) in [(Emulation::Chrome, Some(&b"\x08http/1.1"[..])), (Emulation::Codex, None)] {
        let refusal = b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n".to_vec();
        let sent = sent(emulation, refusal, async |client, base| {
            let bearer = Bearer { token: "token".into(), account_id: Some("account".to_owned()), fedramp: false };
            let base = base.join("/backend-api").unwrap();
            let backend = Backend { base: &base, region: None, identity: &identity(), bearer: &bearer };
            let now = std::time::UNIX_EPOCH;
            let request = requests::responses_websocket(&backend, &turn(), now).unwrap();
            let message: Value = serde_json::from_slice(request.body()).unwrap();
            let members: Vec<_> = message.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members[..4], ["type", "model", "stream", "input"]);
            assert_eq!(members[members.len() - 3..], ["prompt_cache_key", "text", "client_metadata"]);
            client.connect(request.map(|_| ())).await.unwrap()
        })
        .await;
        let expected = [
            "GET /backend-api/codex/responses HTTP/1.1",
            "Host: …",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: …",
            "chatgpt-account-id: account",
            "authorization: Bearer token",
            AGENT,
            "originator: codex-tui",
            "openai-beta: responses_websockets=2026-02-06",
            "x-codex-beta-features: remote_compaction_v2",
            &format!("x-client-request-id: {ID}"),
            &format!("session-id: {ID}"),
            &format!("thread-id: {ID}"),
            "x-codex-routing-hint: model=gpt-5.5",
        ];
        assert_eq!(sent.head, expected, "{emulation:?}");
        assert_eq!(sent.offered.as_deref(), offered, "{emulation:?}");
    }
}

fn auth(issuer: Url) -> AuthConfig {
    AuthConfig { user_agent: Some(identity().startup_user_agent), ..AuthConfig::new(issuer) }
}

#[tokio::test]
async fn the_auth_server_receives_what_the_official_client_sends() {
    let named = [
        "content-type: application/json",
        "originator: codex_cli_rs",
        STARTUP_AGENT,
        "accept: */*",
        "accept-encoding: zstd,gzip",
        "host: …",
        "content-length: …",
    ];
    let tokens = r#"{"access_token":"access-2","refresh_token":"refresh-2"}"#;
    let refresh = sent(Emulation::Chrome, zstd_reply(tokens), async |client, issuer| {
        let endpoint = HttpTokenEndpoint::new(client, auth(issuer));
        let renewed = endpoint.refresh(&"refresh-1".into(), RefreshReason::Rejected).await.unwrap();
        assert_eq!(renewed.access_token.unwrap().expose(), "access-2", "the reply is decompressed");
    })
    .await;
    assert_eq!(refresh.head[0], "POST /oauth/token HTTP/1.1");
    assert_eq!(refresh.head[1..], named);
    assert_eq!(refresh.members(), ["client_id", "grant_type", "refresh_reason", "refresh_token"]);

    let revoke = sent(Emulation::Chrome, zstd_reply("{}"), async |client, issuer| {
        let mut tokens = codex_auth::Tokens::new("access".into());
        tokens.refresh_token = Some("refresh".into());
        HttpTokenEndpoint::new(client, auth(issuer)).revoke(&tokens).await.unwrap();
    })
    .await;
    assert_eq!(revoke.head[0], "POST /oauth/revoke HTTP/1.1");
    assert_eq!(revoke.head[1..], named);
    assert_eq!(revoke.members(), ["token", "token_type_hint", "client_id"]);
}

#[tokio::test]
async fn a_login_does_not_name_the_client() {
    let anonymous = ["accept: */*", "accept-encoding: zstd,gzip", "host: …", "content-length: …"];
    let code = sent(Emulation::Chrome, zstd_reply("{}"), async |client, issuer| {
        // The reply has no code.
        assert!(DeviceLogin::start(&auth(issuer), &client, &SystemClock).await.is_err());
    })
    .await;
    assert_eq!(code.head[..2], ["POST /api/accounts/deviceauth/usercode HTTP/1.1", "content-type: application/json"]);
    assert_eq!(code.head[2..], anonymous);

    let exchange = sent(Emulation::Chrome, zstd_reply("{}"), async |client, issuer| {
        let uri = "http://127.0.0.1:1455/auth/callback";
        let request = codex_auth::requests::exchange_request(&auth(issuer), &"c".into(), &"v".into(), uri).unwrap();
        codex_upstream::Upstream::send(&client, request).await.unwrap()
    })
    .await;
    let form = ["POST /oauth/token HTTP/1.1", "content-type: application/x-www-form-urlencoded"];
    assert_eq!(exchange.head[..2], form);
    assert_eq!(exchange.head[2..], anonymous);
    assert_eq!(
        std::str::from_utf8(&exchange.body).unwrap(),
        "grant_type=authorization_code&client_id=app_EMoamEEZ73f0CkXaXp7hrann&code=c\
         &redirect_uri=http%3A%2F%2F127.0.0.1%3A1455%2Fauth%2Fcallback&code_verifier=v"
    );
}
