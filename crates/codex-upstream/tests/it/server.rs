//! A backend on this machine, in cleartext or over TLS.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::tls_server::accept_tls;

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
type Seen = Arc<Mutex<Vec<Request<Bytes>>>>;

/// A server that hands every request to a function, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Seen,
    connections: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How connections are accepted.
#[derive(Clone, Copy)]
pub(crate) enum Wire {
    Plain,
    /// TLS that offers these protocols, in ALPN's form.
    Tls(&'static [u8]),
}

pub(crate) const BOTH: Wire = Wire::Tls(b"\x02h2\x08http/1.1");
pub(crate) const HTTP1: Wire = Wire::Tls(b"\x08http/1.1");

impl Server {
    pub(crate) async fn start(
        wire: Wire,
        answer: impl Fn(&Request<Bytes>) -> Response<Body> + Send + Sync + 'static,
    ) -> Self {
        Self::start_slow(wire, move |request| std::future::ready(answer(request))).await
    }

    /// Starts one that may take its time.
    pub(crate) async fn start_slow<A: Future<Output = Response<Body>> + Send>(
        wire: Wire,
        answer: impl Fn(&Request<Bytes>) -> A + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Seen::default();
        let connections = Arc::new(AtomicUsize::new(0));
        let (log, answer, count) = (Arc::clone(&seen), Arc::new(answer), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                tokio::spawn(async move {
                    match wire {
                        Wire::Plain => serve(stream, log, answer).await,
                        Wire::Tls(protocols) => {
                            if let Some(stream) = accept_tls(stream, protocols).await {
                                serve(stream, log, answer).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, seen, connections, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn https_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// How many connections were accepted, failed handshakes included.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn requests(&self) -> Vec<Request<Bytes>> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve<S, F, A>(stream: S, log: Seen, answer: Arc<F>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(&Request<Bytes>) -> A + Send + Sync + 'static,
    A: Future<Output = Response<Body>> + Send,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
        async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, body.collect().await.unwrap().to_bytes());
            log.lock().unwrap().push(request.clone());
            Ok::<_, Infallible>(answer(&request).await)
        }
    });
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

pub(crate) fn whole(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder().status(status).body(Full::new(body.into()).boxed_unsync()).unwrap()
}

/// A body that is fed from the test. The sender is closed when the client is gone.
pub(crate) fn fed<P: Into<Bytes> + Send + 'static>() -> (mpsc::Sender<P>, Response<Body>) {
    let (sender, receiver) = mpsc::channel(4);
    let pieces = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let frames = pieces.map(|piece: P| Ok::<_, Infallible>(Frame::data(piece.into())));
    (sender, Response::new(StreamBody::new(frames).boxed_unsync()))
}

/// Fails a test that would otherwise hang.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}
