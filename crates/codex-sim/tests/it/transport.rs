//! Connections: TLS, HTTP/2, compression, limits, stalls and disconnects.

use std::pin::Pin;

use btls::ssl::{SslConnector, SslMethod};
use btls::x509::X509;
use btls::x509::store::X509StoreBuilder;
use codex_sim::{Mint, Outcome, Sim, SimConfig, SimError};
use http::{Method, Request};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio_btls::SslStream;
use url::Url;

use crate::peer::{Peer, read, turn};

async fn handshake(sim: &Sim, alpn: &[u8], host: &str) -> SslStream<TcpStream> {
    let mut store = X509StoreBuilder::new().expect("a store");
    let ca = X509::from_pem(sim.ca_pem().expect("a CA").as_bytes()).expect("PEM");
    store.add_cert(ca).expect("a certificate");
    let mut builder = SslConnector::builder(SslMethod::tls()).expect("a builder");
    builder.set_cert_store_builder(store);
    builder.set_alpn_protos(alpn).expect("ALPN");
    let ssl = builder.build().configure().expect("a session").into_ssl(host).expect("a session");
    let port = Url::parse(sim.base_url()).expect("a URL").port().expect("a port");
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    let mut stream = SslStream::new(ssl, tcp).expect("a stream");
    Pin::new(&mut stream).connect().await.expect("a handshake with a verified certificate");
    stream
}

#[tokio::test]
async fn tls_verifies_by_the_private_ca_and_offers_both_protocols() {
    let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await.expect("a simulator");
    assert!(sim.base_url().starts_with("https://127.0.0.1:"));
    for host in ["localhost", "127.0.0.1", "::1"] {
        let stream = handshake(&sim, b"\x02h2\x08http/1.1", host).await;
        assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"h2"[..]));
    }
    let stream = handshake(&sim, b"\x08http/1.1", "localhost").await;
    assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"http/1.1"[..]));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    let connection = tokio::spawn(connection);
    let request = Request::get("/").header("host", "localhost").body(Full::<bytes::Bytes>::default());
    let reply = sender.send_request(request.expect("a request")).await.expect("a reply");
    assert_eq!(reply.status(), 200);
    drop(sender);
    connection.abort();
}

/// The bytes before the cut arrive, although a reset discards unsent bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_serves_and_resets_cut_streams() {
    let peer = Peer::start().await;
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let ask = async |text: &str| {
        let request = peer.request(Method::POST, "/backend-api/codex/responses");
        let request = request.body(Full::from(turn(text).to_string())).expect("a request");
        read(client.request(request).await.expect("a reply")).await
    };
    let whole = ask("hi").await;
    assert!(!whole.broken);
    for _ in 0..20 {
        let reply = ask("[sim:cut] hi").await;
        assert!(reply.broken && !reply.body.ends_with(b"\n\n"), "{} {}", reply.broken, reply.text());
        assert_eq!(reply.events().len(), 7, "{}", reply.text());
        assert!(reply.text().lines().last().is_some_and(|half| half.starts_with("data: {") && !half.ends_with('}')));
    }
    assert_eq!(peer.sim.requests()[0].version, "HTTP/2.0");
}

#[tokio::test]
async fn zstd_is_decoded_and_other_encodings_are_refused() {
    let peer = Peer::start().await;
    let json = turn("packed").to_string();
    let packed = zstd::encode_all(json.as_bytes(), 3).expect("packing");
    let send = |encoding: &'static str, body: Vec<u8>| {
        let request = peer.request(Method::POST, "/backend-api/codex/responses").header("content-encoding", encoding);
        let request = request.body(Full::from(body)).expect("a request");
        async { read(peer.send(request).await).await }
    };
    let length = packed.len();
    assert!(send("zstd", packed.clone()).await.answer().contains("packed"));
    let recorded = &peer.sim.requests()[0];
    assert_eq!(recorded.body_bytes, length);
    assert!(recorded.body.is_some());
    let gzip = send("gzip", json.clone().into_bytes()).await;
    assert_eq!((gzip.status.as_u16(), gzip.text().contains("gzip")), (400, true));
    assert_eq!(send("zstd", json.into_bytes()).await.status, 400);
}

#[tokio::test]
async fn bodies_over_the_limit_are_refused_compressed_or_not() {
    let peer = Peer::with(SimConfig { max_body_bytes: 4096, ..SimConfig::default() }).await;
    let large = turn(&"x".repeat(5000));
    assert_eq!(peer.turn(&large).await.status, 413);
    let packed = zstd::encode_all(large.to_string().as_bytes(), 3).expect("packing");
    assert!(packed.len() < 4096);
    let request = peer.request(Method::POST, "/backend-api/codex/responses").header("content-encoding", "zstd");
    let request = request.body(Full::from(packed)).expect("a request");
    assert_eq!(read(peer.send(request).await).await.status, 413);
}

