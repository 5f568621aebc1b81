//! The login while requests use it: refreshed before it expires and after a 401, and reported when it is gone.

use std::time::SystemTime;

use codex_auth::MemoryStore;
use codex_sim::{RefreshFault, Sim};
use serde_json::json;

use crate::support::{Harness, ask, backend, tokens_of};

/// Sends `count` requests at once, all of which must succeed.
async fn ask_at_once(proxy: &Harness, count: usize) {
    let body = ask("hi");
    let replies = futures_util::future::join_all((0..count).map(|_| proxy.post("/v1/chat/completions", &body))).await;
    for reply in replies {
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["choices"][0]["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn an_expired_token_is_refreshed_once_for_200_requests_at_once() {
    let sim = Sim::start(backend()).await.unwrap();
    let mut tokens = tokens_of(&sim);
    tokens.expires_at = Some(SystemTime::UNIX_EPOCH);
    let first = tokens.access_token.clone();
    let proxy = Harness::start_over(sim, MemoryStore::with_tokens(tokens), None).await;
    ask_at_once(&proxy, 200).await;
    assert_eq!(proxy.sim.control().refreshes(), 1);
    let uses = proxy.sim.control().refresh_uses();
    assert!(uses.len() == 1 && uses[0].uses == 1, "{} tokens were sent", uses.len());
    let requests = proxy.sim.requests();
    let turns = requests.iter().filter(|request| request.path.ends_with("/codex/responses"));
    let bearers: Vec<_> = turns.map(|turn| turn.header("authorization").unwrap()).collect();
    assert_eq!(bearers.len(), 200, "no request was retried");
    assert!(bearers.iter().all(|bearer| !bearer.ends_with(first.expose())), "the expired token was not sent");
}

#[tokio::test]
async fn a_token_that_the_backend_rejects_is_refreshed_once_for_200_requests_at_once() {
    let proxy = Harness::start().await;
    proxy.sim.control().invalidate_access_tokens();
    ask_at_once(&proxy, 200).await;
    assert_eq!(proxy.sim.control().refreshes(), 1);
    assert_eq!(proxy.sim.control().refresh_uses().len(), 1);
}

#[tokio::test]
async fn a_401_is_retried_once_with_a_fresh_token() {
    let proxy = Harness::start().await;
    proxy.sim.control().invalidate_access_tokens();
    let reply = proxy.post("/v1/chat/completions", &ask("hi")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!((proxy.sim.control().refreshes(), proxy.turns().len()), (1, 2));
}

#[tokio::test]
async fn a_repeated_401_is_returned_to_the_client() {
    let proxy = Harness::start().await;
    let reply = proxy.post("/v1/chat/completions", &ask("[sim:401]")).await;
    assert_eq!(reply.status, 401, "{}", reply.text);
    assert_eq!(reply.json()["error"]["type"], "authentication_error");
    assert_eq!(proxy.turns().len(), 2);
}

#[tokio::test]
async fn without_a_login_the_error_is_a_401_that_names_the_command() {
    let sim = Sim::start(backend()).await.unwrap();
    let proxy = Harness::start_over(sim, MemoryStore::default(), None).await;
    let reply = proxy.post("/v1/chat/completions", &ask("hi")).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (401, &json!("upstream_login_required")));
    assert!(reply.text.contains("codex-proxy login"), "{}", reply.text);
    assert_eq!(proxy.get("/health").await.json()["logged_in"], false);
    // A login by another process is noticed.
    proxy.store.set_tokens(Some(tokens_of(&proxy.sim)));
    assert_eq!(proxy.post("/v1/chat/completions", &ask("hi")).await.status, 200);
}

#[tokio::test]
async fn a_temporary_failure_to_refresh_is_a_503_with_retry_after() {
    let proxy = Harness::start().await;
    proxy.sim.control().invalidate_access_tokens();
    proxy.sim.control().fault_refresh(RefreshFault::ServerError).unwrap();
    let reply = proxy.post("/v1/chat/completions", &ask("hi")).await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert!(reply.header("retry-after").is_some());
}

#[tokio::test]
async fn a_token_that_expires_during_a_stream_does_not_end_the_stream() {
    let proxy = Harness::start().await;
    let body = crate::support::ask_streaming("[sim:text=Hello there][sim:stall]").to_string();
    let (_, mut stream) = proxy.open(http::Method::POST, "/v1/chat/completions", &[], body).await;
    crate::support::read_until(&mut stream, "assistant").await;
    proxy.sim.control().invalidate_access_tokens();
    proxy.sim.control().release();
    crate::support::read_until(&mut stream, "[DONE]").await;
    assert_eq!(proxy.sim.control().refreshes(), 0);
    assert_eq!(proxy.post("/v1/chat/completions", &ask("hi")).await.status, 200, "the next request refreshes it");
    assert_eq!(proxy.sim.control().refreshes(), 1);
}
