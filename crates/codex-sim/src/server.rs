//! The accept loop: TCP or TLS, HTTP/1.1 or HTTP/2, one task per connection.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::route::{self, Surface};
use crate::tls::Tls;
use crate::world::World;

/// Serves `listener` until the task running this is aborted, which drops every connection with it.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Arc<Tls>>, surface: Surface, world: Arc<World>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, tls.clone(), surface, Arc::clone(&world)));
                }
                // Out of file descriptors, most likely: yield so that open connections can end.
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::task::yield_now().await;
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
    let service = service_fn(|request| {
        let world = Arc::clone(&world);
        async move { route::handle(request, number, surface, &world).await }
    });
    let served = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
    if let Err(error) = served {
        tracing::debug!(%error, number, "connection ended");
    }
}
