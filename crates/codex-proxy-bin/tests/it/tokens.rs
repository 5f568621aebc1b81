//! The login in the life of requests: refreshed before it expires, after a 401, and honest when it is gone.

use std::time::Duration;

use codex_auth::MemoryStore;
use codex_sim::{Mint, RefreshFault, Sim, SimConfig};
use serde_json::json;

use crate::support::{Harness, ask, tokens_of};

#[tokio::test]
async fn an_expired_token_is_refreshed_once_for_all_who_wait() {
    let sim = Sim::start(SimConfig { token_lifetime: Duration::ZERO, ..SimConfig::default() }).await.unwrap();
    let store = MemoryStore::holding(tokens_of(&sim));
    let sim_config_ends_here = sim.mint_tokens(Mint::default());
    assert!(!sim_config_ends_here.access_token.is_empty());
    let proxy = Harness::start_over(sim, store, None).await;
    let body = ask("hi");
    let replies = futures_util::future::join_all((0..20).map(|_| proxy.post("/v1/chat/completions", &body))).await;
    drop(replies);
    let uses = proxy.sim.control().refresh_uses();
    assert!(!uses.is_empty() && uses.iter().all(|used| used.uses == 1), "{uses:?}");
}

#[tokio::test]
async fn a_401_is_answered_with_a_fresh_token_and_one_more_try() {
    let proxy = Harness::start().await;
    proxy.sim.control().invalidate_access_tokens();
    let reply = proxy.post("/v1/chat/completions", &ask("hi")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!((proxy.sim.control().refreshes(), proxy.turns().len()), (1, 2));
}

#[tokio::test]
async fn a_401_that_stays_is_told_and_not_repeated() {
    let proxy = Harness::start().await;
    let reply = proxy.post("/v1/chat/completions", &ask("[sim:401]")).await;
    assert_eq!(reply.status, 401, "{}", reply.text);
    assert_eq!(reply.json()["error"]["type"], "authentication_error");
    assert_eq!(proxy.turns().len(), 2);
}

#[tokio::test]
async fn nobody_logged_in_is_a_401_that_names_the_command() {
    let sim = Sim::start(SimConfig::default()).await.unwrap();
    let proxy = Harness::start_over(sim, MemoryStore::default(), None).await;
    let reply = proxy.post("/v1/chat/completions", &ask("hi")).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (401, &json!("upstream_login_required")));
    assert!(reply.text.contains("codex-proxy login"), "{}", reply.text);
    assert_eq!(proxy.get("/health").await.json()["logged_in"], false);
    // A login by another process is picked up.
    proxy.store.put(Some(tokens_of(&proxy.sim)));
    assert_eq!(proxy.post("/v1/chat/completions", &ask("hi")).await.status, 200);
}

#[tokio::test]
async fn a_refresh_that_fails_for_now_is_a_503_with_a_pause() {
    let proxy = Harness::start().await;
    proxy.sim.control().invalidate_access_tokens();
    proxy.sim.control().fault_refresh(RefreshFault::ServerError).unwrap();
    let reply = proxy.post("/v1/chat/completions", &ask("hi")).await;
    assert_eq!(reply.status, 503, "{}", reply.text);
    assert!(reply.header("retry-after").is_some());
}
