//! The client and the readers against a backend that checks what the real one checks.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use codex_auth::Bearer;
use codex_sim::{Mint, Outcome, Sim, SimConfig};
use codex_translate::Options;
use codex_translate::images::{ImagesRequest, Task};
use codex_translate::responses::ResponsesRequest;
use codex_upstream::{
    Backend, Catalogue, ChunkStream, ClientIdentity, HttpUpstream, HttpUpstreamConfig, ImagesReply, Quota, RetryPolicy,
    SendError, TokioTimer, TurnRequest, Upstream, read_to_end, requests, send_with_retry,
};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use http::{Request, Response};
use serde_json::json;
use url::Url;

use crate::server::soon;

const ID: &str = "01a2062c-22de-7320-84ce-6a407485ff83";

struct Rig {
    sim: Sim,
    client: HttpUpstream,
    bearer: Bearer,
    base: Url,
    identity: ClientIdentity,
}

impl Rig {
    /// Starts a simulator over TLS, and a client that trusts its CA.
    async fn start() -> Self {
        let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await.unwrap();
        let roots = vec![sim.ca_pem().unwrap().as_bytes().to_vec()];
        let client =
            HttpUpstream::new(HttpUpstreamConfig { extra_roots_pem: roots, ..HttpUpstreamConfig::default() }).unwrap();
        let tokens = sim.mint_tokens(Mint::default());
        let bearer = Bearer { token: tokens.access_token.into(), account_id: Some(tokens.account_id), fedramp: false };
        let base = Url::parse(&sim.upstream_url()).unwrap();
        Self { sim, client, bearer, base, identity: ClientIdentity::default() }
    }

    fn backend(&self) -> Backend<'_> {
        Backend { base: &self.base, region: None, identity: &self.identity, bearer: &self.bearer }
    }

    /// The whole body of a reply.
    async fn whole(&self, request: Request<Bytes>) -> Bytes {
        let reply = send_with_retry(&self.client, &request, &RetryPolicy::NEVER, &TokioTimer).await.unwrap();
        read_to_end(reply.into_body(), 1 << 20).await.unwrap()
    }

    async fn turn(&self, text: &str) -> Result<Response<ChunkStream>, SendError> {
        self.turn_with(RetryPolicy::NEVER, text).await
    }

    async fn turn_with(&self, policy: RetryPolicy, text: &str) -> Result<Response<ChunkStream>, SendError> {
        let model = "gpt-5.5";
        let body = json!({
            "model": model, "instructions": "", "store": false, "stream": true, "prompt_cache_key": ID,
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}],
        })
        .to_string();
        let turn = TurnRequest::from(&ResponsesRequest::from_json(body.as_bytes()).unwrap());
        let request = requests::responses(&self.backend(), &turn).unwrap();
        send_with_retry(&self.client, &request, &policy, &TokioTimer).await
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
    // The official client's headers in its order (docs/backend.md §9), each once, and none of a browser's.
    let names: Vec<_> = recorded.headers.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "x-codex-beta-features",
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
        "accept-encoding",
        "content-length",
    ];
    assert_eq!(names, expected);
    assert_eq!(recorded.body.as_ref().unwrap()["prompt_cache_key"], ID);
}

#[tokio::test]
async fn every_refusal_is_told_apart() {
    const ROWS: [(&str, &str); 11] = [
        ("401", "upstream_login_required"),
        ("402", "deactivated_workspace"),
        ("403-json", "invalid_workspace_selected"),
        ("cloudflare", "cloudflare_challenge"),
        ("404", "model_not_found"),
        ("429-usage", "usage_limit_reached"),
        ("429-not-included", "insufficient_quota"),
        ("429-rate", "rate_limit_exceeded"),
        ("500", "server_error"),
        ("503", "server_is_overloaded"),
        ("context-length", "context_length_exceeded"),
    ];
    let rig = Rig::start().await;
    for (scenario, code) in ROWS {
        let outcome = rig.turn(&format!("[sim:{scenario}] hello")).await;
        let Err(SendError::Refused { failure, .. }) = outcome else { panic!("{scenario} was not refused") };
        assert_eq!(failure.error.code(), Some(code), "{scenario}: {failure:?}");
        assert!(!failure.error.message().contains('<'), "{failure:?}");
    }
}

