//! A backend on this machine, plain or over TLS with a CA of its own.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use btls::asn1::Asn1Time;
use btls::bn::BigNum;
use btls::ec::{EcGroup, EcKey};
use btls::hash::MessageDigest;
use btls::nid::Nid;
use btls::pkey::{PKey, Private};
use btls::ssl::{AlpnError, Ssl, SslAcceptor, SslMethod, select_next_proto};
use btls::x509::extension::{BasicConstraints, SubjectAlternativeName};
use btls::x509::{X509, X509NameBuilder};
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
use tokio_btls::SslStream;

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

pub(crate) async fn accept_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    protocols: &'static [u8],
) -> Option<SslStream<S>> {
    let ssl = Ssl::new(acceptor(protocols).context()).unwrap();
    let mut stream = SslStream::new(ssl, stream).unwrap();
    Pin::new(&mut stream).accept().await.ok()?;
    Some(stream)
}

pub(crate) fn whole(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder().status(status).body(Full::new(body.into()).boxed_unsync()).unwrap()
}

/// A body that is fed from the test. The sender is closed when the client is gone.
pub(crate) fn fed() -> (mpsc::Sender<&'static str>, Response<Body>) {
    let (sender, receiver) = mpsc::channel(4);
    let pieces = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    let frames = pieces.map(|piece: &str| Ok::<_, Infallible>(Frame::data(Bytes::from_static(piece.as_bytes()))));
    (sender, Response::new(StreamBody::new(frames).boxed_unsync()))
}

/// Fails a test that would otherwise hang.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let limit = std::time::Duration::from_secs(20);
    tokio::time::timeout(limit, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// The certificate of the CA that signs every [`Wire::Tls`] server's certificate.
pub(crate) fn ca_pem() -> Vec<u8> {
    CA.certificate.to_pem().unwrap()
}

struct Authority {
    certificate: X509,
    key: PKey<Private>,
}

static CA: LazyLock<Authority> = LazyLock::new(|| {
    let key = key();
    let certificate = certificate("test CA", &key, None);
    Authority { certificate, key }
});

static LEAF: LazyLock<(X509, PKey<Private>)> = LazyLock::new(|| {
    let key = key();
    (certificate("test leaf", &key, Some(&CA)), key)
});

fn key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn certificate(name: &str, key: &PKey<Private>, issuer: Option<&Authority>) -> X509 {
    let subject = {
        let mut builder = X509NameBuilder::new().unwrap();
        builder.append_entry_by_text("CN", name).unwrap();
        builder.build()
    };
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(if issuer.is_some() { 2 } else { 1 }).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(30).unwrap()).unwrap();
    match issuer {
        None => {
            builder.set_issuer_name(&subject).unwrap();
            builder.append_extension(&BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
            builder.sign(key, MessageDigest::sha256()).unwrap();
        }
        Some(issuer) => {
            builder.set_issuer_name(issuer.certificate.subject_name()).unwrap();
            let names = SubjectAlternativeName::new()
                .dns("localhost")
                .dns("chatgpt.com")
                .ip("127.0.0.1")
                .ip("0.0.0.0")
                .build(&builder.x509v3_context(Some(&issuer.certificate), None))
                .unwrap();
            builder.append_extension(&names).unwrap();
            builder.sign(&issuer.key, MessageDigest::sha256()).unwrap();
        }
    }
    builder.build()
}

fn acceptor(protocols: &'static [u8]) -> SslAcceptor {
    let (certificate, key) = &*LEAF;
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    builder.set_certificate(certificate).unwrap();
    builder.set_private_key(key).unwrap();
    builder.set_alpn_select_callback(move |_, offered| select_next_proto(protocols, offered).ok_or(AlpnError::NOACK));
    builder.build()
}
