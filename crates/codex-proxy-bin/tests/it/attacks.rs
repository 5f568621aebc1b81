//! Attacks over a socket, each of which must be rejected before anything reaches the backend.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use codex_auth::MemoryStore;
use codex_proxy::{Access, Limits, Peer};
use codex_sim::Sim;
use http::Request;
use hyper::body::Incoming;
use serde_json::Value;
use tokio::net::TcpListener;
use tower::service_fn;

use crate::raw::{self, RawReply};
use crate::support::{Harness, ask, backend, tokens_of};

const START: &str = "POST /v1/chat/completions";
const KEY: &str = "authorization: Bearer codex-proxy";

async fn proxy(keys: &str) -> Harness {
    let sim = Sim::start(backend()).await.unwrap();
    let store = MemoryStore::with_tokens(tokens_of(&sim));
    let origins = "https://chat.example".parse().unwrap();
    Harness::start_under(
        sim,
        store,
        Access { keys: keys.parse().unwrap(), origins, ..Access::default() },
        Limits::default(),
    )
    .await
}

async fn attack(proxy: &Harness, lines: &[&str]) -> RawReply {
    raw::send(&proxy.base, &raw::request(START, lines, &ask("hi").to_string())).await
}

#[track_caller]
fn refused(reply: &RawReply, status: u16, code: &str, what: &[&str]) {
    assert_eq!((reply.status, &*reply.code()), (status, code), "{what:?}");
}

#[tokio::test]
async fn without_a_key_web_pages_and_foreign_names_are_rejected() {
    let proxy = proxy("").await;
    let host = format!("host: {}", proxy.base.trim_start_matches("http://"));
    let host = host.as_str();
    for lines in [
        // DNS rebinding: the page's own name was made to resolve to this machine.
        &["host: evil.example:8787"][..],
        &["host: evil.example:8787", "origin: http://evil.example:8787", "sec-fetch-site: same-origin"],
        &["host: localhost.evil.example"],
        &["host: localhost.", "sec-fetch-site: same-origin"],
        &["host: localhost@evil.example"],
        &["host: localhost:80@evil.example"],
        &["host: 2130706433"],
        // A page of another site; a form needs no preflight.
        &[host, "origin: https://evil.example"],
        &[host, "origin: https://evil.example", "content-type: text/plain"],
        &[host, "origin: https://evil.example", "content-type: application/x-www-form-urlencoded"],
        &[host, "origin: null", "content-type: text/plain", "sec-fetch-mode: navigate"],
        &[host, "origin: https://chat.example.evil.example"],
        &[host, "sec-fetch-site: cross-site", "content-type: text/plain"],
        &[host, "sec-fetch-site: cross-site", "sec-fetch-dest: iframe"],
        &[host, "referer: https://evil.example/form"],
        // An address that some systems treat as this machine, from elsewhere.
        &["host: 0.0.0.0:8787", "origin: http://evil.example", "sec-fetch-site: cross-site"],
        // Keys have no effect if none is configured.
        &[host, "origin: https://evil.example", KEY],
    ] {
        refused(&attack(&proxy, lines).await, 403, "foreign_origin", lines);
    }
    for start in
        ["POST http://evil.example/v1/chat/completions", "POST http://localhost@evil.example/v1/chat/completions"]
    {
        let reply = raw::send(&proxy.base, &raw::request(start, &[host], &ask("hi").to_string())).await;
        refused(&reply, 403, "foreign_origin", &[start]);
    }
    for line in [
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: localhost",
        "forwarded: for=127.0.0.1",
        "via: 1.1 cdn",
        "x-real-ip: 127.0.0.1",
        "cf-connecting-ip: 8.8.8.8",
        "true-client-ip: 127.0.0.1",
        "fly-client-ip: 8.8.8.8",
    ] {
        refused(&attack(&proxy, &[host, line]).await, 403, "remote_without_api_key", &[line]);
    }
    refused(&attack(&proxy, &["host: localhost", "host: evil.example"]).await, 400, "", &["two hosts"]);
    assert_eq!(proxy.turns(), Vec::<Value>::new(), "nothing reaches the backend");
    for lines in [
        &[host][..],
        &["host: localhost:8787", "origin: http://localhost:3000", "sec-fetch-site: same-site"],
        &[host, "origin: https://chat.example", "sec-fetch-site: cross-site"],
        &["host: 0.0.0.0:8787"],
    ] {
        assert_eq!(attack(&proxy, lines).await.status, 200, "{lines:?}");
    }
}

