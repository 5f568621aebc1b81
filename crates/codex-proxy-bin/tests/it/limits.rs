//! Limits: requests beyond one get an error in OpenAI's shape, and others are not affected.

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use codex_auth::MemoryStore;
use codex_proxy::internal::{MAX_HEAD_BYTES, MAX_HEADERS};
use codex_proxy::{Access, Limits, Timeouts};
use codex_sim::{RecordedRequest, Sim};
use futures_util::future::select_all;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::raw::{self, RawReply};
use crate::support::{Harness, ask, ask_streaming, backend, read_until, tokens_of};

const PATH: &str = "/v1/chat/completions";

/// Short, so a test need not wait; not measured.
const SHORT: Duration = Duration::from_millis(50);

async fn proxy(limits: Limits) -> Harness {
    let sim = Sim::start(backend()).await.unwrap();
    let store = MemoryStore::with_tokens(tokens_of(&sim));
    Harness::start_under(sim, store, Access::default(), limits).await
}

async fn others_are_served(proxy: &Harness) {
    assert_eq!(proxy.post(PATH, &ask("hi")).await.status, 200, "other requests are not affected");
}

#[tokio::test]
async fn headers_that_are_too_large_are_a_431() {
    let proxy = proxy(Limits::default()).await;
    let large = format!("x-large: {}", "x".repeat(MAX_HEAD_BYTES));
    let many: Vec<_> = (0..MAX_HEADERS).map(|n| format!("x-{n}: 1")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).chain(["host: localhost"]).collect();
    for lines in [&["host: localhost", &*large][..], &many] {
        let reply = raw::send(&proxy.base, &raw::request("GET /v1/models", lines, "")).await;
        assert_eq!((reply.status, &*reply.code()), (431, "headers_too_large"));
    }
    let endless = format!("x-large: {}", "x".repeat(1 << 20));
    let reply = raw::send(&proxy.base, &raw::request("GET /v1/models", &["host: localhost", &endless], "")).await;
    assert_eq!(reply.status, 431);
    others_are_served(&proxy).await;
}

#[tokio::test]
async fn an_incomplete_head_is_a_408() {
    let timeouts = Timeouts { head: SHORT, ..Timeouts::default() };
    let proxy = proxy(Limits { timeouts, ..Limits::default() }).await;
    let mut stream = raw::connect(&proxy.base).await;
    stream.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: loc").await.unwrap();
    let reply = RawReply::parse(&raw::read_to_end(&mut stream).await);
    assert_eq!((reply.status, &*reply.code()), (408, "request_timeout"));
    others_are_served(&proxy).await;
}

