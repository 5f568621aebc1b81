//! Stopping: running requests may finish, new ones are rejected.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use codex_auth::{AnyStore, MemoryStore};
use codex_proxy::{App, Config};
use codex_sim::Sim;
use codex_translate::Chunk;
use codex_upstream::{ChunkStream, HttpUpstream, Upstream, UpstreamError};
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::raw;
use crate::support::{Harness, ask_streaming, backend, read_until, tokens_of};

#[tokio::test]
async fn an_open_stream_finishes_after_the_signal_to_stop() {
    let mut proxy = Harness::start().await;
    let body = ask_streaming("[sim:text=Hello there][sim:stall]").to_string();
    let (_, mut stream) = proxy.open(http::Method::POST, "/v1/chat/completions", &[], body).await;
    read_until(&mut stream, "assistant").await;
    proxy.stop.take().unwrap().send(()).unwrap();
    // The listener is gone once a connection is refused; only then does the stream continue.
    let address = proxy.base.trim_start_matches("http://").to_owned();
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    proxy.sim.control().release();
    read_until(&mut stream, "[DONE]").await;
    drop(stream);
    (&mut proxy.server).await.unwrap();
}

/// A connection to the backend that can be made to panic.
#[derive(Debug)]
struct Defective {
    client: HttpUpstream,
    at_once: AtomicBool,
    later: AtomicBool,
}

impl Upstream for Defective {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ChunkStream>, UpstreamError> {
        let is_turn = request.uri().path().ends_with("/codex/responses");
        assert!(!(is_turn && self.at_once.load(Ordering::Relaxed)), "a panic for the test");
        let response = self.client.send(request).await?;
        Ok(if is_turn && self.later.load(Ordering::Relaxed) { response.map(panicking) } else { response })
    }
}

/// Returns the reply up to its first text, and then a panic.
fn panicking(body: ChunkStream) -> ChunkStream {
    Box::pin(stream::unfold(Some(body), async |rest| {
        let mut body = rest.expect("a panic for the test");
        let piece = body.next().await?.unwrap().into_inner();
        let text = std::str::from_utf8(&piece).unwrap();
        match text.find("output_text.delta\"").and_then(|at| Some(at + text[at..].find("\n\n")? + 2)) {
            Some(end) => Some((Ok(Chunk::Bytes(piece.slice(..end))), None)),
            None => Some((Ok(Chunk::Bytes(piece)), Some(body))),
        }
    }))
}

#[tokio::test]
async fn a_panic_ends_only_its_request() {
    let sim = Sim::start(backend()).await.unwrap();
    let config = Config::builder()
        .upstream_url(sim.upstream_url())
        .auth_url(sim.auth_url())
        .max_requests(1)
        .max_queue(0)
        .ca_pem(sim.ca_pem().unwrap());
    let config = config.build().unwrap();
    let client = HttpUpstream::new(config.http()).unwrap();
    let defective = Defective { client, at_once: AtomicBool::new(true), later: AtomicBool::new(false) };
    let upstream = Arc::new(defective);
    let store = AnyStore::new(MemoryStore::with_tokens(tokens_of(&sim)));
    let app = App::over(&config, config.client_builder(store).upstream(Arc::clone(&upstream))).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(app.clone().serve_only(listener, app.clone(), std::future::pending()));
    let ask = async |path: &str, body: Value| {
        raw::send(&base, &raw::request(&format!("POST {path}"), &["host: localhost"], &body.to_string())).await
    };
    for stream in [false, true] {
        let body = json!({"model": "gpt-5.5", "input": "hi", "stream": stream});
        let reply = ask("/v1/responses", body).await;
        assert_eq!((reply.status, &*reply.code()), (500, "internal_error"));
        assert!(reply.header("x-request-id").is_some());
    }
    upstream.at_once.store(false, Ordering::Relaxed);
    upstream.later.store(true, Ordering::Relaxed);
    let text = "[sim:text=one two three] hi";
    let reply = ask("/v1/responses", json!({"model": "gpt-5.5", "input": text, "stream": true})).await;
    assert!(reply.status == 200 && reply.body.contains("event: response.failed"), "{}", reply.body);
    assert!(reply.body.contains("internal_error") && !reply.body.contains("response.completed"), "{}", reply.body);
    let messages = json!([{"role": "user", "content": text}]);
    let reply = ask("/v1/chat/completions", json!({"model": "gpt-5.5", "messages": messages, "stream": true})).await;
    assert!(reply.status == 200 && reply.body.contains("data: {\"error\":{"), "{}", reply.body);
    assert!(!reply.body.contains("finish_reason\":\"stop"), "{}", reply.body);
    upstream.later.store(false, Ordering::Relaxed);
    // Every slot was freed.
    let reply = ask("/v1/responses", json!({"model": "gpt-5.5", "input": "hi", "stream": true})).await;
    assert!(reply.body.contains("response.completed"), "{}", reply.body);
    assert_eq!(app.runtime.slots().taken(), 0);
    server.abort();
}
