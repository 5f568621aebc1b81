//! The listeners: TCP or TLS, HTTP/1.1 or HTTP/2, one task per connection, and the endpoint each request is routed to.
//!
//! It never builds replies, except refusals that no endpoint is responsible for.

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
use crate::exchange::flush_log::{FlushLog, FlushLogStream};
use crate::exchange::head_tap::{HeadTap, HeadTapStream};
use crate::exchange::socket_handoff::SocketHandoff;
use crate::server::route::Services;
use crate::server::tls::Tls;
use crate::state::SimState;

/// The pause after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// The streams that one HTTP/2 connection may have open: many, since a test may stall many.
const MAX_STREAMS: u32 = 2_000;
/// The CLI's metadata headers alone are several kilobytes.
const MAX_HEADER_LIST_BYTES: u32 = 128 * 1024;

/// Serves `listener` until its task is aborted, which also drops every connection.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Arc<Tls>>, services: Services, state: Arc<SimState>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), services, Arc::clone(&state)));
                }
                // Most likely out of file descriptors: give open connections time to end.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<Arc<Tls>>, services: Services, state: Arc<SimState>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let Some(tls) = tls else {
        return http(stream, services, state).await;
    };
    match tls.accept(stream).await {
        Ok(stream) => http(stream, services, state).await,
        Err(error) => tracing::debug!(%error, "TLS handshake failed"),
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, services: Services, state: Arc<SimState>) {
    let number = state.connections.fetch_add(1, Ordering::Relaxed) + 1;
    let connection = Connection {
        number,
        flush_log: FlushLog::new(),
        head_tap: HeadTap::default(),
        socket_handoff: SocketHandoff::default(),
    };
    let socket_handoff = connection.socket_handoff.clone();
    let stream = HeadTapStream::new(stream, connection.head_tap.clone());
    let stream = FlushLogStream::new(stream, connection.flush_log.clone());
    let service = service_fn(|request| {
        let (state, connection) = (Arc::clone(&state), connection.clone());
        async move { route::handle(request, connection, services, &state).await }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().max_concurrent_streams(MAX_STREAMS).max_header_list_size(MAX_HEADER_LIST_BYTES);
    let served = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, number, "connection ended");
    }
    // In the same task, so aborting the task ends the session too.
    if let Some(session) = socket_handoff.take() {
        session.await;
    }
}
