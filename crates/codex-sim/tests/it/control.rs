//! The control API, in Rust and over HTTP, the catalogue and the account endpoints.

use std::time::Duration;

use codex_sim::{ControlError, Outcome, Workspace};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::peer::{Peer, read, turn};

#[tokio::test]
async fn queued_scenarios_apply_in_order_and_a_header_takes_precedence() {
    let peer = Peer::start().await;
    let control = peer.sim.control();
    control.queue("text=one").expect("a scenario");
    control.queue("[sim:text=two]").expect("a scenario");
    assert!(matches!(control.queue("teapot"), Err(ControlError::Scenario(_))));
    let request = peer
        .request(Method::POST, "/backend-api/codex/responses")
        .header("x-sim-scenario", "text=zero")
        .body(Full::from(turn("hi").to_string()))
        .expect("a request");
    assert_eq!(read(peer.send(request).await).await.answer(), "zero");
    assert_eq!(peer.say("hi").await.answer(), "one");
    assert_eq!(peer.say("hi").await.answer(), "two");
    assert!(peer.say("hi").await.answer().contains("hi"));
}

#[tokio::test]
async fn requests_are_recorded_with_their_outcome() {
    let peer = Peer::start().await;
    peer.say("[sim:text=hello]").await;
    peer.say("[sim:cut] hi").await;
    let done = |r: &codex_sim::RecordedRequest| r.outcome != Outcome::InFlight;
    let requests = peer.sim.requests_until(|requests| requests.len() == 2 && requests.iter().all(done)).await;
    let (whole, cut) = (&requests[0], &requests[1]);
    assert_eq!((whole.method.as_str(), whole.path.as_str()), ("POST", "/backend-api/codex/responses"));
    assert_eq!(whole.header("originator"), Some("codex_exec"));
    assert_eq!(whole.body.as_ref().map(|body| body["model"].clone()), Some(json!("gpt-5.5")));
    assert_eq!(whole.body_bytes, turn("[sim:text=hello]").to_string().len());
    assert_eq!((whole.status, whole.outcome), (Some(200), Outcome::Completed));
    assert_eq!(whole.events_sent, 11);
    assert_eq!(whole.scenario.as_deref(), Some("[sim:text=hello]"));
    assert_eq!(cut.outcome, Outcome::Cut);
    assert!(!format!("{whole:?}").contains("Bearer"));
}

#[tokio::test]
async fn the_http_control_does_what_the_handle_does() {
    let peer = Peer::start().await;
    let order = async |path: &str, body: Value| peer.post(&format!("/__sim/{path}"), &body).await;
    assert_eq!(order("scenario", json!({"scenario": "text=queued"})).await.status, 200);
    assert_eq!(peer.say("hi").await.answer(), "queued");
    assert_eq!(order("scenario", json!({"scenario": "teapot"})).await.status, 400);
    assert_eq!(order("compression", json!({"on": false})).await.status, 200);
    assert_eq!(order("cloudflare", json!({"on": true})).await.status, 200);
    assert_eq!(peer.say("hi").await.status, 403);
    order("cloudflare", json!({"on": false})).await;
    order("quota", json!({"primary_percent": 100.0, "secondary_percent": 3})).await;
    assert_eq!(peer.say("hi").await.status, 429);
    let usage = peer.fetch("/backend-api/wham/usage").await.json();
    assert_eq!(usage["rate_limit"]["limit_reached"], true);
    order("quota", json!({"primary_percent": 1, "secondary_percent": 3})).await;
    let minted = order("tokens", json!({"account_id": "acct", "lifetime_secs": 5})).await.json();
    assert_eq!((&minted["account_id"], &minted["expires_in"]), (&json!("acct"), &json!(5)));
    assert_eq!(order("advance", json!({"secs": u64::MAX})).await.status, 200);
    assert_eq!(peer.say("hi").await.json()["error"]["code"], "token_expired");
    assert_eq!(order("refresh-fault", json!({"fault": "nonsense"})).await.status, 400);
    assert_eq!(order("teapot", json!({})).await.status, 400);
    let recorded = peer.fetch("/__sim/requests").await.json();
    assert_eq!(recorded["requests"][0]["path"], "/backend-api/codex/responses");
    assert_eq!(recorded["requests"][0]["outcome"], "completed");
    assert_eq!(peer.fetch("/__sim/refreshes").await.json(), json!({"granted": 0, "uses": []}));
    assert_eq!(order("reset", json!({})).await.status, 200);
    assert_eq!(peer.fetch("/__sim/requests").await.json(), json!({"requests": []}));
    assert_eq!(peer.say("hi").await.json()["error"]["code"], "token_invalidated");
}

