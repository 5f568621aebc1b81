//! The client itself, and the only file that names wreq.
//!
//! wreq is a fork of reqwest over BoringSSL whose handshake and HTTP/2 preface can be shaped. What is taken from its
//! browser profiles is the TLS options and the HTTP/2 settings, never the headers: the requests carry the Codex
//! client's identity, and a browser's `user-agent`, `sec-ch-ua` and `accept-language` beside it would contradict it.

use std::error::Error as StdError;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;
use wreq::IntoEmulation as _;
use wreq::cookie::{CookieStore, Cookies, Jar};
use wreq::header::OrigHeaderMap;
use wreq::http2::Http2Options;
use wreq::tls::trust::{CertStore, Certificate};
use wreq::tls::{TlsOptions, TlsVersion};
use wreq_util::{Emulation as BrowserProfile, Platform, Profile};

use crate::config::{ClientConfig, ClientError, Emulation, is_loopback};
use crate::cookies::{host_keeps_cookies, is_infrastructure};
use crate::idle_timeout::with_idle_timeout;
use crate::plain::PlainClient;
use crate::roots::unknown_roots;
use crate::socket::{self, Upgrade};
use crate::upstream::{ChunkStream, TimeoutPhase, Upstream, UpstreamError};
use crate::websocket::handshake::{self, Handshake};

/// The newest Chrome of wreq-util. `examples/fingerprint` compares it with a real one.
const CHROME: Profile = Profile::Chrome149;

/// How many streams that were reset within the last second are remembered on a connection.
const MAX_RESET_STREAMS: usize = 16 * 1024;

/// The library's client, or why there is none. It is made when it is first asked for, since Mozilla's roots take longer to read
/// than all else that is done at the program's start, and not everything that is done with a client needs them.
type LazyWreqClient = LazyLock<WreqResult, Box<dyn FnOnce() -> WreqResult + Send>>;

type WreqResult = Result<wreq::Client, String>;

/// A pooling HTTP client whose TLS and HTTP/2 look like the chosen [`Emulation`].
///
/// It follows no redirect, accepts and undoes `zstd` and `gzip` in replies as the official client does, reads no environment
/// variable, and keeps no cookie but Cloudflare's own from the backend's hosts, in memory. `https` negotiates HTTP/2 and falls back to HTTP/1.1; plain `http` is
/// refused except to this machine. There is no limit on how long a reply may take, only on silence. What a backend says
/// that it never looked at (RFC 9113 section 8.7) goes out again on another connection; nothing else does. Clones share
/// connections and cookies.
#[derive(Clone)]
pub struct Client {
    library: Arc<LazyWreqClient>,
    read_timeout: Duration,
    plain: PlainClient,
    cookies: Arc<CloudflareCookies>,
}

impl Client {
    /// Builds a client.
    ///
    /// # Errors
    ///
    /// [`ClientError`] naming the setting to correct.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let cookies = Arc::new(CloudflareCookies(Jar::default()));
        let plain = PlainClient::new(config.connect_timeout, config.read_timeout);
        let library = Arc::new(set_up(&config, &cookies)?);
        Ok(Self { library, read_timeout: config.read_timeout, plain, cookies })
    }
}

impl Client {
    /// The library's client, to ask `host` with.
    fn library(&self, host: &str) -> Result<&wreq::Client, UpstreamError> {
        let made = self.library.as_ref().as_ref();
        made.map_err(|reason| UpstreamError::Tls { host: host.to_owned(), reason: reason.clone() })
    }

    /// Waits for the head of a reply. The library's own limit of silence would set a timer anew with each frame.
    async fn head(
        &self,
        reply: impl Future<Output = wreq::Result<wreq::Response>>,
        host: &str,
    ) -> Result<wreq::Response, UpstreamError> {
        match tokio::time::timeout(self.read_timeout, reply).await {
            Ok(reply) => reply.map_err(|error| before_head(&error, host.to_owned())),
            Err(_) => Err(UpstreamError::Timeout { host: host.to_owned(), phase: TimeoutPhase::Head }),
        }
    }

