//! The local web server to which the auth server redirects the browser.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::login::pages;

/// How often a busy port is tried (`docs/backend.md §1.3`).
const TRIES: u32 = 10;
/// The pause between tries, and after a failed `accept`.
const PAUSE: Duration = Duration::from_millis(200);
/// How long another login may take to confirm that it releases the port.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);
/// The maximum number of connections at a time; a browser opens a handful. Further ones wait.
const MAX_CONNECTIONS: usize = 32;
/// How long a client may take to send a request. Browsers open connections ahead of need, and these count.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last page may take to reach the browser.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Sockets on both loopback addresses.
#[derive(Debug)]
pub(crate) struct LoopbackListener {
    sockets: Vec<TcpListener>,
    port: u16,
}

impl LoopbackListener {
    /// Binds the first available port of `ports`. If a port is busy, another login that may use it is first asked to
    /// release it.
    pub(crate) async fn bind(ports: &[u16]) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no port was given");
        for port in ports {
            match Self::bind_with_retries(*port).await {
                Ok(listener) => return Ok(listener),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    async fn bind_with_retries(port: u16) -> io::Result<Self> {
        for tried in 1.. {
            match Self::bind_both(port).await {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tried < TRIES => {
                    if tried == 1 {
                        request_release(port).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                bound => return bound,
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }

    async fn bind_both(port: u16) -> io::Result<Self> {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let bound = first.local_addr()?.port();
        let mut sockets = vec![first];
        match TcpListener::bind((Ipv6Addr::LOCALHOST, bound)).await {
            Ok(second) => sockets.push(second),
            // A browser may try ::1 first for `localhost`, so the port must be ours on both.
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && port != 0 => return Err(error),
            Err(error) => tracing::debug!(%error, "listening on 127.0.0.1 only"),
        }
        Ok(Self { sockets, port: bound })
    }
}

/// A request that waits for its response.
#[derive(Debug)]
pub(crate) struct PageRequest {
    pub(crate) path: String,
    pub(crate) query: String,
    /// Whether a page of another site seems to have caused the request.
    pub(crate) is_cross_site: bool,
    reply: oneshot::Sender<Response<Full<Bytes>>>,
}

impl PageRequest {
    pub(crate) fn reply(self, response: Response<Full<Bytes>>) {
        // If the browser has gone away, only the page is lost.
        let _ = self.reply.send(response);
    }
}

/// Serves the listener, one request at a time. Dropping it closes every connection.
pub(crate) struct CallbackServer {
    sockets: Vec<TcpListener>,
    connections: JoinSet<()>,
    graceful: GracefulShutdown,
    sender: mpsc::Sender<PageRequest>,
    requests: mpsc::Receiver<PageRequest>,
}

impl CallbackServer {
    pub(crate) fn new(listener: LoopbackListener) -> Self {
        let (sender, requests) = mpsc::channel(1);
        Self {
            sockets: listener.sockets,
            connections: JoinSet::new(),
            graceful: GracefulShutdown::new(),
            sender,
            requests,
        }
    }

    /// Waits for the next request.
    pub(crate) async fn next(&mut self) -> PageRequest {
        loop {
            let room = self.connections.len() < MAX_CONNECTIONS;
            tokio::select! {
                // Never `None`: this server holds a sender.
                Some(request) = self.requests.recv() => return request,
                Some(_) = self.connections.join_next() => {}
                accepted = accept(&self.sockets), if room => match accepted {
                    Ok((stream, _)) => self.serve(stream),
                    Err(error) => {
                        tracing::debug!(%error, "cannot accept a connection");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    /// Waits until the last responses have reached the browser, then closes.
    pub(crate) async fn finish(self) {
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, self.graceful.shutdown()).await;
    }

    fn serve(&mut self, stream: TcpStream) {
        let sender = self.sender.clone();
        let service = service_fn(move |request| forward(request, sender.clone()));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            // One request per connection: an idle one would count towards the limit.
            .keep_alive(false)
            .serve_connection(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection);
        self.connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the login page failed");
            }
        });
    }
}

/// Forwards a request to [`CallbackServer::next`] and waits for the response.
async fn forward(
    request: Request<Incoming>,
    requests: mpsc::Sender<PageRequest>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::GET {
        // Not HEAD either: a link preview must not use up the code before the user follows the link.
        let mut refusal = pages::text(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
        refusal.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
        return Ok(refusal);
    }
    let (reply, replied) = oneshot::channel();
    let request = PageRequest {
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
        is_cross_site: is_cross_site(request.headers()),
        reply,
    };
    let _ = requests.send(request).await;
    Ok(replied.await.unwrap_or_else(|_| pages::text(StatusCode::SERVICE_UNAVAILABLE, "The login has ended")))
}

/// Returns whether the browser reports that another site caused the request, or uses a name for this server that is not
/// a loopback name (DNS rebinding). Programs other than browsers report nothing.
fn is_cross_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_loopback = |host: &HeaderValue| {
        let host = Authority::try_from(host.as_bytes());
        host.is_ok_and(|host| matches!(host.host(), "localhost" | "127.0.0.1" | "[::1]"))
    };
    matches!(site, Some(b"cross-site" | b"same-site")) || !headers.get(header::HOST).is_none_or(is_loopback)
}

async fn accept(sockets: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    poll_fn(|context| {
        let ready = sockets.iter().map(|socket| socket.poll_accept(context)).find(Poll::is_ready);
        ready.unwrap_or(Poll::Pending)
    })
    .await
}

/// Asks another login on the port to exit (`docs/backend.md §1.3`). Whatever it answers, the port is tried again.
async fn request_release(port: u16) {
    let exchange = async {
        let addresses: [SocketAddr; 2] = [(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()];
        let mut stream = TcpStream::connect(addresses.as_slice()).await?;
        let request = format!("GET /cancel HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        stream.read(&mut [0; 256]).await
    };
    if let Ok(Err(error)) = tokio::time::timeout(CANCEL_TIMEOUT, exchange).await {
        tracing::debug!(%error, port, "the program on the port did not answer the request to release it");
    }
}