async fn stalled(peer: &Peer) -> http::Response<Incoming> {
    let request = peer.request(Method::POST, "/backend-api/codex/responses");
    let request = request.body(Full::from(turn("[sim:stall=4] hi").to_string())).expect("a request");
    let response = peer.send(request).await;
    peer.sim.requests_until(|requests| requests.iter().any(|r| r.events_sent == 4)).await;
    response
}

#[tokio::test]
async fn a_disconnect_during_a_stall_is_noticed() {
    let peer = Peer::start().await;
    let response = stalled(&peer).await;
    assert_eq!(peer.sim.requests()[0].outcome, Outcome::InFlight);
    drop(response);
    let requests = peer.sim.requests_until(|r| r[0].outcome != Outcome::InFlight).await;
    assert_eq!((requests[0].outcome, requests[0].events_sent), (Outcome::Disconnected, 4));
}

#[tokio::test]
async fn a_disconnect_before_the_headers_is_noticed() {
    let peer = Peer::start().await;
    let request = peer.request(Method::POST, "/backend-api/codex/responses");
    let request = request.body(Full::from(turn("[sim:stall=headers] hi").to_string()));
    let waiting = tokio::spawn(peer.client.request(request.expect("a request")));
    peer.sim.requests_until(|requests| requests.iter().any(|r| r.scenario.is_some())).await;
    waiting.abort();
    let requests = peer.sim.requests_until(|r| r[0].outcome != Outcome::InFlight).await;
    assert_eq!((requests[0].outcome, requests[0].status), (Outcome::Disconnected, None));
}

#[tokio::test]
async fn a_released_stall_continues() {
    let peer = Peer::start().await;
    let response = stalled(&peer).await;
    peer.sim.requests_until(|requests| requests[0].waiting).await;
    peer.sim.control().release();
    assert_eq!(read(response).await.last()["type"], "response.completed");
}

/// Checked while the reply, which is not being read, is still in flight.
#[tokio::test]
async fn a_released_reply_is_not_recorded_as_waiting() {
    let peer = Peer::start().await;
    let request = peer.request(Method::POST, "/backend-api/codex/responses");
    let request = request.body(Full::from(turn("[sim:stall=2][sim:big=300000] hi").to_string()));
    let _unread = peer.send(request.expect("a request")).await;
    peer.sim.requests_until(|requests| requests[0].waiting).await;
    peer.sim.control().release();
    let requests = peer.sim.requests_until(|requests| !requests[0].waiting).await;
    assert_eq!(requests[0].outcome, Outcome::InFlight);
}

#[tokio::test]
async fn headers_as_long_as_the_clis_are_accepted_on_http2() {
    let peer = Peer::start().await;
    let client: Client<_, Full<bytes::Bytes>> = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request = peer
        .request(Method::POST, "/backend-api/codex/responses")
        .header("x-codex-turn-metadata", "x".repeat(40_000))
        .header("x-codex-turn-state", "sticky")
        .body(Full::from(turn("hi").to_string()));
    let reply = read(client.request(request.expect("a request")).await.expect("a reply")).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-codex-turn-state")), (200, Some("sticky")));
}

#[tokio::test]
async fn the_two_services_can_have_separate_addresses() {
    let peer = Peer::with(SimConfig { separate_auth: true, ..SimConfig::default() }).await;
    assert_ne!(peer.sim.auth_url(), peer.sim.base_url());
    assert_eq!(peer.fetch("/codex/device").await.status, 404);
    let page = Request::get(format!("{}/codex/device", peer.sim.auth_url())).body(Full::default());
    assert_eq!(peer.send(page.expect("a request")).await.status(), 200);
    assert_eq!(peer.say("hi").await.status, 200);
}

#[tokio::test]
async fn a_port_in_use_is_an_error_and_a_dropped_simulator_frees_its_port() {
    let sim = Sim::start(SimConfig::default()).await.expect("a simulator");
    let port = Url::parse(sim.base_url()).expect("a URL").port().expect("a port");
    let taken = Sim::start(SimConfig { port, ..SimConfig::default() }).await;
    assert!(matches!(taken, Err(SimError::Bind { port: p, .. }) if p == port));
    drop(sim);
    let mut again = Sim::start(SimConfig { port, ..SimConfig::default() }).await;
    // Aborted tasks release their sockets when the runtime polls them next.
    while again.is_err() {
        tokio::task::yield_now().await;
        again = Sim::start(SimConfig { port, ..SimConfig::default() }).await;
    }
}

#[tokio::test]
async fn a_seed_makes_runs_identical() {
    let config = || SimConfig { seed: Some(11), ..SimConfig::default() };
    let one = Sim::start(config()).await.expect("a simulator").mint_tokens(Mint::default());
    let two = Sim::start(config()).await.expect("a simulator").mint_tokens(Mint::default());
    assert_eq!(one.refresh_token, two.refresh_token);
    let other = Sim::start(SimConfig::default()).await.expect("a simulator").mint_tokens(Mint::default());
    assert_ne!(one.refresh_token, other.refresh_token);
}