    /// A reply without the library's types.
    fn neutral(&self, reply: wreq::Response, host: String) -> Response<ChunkStream> {
        let mut head = Response::new(());
        *head.status_mut() = reply.status();
        *head.version_mut() = reply.version();
        head.headers_mut().clone_from(reply.headers());
        let from = host.clone();
        let body = reply.bytes_stream().map(move |piece| piece.map_err(|error| within_body(&error, from.clone())));
        head.map(|()| with_idle_timeout(Box::pin(body), self.read_timeout, host))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Upstream for Client {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ChunkStream>, UpstreamError> {
        let host = checked_host(request.uri())?;
        if request.uri().scheme() == Some(&Scheme::HTTP) {
            return self.plain.send(request, host).await;
        }
        let reply = self.head(self.library(&host)?.execute(request.into()), &host).await?;
        Ok(self.neutral(reply, host))
    }

    async fn connect(&self, request: Request<()>) -> Result<Upgrade, UpstreamError> {
        let host = checked_host(request.uri())?;
        let handshake = Handshake::new()?;
        let (mut head, ()) = request.into_parts();
        head.headers = handshake.headers(head.headers)?;
        let names = spelled(&head.headers);
        let client = self.library(&host)?.clone();
        let request = wreq::RequestBuilder::from_parts(client, Request::from_parts(head, Bytes::new()).into());
        // Only HTTP/1.1 can be left in this way, and so only it is offered in the TLS handshake.
        // A request for another protocol asks for no encoding.
        let request = request.version(Version::HTTP_11).orig_headers(names).gzip(false).zstd(false);
        let reply = self.head(request.send(), &host).await?;
        if reply.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Upgrade::Refused(self.neutral(reply, host)));
        }
        if let Some(objection) = handshake.objection(reply.headers()) {
            return Err(UpstreamError::Closed { host, reason: objection.to_owned() });
        }
        let headers = handshake::without_handshake(reply.headers().clone());
        let connection = reply.upgrade().await.map_err(|error| within_body(&error, host.clone()))?;
        Ok(Upgrade::Opened { headers, socket: socket::over(connection, host).await })
    }

    fn forget_cookies(&self) {
        self.cookies.0.clear();
    }
}

/// The names of these headers as the official client writes them, which matters where HTTP/1.1 shows it (docs/backend.md §9).
fn spelled(headers: &http::HeaderMap) -> OrigHeaderMap {
    let mut names = OrigHeaderMap::new();
    names.insert("Host");
    for name in headers.keys() {
        let name = match name.as_str() {
            "connection" => "Connection",
            "upgrade" => "Upgrade",
            "sec-websocket-version" => "Sec-WebSocket-Version",
            "sec-websocket-key" => "Sec-WebSocket-Key",
            "authorization" => "Authorization",
            "user-agent" => "User-Agent",
            other => other,
        };
        names.insert(name.to_owned());
    }
    names
}

/// wreq's jar behind the rules of [`crate::cookies`].
struct CloudflareCookies(Jar);

impl CookieStore for CloudflareCookies {
    fn set_cookies(&self, headers: &mut dyn Iterator<Item = &HeaderValue>, uri: &Uri) {
        if uri.host().is_some_and(host_keeps_cookies) {
            self.0.set_cookies(&mut headers.filter(|value| is_infrastructure(value.as_bytes())), uri);
        }
    }

    fn cookies(&self, uri: &Uri, version: Version) -> Cookies {
        match uri.host() {
            Some(host) if host_keeps_cookies(host) => self.0.cookies(uri, version),
            Some(_) | None => Cookies::Empty,
        }
    }
}

