//! Accepts connections and hands each request to a handler, until told to stop; then lets what is running finish.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};

use crate::reply::Body;

/// How long a connection may take to send a request's head; slower ones are closed.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// How long running replies may go on after the signal to stop.
pub const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

/// How long to wait before accepting again when the process is out of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// What answers requests. Infallible: an error is a reply.
pub trait Handler: Clone + Send + 'static {
    /// Answers one request from the peer at `peer`.
    fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> impl Future<Output = Response<Body>> + Send;
}

/// Serves `listener` until `shutdown` completes, then waits for open replies, at most [`DRAIN_DEADLINE`].
///
/// HTTP/1.1 and HTTP/2 without TLS are told apart by the connection preface. One task serves one connection, so a panic in a
/// handler costs that connection and no other.
pub async fn serve<H: Handler>(listener: TcpListener, handler: H, shutdown: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => spawn_connection(stream, peer, handler.clone(), &graceful),
            Err(error) => pause_after(&error).await,
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => tracing::info!("all replies are finished"),
        () = tokio::time::sleep(DRAIN_DEADLINE) => tracing::warn!("stopping with replies still open"),
    }
}

fn spawn_connection<H: Handler>(stream: TcpStream, peer: SocketAddr, handler: H, graceful: &GracefulShutdown) {
    // Without this a one-word answer waits for the peer's delayed acknowledgement, 40 ms and more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "cannot disable Nagle's algorithm");
    }
    let service = service_fn(move |request| {
        let handler = handler.clone();
        async move { Ok::<_, Infallible>(handler.handle(request, peer).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_READ_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(60));
    let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
    let watched = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = watched.await {
            tracing::debug!(%peer, %error, "connection ended");
        }
    });
}

/// A connection that died while waiting is nothing; running out of descriptors needs a moment for others to close.
async fn pause_after(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(ACCEPT_BACKOFF).await;
}
