//! The upstream over TLS and HTTP/2, like the backend.

use std::convert::Infallible;
use std::pin::Pin;

use btls::asn1::Asn1Time;
use btls::bn::BigNum;
use btls::ec::{EcGroup, EcKey};
use btls::hash::MessageDigest;
use btls::nid::Nid;
use btls::pkey::PKey;
use btls::ssl::{AlpnError, Ssl, SslAcceptor, SslMethod, select_next_proto};
use btls::x509::extension::{BasicConstraints, SubjectAlternativeName};
use btls::x509::{X509, X509NameBuilder};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt as _, StreamExt as _};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_btls::SslStream;

use crate::upstream::{MODELS, ReplyMode, UpstreamControl};
use crate::{Outcome, reply};

/// The bytes of a reply as they become available.
type Pieces = BoxStream<'static, Bytes>;

/// An upstream and the CA that its clients must trust.
pub(crate) struct Tls {
    pub(crate) port: u16,
    pub(crate) ca_pem: Vec<u8>,
}

/// Serves on a free port.
pub(crate) async fn start(control: &UpstreamControl) -> Outcome<Tls> {
    let (acceptor, ca_pem) = acceptor()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let control = control.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, control) = (acceptor.clone(), control.clone());
            tokio::spawn(async move {
                // The subject may disconnect.
                let _ = connection(stream, &acceptor, control).await;
            });
        }
    });
    Ok(Tls { port, ca_pem })
}

async fn connection(stream: TcpStream, acceptor: &SslAcceptor, control: UpstreamControl) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut stream = SslStream::new(Ssl::new(acceptor.context())?, stream)?;
    Pin::new(&mut stream).accept().await?;
    let service = service_fn(move |request| answer(control.clone(), request));
    let mut builder = http2::Builder::new(TokioExecutor::new());
    // The benchmark opens any number of streams.
    builder.max_concurrent_streams(20_000).max_send_buf_size(1024 * 1024);
    builder.serve_connection(TokioIo::new(stream), service).await?;
    Ok(())
}

async fn answer(
    control: UpstreamControl,
    request: Request<Incoming>,
) -> Outcome<Response<impl http_body::Body<Data = Bytes, Error = Infallible>>> {
    let is_turn = request.method() == http::Method::POST;
    request.into_body().collect().await?;
    let pieces: Pieces = match control.mode() {
        _ if !is_turn => stream::iter([Bytes::from_static(MODELS.as_bytes())]).boxed(),
        ReplyMode::Burst(_, pieces) => stream::iter((0..pieces.len()).map(move |at| pieces[at].clone())).boxed(),
        ReplyMode::Paced { deltas, every } => {
            let ticks = tokio::time::interval(every);
            let paced = stream::unfold((ticks, 0), move |(mut ticks, number)| {
                let control = control.clone();
                async move {
                    if number == deltas {
                        return None;
                    }
                    ticks.tick().await;
                    Some((Bytes::from(control.stamped(number)), (ticks, number + 1)))
                }
            });
            let head = stream::iter([Bytes::from(reply::head().concat())]);
            head.chain(paced).chain(stream::iter([Bytes::from(reply::tail(deltas, "").concat())])).boxed()
        }
        ReplyMode::Idle => {
            let first = [Bytes::from(reply::head().concat()), Bytes::from(control.stamped(0))];
            stream::iter(first).chain(std::future::pending().into_stream()).boxed()
        }
    };
    let body = StreamBody::new(pieces.map(|piece| Ok(Frame::data(piece))));
    let kind = if is_turn { "text/event-stream" } else { "application/json" };
    Ok(Response::builder().header("content-type", kind).body(body)?)
}

/// Returns an acceptor with a self-signed certificate for this machine.
fn acceptor() -> Outcome<(SslAcceptor, Vec<u8>)> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "codex-load")?;
    let name = name.build();
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    let serial = BigNum::from_u32(1)?.to_asn1_integer()?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_pubkey(&key)?;
    builder.set_not_before(Asn1Time::days_from_now(0)?.as_ref())?;
    builder.set_not_after(Asn1Time::days_from_now(30)?.as_ref())?;
    builder.append_extension(BasicConstraints::new().critical().ca().build()?.as_ref())?;
    let names = SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names.as_ref())?;
    builder.sign(&key, MessageDigest::sha256())?;
    let certificate = builder.build();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
    acceptor.set_certificate(&certificate)?;
    acceptor.set_private_key(&key)?;
    acceptor.set_alpn_select_callback(|_, offered| select_next_proto(b"\x02h2", offered).ok_or(AlpnError::NOACK));
    Ok((acceptor.build(), certificate.to_pem()?))
}