#[tokio::test]
async fn the_public_key_is_rejected_from_web_pages_and_the_internet() {
    let proxy = proxy("codex-proxy").await;
    let host = "host: 192.168.1.2:8787";
    for lines in [
        &["host: evil.example:8787", KEY][..],
        &["host: evil.example:8787", "origin: http://evil.example:8787", KEY],
        &[host, "origin: https://evil.example", KEY],
        &[host, "sec-fetch-site: cross-site", KEY],
    ] {
        refused(&attack(&proxy, lines).await, 403, "foreign_origin", lines);
    }
    refused(&attack(&proxy, &[host, "x-forwarded-for: 10.0.0.1", KEY]).await, 403, "public_api_key", &["forwarded"]);
    refused(&attack(&proxy, &[host]).await, 401, "missing_api_key", &["no key"]);
    refused(&attack(&proxy, &[host, "x-api-key: codex-prox"]).await, 401, "invalid_api_key", &["wrong key"]);
    for (address, expected) in [
        ("8.8.8.8", (403, "public_api_key")),
        ("100.128.0.1", (403, "public_api_key")),
        ("2001:db8::1", (403, "public_api_key")),
        ("100.64.0.1", (200, "")),
        ("192.168.7.7", (200, "")),
    ] {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let peer = Peer::Tcp((address.parse::<IpAddr>().unwrap(), 50_000).into());
        let app = proxy.app.clone();
        // The program, called as if from another address.
        let from_there = service_fn(move |request: Request<Incoming>| {
            let app = app.clone();
            async move { Ok::<_, Infallible>(app.answer(request, peer).await) }
        });
        let server = tokio::spawn(proxy.app.clone().serve_only(listener, from_there, std::future::pending()));
        let reply = raw::send(&base, &raw::request(START, &[host, KEY], &ask("hi").to_string())).await;
        let code = if reply.status == 200 { String::new() } else { reply.code() };
        assert_eq!((reply.status, &*code), expected, "{address}");
        server.abort();
    }
    assert_eq!(proxy.turns().len(), 2);
}

#[tokio::test]
async fn with_keys_only_a_key_counts() {
    let proxy = proxy("first\nsecond, with a comma").await;
    for lines in [
        &["host: localhost"][..],
        &["host: localhost", "authorization: Bearer"],
        &["host: localhost", "authorization: Bearer "],
        &["host: localhost", "authorization: Basic first"],
        &["host: localhost", "authorization: first"],
        &["host: localhost", "cookie: api_key=first"],
    ] {
        refused(&attack(&proxy, lines).await, 401, "missing_api_key", lines);
    }
    for lines in [
        &["host: localhost", "authorization: Bearer firs"][..],
        &["host: localhost", "authorization: Bearer second"],
        &["host: localhost", "authorization: Bearer first\u{e9}"],
        &["host: localhost", "x-api-key: first\nsecond, with a comma"],
        &["host: localhost", KEY],
    ] {
        let reply = attack(&proxy, lines).await;
        assert!(matches!(reply.status, 400 | 401), "{lines:?}: {reply:?}");
    }
    let query = raw::request("POST /v1/chat/completions?api_key=first&key=first", &["host: localhost"], "{}");
    assert_eq!(raw::send(&proxy.base, &query).await.status, 401);
    assert_eq!(proxy.turns(), Vec::<Value>::new(), "nothing reaches the backend");
    for key in [
        "authorization: Bearer first",
        "X-API-Key: second, with a comma",
        "authorization: BEARER  second, with a comma",
    ] {
        // With a secret, the origin of the request does not matter.
        let lines = ["host: proxy.example", "origin: https://evil.example", "x-forwarded-for: 8.8.8.8", key];
        assert_eq!(attack(&proxy, &lines).await.status, 200, "{key}");
    }
}

#[tokio::test]
async fn cross_site_pages_cannot_open_a_websocket() {
    for keys in ["", "codex-proxy"] {
        let proxy = proxy(keys).await;
        let handshake = |host: &str, origin: &str, key: &str| {
            format!(
                "GET /v1/responses HTTP/1.1\r\nhost: {host}\r\norigin: {origin}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
                 sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{key}\r\n"
            )
        };
        for (host, origin) in
            [("localhost:1", "https://evil.example"), ("localhost:1", "null"), ("evil.example", "http://evil.example")]
        {
            // A page cannot send the key; a page under our name, as after rebinding, could.
            for key in ["", "authorization: Bearer codex-proxy\r\n"] {
                let mut stream = raw::connect(&proxy.base).await;
                let bytes = handshake(host, origin, key);
                tokio::io::AsyncWriteExt::write_all(&mut stream, bytes.as_bytes()).await.unwrap();
                let mut first = [0; 12];
                tokio::io::AsyncReadExt::read_exact(&mut stream, &mut first).await.unwrap();
                let expected = if keys.is_empty() || !key.is_empty() { "HTTP/1.1 403" } else { "HTTP/1.1 401" };
                assert_eq!(String::from_utf8_lossy(&first), expected, "{host} {origin}");
            }
        }
    }
}
