use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use btls::ssl::{SslConnector, SslMethod, SslVerifyMode};
use bytes::Bytes;
use codex_sim::{Sim, SimConfig};
use codex_upstream::{HttpUpstream, HttpUpstreamConfig, ProxyConfig, TimeoutPhase, Upstream, UpstreamError};
use http::Request;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_btls::SslStream;

use crate::server::{BOTH, Server, whole};
use crate::tls_server::{accept_tls, ca_pem};

/// The requests that a proxy received: the head of a CONNECT, or user, password and target of SOCKS.
pub(crate) type Asked = Arc<Mutex<Vec<String>>>;

fn client(proxy: ProxyConfig) -> HttpUpstream {
    HttpUpstream::new(HttpUpstreamConfig { proxy, extra_roots_pem: vec![ca_pem()], ..HttpUpstreamConfig::default() })
        .unwrap()
}

pub(crate) fn https(address: String) -> ProxyConfig {
    ProxyConfig { https: Some(address), ..ProxyConfig::default() }
}

fn get(url: &str) -> Request<Bytes> {
    Request::get(url).body(Bytes::new()).unwrap()
}

/// A proxy that connects every CONNECT to `target`, or answers it with `refusal`.
pub(crate) async fn connect_proxy(target: SocketAddr, refusal: Option<&'static str>) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Asked::default());
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tunnel(stream, target, refusal, Arc::clone(&log)));
        }
    });
    (address, asked)
}

/// A [`connect_proxy`] that is itself reached over TLS.
async fn tls_proxy(target: SocketAddr, protocols: &'static [u8]) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Asked::default());
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                if let Some(stream) = accept_tls(stream, protocols).await {
                    tunnel(stream, target, None, log).await;
                }
            });
        }
    });
    (address, asked)
}

async fn tunnel<S>(mut stream: S, target: SocketAddr, refusal: Option<&'static str>, log: Asked)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // The client may disconnect before that.
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    log.lock().unwrap().push(String::from_utf8(head).unwrap());
    let answer = refusal.unwrap_or("HTTP/1.1 200 Connection established");
    stream.write_all(format!("{answer}\r\n\r\n").as_bytes()).await.unwrap();
    if refusal.is_none() {
        lead(stream, target).await;
    }
}

/// A SOCKS5 proxy (RFC 1928, RFC 1929) that requires the password `p@ss` and connects clients that send it to `target`.
pub(crate) async fn socks_proxy(target: SocketAddr) -> (SocketAddr, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Asked::default());
    let log = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let log = Arc::clone(&log);
            tokio::spawn(async move {
                assert_eq!(stream.read_u8().await.unwrap(), 5);
                counted(&mut stream).await;
                stream.write_all(&[5, 2]).await.unwrap();
                assert_eq!(stream.read_u8().await.unwrap(), 1);
                let (user, password) = (counted(&mut stream).await, counted(&mut stream).await);
                if password != "p@ss" {
                    return stream.write_all(&[1, 1]).await.unwrap();
                }
                stream.write_all(&[1, 0]).await.unwrap();
                let mut head = [0; 4];
                stream.read_exact(&mut head).await.unwrap();
                let host = match head {
                    [5, 1, 0, 3] => counted(&mut stream).await,
                    [5, 1, 0, 1] => {
                        let mut ip = [0; 4];
                        stream.read_exact(&mut ip).await.unwrap();
                        std::net::Ipv4Addr::from(ip).to_string()
                    }
                    other => panic!("unexpected request {other:?}"),
                };
                let port = stream.read_u16().await.unwrap();
                log.lock().unwrap().push(format!("{user} {password} {host}:{port}"));
                stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
                lead(stream, target).await;
            });
        }
    });
    (address, asked)
}

async fn counted(stream: &mut TcpStream) -> String {
    let mut text = vec![0; usize::from(stream.read_u8().await.unwrap())];
    stream.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

async fn lead<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, target: SocketAddr) {
    let mut onward = TcpStream::connect(target).await.unwrap();
    let _ = copy_bidirectional(&mut stream, &mut onward).await;
}

