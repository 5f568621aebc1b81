//! Accepts connections and hands each request to a service until told to stop; then waits for open replies.

use std::convert::Infallible;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;
use tower_service::Service;

use crate::admission::slots::{Slot, Slots};
use crate::connection::activity::{CloseReason, ConnectionActivity};
use crate::connection::monitored_body::MonitoredBody;
use crate::connection::monitored_io::MonitoredIo;
use crate::connection::peer::Peer;
use crate::reply::{self, ReplyBody};
use crate::request::limits::{Limits, MAX_HEAD_BYTES, MAX_HEADERS, Timeouts, full};
use crate::server::listen::{Accepted, Listeners};

/// How long open replies may continue after the signal to stop.
pub(crate) const DRAIN_DEADLINE: Duration = Duration::from_secs(30);

/// How long to wait before accepting again when the process is out of file descriptors.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// How many connections beyond the limit get a reply at the same time; further ones are closed without one.
const REFUSALS: usize = 64;

/// How long the reply to a connection beyond the limit may take.
const REFUSAL_TIME: Duration = Duration::from_secs(5);

/// A connection's slot, in the extensions of its requests: an upgraded connection keeps it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSlot(#[expect(dead_code, reason = "held, not read")] Arc<Slot>);

/// Serves `listeners` until `shutdown` completes, then waits for open replies and for `drain`, which ends connections
/// that outlive their request; both have 30 seconds.
///
/// HTTP/1.1 and HTTP/2 without TLS are told apart by the connection preface. Each connection has its own task, so a
/// panic in a service ends only that connection. `limits` is called for each connection, so the limits can change.
pub(crate) async fn serve<S, B>(
    mut listeners: Listeners,
    service: S,
    limits: impl Fn() -> Limits,
    shutdown: impl Future<Output = ()>,
    drain: impl Future<Output = ()>,
) where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let server = Server {
        connections: Slots::new(limits().connections, 0),
        refusals: Slots::new(REFUSALS, 0),
        graceful: GracefulShutdown::new(),
        service,
        limits,
    };
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = listeners.accept() => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok(Accepted::Tcp(stream, address)) => {
                // Otherwise a short reply waits for the peer's delayed acknowledgement, 40 ms and more.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%address, %error, "cannot disable Nagle's algorithm");
                }
                server.connect(stream, Peer::Tcp(address));
            }
            #[cfg(unix)]
            Ok(Accepted::Unix(stream)) => server.connect(stream, Peer::Unix),
            Err(error) => pause_after(&error).await,
        }
    }
    drop(listeners);
    let drained = async { tokio::join!(server.graceful.shutdown(), drain) };
    tokio::select! {
        _ = drained => tracing::info!("all replies have finished"),
        () = tokio::time::sleep(DRAIN_DEADLINE) => tracing::warn!("stopping with open replies"),
    }
}

struct Server<S, L> {
    service: S,
    limits: L,
    connections: Slots,
    refusals: Slots,
    graceful: GracefulShutdown,
}

impl<S, B, L> Server<S, L>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    L: Fn() -> Limits,
{
    /// Serves a connection in its own task, or replies that there are too many.
    fn connect<T: AsyncRead + AsyncWrite + Send + Unpin + 'static>(&self, stream: T, peer: Peer) {
        let limits = (self.limits)();
        self.connections.resize(limits.connections, 0);
        if let Some(slot) = self.connections.try_take() {
            let (service, slot) = (self.service.clone(), ConnectionSlot(Arc::new(slot)));
            let answer = move |mut request: Request<Incoming>| {
                let mut service = service.clone();
                request.extensions_mut().insert(slot.clone());
                request.extensions_mut().insert(peer);
                async move {
                    let Ok(()) = poll_fn(|cx| service.poll_ready(cx)).await;
                    let Ok(response) = service.call(request).await;
                    response
                }
            };
            tokio::spawn(connection(stream, peer, answer, limits.timeouts, self.graceful.watcher()));
        } else if let Some(refusal) = self.refusals.try_take() {
            tracing::warn!(%peer, limit = limits.connections, "too many connections");
            let refusing =
                connection(stream, peer, |_| std::future::ready(refused()), limits.timeouts, self.graceful.watcher());
            tokio::spawn(async move {
                let _refusal = refusal;
                // Elapsed: a client that sends nothing gets no reply.
                let _ = tokio::time::timeout(REFUSAL_TIME, refusing).await;
            });
        }
    }
}

