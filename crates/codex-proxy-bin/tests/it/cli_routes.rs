//! What the Codex CLI asks for besides turns: its own tools, and what its `/status` shows.

use std::sync::Arc;

use codex_auth::{AnyStore, AnyTokenEndpoint, EndpointError, MemoryStore, Secret, TokenEndpoint, TokenManager};
use codex_auth::{RefreshReason, TokenResponse, Tokens};
use codex_client::Client;
use codex_proxy::{Access, App, Config, Peer};
use codex_upstream::{RetryPolicy, ScriptedReply, ScriptedUpstream};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::support::{Harness, Reply};

const SEARCH: &str = r#"{"id":"s","model":"gpt-6.2-sol","commands":{"search_query":[{"q":"weather"}]}}"#;

const USAGE: &str = r#"{"user_id":"user-1","email":"user@example.com","account_id":"acct_1","plan_type":"plus",
    "rate_limit":{"allowed":true,"limit_reached":false,"primary_window":{"used_percent":27,"limit_window_seconds":18000,
    "reset_after_seconds":13140,"reset_at":4000000000},"secondary_window":null},"new_member":[1]}"#;

/// The program over scripted replies.
struct Rig {
    upstream: Arc<ScriptedUpstream>,
    app: App,
}

impl Rig {
    fn new(access: Access, upstream: ScriptedUpstream) -> Self {
        struct Own;
        impl TokenEndpoint for Own {
            async fn refresh(&self, _: &Secret, _: RefreshReason) -> Result<TokenResponse, EndpointError> {
                Ok(TokenResponse { access_token: Some(Secret::new("second")), ..TokenResponse::default() })
            }
        }
        let mut login = Tokens::new(Secret::new("first"));
        login.refresh_token = Some(Secret::new("single use"));
        let tokens = TokenManager::new(AnyStore::new(MemoryStore::with_tokens(login)), AnyTokenEndpoint::new(Own));
        let upstream = Arc::new(upstream);
        let client = Client::builder_sharing(tokens).upstream(Arc::clone(&upstream)).retry(RetryPolicy::NEVER);
        let config = Config::builder().access(access).build().unwrap();
        Self { upstream, app: App::over(&config, client).unwrap() }
    }

    async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let request = headers
            .iter()
            .fold(Request::builder().method(method).uri(path), |request, (name, value)| request.header(*name, *value));
        let reply = self.app.answer(request.body(body.to_owned()).unwrap(), Peer::Unix).await;
        let (head, body) = reply.into_parts();
        let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Reply { status: head.status, headers: head.headers, text }
    }

    async fn post(&self, path: &str, body: &str) -> Reply {
        self.send(Method::POST, path, &[], body).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[("chatgpt-account-id", "acct_of_the_cli")], "").await
    }
}

fn json(status: u16, body: &'static str) -> ScriptedReply {
    ScriptedReply::new(status).header("content-type", "application/json").piece(body)
}