#[tokio::test]
async fn the_catalogue_depends_on_the_version_and_has_an_etag() {
    let peer = Peer::start().await;
    assert_eq!(peer.fetch("/backend-api/codex/models").await.status, 400);
    let slugs = async |version: &str| {
        let reply = peer.fetch(&format!("/backend-api/codex/models?client_version={version}")).await;
        let models = reply.json()["models"].as_array().expect("a list").clone();
        let slugs: Vec<String> = models.iter().map(|m| m["slug"].as_str().expect("a slug").to_owned()).collect();
        (slugs, reply.header("etag").expect("an etag").to_owned())
    };
    let (old, old_tag) = slugs("0.138.0").await;
    let (recent, tag) = slugs("0.169.0").await;
    assert!(old.contains(&"gpt-5.5".to_owned()) && !old.contains(&"gpt-6-astra".to_owned()));
    assert!(recent.contains(&"gpt-6.1-sol".to_owned()) && recent.contains(&"gpt-5.3-codex-spark".to_owned()));
    assert_ne!(old_tag, tag);
    let request = peer
        .request(Method::GET, "/backend-api/codex/models?client_version=0.169.0")
        .header("if-none-match", &tag)
        .body(Full::default())
        .expect("a request");
    assert_eq!(read(peer.send(request).await).await.status, 304);
    assert_eq!(peer.say("hi").await.header("x-models-etag"), Some(tag.as_str()));
}

#[tokio::test]
async fn the_account_endpoints_have_the_documented_shapes() {
    let peer = Peer::start().await;
    let check = peer.fetch("/backend-api/wham/accounts/check").await.json();
    assert_eq!(check["accounts"][0]["id"], peer.tokens.account_id);
    assert_eq!(check["accounts"][0]["workspace_backend_origin"], peer.sim.base_url());
    assert_eq!(check["accounts"][0]["account_routing_override"], "NO_CONSTRAINT");
    peer.sim.control().region(Some("us".to_owned()));
    let bound = peer.fetch("/backend-api/wham/accounts/check").await.json();
    assert_eq!(bound["accounts"][0]["account_routing_override"], "us");
    let usage = peer.fetch("/backend-api/wham/usage").await.json();
    assert_eq!(usage["rate_limit"]["primary_window"]["limit_window_seconds"], 18_000);
    assert_eq!(usage["plan_type"], "plus");
}

#[tokio::test]
async fn every_backend_reply_has_support_headers_and_methods_are_checked() {
    let peer = Peer::start().await;
    let upgrade = |token: &str| {
        let request = Request::get(format!("{}/backend-api/codex/responses", peer.sim.base_url()))
            .header("authorization", format!("Bearer {token}"))
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .body(Full::default())
            .expect("a request");
        async { read(peer.send(request).await).await }
    };
    let replies = [
        (upgrade(&peer.tokens.access_token).await, 400),
        (upgrade("unknown").await, 401),
        (peer.fetch("/backend-api/codex/responses").await, 405),
        (peer.post("/backend-api/codex/models", &json!({})).await, 405),
        (peer.post("/backend-api/codex/memories/trace_summarize", &json!({})).await, 404),
        (peer.fetch("/backend-api/codex/models").await, 400),
        (peer.fetch("/backend-api/wham/usage").await, 200),
    ];
    for (reply, status) in replies {
        assert_eq!(reply.status, status);
        for name in ["x-request-id", "x-oai-request-id", "cf-ray", "set-cookie"] {
            assert!(reply.header(name).is_some(), "{status} lacks {name}");
        }
    }
}

