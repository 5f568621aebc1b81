//! Web pages: preflights, and what pages may read.

use codex_auth::MemoryStore;
use codex_proxy::{Access, Limits};
use codex_sim::Sim;
use http::Method;
use serde_json::Value;

use crate::support::{Harness, Reply, ask, backend, tokens_of};

async fn proxy(origins: &str) -> Harness {
    let sim = Sim::start(backend()).await.unwrap();
    let store = MemoryStore::with_tokens(tokens_of(&sim));
    let access = Access { keys: "secret".parse().unwrap(), origins: origins.parse().unwrap(), ..Access::default() };
    Harness::start_under(sim, store, access, Limits::default()).await
}

async fn preflight(proxy: &Harness, origin: &str) -> Reply {
    let headers = [
        ("origin", origin),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type,x-stainless-os"),
        ("access-control-request-private-network", "true"),
    ];
    proxy.send(Method::OPTIONS, "/v1/chat/completions", &headers, "").await
}

#[tokio::test]
async fn trusted_pages_get_preflights_answered_without_a_key() {
    let proxy = proxy("https://chat.example,app://obsidian.md").await;
    for origin in ["https://chat.example", "app://obsidian.md", "http://localhost:5173"] {
        let reply = preflight(&proxy, origin).await;
        assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (204, Some(origin)));
        assert_eq!(reply.header("access-control-allow-headers"), Some("authorization,content-type,x-stainless-os"));
        assert!(reply.header("access-control-allow-methods").unwrap().contains("POST"));
        assert_eq!(reply.header("access-control-allow-private-network"), Some("true"));
        assert_eq!((reply.header("vary"), reply.text.as_str()), (Some("origin"), ""));
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
    for origin in ["https://evil.example", "null", "http://chat.example"] {
        let reply = preflight(&proxy, origin).await;
        assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (403, None));
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains("CODEX_PROXY_CORS_ORIGINS"));
        assert_eq!(reply.header("access-control-allow-private-network"), None);
    }
    // An OPTIONS request that is not a preflight is an unsupported method.
    let key = ("authorization", "Bearer secret");
    assert_eq!(proxy.send(Method::OPTIONS, "/v1/chat/completions", &[key], "").await.status, 405);
    assert_eq!(proxy.turns(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_trusted_page_may_read_replies_errors_and_our_headers() {
    let proxy = proxy("https://chat.example").await;
    let (key, origin) = (("authorization", "Bearer secret"), ("origin", "https://chat.example"));
    let mut body = ask("hi");
    body["temperature"] = 0.5.into();
    let reply = proxy.send(Method::POST, "/v1/chat/completions", &[key, origin], body.to_string()).await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("access-control-allow-origin")),
        (200, Some("https://chat.example"))
    );
    let exposed: Vec<_> = reply.header("access-control-expose-headers").unwrap().split(", ").collect();
    for name in ["x-request-id", "x-codex-proxy-dropped", "x-ratelimit-remaining-requests"] {
        assert!(exposed.contains(&name) || !reply.headers.contains_key(name), "{name} in {exposed:?}");
    }
    assert!(exposed.contains(&"x-codex-proxy-dropped"), "{exposed:?}");
    // A page that forgot its key may read why it failed.
    let reply = proxy.send(Method::GET, "/v1/models", &[origin], "").await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("access-control-allow-origin")),
        (401, Some("https://chat.example"))
    );
    // With the key, any program is served, but other pages may not read the reply.
    let reply = proxy.send(Method::GET, "/v1/models", &[key, ("origin", "https://evil.example")], "").await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (200, None));
    assert_eq!(reply.header("vary"), Some("origin"));
}

#[tokio::test]
async fn a_star_allows_all_pages_that_send_a_key() {
    let proxy = proxy("*").await;
    assert_eq!(preflight(&proxy, "https://any.example").await.status, 204);
    let reply = proxy.send(Method::GET, "/v1/models", &[("origin", "https://any.example")], "").await;
    assert_eq!(reply.status, 401);
}
