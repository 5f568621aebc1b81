//! What a turn costs on its way to the backend and back, each time beside a plain way to the same result: only the
//! ratio counts.
//!
//! ```text
//! cargo bench -p codex-upstream --bench turn
//! ```

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use bytes::Bytes;
use codex_auth::Bearer;
use codex_translate::responses::ResponsesRequest;
use codex_upstream::{Backend, ClientIdentity, HttpUpstream, HttpUpstreamConfig, TurnRequest, Upstream as _, requests};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures_util::StreamExt as _;
use http::{Method, Request};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// A conversation that compresses as well as text does.
fn body(bytes: usize) -> Vec<u8> {
    let line = |number: usize| format!("line {number}: what is said differs, and is said alike ({:x}) ", number * 7919);
    let text = (0..).map(line).scan(0, |sum, line| {
        *sum += line.len();
        (*sum < bytes).then_some(line)
    });
    format!(r#"{{"model":"gpt-5.5","input":[{{"role":"user","content":"{}"}}]}}"#, text.collect::<String>())
        .into_bytes()
}

fn request(c: &mut Criterion) {
    let base = "https://chatgpt.com/backend-api".parse().unwrap();
    let identity = ClientIdentity::default();
    let token = "header.payload.signature".into();
    let bearer = Bearer { token, account_id: Some("account".to_owned()), fedramp: false };
    let backend = Backend { base: &base, region: None, identity: &identity, bearer: &bearer };
    for (name, bytes) in [("1 KiB", 1024), ("1 MiB", 1024 * 1024)] {
        let body = body(bytes);
        let turn = TurnRequest::from(&ResponsesRequest::from_json(&body).unwrap());
        let mut group = c.benchmark_group(format!("a turn of {name}"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function("request", |b| b.iter(|| requests::responses(&backend, &turn).unwrap()));
        group.bench_function("plain compression alone", |b| b.iter(|| zstd::encode_all(&body[..], 3).unwrap()));
        group.finish();
    }
}

/// 2,000 events of 300 bytes, each a chunk, as from a server that sends what it has.
fn wire() -> Bytes {
    let event = "x".repeat(300);
    let chunks = format!("{:x}\r\n{event}\r\n", event.len()).repeat(2_000);
    format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n").into()
}

/// Answers every request with `wire`.
async fn serve(wire: Bytes) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let wire = wire.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                    stream.write_all(&wire).await.unwrap();
                }
            });
        }
    });
    port
}

fn reply(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let wire = wire();
    let port = runtime.block_on(serve(wire.clone()));
    let mut group = c.benchmark_group("a reply in clear");
    group.throughput(Throughput::Bytes(wire.len() as u64));
    let client = HttpUpstream::new(HttpUpstreamConfig::default()).unwrap();
    group.bench_function("client", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let request = Request::builder().method(Method::POST).uri(format!("http://127.0.0.1:{port}/"));
                let reply = client.send(request.body(Bytes::new()).unwrap()).await.unwrap();
                reply.into_body().fold(0, async |sum, piece| sum + piece.unwrap().len()).await
            })
        });
    });
    let mut stream = runtime.block_on(TcpStream::connect(("127.0.0.1", port))).unwrap();
    group.bench_function("the bytes alone", |b| {
        b.iter(|| {
            runtime.block_on(async {
                stream.write_all(b"POST / HTTP/1.1\r\n\r\n").await.unwrap();
                let (mut buffer, mut sum) = (vec![0; 64 * 1024], 0);
                while sum < wire.len() {
                    sum += stream.read(&mut buffer).await.unwrap();
                }
                sum
            })
        });
    });
    group.finish();
}

criterion_group!(benches, request, reply);
criterion_main!(benches);
