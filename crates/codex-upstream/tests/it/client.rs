use std::io::Write;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use codex_upstream::{
    Emulation, HttpUpstream, HttpUpstreamConfig, RetryPolicy, TimeoutPhase, Upstream, UpstreamError, read_to_end,
    send_with_retry,
};
use futures_util::StreamExt as _;
use http::{Request, Response, Version};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::server::{BOTH, Body, HTTP1, Server, Wire, fed, soon, whole};
use crate::timer::TestTimer;
use crate::tls_server::ca_pem;

fn client() -> HttpUpstream {
    HttpUpstream::new(HttpUpstreamConfig { extra_roots_pem: vec![ca_pem()], ..HttpUpstreamConfig::default() }).unwrap()
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

/// Answers the first request with a body, and any other with a 500.
fn once(response: Response<Body>) -> impl Fn(&Request<Bytes>) -> Response<Body> + Send + Sync + 'static {
    let response = Mutex::new(Some(response));
    move |_| response.lock().unwrap().take().unwrap_or_else(|| whole(500, ""))
}

#[tokio::test]
async fn pieces_arrive_as_they_are_sent() {
    let (sender, response) = fed();
    let server = Server::start(Wire::Plain, once(response)).await;
    let mut body = client().send(get(&server.url("/"))).await.unwrap().into_body();
    for piece in ["one", "two"] {
        // The next piece is not sent before this one was read.
        sender.send(piece).await.unwrap();
        assert_eq!(soon("a piece", body.next()).await.unwrap().unwrap().into_inner(), piece);
    }
    drop(sender);
    assert!(soon("the end", body.next()).await.is_none());
}

#[tokio::test]
async fn dropping_the_reply_cancels_the_request_at_the_server() {
    for (wire, version) in [(Wire::Plain, Version::HTTP_11), (HTTP1, Version::HTTP_11), (BOTH, Version::HTTP_2)] {
        let (sender, response) = fed();
        let server = Server::start(wire, once(response)).await;
        let url = if matches!(wire, Wire::Plain) { server.url("/") } else { server.https_url("/") };
        let mut body = client().send(get(&url)).await.unwrap().into_body();
        sender.send("one").await.unwrap();
        body.next().await.unwrap().unwrap();
        assert_eq!(server.requests()[0].version(), version);
        assert!(!sender.is_closed());
        drop(body);
        soon("the server to see that the client is gone", sender.closed()).await;
    }
}

#[tokio::test]
async fn cancelling_before_the_head_cancels_the_request_at_the_server() {
    for wire in [Wire::Plain, HTTP1, BOTH] {
        let (arrived, mut arrival) = oneshot::channel();
        let (held, gone) = oneshot::channel::<()>();
        let signals = Mutex::new(Some((arrived, held)));
        let server = Server::start_slow(wire, move |_| {
            let (arrived, held) = signals.lock().unwrap().take().unwrap();
            async move {
                arrived.send(()).unwrap();
                // Dropped with this future, which never completes.
                let _held = held;
                std::future::pending().await
            }
        })
        .await;
        let url = if matches!(wire, Wire::Plain) { server.url("/") } else { server.https_url("/") };
        let client = client();
        let mut sending = Box::pin(client.send(get(&url)));
        soon("the request to arrive", async {
            tokio::select! {
                reply = &mut sending => panic!("answered: {:?}", reply.map(|reply| reply.status())),
                arrival = &mut arrival => arrival.unwrap(),
            }
        })
        .await;
        drop(sending);
        assert!(soon("the server to see that the client is gone", gone).await.is_err());
    }
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let server = Server::start(Wire::Plain, |_| {
        let mut response = whole(307, "elsewhere");
        response.headers_mut().insert("location", "/other".parse().unwrap());
        response
    })
    .await;
    let request = Request::post(server.url("/here")).header("authorization", "Bearer t").body("x".into()).unwrap();
    let reply = client().send(request).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["location"].to_str().unwrap()), (307, "/other"));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn nothing_but_the_encodings_is_added_to_a_request() {
    for emulation in [Emulation::Chrome, Emulation::Codex, Emulation::None] {
        let server = Server::start(BOTH, |_| whole(200, "")).await;
        let config = HttpUpstreamConfig { emulation, extra_roots_pem: vec![ca_pem()], ..HttpUpstreamConfig::default() };
        let request = Request::post(server.https_url("/p?q=1"))
            .header("accept", "text/event-stream")
            .header("user-agent", "codex_cli_rs/0.171.0")
            .header("originator", "codex_cli_rs")
            .body(Bytes::from_static(b"{}"))
            .unwrap();
        HttpUpstream::new(config).unwrap().send(request).await.unwrap();

        let seen = &server.requests()[0];
        // Values of one name are counted apart: a browser's `user-agent` must not appear next to ours.
        let names: Vec<_> = seen.headers().iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["accept", "user-agent", "originator", "accept-encoding", "content-length"], "{emulation:?}");
        assert_eq!((seen.uri().path(), seen.uri().query(), &seen.body()[..]), ("/p", Some("q=1"), &b"{}"[..]));
        assert_eq!(seen.headers()["user-agent"], "codex_cli_rs/0.171.0");
        assert_eq!(seen.headers()["accept-encoding"], "zstd,gzip");
    }
}

/// Compresses piece by piece, so everything so far can be decoded.
trait Encoder: Write {
    fn taken(&mut self) -> Vec<u8>;
}

impl Encoder for zstd::Encoder<'_, Vec<u8>> {
    fn taken(&mut self) -> Vec<u8> {
        std::mem::take(self.get_mut())
    }
}

impl Encoder for flate2::write::GzEncoder<Vec<u8>> {
    fn taken(&mut self) -> Vec<u8> {
        std::mem::take(self.get_mut())
    }
}

