//! The accept loop: TCP or TLS, HTTP/1.1 or HTTP/2, one task per connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::flushes::{Flushes, Watched};
use crate::handover::Handover;
use crate::inbound::Link;
use crate::route::{self, Surface};
use crate::tls::Tls;
use crate::world::World;

/// How long nothing is accepted after a failure to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// Streams one HTTP/2 connection may have open, so that a test can stall many.
const MAX_STREAMS: u32 = 2_000;
/// The CLI's metadata headers alone take some kilobytes.
const MAX_HEADER_LIST_BYTES: u32 = 128 * 1024;

/// Serves `listener` until the task running this is aborted, which drops every connection with it.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Arc<Tls>>, surface: Surface, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), surface, Arc::clone(&world)));
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

async fn connection(stream: TcpStream, tls: Option<Arc<Tls>>, surface: Surface, world: Arc<World>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let Some(tls) = tls else {
        return http(stream, surface, world).await;
    };
    match tls.accept(stream).await {
        Ok(stream) => http(stream, surface, world).await,
        Err(error) => tracing::debug!(%error, "TLS handshake failed"),
    }
}

async fn http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, surface: Surface, world: Arc<World>) {
    let number = world.connections.fetch_add(1, Ordering::Relaxed) + 1;
    let link = Link { number, flushes: Flushes::new(), handover: Handover::default() };
    let handover = link.handover.clone();
    let stream = Watched::new(stream, link.flushes.clone());
    let service = service_fn(|request| {
        let (world, link) = (Arc::clone(&world), link.clone());
        async move { route::handle(request, link, surface, &world).await }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http2().max_concurrent_streams(MAX_STREAMS).max_header_list_size(MAX_HEADER_LIST_BYTES);
    let served = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, number, "connection ended");
    }
    // In the same task, so that aborting this ends that.
    if let Some(session) = handover.take() {
        session.await;
    }
}
