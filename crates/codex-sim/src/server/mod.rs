//! The listeners: TCP or TLS, HTTP/1.1 or HTTP/2, one task per connection, and the endpoint each request is routed to.
//!
//! It never builds a reply beyond the refusals that concern no endpoint.

pub(crate) mod route;
pub(crate) mod tls;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::exchange::connection::Connection;
use crate::exchange::flush_log::{FlushLog, FlushLogged};
use crate::exchange::socket_handoff::SocketHandoff;
use crate::server::route::Surface;
use crate::server::tls::Tls;
use crate::state::SimState;

/// How long nothing is accepted after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Streams one HTTP/2 connection may have open, so that a test can stall many.
const MAX_STREAMS: u32 = 2_000;
/// The CLI's metadata headers alone take some kilobytes.
const MAX_HEADER_LIST_BYTES: u32 = 128 * 1024;

/// Serves `listener` until the task running this is aborted, which drops every connection with it.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Arc<Tls>>, surface: Surface, state: Arc<SimState>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), surface, Arc::clone(&state)));
                }
                // Out of file descriptors, most likely: leave open connections the time to end.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<Arc<Tls>>, surface: Surface, state: Arc<SimState>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let Some(tls) = tls else {
        return http(stream, surface, state).await;
    };
    match tls.accept(stream).await {
        Ok(stream) => http(stream, surface, state).await,
        Err(error) => tracing::debug!(%error, "TLS handshake failed"),
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, surface: Surface, state: Arc<SimState>) {
    let number = state.connections.fetch_add(1, Ordering::Relaxed) + 1;
    let connection = Connection { number, flush_log: FlushLog::new(), socket_handoff: SocketHandoff::default() };
    let socket_handoff = connection.socket_handoff.clone();
    let stream = FlushLogged::new(stream, connection.flush_log.clone());
    let service = service_fn(|request| {
        let (state, connection) = (Arc::clone(&state), connection.clone());
        async move { route::handle(request, connection, surface, &state).await }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().max_concurrent_streams(MAX_STREAMS).max_header_list_size(MAX_HEADER_LIST_BYTES);
    let served = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, number, "connection ended");
    }
    // In the same task, so that aborting this ends that.
    if let Some(session) = socket_handoff.take() {
        session.await;
    }
}