fn refused() -> Response<ReplyBody> {
    let mut response = reply::from_error(&full("too many connections"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Serves one connection to its end.
async fn connection<T, A, F, B>(stream: T, peer: Peer, answer: A, timeouts: Timeouts, watcher: Watcher)
where
    T: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    A: Fn(Request<Incoming>) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let activity = ConnectionActivity::new(Instant::now());
    let io = MonitoredIo::new(stream, activity.clone());
    let (watched, client) = (activity.clone(), io.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        let running = watched.begin(request.version(), request.body().is_end_stream());
        request.extensions_mut().insert(watched.clone());
        // hyper reserves space for the future for as long as the connection lives; boxed, that is only a pointer.
        let (mut answering, client) = (Box::pin(answer(request)), client.clone());
        async move {
            let response = poll_fn(|cx| match answering.as_mut().poll(cx) {
                Poll::Ready(response) => Poll::Ready(Ok(response)),
                Poll::Pending => client.poll_gone(cx).map(Err),
            });
            Ok::<_, io::Error>(response.await?.map(|body| MonitoredBody::new(body, running, client)))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // hyper itself rejects only what is far beyond our own limits, which get a proper reply.
    // `poll_gone` looks for the end of the client's bytes: hyper would take every client for gone that ends them.
    builder.http1().half_close(true);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_headers(4 * MAX_HEADERS);
    // This also bounds the bytes that wait to be written; those are sent while more are made.
    builder.http1().max_buf_size(4 * MAX_HEAD_BYTES);
    let most = u32::try_from(4 * MAX_HEAD_BYTES).unwrap_or(u32::MAX);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Duration::from_secs(60)).max_header_list_size(most);
    let serving = builder.serve_connection_with_upgrades(TokioIo::new(io.clone()), service).into_owned();
    let reason = {
        let serving = pin!(watcher.watch(serving));
        tokio::select! {
            biased;
            ended = serving => return log_end(peer, ended),
            reason = until_closed(&activity, &timeouts) => reason,
        }
    };
    tracing::debug!(%peer, ?reason, "closing the connection");
    if reason == CloseReason::HeadTooSlow {
        // The client may be gone.
        let _ = tokio::time::timeout(REFUSAL_TIME, send_request_timeout(io)).await;
    }
}

fn log_end(peer: Peer, ended: Result<(), Box<dyn Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// Completes when the connection is to be closed.
async fn until_closed(activity: &ConnectionActivity, timeouts: &Timeouts) -> CloseReason {
    let mut ticks = tokio::time::interval(timeouts.head.min(timeouts.stall).min(timeouts.idle) / 4);
    loop {
        ticks.tick().await;
        if let Some(reason) = activity.close_reason(Instant::now(), timeouts) {
            return reason;
        }
    }
}

/// Writes the reply to a request whose head did not arrive. hyper cannot write one, since it has no request to answer.
async fn send_request_timeout<T: AsyncWrite + Unpin>(mut io: MonitoredIo<T>) -> io::Result<()> {
    io.write_all(&reply::request_timeout_bytes()).await?;
    poll_fn(|cx| Pin::new(&mut io).poll_shutdown(cx)).await
}

/// Waits after a failure to accept: if the process is out of descriptors, others must close first. A connection that
/// was closed while it waited is not a failure.
async fn pause_after(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset) {
        return;
    }
    tracing::warn!(%error, "cannot accept a connection");
    tokio::time::sleep(ACCEPT_BACKOFF).await;
}
