//! Turns over real WebSockets: the client and the simulated backend, plain, over TLS, and through proxies.

use std::time::Duration;

use codex_auth::Bearer;
use codex_sim::{Mint, Outcome, RecordedRequest, Sim, SimConfig, Tokens};
use codex_translate::responses::ResponsesRequest;
use codex_translate::{Chunk, ErrorKind};
use codex_upstream::{
    Backend, ChunkStream, ClientIdentity, HttpUpstream, HttpUpstreamConfig, ProxyConfig, Quota, RetryPolicy, SendError,
    TokioTimer, TurnRequest, UpstreamError, WebSocketUpstream, requests, send_with_retry,
};
use futures_util::StreamExt as _;
use http::Response;
use serde_json::{Value, json};
use url::Url;

use crate::proxy::{connect_proxy, https, socks_proxy};
use crate::server::soon;

const ID: &str = "01a2062c-22de-7320-84ce-6a407485ff83";

struct Rig {
    sim: Sim,
    sockets: WebSocketUpstream<HttpUpstream, TokioTimer>,
    tokens: Tokens,
    base: Url,
}

impl Rig {
    async fn start(tls: bool) -> Self {
        let sim = Sim::start(SimConfig { tls, ..SimConfig::default() }).await.unwrap();
        let base = sim.upstream_url().parse().unwrap();
        Self::over(sim, base, ProxyConfig::default())
    }

    fn over(sim: Sim, base: Url, proxy: ProxyConfig) -> Self {
        let roots = sim.ca_pem().map(|pem| pem.as_bytes().to_vec()).into_iter().collect();
        let config = HttpUpstreamConfig { extra_roots_pem: roots, proxy, ..HttpUpstreamConfig::default() };
        let silence = config.read_timeout;
        let sockets = WebSocketUpstream::new(HttpUpstream::new(config).unwrap(), TokioTimer, silence);
        Self { tokens: sim.mint_tokens(Mint::default()), sim, sockets, base }
    }

    async fn send(&self, input: &[Value]) -> Result<Response<ChunkStream>, SendError> {
        let identity = ClientIdentity::default();
        let bearer = Bearer {
            token: self.tokens.access_token.as_str().into(),
            account_id: Some(self.tokens.account_id.clone()),
            fedramp: false,
        };
        let backend = Backend { base: &self.base, region: None, identity: &identity, bearer: &bearer };
        let tool = json!({"type": "function", "name": "f", "strict": false, "parameters": {"type": "object", "properties": {}}});
        let model = "gpt-5.5";
        let body = json!({
            "model": model, "instructions": "", "store": false, "stream": true, "prompt_cache_key": ID,
            "input": input, "tools": [tool], "include": ["reasoning.encrypted_content"],
        });
        let body = body.to_string();
        let turn = TurnRequest::from(&ResponsesRequest::from_json(body.as_bytes()).unwrap());
        let request = requests::responses_websocket(&backend, &turn, std::time::SystemTime::now()).unwrap();
        let policy = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
        send_with_retry(&self.sockets, &request, &policy, &TokioTimer).await
    }

    /// Sends a turn, reads its reply to the end, and returns the items of the answer.
    async fn turn(&self, input: &[Value]) -> Vec<Value> {
        let reply = self.send(input).await.unwrap();
        let messages = reply.into_body().map(|chunk| match chunk.unwrap() {
            Chunk::Message(message) => serde_json::from_slice(&message).unwrap(),
            Chunk::Bytes(bytes) => panic!("no message: {bytes:?}"),
        });
        let events: Vec<Value> = messages.collect().await;
        assert_eq!(events.last().unwrap()["type"], "response.completed");
        let done = |event: &Value| event["type"] == "response.output_item.done";
        events.iter().filter(|event| done(event)).map(|event| event["item"].clone()).collect()
    }

    /// The messages that arrived, as connection and body.
    fn messages(&self) -> Vec<(u64, Value)> {
        let requests = self.sim.requests();
        let frames = requests.iter().filter(|request| request.method == "FRAME");
        frames.map(|frame| (frame.connection, (**frame.body.as_ref().unwrap()).clone())).collect()
    }
}

fn user(text: &str) -> Value {
    json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
}