#[tokio::test]
async fn a_temporary_refusal_is_survived() {
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

#[tokio::test]
async fn images_are_generated_and_edited() {
    let rig = Rig::start().await;
    let drawn = async |task, body: String| {
        let request = ImagesRequest::from_json(task, body.as_bytes(), &Options::default()).unwrap();
        rig.whole(requests::images(&rig.backend(), &request).unwrap()).await
    };
    let reply = drawn(Task::Generation, json!({"prompt": "a fox"}).to_string()).await;
    assert_eq!(ImagesReply::parse(&reply).unwrap().data.len(), 1);
    let picture = format!("data:image/png;base64,{}", ImagesReply::parse(&reply).unwrap().data[0].b64_json);
    let reply = drawn(Task::Edit, json!({"prompt": "a hat", "image": picture, "quality": "low"}).to_string()).await;
    assert_eq!(ImagesReply::parse(&reply).unwrap().quality.as_deref(), Some("low"));
}

/// Dropping a reply resets its own stream of the connection (RFC 9113 section 8.1), and no other.
#[tokio::test]
async fn a_dropped_reply_leaves_the_others_on_its_connection_alone() {
    let rig = Rig::start().await;
    let mut kept = rig.turn("[sim:text=one two three][sim:stall] kept").await.unwrap().into_body();
    let mut dropped = rig.turn("[sim:text=one two three][sim:stall] dropped").await.unwrap().into_body();
    kept.next().await.unwrap().unwrap();
    dropped.next().await.unwrap().unwrap();
    drop(dropped);
    let seen = rig.sim.requests_until(|all| all[1].outcome != Outcome::InFlight);
    let seen = soon("the backend to notice", seen).await;
    assert_eq!((seen[0].outcome, seen[1].outcome), (Outcome::InFlight, Outcome::Disconnected));
    assert_eq!(seen[0].connection, seen[1].connection, "both were on one connection");

    let later = rig.turn("later").await.unwrap().into_body();
    let later = String::from_utf8(read_to_end(later, 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(later.contains("response.completed"), "{later}");
    soon("the other reply to wait", rig.sim.requests_until(|all| all[0].waiting)).await;
    rig.sim.control().release();
    let rest = String::from_utf8(read_to_end(kept, 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(rest.contains("response.completed"), "{rest}");
    assert_eq!(rig.sim.requests()[2].connection, seen[0].connection, "the connection went on");
}

/// An HTTP/2 client must accept data that was in flight when it reset a stream (RFC 9113 §5.1). The library treats that
/// as an attack once it has happened a thousand times for streams that it no longer remembers.
#[tokio::test]
async fn any_number_of_dropped_replies_leaves_the_connection_alone() {
    let rig = Rig::start().await;
    let mut kept = rig.turn("[sim:text=one two three][sim:stall] kept").await.unwrap().into_body();
    kept.next().await.unwrap().unwrap();
    let long = format!("[sim:text={}] dropped", "word ".repeat(400));
    for _ in 0..15 {
        let begun = (0..100).map(async |_| rig.turn(&long).await.unwrap().into_body().into_future().await);
        drop(join_all(begun).await);
    }
    soon("the kept reply to wait", rig.sim.requests_until(|all| all[0].waiting)).await;
    rig.sim.control().release();
    let rest = String::from_utf8(read_to_end(kept, 1 << 20).await.unwrap().to_vec()).unwrap();
    assert!(rest.contains("response.completed"), "{rest}");
    let seen = rig.sim.requests();
    assert!(seen.iter().all(|turn| turn.connection == seen[0].connection), "one connection served all");
}