#[tokio::test]
async fn pieces_of_a_compressed_reply_arrive_as_they_are_sent() {
    let encoders: [(&str, Box<dyn Encoder>); 2] = [
        ("zstd", Box::new(zstd::Encoder::new(Vec::new(), 3).unwrap())),
        ("gzip", Box::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default()))),
    ];
    for (coding, mut encoder) in encoders {
        let (sender, mut response) = fed();
        response.headers_mut().insert("content-encoding", coding.parse().unwrap());
        let server = Server::start(BOTH, once(response)).await;
        let reply = client().send(get(&server.https_url("/"))).await.unwrap();
        assert!(!reply.headers().contains_key("content-encoding"));
        let mut body = reply.into_body();
        for piece in ["one", "two"] {
            encoder.write_all(piece.as_bytes()).unwrap();
            encoder.flush().unwrap();
            sender.send(encoder.taken()).await.unwrap();
            assert_eq!(soon("a piece", body.next()).await.unwrap().unwrap().into_inner(), piece, "{coding}");
        }
        // Without the end of the coding, the reply is cut off.
        drop(sender);
        let end = soon("the end", body.next()).await;
        assert!(matches!(end, Some(Err(UpstreamError::Body { .. }))), "{coding}: {end:?}");
    }
}

#[tokio::test]
async fn plain_http_goes_to_this_machine_only() {
    for url in ["http://chatgpt.com/", "http://192.0.2.1:80/", "http://localhost.example/", "ftp://localhost/", "/x"] {
        let error = client().send(get(url)).await.err().unwrap();
        assert!(matches!(error, UpstreamError::InvalidRequest { .. }), "{url}: {error}");
        assert!(error.before_dispatch());
    }
    let server = Server::start(Wire::Plain, |_| whole(200, "ok")).await;
    let url = format!("http://localhost:{}/", server.address.port());
    assert_eq!(client().send(get(&url)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_refused_connection_is_told_from_one_that_breaks() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let refused = client().send(get(&format!("http://{address}/"))).await.err().unwrap();
    assert!(matches!(&refused, UpstreamError::Connect { host, .. } if host == "127.0.0.1"), "{refused}");
    assert!(refused.before_dispatch());

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let hang_up = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 14]).await.unwrap();
    });
    let closed = client().send(get(&url)).await.err().unwrap();
    assert!(matches!(closed, UpstreamError::Closed { .. }), "{closed}");
    assert!(!closed.before_dispatch());
    hang_up.await.unwrap();
}

#[tokio::test]
async fn a_body_that_is_cut_off_ends_in_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_exact(&mut [0; 14]).await.unwrap();
        let reply = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, reply).await.unwrap();
    });
    let mut body = client().send(get(&url)).await.unwrap().into_body();
    assert_eq!(body.next().await.unwrap().unwrap().into_inner(), "abc");
    let error = soon("the break", body.next()).await.unwrap().unwrap_err();
    assert!(matches!(error, UpstreamError::Body { .. }), "{error}");
    server.await.unwrap();
}

#[tokio::test]
async fn silence_before_the_head_and_within_the_body_is_told_apart() {
    let config = HttpUpstreamConfig { read_timeout: Duration::from_millis(50), ..HttpUpstreamConfig::default() };
    let client = HttpUpstream::new(config).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mute = client.send(get(&format!("http://{}/", listener.local_addr().unwrap()))).await.err().unwrap();
    assert!(matches!(mute, UpstreamError::Timeout { phase: TimeoutPhase::Head, .. }), "{mute}");
    assert!(!mute.before_dispatch());

    let (_sender, response) = fed::<Bytes>();
    let server = Server::start(Wire::Plain, once(response)).await;
    let mut body = client.send(get(&server.url("/"))).await.unwrap().into_body();
    let stalled = soon("the timeout", body.next()).await.unwrap().unwrap_err();
    assert!(matches!(stalled, UpstreamError::Timeout { phase: TimeoutPhase::Body, .. }), "{stalled}");
}

#[tokio::test]
async fn a_handshake_that_never_ends_is_a_connect_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = HttpUpstreamConfig { connect_timeout: Duration::from_millis(50), ..HttpUpstreamConfig::default() };
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let error = HttpUpstream::new(config).unwrap().send(get(&url)).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Timeout { phase: TimeoutPhase::Connect, .. }), "{error}");
    assert!(error.before_dispatch());
}

#[tokio::test]
async fn retries_work_over_real_sockets() {
    let server = Server::start(Wire::Plain, {
        let answers = Mutex::new(vec![whole(200, "fine"), whole(503, "busy")]);
        move |_| answers.lock().unwrap().pop().unwrap()
    })
    .await;
    let clock = TestTimer::new();
    let reply = send_with_retry(&client(), &get(&server.url("/")), &RetryPolicy::default(), &clock).await.unwrap();
    assert_eq!(read_to_end(reply.into_body(), 64).await.unwrap(), "fine");
    assert_eq!((server.requests().len(), clock.slept().len()), (2, 1));
}

/// Runs this test again in a process whose environment names proxies that do not exist.
#[tokio::test]
async fn proxies_in_the_environment_are_not_read() {
    const CHILD: &str = "CODEX_UPSTREAM_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        let server = Server::start(Wire::Plain, |_| whole(200, "direct")).await;
        let reply = client().send(get(&server.url("/"))).await.unwrap();
        assert_eq!(read_to_end(reply.into_body(), 64).await.unwrap(), "direct");
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "client::proxies_in_the_environment_are_not_read"]).env(CHILD, "1");
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let output = child.env_remove("NO_PROXY").env_remove("no_proxy").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}