/// Sets up all in which the configuration can be at fault.
fn set_up(config: &ClientConfig, cookies: &Arc<CloudflareCookies>) -> Result<LazyWreqClient, ClientError> {
    let mut builder = wreq::Client::builder()
        .no_proxy()
        .redirect(wreq::redirect::Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(config.connect_timeout)
        .cookie_provider(Arc::clone(cookies));
    if let Some(address) = config.proxy.address()? {
        let unusable = |_| ClientError::Proxy { setting: "the proxy", reason: "its address cannot be used" };
        let exceptions = wreq::NoProxy::from_string(&config.proxy.exceptions());
        builder = builder.proxy(wreq::Proxy::https(address.as_str()).map_err(unusable)?.no_proxy(exceptions));
    }
    let builder = match config.emulation {
        Emulation::Chrome => {
            let chrome = BrowserProfile::builder().profile(CHROME).platform(Platform::Linux).headers(false).build();
            let mut chrome = chrome.into_emulation();
            chrome.http2_options = Some(patient(chrome.http2_options.unwrap_or_default()));
            builder.emulation(chrome)
        }
        Emulation::Codex => builder.tls_options(rustls_like()).http2_options(patient(hyper_like())),
        Emulation::None => builder.http2_options(patient(Http2Options::default())),
    };
    let extra = extra_roots(&config.extra_roots_pem)?;
    let make = move || with_roots(builder, extra).map_err(|error| root_cause(&error));
    Ok(LazyLock::new(Box::new(make)))
}

/// The certificates in `files` that Mozilla's roots do not have.
fn extra_roots(files: &[Vec<u8>]) -> Result<Vec<Certificate>, ClientError> {
    let mut extra = Vec::new();
    for (index, pem) in files.iter().enumerate() {
        let refuse = |reason| ClientError::Certificate { number: index + 1, reason };
        for root in unknown_roots(pem).map_err(refuse)? {
            extra.push(Certificate::from_der(root).map_err(|error| refuse(root_cause(&error)))?);
        }
    }
    Ok(extra)
}

/// Builds the client with Mozilla's roots and `extra` ones. It has the former if it is told of none.
fn with_roots(mut builder: wreq::ClientBuilder, extra: Vec<Certificate>) -> wreq::Result<wreq::Client> {
    if !extra.is_empty() {
        let roots = CertStore::builder().add_der_certs(TLS_SERVER_ROOT_CERTS);
        let roots = extra.into_iter().fold(roots, |roots, root| roots.add_der_cert(root));
        builder = builder.tls_cert_store(roots.build()?);
    }
    builder.build()
}

/// The handshake of the official client 0.169.0, which is rustls's, as far as BoringSSL can be told; `examples/fingerprint`
/// compares the two. rustls puts the extensions in a new order each time; BoringSSL, told to do the same, adds a padding
/// extension whenever an empty one comes last, which rustls never sends, so they keep their order here.
fn rustls_like() -> TlsOptions {
    TlsOptions::builder()
        .grease_enabled(false)
        .enable_ocsp_stapling(true)
        .min_tls_version(TlsVersion::TLS_1_2)
        .max_tls_version(TlsVersion::TLS_1_3)
        .curves_list("X25519MLKEM768:X25519:P-256:P-384")
        .sigalgs_list(concat!(
            "ecdsa_secp384r1_sha384:ecdsa_secp256r1_sha256:ecdsa_secp521r1_sha512:ed25519:",
            "rsa_pss_rsae_sha512:rsa_pss_rsae_sha384:rsa_pss_rsae_sha256:",
            "rsa_pkcs1_sha512:rsa_pkcs1_sha384:rsa_pkcs1_sha256",
        ))
        .preserve_tls13_cipher_list(true)
        .cipher_list(concat!(
            "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:",
            "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384:TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256:",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256:TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384:",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256:TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        ))
        .build()
}

/// Bears with what the backend had sent on a stream before it learnt that the stream was reset (RFC 9113 §5.1). The library
/// remembers 50 such streams, for a second; it closes the connection, and all replies on it, when data has come for a thousand
/// others in the connection's life. Clients that hang up would take everybody else's replies with them.
fn patient(mut options: Http2Options) -> Http2Options {
    options.max_concurrent_reset_streams = Some(MAX_RESET_STREAMS);
    options
}

/// The HTTP/2 settings of reqwest over hyper: windows of 2 and 5 MiB, no push.
fn hyper_like() -> Http2Options {
    Http2Options::builder()
        .initial_window_size(2 * 1024 * 1024)
        .initial_connection_window_size(5 * 1024 * 1024)
        .max_frame_size(16 * 1024)
        .max_header_list_size(16 * 1024)
        .enable_push(false)
        .build()
}

/// Lets `https` through, and plain `http` to this machine only; a bearer must not cross a network in the clear.
fn checked_host(uri: &Uri) -> Result<String, UpstreamError> {
    let refuse = |reason: &str| UpstreamError::InvalidRequest { reason: reason.to_owned() };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refuse("its address names no host"))?;
    match uri.scheme_str() {
        Some("https") => Ok(host.to_owned()),
        Some("http") if is_loopback(host) => Ok(host.to_owned()),
        Some("http") => Err(UpstreamError::InvalidRequest {
            reason: format!("plain http to {host} would show the token to the network; use https"),
        }),
        Some(_) | None => Err(refuse("its address is neither http nor https")),
    }
}

fn before_head(error: &wreq::Error, host: String) -> UpstreamError {
    let reason = root_cause(error);
    if error.is_builder() {
        UpstreamError::InvalidRequest { reason }
    } else if error.is_proxy_connect() {
        UpstreamError::Proxy { host, reason }
    } else if error.is_connect() && error.is_timeout() {
        UpstreamError::Timeout { host, phase: TimeoutPhase::Connect }
    } else if error.is_connect() && is_handshake(error) {
        UpstreamError::Tls { host, reason }
    } else if error.is_connect() {
        UpstreamError::Connect { host, reason }
    } else if error.is_timeout() {
        UpstreamError::Timeout { host, phase: TimeoutPhase::Head }
    } else {
        UpstreamError::Closed { host, reason }
    }
}

fn within_body(error: &wreq::Error, host: String) -> UpstreamError {
    if error.is_timeout() {
        UpstreamError::Timeout { host, phase: TimeoutPhase::Body }
    } else {
        UpstreamError::Body { host, reason: root_cause(error) }
    }
}

/// Tells a failed handshake from a failed connection: the former ends in neither an I/O nor a resolver error.
fn is_handshake(error: &wreq::Error) -> bool {
    !error.is_dns() && !causes(error).any(|cause| cause.is::<std::io::Error>())
}

/// The innermost cause: what really happened, without the addresses that the outer layers add.
fn root_cause(error: &wreq::Error) -> String {
    causes(error).last().map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}

fn causes(error: &wreq::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
