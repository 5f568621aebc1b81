//! The client and the readers against a backend that checks what the real one checks.

use std::time::{Duration, SystemTime};

use codex_sim::{Mint, Outcome, Sim, SimConfig, Tokens};
use codex_upstream::FailureKind::{self, *};
use codex_upstream::{
    Backend, ByteStream, Catalogue, Client, ClientConfig, Credentials, Identity, Quota, RetryPolicy, SendError,
    SystemClock, Turn, Upstream, read_to_end, requests, send_with_retry,
};
use futures_util::StreamExt as _;
use http::Response;
use serde_json::json;
use url::Url;

use crate::server::soon;

const ID: &str = "01a2062c-22de-7320-84ce-6a407485ff83";

struct Rig {
    sim: Sim,
    client: Client,
    tokens: Tokens,
    base: Url,
    identity: Identity,
}

impl Rig {
    /// Starts a simulator over TLS, and a client that trusts its CA.
    async fn start() -> Self {
        let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await.unwrap();
        let roots = vec![sim.ca_pem().unwrap().as_bytes().to_vec()];
        let client = Client::new(ClientConfig { extra_roots_pem: roots, ..ClientConfig::default() }).unwrap();
        let tokens = sim.mint_tokens(Mint::default());
        let base = Url::parse(&sim.upstream_url()).unwrap();
        Self { sim, client, tokens, base, identity: Identity::default() }
    }

    fn backend(&self) -> Backend<'_> {
        let account_id = Some(self.tokens.account_id.as_str());
        let credentials = Credentials { bearer: &self.tokens.access_token, account_id, fedramp: false };
        Backend { base: &self.base, region: None, identity: &self.identity, credentials }
    }

    async fn turn(&self, text: &str) -> Result<Response<ByteStream>, SendError> {
        self.turn_with(RetryPolicy::NEVER, text).await
    }

    async fn turn_with(&self, policy: RetryPolicy, text: &str) -> Result<Response<ByteStream>, SendError> {
        let model = "gpt-5.5";
        let body = json!({
            "model": model, "instructions": "", "store": false, "stream": true, "prompt_cache_key": ID,
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}],
        })
        .to_string();
        let turn = Turn { model, tier: None, conversation_id: Some(ID), lite: false, body: body.as_bytes() };
        let request = requests::responses(&self.backend(), &turn).unwrap();
        send_with_retry(&self.client, &request, &policy, &SystemClock).await
    }
}

#[tokio::test]
async fn a_turn_is_accepted_and_streamed() {
    let rig = Rig::start().await;
    let reply = rig.turn("[sim:text] hello").await.unwrap();
    let quota = Quota::from_headers(reply.headers(), SystemTime::now());
    assert!(quota.tightest().is_some(), "{quota:?}");
    let body = read_to_end(reply.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(body.contains("response.created") && body.contains("response.completed"), "{body}");

    let recorded = &rig.sim.requests()[0];
    assert_eq!(recorded.version, "HTTP/2.0");
    // The official client's headers in its order (wire.md §9), each once, and nothing of a browser's beside them.
    let names: Vec<_> = recorded.headers.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "x-codex-routing-hint",
        "x-client-request-id",
        "session-id",
        "thread-id",
        "accept",
        "content-encoding",
        "content-type",
        "authorization",
        "chatgpt-account-id",
        "originator",
        "user-agent",
        "content-length",
    ];
    assert_eq!(names, expected);
    assert_eq!(recorded.body.as_ref().unwrap()["prompt_cache_key"], ID);
}

#[tokio::test]
async fn every_refusal_is_told_apart() {
    const ROWS: [(&str, FailureKind); 11] = [
        ("401", Unauthorized),
        ("402", Workspace),
        ("403-json", Workspace),
        ("cloudflare", Challenge),
        ("404", ModelNotFound),
        ("429-usage", UsageLimit),
        ("429-not-included", PlanExcludes),
        ("429-rate", RateLimit),
        ("500", Server),
        ("503", Overloaded),
        ("context-length", ContextLength),
    ];
    let rig = Rig::start().await;
    for (scenario, kind) in ROWS {
        let outcome = rig.turn(&format!("[sim:{scenario}] hello")).await;
        let Err(SendError::Refused { failure, .. }) = outcome else { panic!("{scenario} was not refused") };
        assert_eq!(failure.kind, kind, "{scenario}: {failure:?}");
        assert!(!failure.message.contains('<'), "{failure:?}");
    }
}

#[tokio::test]
async fn a_passing_refusal_is_got_over() {
    let rig = Rig::start().await;
    let policy = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
    for scenario in ["500-once", "503-once", "cloudflare-once"] {
        let reply = rig.turn_with(policy, &format!("[sim:{scenario}] hello")).await.unwrap();
        let body = read_to_end(reply.into_body(), 1 << 20).await.unwrap();
        assert!(String::from_utf8_lossy(&body).contains("response.completed"), "{scenario}");
    }
}

#[tokio::test]
async fn a_dropped_reply_is_cancelled_at_the_backend() {
    let rig = Rig::start().await;
    let mut body = rig.turn("[sim:stall] hello").await.unwrap().into_body();
    body.next().await.unwrap().unwrap();
    drop(body);
    let recorded =
        soon("the backend to notice", rig.sim.requests_until(|all| all[0].outcome != Outcome::InFlight)).await;
    assert_eq!(recorded[0].outcome, Outcome::Disconnected);
}

#[tokio::test]
async fn models_and_usage_are_read() {
    let rig = Rig::start().await;
    let models = rig.client.send(requests::models(&rig.backend(), None).unwrap()).await.unwrap();
    let etag = models.headers()["etag"].to_str().unwrap().to_owned();
    let catalogue = Catalogue::parse(&read_to_end(models.into_body(), 1 << 24).await.unwrap()).unwrap();
    assert!(catalogue.find("gpt-5.5").is_some_and(|model| !model.efforts.is_empty()));
    let again = rig.client.send(requests::models(&rig.backend(), Some(&etag)).unwrap()).await.unwrap();
    assert_eq!(again.status(), 304);

    let usage = rig.client.send(requests::usage(&rig.backend()).unwrap()).await.unwrap();
    let usage = read_to_end(usage.into_body(), 1 << 20).await.unwrap();
    let quota = Quota::from_usage(&usage, SystemTime::now()).unwrap();
    assert_eq!(quota.plan.as_deref(), Some("plus"));
    assert!(!quota.windows.is_empty());

    let check = rig.client.send(requests::accounts_check(&rig.backend()).unwrap()).await.unwrap();
    assert_eq!(check.status(), 200);
}