/// A task of two turns: a tool is called, and its output is answered.
async fn task(rig: &Rig) {
    let mut input = vec![user("[sim:tool-once=f] go")];
    let answer = rig.turn(&input).await;
    let call_id = answer.last().unwrap()["call_id"].clone();
    input.extend(answer);
    input.push(json!({"type": "function_call_output", "call_id": call_id, "output": "from the tool"}));
    let answer = rig.turn(&input).await;
    assert!(answer.last().unwrap().to_string().contains("from the tool"), "{answer:?}");
    let messages = rig.messages();
    let [(first, whole), (second, increment)] = &messages[..] else { panic!("{messages:?}") };
    assert_eq!(first, second);
    assert_eq!(whole.get("previous_response_id"), None);
    assert!(increment["previous_response_id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(increment["input"], json!([input.last().unwrap()]));
}

#[tokio::test]
async fn a_task_is_done_on_one_connection_whose_second_turn_is_an_increment() {
    for tls in [false, true] {
        let rig = Rig::start(tls).await;
        task(&rig).await;
        let upgrade = &rig.sim.requests()[0];
        assert_eq!((upgrade.version.as_str(), upgrade.status), ("HTTP/1.1", Some(101)));
        // The official client's headers in its order (docs/backend.md §9), except those of its terminal and the
        // compression.
        let names: Vec<_> = upgrade.headers.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "host",
            "connection",
            "upgrade",
            "sec-websocket-version",
            "sec-websocket-key",
            "chatgpt-account-id",
            "authorization",
            "user-agent",
            "originator",
            "openai-beta",
            "x-codex-beta-features",
            "x-client-request-id",
            "session-id",
            "thread-id",
            "x-codex-routing-hint",
        ];
        assert_eq!(names, expected);
    }
}

#[tokio::test]
async fn websockets_go_through_proxies() {
    for is_socks in [false, true] {
        let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await.unwrap();
        let address = Url::parse(sim.base_url()).unwrap().socket_addrs(|| None).unwrap()[0];
        let (proxy, asked) = if is_socks { socks_proxy(address).await } else { connect_proxy(address, None).await };
        let scheme = if is_socks { "socks5h" } else { "http" };
        let proxy = https(format!("{scheme}://user:p%40ss@{proxy}"));
        let rig = Rig::over(sim, "https://chatgpt.com/backend-api".parse().unwrap(), proxy);
        task(&rig).await;
        let asked = asked.lock().unwrap().clone();
        assert!(asked.len() == 1 && asked[0].contains("chatgpt.com:443"), "{asked:?}");
    }
}

#[tokio::test]
async fn refusals_are_what_they_are_over_http() {
    let rig = Rig::start(true).await;
    for (scenario, kind) in [
        ("429-usage", ErrorKind::UsageLimit),
        ("401", ErrorKind::Authentication),
        ("404", ErrorKind::ModelNotFound),
        ("context-length", ErrorKind::ContextLengthExceeded),
        ("503", ErrorKind::Overloaded),
    ] {
        let Err(SendError::Refused { failure, headers }) = rig.send(&[user(&format!("[sim:{scenario}] go"))]).await
        else {
            panic!("{scenario} was not refused");
        };
        assert_eq!(failure.error.kind(), kind, "{scenario}: {failure:?}");
        if kind == ErrorKind::UsageLimit {
            let quota = Quota::from_headers(&headers, std::time::SystemTime::now());
            assert_eq!(quota.tightest().unwrap().used_percent, 100.0);
        }
    }
    for scenario in ["503-once", "error-first-once=websocket_connection_limit_reached"] {
        assert!(!rig.turn(&[user(&format!("[sim:{scenario}] go"))]).await.is_empty(), "{scenario}");
    }
}

#[tokio::test]
async fn turns_survive_the_age_limit_and_a_forgotten_response() {
    let rig = Rig::start(false).await;
    let mut input = vec![user("one")];
    input.extend(rig.turn(&input).await);
    input.push(user("two"));
    rig.sim.control().forget_responses();
    input.extend(rig.turn(&input).await);
    input.push(user("three"));
    // Only the simulator's clock: the client still considers the connection usable.
    rig.sim.control().advance(Duration::from_secs(3_600));
    rig.turn(&input).await;
    let told = rig
        .messages()
        .iter()
        .map(|(connection, message)| (*connection, message["input"].as_array().unwrap().len()))
        .collect::<Vec<_>>();
    assert_eq!(told, [(1, 1), (1, 1), (2, 4), (2, 1), (3, 7)]);
}

#[tokio::test]
async fn a_cut_is_not_an_end() {
    let rig = Rig::start(true).await;
    for scenario in ["cut", "no-terminal"] {
        let mut body = rig.send(&[user(&format!("[sim:{scenario}] go"))]).await.unwrap().into_body();
        let mut last = None;
        while let Some(item) = body.next().await {
            last = Some(item);
        }
        assert!(matches!(last, Some(Err(UpstreamError::Body { .. }))), "{scenario}: {last:?}");
    }
}

#[tokio::test]
async fn a_dropped_reply_is_cancelled_at_the_backend() {
    for tls in [false, true] {
        let rig = Rig::start(tls).await;
        let mut body = rig.send(&[user("[sim:stall] go")]).await.unwrap().into_body();
        body.next().await.unwrap().unwrap();
        drop(body);
        let left = |all: &[RecordedRequest]| all.iter().all(|request| request.outcome == Outcome::Disconnected);
        soon("the backend to notice", rig.sim.requests_until(left)).await;
    }
}

#[tokio::test]
async fn a_backend_without_websockets_refuses_before_a_turn_begins() {
    let rig = Rig::start(true).await;
    rig.sim.control().refuse_upgrades(Some(426));
    let Err(SendError::Transport(error)) = rig.send(&[user("go")]).await else { panic!("it was answered") };
    assert!(matches!(error, UpstreamError::WebSocketUnavailable { is_transient: false, .. }), "{error}");
    assert!(!rig.sockets.is_worth_trying(), "{error}");
    assert!(rig.messages().is_empty());
}

#[tokio::test]
async fn a_message_that_is_too_large_is_left_to_http() {
    let rig = Rig::start(false).await;
    let Err(SendError::Transport(error)) = rig.send(&[user(&"x".repeat(17 << 20))]).await else {
        panic!("it was answered")
    };
    // Closed with 1009, or reset while it was still being sent.
    let is_told = matches!(error, UpstreamError::Unanswered { .. } | UpstreamError::Body { .. });
    assert!(is_told && rig.sockets.is_worth_trying(), "{error}");
}