#[tokio::test]
async fn an_incomplete_body_is_a_408() {
    let timeouts = Timeouts { body: SHORT, ..Timeouts::default() };
    let proxy = proxy(Limits { timeouts, ..Limits::default() }).await;
    let mut stream = raw::connect(&proxy.base).await;
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = RawReply::parse(&raw::read_to_end(&mut stream).await);
    assert_eq!((reply.status, &*reply.code()), (408, "request_timeout"));
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_reply() {
    let timeouts = Timeouts { idle: SHORT, ..Timeouts::default() };
    let proxy = proxy(Limits { timeouts, ..Limits::default() }).await;
    assert_eq!(raw::read_to_end(&mut raw::connect(&proxy.base).await).await, "");
}

#[tokio::test]
async fn bodies_are_decoded_up_to_their_limit() {
    let proxy = proxy(Limits { body_bytes: 64 * 1024, ..Limits::default() }).await;
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let gzipped = ("content-encoding", "gzip");
    let reply = proxy.send(Method::POST, PATH, &[gzipped], gzip(ask("hi").to_string().as_bytes())).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    for (encoding, body, status) in [
        ("gzip", gzip(&vec![b' '; 64 * 1024 + 1]), 413),
        ("gzip", gzip(b"{}")[..10].to_vec(), 400),
        ("br", b"{}".to_vec(), 400),
        ("gzip, br", b"{}".to_vec(), 400),
        ("identity", vec![b' '; 64 * 1024 + 1], 413),
    ] {
        let reply = proxy.send(Method::POST, PATH, &[("content-encoding", encoding)], body).await;
        assert_eq!(reply.status, status, "{encoding}: {}", reply.text);
    }
}

#[tokio::test]
async fn a_compressed_body_reserves_only_the_memory_that_it_needs() {
    let proxy = proxy(Limits::default()).await;
    let body = ask(&("[sim:stall=headers]".to_owned() + &"x".repeat(2 << 20))).to_string();
    let body = zstd::encode_all(body.as_bytes(), 1).unwrap();
    // The budget has room for eight of the largest, which each of these could become.
    let opened =
        (0..10).map(|_| Box::pin(proxy.open(Method::POST, PATH, &[("content-encoding", "zstd")], body.clone())));
    let all_wait = |requests: &[RecordedRequest]| requests.iter().filter(|request| request.waiting).count() == 10;
    tokio::select! {
        ((head, _), ..) = select_all(opened) => panic!("one was answered before the backend was: {}", head.status),
        _ = proxy.sim.requests_until(all_wait) => {}
    }
    others_are_served(&proxy).await;
}

#[tokio::test]
async fn a_request_beyond_the_limit_waits_and_one_beyond_the_queue_is_a_503() {
    let proxy = Arc::new(proxy(Limits { turns: 1, queue: 1, ..Limits::default() }).await);
    let stalled = ask_streaming("[sim:text=Hello][sim:stall] first").to_string();
    let (_, mut first) = proxy.open(Method::POST, PATH, &[], stalled).await;
    read_until(&mut first, "assistant").await;
    let second = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move { proxy.post(PATH, &ask("second")).await }
    });
    // The queue has room for one: of two requests, either one is rejected.
    let third = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move { proxy.post(PATH, &ask("third")).await }
    });
    let (refused, waits) = match futures_util::future::select(second, third).await {
        futures_util::future::Either::Left((refused, waits))
        | futures_util::future::Either::Right((refused, waits)) => (refused.unwrap(), waits),
    };
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["code"]), (503, &json!("proxy_overloaded")));
    assert_eq!((refused.header("retry-after"), &refused.json()["error"]["type"]), (Some("2"), &json!("server_error")));
    assert_eq!(proxy.get("/v1/models").await.status, 200, "only turns need a slot");
    assert_eq!(proxy.turns().len(), 1, "the slot is held until the last byte");
    proxy.sim.control().release();
    read_until(&mut first, "[DONE]").await;
    assert_eq!(waits.await.unwrap().status, 200);
    drop(first);
    assert_eq!(proxy.post(PATH, &ask("fourth")).await.status, 200);
    assert_eq!(proxy.app.runtime.slots().taken(), 0);
}

#[tokio::test]
async fn a_client_that_disconnects_frees_its_slot_at_once() {
    let proxy = proxy(Limits { turns: 1, queue: 1, ..Limits::default() }).await;
    let stalled = ask_streaming("[sim:text=Hello][sim:stall] first").to_string();
    let (_, mut first) = proxy.open(Method::POST, PATH, &[], stalled).await;
    read_until(&mut first, "assistant").await;
    drop(first);
    assert_eq!(proxy.post(PATH, &ask("second")).await.status, 200);
    proxy.disconnected().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_is_disconnected() {
    let timeouts = Timeouts { stall: SHORT, ..Timeouts::default() };
    let proxy = proxy(Limits { turns: 1, queue: 1, timeouts, ..Limits::default() }).await;
    let mut stream = raw::connect(&proxy.base).await;
    let body = ask_streaming("[sim:big=500000] hi").to_string();
    let request = raw::request(&format!("POST {PATH}"), &["host: localhost"], &body);
    stream.write_all(request.as_bytes()).await.unwrap();
    proxy.disconnected().await;
    others_are_served(&proxy).await;
    drop(stream);
}

#[tokio::test]
async fn a_connection_beyond_the_limit_gets_a_503() {
    let proxy = proxy(Limits { connections: 1, ..Limits::default() }).await;
    let mut first = raw::connect(&proxy.base).await;
    first.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut start = [0; 12];
    first.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    let reply = raw::send(&proxy.base, &raw::request("GET /health", &["host: localhost"], "")).await;
    assert_eq!((reply.status, &*reply.code(), reply.header("retry-after")), (503, "proxy_overloaded", Some("2")));
    drop(first);
    loop {
        let reply = raw::send(&proxy.base, &raw::request("GET /health", &["host: localhost"], "")).await;
        if reply.status == 200 {
            break;
        }
    }
}