#[tokio::test]
async fn the_weekly_quota_and_its_reset() {
    let peer = Peer::start().await;
    let control = peer.sim.control();
    assert_eq!(peer.post("/__sim/weekly-quota", &json!({"percent": 100.0})).await.status, 200);
    let limited = peer.say("hi").await;
    assert_eq!((limited.status.as_u16(), limited.header("x-codex-primary-window-minutes")), (429, Some("10080")));
    assert_eq!(limited.header("x-codex-rate-limit-reached-type"), Some("rate_limit_reached"));
    let error = limited.json()["error"].clone();
    let reset = limited.header("x-codex-primary-reset-at").map(str::to_owned);
    assert_eq!(error["resets_at"].as_u64().map(|at| at.to_string()), reset);
    let usage = peer.fetch("/backend-api/wham/usage").await.json();
    assert_eq!(usage["rate_limit"]["secondary_window"], Value::Null);
    assert_eq!(usage["rate_limit"]["primary_window"]["limit_window_seconds"], 604_800);
    control.advance(Duration::from_secs(error["resets_in_seconds"].as_u64().expect("seconds")));
    assert_eq!(peer.say("hi").await.header("x-codex-primary-used-percent"), Some("0"));
    control.use_quota(27.5, 100.0);
    let limited = peer.say("hi").await;
    assert_eq!(limited.header("x-codex-primary-used-percent"), Some("27.5"));
    assert_eq!(limited.header("x-codex-secondary-used-percent"), Some("100"));
}

#[tokio::test]
async fn a_login_may_choose_any_configured_workspace() {
    let peer = Peer::start().await;
    let workspace = |id: &str, is_deactivated| Workspace {
        id: id.to_owned(),
        name: format!("{id} Ltd"),
        plan_type: "team".to_owned(),
        is_deactivated,
    };
    peer.sim.control().workspaces(vec![workspace("acme", false), workspace("gone", true)]);
    let check = peer.fetch("/backend-api/wham/accounts/check").await.json();
    assert_eq!(check["account_ordering"], json!([peer.tokens.account_id, "acme", "gone"]));
    assert_eq!(check["accounts"][1]["name"], "acme Ltd");
    for (account, status) in [("acme", 200), ("gone", 402), ("other", 403)] {
        // Discovery also answers clients whose workspace is deactivated.
        for (path, status) in [("usage", status), ("accounts/check", 200)] {
            let path = format!("/backend-api/wham/{path}");
            let mut request = peer.request(Method::GET, &path).body(Full::default()).expect("a request");
            request.headers_mut().insert("chatgpt-account-id", account.parse().expect("a header value"));
            assert_eq!(read(peer.send(request).await).await.status, status, "{account}: {path}");
        }
    }
}

/// A writer that forwards to a channel.
struct Line(tokio::sync::mpsc::Sender<u8>);

impl std::io::Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let sent = bytes.iter().try_for_each(|byte| self.0.try_send(*byte));
        sent.map(|()| bytes.len()).map_err(|_| std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_program_prints_its_addresses_and_writes_its_ca() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca_file = folder.path().join("ca.pem");
    let args = codex_sim::Args {
        port: 0,
        tls: true,
        ca_out: Some(ca_file.clone()),
        token_lifetime_secs: None,
        any_redirect_port: false,
        seed: None,
    };
    let (sender, mut bytes) = tokio::sync::mpsc::channel(4096);
    let mut out = Line(sender);
    let mut line = Vec::new();
    tokio::select! {
        ended = codex_sim::run(args, &mut out) => panic!("ended: {ended:?}"),
        () = async { while bytes.recv().await.inspect(|byte| line.push(*byte)) != Some(b'\n') {} } => {}
    }
    let ready: Value = serde_json::from_slice(&line).expect("one JSON line");
    assert!(ready["upstream_url"].as_str().is_some_and(|url| url.starts_with("https://127.0.0.1:")));
    let pem = std::fs::read_to_string(&ca_file).expect("a file");
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----"));
}