#[tokio::test]
async fn calls_of_the_clis_tools_are_handed_on_unchanged() {
    let rows = [
        ("/v1/alpha/search", "search"),
        ("/alpha/search", "search"),
        ("/v1/v1/alpha/search", "search"),
        ("/backend-api/codex/alpha/search", "search"),
        ("/v1/alpha/history/v2/list_windows", "history/v2/list_windows"),
        ("/v1/alpha/notes/v2/append_to_file", "notes/v2/append_to_file"),
        ("/backend-api/codex/alpha/notes/v2/thread_hint", "notes/v2/thread_hint"),
    ];
    for (path, expected) in rows {
        let rig = Rig::new(Access::default(), ScriptedUpstream::new().then(json(200, r#"{"output":  "sunny"}"#)));
        let headers = [
            ("authorization", "Bearer key-of-the-proxy"),
            ("x-openai-tool-output-truncation-policy", r#"{"mode":"tokens","limit":10000}"#),
            ("x-unknown", "1"),
        ];
        let reply = rig.send(Method::POST, path, &headers, SEARCH).await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (200, r#"{"output":  "sunny"}"#), "{path}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        let sent = rig.upstream.requests();
        let [sent] = &sent[..] else { panic!("{path}: {sent:?}") };
        assert!(sent.uri().path().ends_with(&format!("/codex/alpha/{expected}")), "{}", sent.uri());
        assert_eq!((sent.method(), &sent.body()[..]), (&Method::POST, SEARCH.as_bytes()));
        assert_eq!(sent.headers()["authorization"], "Bearer first");
        assert_eq!(sent.headers()["x-openai-tool-output-truncation-policy"], headers[1].1);
        assert!(sent.headers().contains_key("originator") && !sent.headers().contains_key("x-unknown"));
    }
}

#[tokio::test]
async fn no_other_path_is_handed_on() {
    let rig = Rig::new(Access::default(), ScriptedUpstream::new());
    let rows = [
        ("/v1/alpha", 404),
        ("/v1/alpha/other", 404),
        ("/v1/alpha/search/more", 404),
        ("/v1/alpha/notes/v2", 404),
        ("/v1/alpha/notes/v2/a/b", 404),
        ("/v1/alpha/notes/v2/..%2f..%2fresponses", 400),
        ("/v1/alpha/notes/v2/..", 404),
        ("/backend-api/wham/tasks", 404),
        ("/backend-api/wham/rate-limit-reset-credits/consume", 404),
    ];
    for (path, status) in rows {
        assert_eq!(rig.post(path, "{}").await.status.as_u16(), status, "{path}");
    }
    let reply = rig.get("/v1/alpha/search").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")));
    assert!(rig.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_call_that_is_not_an_object_is_refused_here() {
    let rig = Rig::new(Access::default(), ScriptedUpstream::new());
    for body in ["", "[]", "{", "null", "\"a\"", "{}{}"] {
        let reply = rig.post("/v1/alpha/search", body).await;
        let kind = &reply.json()["error"]["type"];
        assert_eq!((reply.status.as_u16(), kind), (400, &json!("invalid_request_error")), "{body}");
    }
    assert!(rig.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_rejected_token_is_replaced_and_the_call_sent_again() {
    let rejected = json(401, r#"{"detail":"Unauthorized"}"#);
    let rig = Rig::new(Access::default(), ScriptedUpstream::new().then(rejected).then(json(200, "{}")));
    assert_eq!(rig.post("/v1/alpha/search", SEARCH).await.status, 200);
    let sent = rig.upstream.requests();
    let bearers: Vec<_> = sent.iter().map(|request| request.headers()["authorization"].to_str().unwrap()).collect();
    assert_eq!(bearers, ["Bearer first", "Bearer second"]);
}

#[tokio::test]
async fn the_backends_refusals_have_the_shape_of_the_api() {
    let used_up =
        r#"{"error":{"type":"usage_limit_reached","message":"The usage limit has been reached","plan_type":"plus"}}"#;
    for (status, body, expected) in [
        (404, r#"{"detail":"Not Found"}"#, 400),
        (429, used_up, 429),
        (400, r#"{"detail":"Bad input"}"#, 400),
        (503, "", 503),
    ] {
        let rig = Rig::new(Access::default(), ScriptedUpstream::new().then(json(status, body)));
        let reply = rig.post("/v1/alpha/notes/v2/write_file", "{}").await;
        let error = reply.json();
        assert_eq!(reply.status.as_u16(), expected, "{error}");
        assert!(error["error"]["message"].is_string() && error["error"]["type"].is_string(), "{error}");
        assert_eq!(rig.upstream.requests().len(), 1, "{error}");
    }
}

#[tokio::test]
async fn usage_is_the_backends_reply_without_the_user_and_asked_once_a_minute() {
    let rig = Rig::new(Access::default(), ScriptedUpstream::new().then(json(200, USAGE)));
    for path in ["/api/codex/usage", "/backend-api/wham/usage", "/v1/api/codex/usage"] {
        let reply = rig.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.header("cache-control")), (200, Some("no-store")), "{path}");
        let mut expected: Value = serde_json::from_str(USAGE).unwrap();
        expected.as_object_mut().unwrap().retain(|key, _| !["user_id", "email", "account_id"].contains(&key.as_str()));
        assert_eq!(reply.json(), expected, "{path}");
    }
    assert_eq!(rig.get("/v1/usage").await.json()["windows"][0]["used_percent"], 27.0);
    let asked = rig.upstream.requests();
    assert_eq!((asked.len(), asked[0].uri().path()), (1, "/backend-api/wham/usage"));
}

#[tokio::test]
async fn usage_without_an_answer_is_an_error() {
    let rig = Rig::new(Access::default(), ScriptedUpstream::new().then(json(503, "")));
    assert_eq!(rig.get("/api/codex/usage").await.status, 503);
}

#[tokio::test]
async fn reset_credits_are_listed_but_cannot_be_spent() {
    let credits = r#"{"credits":[{"id":"c","account_user_id":"u"}],"available_count":1}"#;
    let rig = Rig::new(Access::default(), ScriptedUpstream::new().then(json(200, credits)));
    let reply = rig.get("/backend-api/wham/rate-limit-reset-credits").await;
    assert_eq!(reply.json(), json!({"credits": [{"id": "c"}], "available_count": 1}));
    assert_eq!(rig.upstream.requests()[0].uri().path(), "/backend-api/wham/rate-limit-reset-credits");
    assert_eq!(rig.post("/api/codex/rate-limit-reset-credits/consume", "{}").await.status, 404);
}

#[tokio::test]
async fn the_clis_own_account_is_described_to_it() {
    let rig = Rig::new(Access::default(), ScriptedUpstream::new());
    for path in ["/api/codex/accounts/check", "/backend-api/wham/accounts/check"] {
        let account = &rig.get(path).await.json()["accounts"][0];
        assert_eq!(account["id"], "acct_of_the_cli", "{path}");
        assert_eq!(account["account_routing_override"], "NO_CONSTRAINT");
        assert!(account["workspace_backend_origin"].as_str().unwrap().starts_with("https://"));
    }
    assert_eq!(rig.send(Method::GET, "/api/codex/accounts/check", &[], "").await.status, 400);
    assert!(rig.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_key_is_required_and_an_open_proxy_shows_no_quota() {
    let with_key = Access { keys: "secret".parse().unwrap(), ..Access::default() };
    let rig = Rig::new(with_key, ScriptedUpstream::new().then(json(200, "{}")));
    for path in ["/api/codex/usage", "/backend-api/wham/accounts/check"] {
        assert_eq!(rig.get(path).await.status, 401, "{path}");
    }
    assert_eq!(rig.post("/v1/alpha/search", SEARCH).await.status, 401);
    let key = [("authorization", "Bearer secret")];
    assert_eq!(rig.send(Method::POST, "/v1/alpha/search", &key, SEARCH).await.status, 200);
    let open = Rig::new(Access::open(), ScriptedUpstream::new());
    for path in ["/api/codex/usage", "/backend-api/wham/rate-limit-reset-credits"] {
        assert_eq!(open.get(path).await.status, 404, "{path}");
    }
    assert!(open.upstream.requests().is_empty());
}

#[tokio::test]
async fn the_simulated_backend_answers_the_clis_tools_and_status() {
    let proxy = Harness::start().await;
    let search = proxy.post("/v1/alpha/search", &serde_json::from_str(SEARCH).unwrap()).await;
    assert!(search.json()["results"][0]["url"].is_string() && search.json()["encrypted_output"].is_string());
    assert!(search.header("x-codex-primary-used-percent").is_some());
    let context = json!({"session_id": "s", "current_agent_name": "/root"});
    let listed = proxy.post("/alpha/history/v2/list_windows", &json!({"context": context})).await;
    assert_eq!((listed.status.as_u16(), &listed.json()["results"]), (200, &json!([])));
    let wrong = proxy.post("/alpha/notes/v2/read_file", &json!({"path": "a.md"})).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json()["error"]["param"]), (400, &json!("context")));

    let usage = proxy.get("/api/codex/usage").await.json();
    assert!(usage["rate_limit"]["primary_window"]["used_percent"].is_number() && usage["plan_type"].is_string());
    assert!(!usage.to_string().contains('@') && usage.get("user_id").is_none(), "{usage}");
    assert!(proxy.get("/api/codex/rate-limit-reset-credits").await.json()["available_count"].is_number());
}

#[tokio::test]
async fn a_revoked_token_and_a_used_up_quota_end_as_for_a_turn() {
    let proxy = Harness::start().await;
    proxy.sim.control().invalidate_access_tokens();
    let search: Value = serde_json::from_str(SEARCH).unwrap();
    assert_eq!(proxy.post("/v1/alpha/search", &search).await.status, 200);
    assert_eq!(proxy.sim.control().refreshes(), 1);
    let mut used_up = search;
    used_up["commands"]["search_query"][0]["q"] = "[sim:429-usage] weather".into();
    let reply = proxy.post("/v1/alpha/search", &used_up).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (429, &json!("usage_limit_reached")));
    assert_eq!(reply.header("x-should-retry"), Some("false"));
}