#[tokio::test]
async fn https_goes_through_the_proxy_with_its_credentials() {
    let server = Server::start(BOTH, |_| whole(200, "ok")).await;
    let (proxy, asked) = connect_proxy(server.address, None).await;
    // The password has an `@`, percent-encoded as in any address.
    let reply = client(https(format!("http://user:p%40ss@{proxy}"))).send(get("https://chatgpt.com/x")).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.version()), (200, http::Version::HTTP_2));
    let asked = asked.lock().unwrap().clone();
    assert!(asked.iter().all(|head| head.starts_with("CONNECT chatgpt.com:443 HTTP/1.1\r\n")), "{asked:?}");
    // base64 of `user:p@ss`.
    assert!(asked[0].to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpwqhnz\r\n"), "{asked:?}");
    assert!(asked[0].contains("Basic dXNlcjpwQHNz"), "{asked:?}");
    let seen = &server.requests()[0];
    assert_eq!((seen.uri().path(), seen.headers().get("proxy-authorization")), ("/x", None));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_to_blame_and_its_password_stays_secret() {
    let nowhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
    for refusal in ["HTTP/1.1 407 Proxy Authentication Required", "HTTP/1.1 502 Bad Gateway", "nonsense"] {
        let (proxy, _) = connect_proxy(nowhere, Some(refusal)).await;
        let client = client(https(format!("http://user:s3cret@{proxy}")));
        let error = client.send(get("https://chatgpt.com/")).await.err().unwrap();
        assert!(matches!(error, UpstreamError::Proxy { .. }), "{error:?}");
        assert!(error.before_dispatch());
        assert!(!format!("{error} {error:?} {client:?}").contains("s3cret"), "{error}");
    }
    let error = client(https("http://user:s3cret@127.0.0.1:1".to_owned())).send(get("https://chatgpt.com/")).await;
    let error = error.err().unwrap();
    assert!(matches!(error, UpstreamError::Proxy { .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_socks_proxy_that_refuses_is_to_blame_and_its_password_stays_secret() {
    let nowhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let (refusing, _) = socks_proxy(nowhere).await;
    for address in [refusing, nowhere] {
        for scheme in ["socks5", "socks5h"] {
            let client = client(https(format!("{scheme}://user:s3cret@{address}")));
            let error = client.send(get("https://192.0.2.1/")).await.err().unwrap();
            assert!(matches!(error, UpstreamError::Proxy { .. }), "{scheme} {address}: {error:?}");
            assert!(error.before_dispatch());
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_proxy_can_be_reached_over_tls() {
    let server = Server::start(BOTH, |_| whole(200, "ok")).await;
    let (proxy, asked) = tls_proxy(server.address, b"\x08http/1.1").await;
    let address = || https(format!("https://user:p%40ss@localhost:{}", proxy.port()));
    let reply = client(address()).send(get("https://chatgpt.com/x")).await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.version()), (200, http::Version::HTTP_2));
    assert!(asked.lock().unwrap()[0].contains("Basic dXNlcjpwQHNz"), "{asked:?}");

    // The proxy's own certificate is checked before the password is sent.
    let distrustful =
        HttpUpstream::new(HttpUpstreamConfig { proxy: address(), ..HttpUpstreamConfig::default() }).unwrap();
    let error = distrustful.send(get("https://chatgpt.com/x")).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Proxy { .. }), "{error:?}");
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_inspects_tls_is_told_from_one_that_refuses() {
    let server = Server::start(BOTH, |_| whole(200, "ok")).await;
    let (proxy, asked) = connect_proxy(server.address, None).await;
    let config = HttpUpstreamConfig { proxy: https(format!("http://{proxy}")), ..HttpUpstreamConfig::default() };
    let error = HttpUpstream::new(config).unwrap().send(get("https://chatgpt.com/")).await.err().unwrap();
    assert!(matches!(&error, UpstreamError::Tls { host, .. } if host == "chatgpt.com"), "{error:?}");

    assert_eq!((asked.lock().unwrap().len(), server.requests().len()), (1, 0));
}

/// Opens TLS to a server and accepts any certificate.
async fn connect_tls<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> SslStream<S> {
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    let ssl = builder.build().configure().unwrap().into_ssl("chatgpt.com").unwrap();
    let mut stream = SslStream::new(ssl, stream).unwrap();
    Pin::new(&mut stream).connect().await.unwrap();
    stream
}

/// A TLS-inspecting proxy: it shows the client a certificate of the tests' CA, and connects to `target` as a client
/// that accepts any certificate.
async fn inspecting_proxy(target: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                // A client that does not trust the CA disconnects here.
                let Some(mut inner) = accept_tls(stream, b"\x08http/1.1").await else { return };
                let mut onward = connect_tls(TcpStream::connect(target).await.unwrap()).await;
                let _ = copy_bidirectional(&mut inner, &mut onward).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn the_root_of_a_proxy_that_inspects_tls_can_be_trusted() {
    let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await.unwrap();
    let target = sim.base_url().trim_start_matches("https://").parse().unwrap();
    let proxy = https(format!("http://{}", inspecting_proxy(target).await));
    let url = "https://chatgpt.com/backend-api/codex/models";
    let reply = client(proxy.clone()).send(get(url)).await.unwrap();
    assert_eq!(reply.status(), 401, "the backend asks for a token");
    assert_eq!(sim.requests().len(), 1);
    // Trusting the backend's own CA does not extend to the proxy.
    let roots = vec![sim.ca_pem().unwrap().as_bytes().to_vec()];
    for extra_roots_pem in [roots, Vec::new()] {
        let config = HttpUpstreamConfig { proxy: proxy.clone(), extra_roots_pem, ..HttpUpstreamConfig::default() };
        let error = HttpUpstream::new(config).unwrap().send(get(url)).await.err().unwrap();
        assert!(matches!(&error, UpstreamError::Tls { host, .. } if host == "chatgpt.com"), "{error:?}");
    }
    assert_eq!(sim.requests().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_never_answers_is_a_connect_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    for scheme in ["http", "https", "socks5h"] {
        let proxy = https(format!("{scheme}://{}", listener.local_addr().unwrap()));
        let config =
            HttpUpstreamConfig { proxy, connect_timeout: Duration::from_millis(50), ..HttpUpstreamConfig::default() };
        let error = HttpUpstream::new(config).unwrap().send(get("https://chatgpt.com/")).await.err().unwrap();
        assert!(matches!(error, UpstreamError::Timeout { phase: TimeoutPhase::Connect, .. }), "{scheme}: {error:?}");
    }
}

#[tokio::test]
async fn socks_proxies_receive_the_name_or_the_address() {
    let server = Server::start(BOTH, |_| whole(200, "ok")).await;
    let rows = [
        ("socks5h", "https://chatgpt.com/", "user p@ss chatgpt.com:443"),
        ("socks5", "https://0.0.0.0:9/", "user p@ss 0.0.0.0:9"),
    ];
    for (scheme, url, expected) in rows {
        let (proxy, asked) = socks_proxy(server.address).await;
        let all = ProxyConfig { all: Some(format!("{scheme}://user:p%40ss@{proxy}")), ..ProxyConfig::default() };
        assert_eq!(client(all).send(get(url)).await.unwrap().status(), 200, "{scheme}");
        assert!(asked.lock().unwrap().iter().all(|line| line == expected), "{asked:?}");
    }
}

#[tokio::test]
async fn exceptions_and_this_machine_are_reached_directly() {
    let server = Server::start(BOTH, |_| whole(200, "ok")).await;
    let dead = || https("http://127.0.0.1:1".to_owned());
    assert_eq!(client(dead()).send(get(&server.https_url("/"))).await.unwrap().status(), 200);

    // Linux and macOS connect to this machine under the unspecified address, which is not a loopback one.
    let url = format!("https://0.0.0.0:{}/", server.address.port());
    let error = client(dead()).send(get(&url)).await.err().unwrap();
    assert!(matches!(error, UpstreamError::Proxy { .. }), "{error:?}");
    for exceptions in ["0.0.0.0", "example.com, 0.0.0.0/8", "*", "example.com 0.0.0.0", "*.example.com,*"] {
        let direct = ProxyConfig { no_proxy: Some(exceptions.to_owned()), ..dead() };
        assert_eq!(client(direct).send(get(&url)).await.unwrap().status(), 200, "{exceptions}");
    }
}

#[tokio::test]
async fn only_cloudflares_cookies_come_back() {
    let server = Server::start(BOTH, |_| {
        let mut response = whole(200, "ok");
        for cookie in ["__cf_bm=one; Path=/; Secure; HttpOnly", "session=two; Path=/", "_cfuvid=three; Path=/"] {
            response.headers_mut().append("set-cookie", cookie.parse().unwrap());
        }
        response
    })
    .await;
    let (proxy, _) = connect_proxy(server.address, None).await;
    let client = client(https(format!("http://{proxy}")));
    let sent = || {
        let last = server.requests().pop().unwrap();
        let mut cookies: Vec<_> =
            last.headers().get_all("cookie").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
        cookies.sort();
        cookies.join("; ")
    };
    for (url, expected) in [
        ("https://chatgpt.com/", ""),
        ("https://chatgpt.com/", "__cf_bm=one; _cfuvid=three"),
        (&server.https_url("/"), ""),
        (&server.https_url("/"), ""),
    ] {
        client.send(get(url)).await.unwrap();
        assert_eq!(sent(), expected, "{url}");
    }
    client.forget_cookies();
    client.send(get("https://chatgpt.com/")).await.unwrap();
    assert_eq!(sent(), "");
}
