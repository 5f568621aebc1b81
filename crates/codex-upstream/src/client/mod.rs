//! The HTTP client. No other file names wreq.
//!
//! wreq is a fork of reqwest over BoringSSL whose TLS handshake and HTTP/2 preface can be shaped. `HttpUpstream` uses
//! the TLS options and HTTP/2 settings of its browser profiles, but never the headers: requests carry the Codex
//! client's identity, which a browser's `user-agent`, `sec-ch-ua` and `accept-language` would contradict.

pub(crate) mod cleartext;
pub(crate) mod config;
mod cookies;
mod handshake;
mod idle_timeout;
mod trust_roots;
mod tungstenite;

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

use crate::base_url::is_loopback;
use crate::client::cleartext::CleartextClient;
use crate::client::config::{Emulation, HttpUpstreamConfig, HttpUpstreamError};
use crate::client::cookies::{is_infrastructure, stores_cookies};
use crate::client::handshake::Handshake;
use crate::client::idle_timeout::with_idle_timeout;
use crate::client::trust_roots::unknown_roots;
use crate::error::{TimeoutPhase, UpstreamError};
use crate::upstream::Upgrade;
use crate::upstream::{ChunkStream, Upstream};

/// The newest Chrome that wreq-util knows. `examples/fingerprint` compares it with a real one.
const CHROME: Profile = Profile::Chrome149;

/// How many streams that were reset within the last second a connection remembers.
const MAX_RESET_STREAMS: usize = 16 * 1024;

/// The wreq client, or why there is none. It is created on first use: reading Mozilla's roots takes longer than the
/// rest of the program's start, and not every use of an [`HttpUpstream`] needs them.
type LazyWreqClient = LazyLock<WreqResult, Box<dyn FnOnce() -> WreqResult + Send>>;

type WreqResult = Result<wreq::Client, String>;

/// A pooling HTTP client whose TLS and HTTP/2 look like the chosen [`Emulation`].
///
/// It follows no redirects, accepts and decodes `zstd` and `gzip` replies as the official client does, reads no
/// environment variables, and stores only Cloudflare's own cookies from the backend's hosts, in memory. `https`
/// negotiates HTTP/2 and falls back to HTTP/1.1; cleartext `http` is accepted only to this machine, see
/// [`HttpUpstreamConfig`]. The duration of a reply is not limited, only the time without data. A request that the
/// backend reports as unprocessed (RFC 9113 section 8.7) is sent again on another connection; no other request is.
/// Clones share connections and cookies.
///
/// # Example
/// ```
/// use bytes::Bytes;
/// use codex_upstream::{HttpUpstream, HttpUpstreamConfig, Upstream, UpstreamError, read_to_end};
///
/// /// Fetches a page.
/// async fn fetch(upstream: &HttpUpstream, url: &str) -> Result<Bytes, UpstreamError> {
///     let mut request = http::Request::new(Bytes::new());
///     *request.uri_mut() = url.parse().map_err(|_| UpstreamError::InvalidRequest { reason: "not a URL".to_owned() })?;
///     read_to_end(upstream.send(request).await?.into_body(), 1 << 20).await
/// }
///
/// let upstream = HttpUpstream::new(HttpUpstreamConfig::default())?;
/// # drop(fetch(&upstream, "https://example.com/"));
/// # Ok::<(), codex_upstream::HttpUpstreamError>(())
/// ```
#[derive(Clone)]
pub struct HttpUpstream {
    library: Arc<LazyWreqClient>,
    emulation: Emulation,
    read_timeout: Duration,
    cleartext: CleartextClient,
    cookies: Arc<CloudflareCookies>,
}

impl HttpUpstream {
    /// Creates an upstream without a connection.
    ///
    /// # Errors
    /// [`HttpUpstreamError`], which names the setting to correct.
    pub fn new(config: HttpUpstreamConfig) -> Result<Self, HttpUpstreamError> {
        let cookies = Arc::new(CloudflareCookies(Jar::default()));
        let cleartext = CleartextClient::new(config.connect_timeout, config.read_timeout);
        let library = Arc::new(set_up(&config, &cookies)?);
        Ok(Self { library, emulation: config.emulation, read_timeout: config.read_timeout, cleartext, cookies })
    }
}

impl HttpUpstream {
    /// Returns the wreq client for a request to `host`.
    fn library(&self, host: &str) -> Result<&wreq::Client, UpstreamError> {
        let made = self.library.as_ref().as_ref();
        made.map_err(|reason| UpstreamError::Tls { host: host.to_owned(), reason: reason.clone() })
    }

    /// Waits for the head of a reply. wreq's own read timeout would reset a timer for each frame.
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

    /// Converts a reply to types that are not wreq's.
    fn convert(&self, reply: wreq::Response, host: String) -> Response<ChunkStream> {
        let mut head = Response::new(());
        *head.status_mut() = reply.status();
        *head.version_mut() = reply.version();
        head.headers_mut().clone_from(reply.headers());
        let from = host.clone();
        let body = reply.bytes_stream().map(move |piece| piece.map_err(|error| within_body(&error, from.clone())));
        head.map(|()| with_idle_timeout(Box::pin(body), self.read_timeout, host))
    }
}

impl std::fmt::Debug for HttpUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpUpstream").finish_non_exhaustive()
    }
}

impl Upstream for HttpUpstream {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ChunkStream>, UpstreamError> {
        let host = checked_host(request.uri())?;
        if request.uri().scheme() == Some(&Scheme::HTTP) {
            return self.cleartext.send(request, host).await;
        }
        let reply = self.head(self.library(&host)?.execute(request.into()), &host).await?;
        Ok(self.convert(reply, host))
    }

    async fn connect(&self, request: Request<()>) -> Result<Upgrade, UpstreamError> {
        let host = checked_host(request.uri())?;
        let handshake = Handshake::new();
        let (mut head, ()) = request.into_parts();
        head.headers = handshake.headers(head.headers)?;
        let names = original_case(&head.headers);
        let client = self.library(&host)?.clone();
        let request = wreq::RequestBuilder::from_parts(client, Request::from_parts(head, Bytes::new()).into());
        // Only HTTP/1.1 has this upgrade, so the TLS handshake offers nothing else.
        let request = match self.emulation {
            Emulation::Codex => request.emulation(without_alpn(rustls_like())),
            Emulation::Chrome | Emulation::None => request.version(Version::HTTP_11),
        };
        // An upgrade asks for no encoding.
        let request = request.orig_headers(names).gzip(false).zstd(false);
        let reply = self.head(request.send(), &host).await?;
        if reply.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Upgrade::Refused(self.convert(reply, host)));
        }
        if let Some(objection) = handshake.objection(reply.headers()) {
            return Err(UpstreamError::Closed { host, reason: objection.to_owned() });
        }
        let headers = handshake::without_handshake(reply.headers().clone());
        let connection = reply.upgrade().await.map_err(|error| within_body(&error, host.clone()))?;
        Ok(Upgrade::Opened { headers, socket: tungstenite::connect(connection, host).await })
    }

    fn forget_cookies(&self) {
        self.cookies.0.clear();
    }
}

/// Returns the header names of a WebSocket upgrade in the official client's upper and lower case, which HTTP/1.1 makes
/// visible (`docs/backend.md §9`). In all other requests they are in lower case.
fn original_case(headers: &http::HeaderMap) -> OrigHeaderMap {
    let mut names = OrigHeaderMap::new();
    names.insert("Host");
    for name in headers.keys() {
        let name = match name.as_str() {
            "connection" => "Connection",
            "upgrade" => "Upgrade",
            "sec-websocket-version" => "Sec-WebSocket-Version",
            "sec-websocket-key" => "Sec-WebSocket-Key",
            other => other,
        };
        names.insert(name.to_owned());
    }
    names
}

/// wreq's cookie jar with the rules of [`crate::client::cookies`].
struct CloudflareCookies(Jar);

impl CookieStore for CloudflareCookies {
    fn set_cookies(&self, headers: &mut dyn Iterator<Item = &HeaderValue>, uri: &Uri) {
        if uri.host().is_some_and(stores_cookies) {
            self.0.set_cookies(&mut headers.filter(|value| is_infrastructure(value.as_bytes())), uri);
        }
    }

    fn cookies(&self, uri: &Uri, version: Version) -> Cookies {
        match uri.host() {
            Some(host) if stores_cookies(host) => self.0.cookies(uri, version),
            Some(_) | None => Cookies::Empty,
        }
    }
}

/// Checks everything that can be wrong in the configuration, and returns the wreq client to be created on first use.
fn set_up(config: &HttpUpstreamConfig, cookies: &Arc<CloudflareCookies>) -> Result<LazyWreqClient, HttpUpstreamError> {
    let mut builder = wreq::Client::builder()
        .no_proxy()
        .redirect(wreq::redirect::Policy::none())
        .referer(false)
        .tcp_nodelay(true)
        .connect_timeout(config.connect_timeout)
        .cookie_provider(Arc::clone(cookies));
    if let Some(address) = config.proxy.address()? {
        let unusable = |_| HttpUpstreamError::Proxy { setting: "the proxy", reason: "its address cannot be used" };
        let exceptions = wreq::NoProxy::from_string(&config.proxy.exceptions());
        builder = builder.proxy(wreq::Proxy::https(address.as_str()).map_err(unusable)?.no_proxy(exceptions));
    }
    let builder = match config.emulation {
        Emulation::Chrome => {
            let chrome = BrowserProfile::builder().profile(CHROME).platform(Platform::Linux).headers(false).build();
            let mut chrome = chrome.into_emulation();
            chrome.http2_options = Some(with_reset_tolerance(chrome.http2_options.unwrap_or_default()));
            builder.emulation(chrome)
        }
        Emulation::Codex => builder.tls_options(rustls_like()).http2_options(with_reset_tolerance(hyper_like())),
        Emulation::None => builder.http2_options(with_reset_tolerance(Http2Options::default())),
    };
    let extra = extra_roots(&config.extra_roots_pem)?;
    let make = move || with_roots(builder, extra).map_err(|error| root_cause(&error));
    Ok(LazyLock::new(Box::new(make)))
}

/// Returns the certificates in `files` that are not among Mozilla's roots.
fn extra_roots(files: &[Vec<u8>]) -> Result<Vec<Certificate>, HttpUpstreamError> {
    let mut extra = Vec::new();
    for (index, pem) in files.iter().enumerate() {
        let refuse = |reason| HttpUpstreamError::Certificate { number: index + 1, reason };
        for root in unknown_roots(pem).map_err(refuse)? {
            extra.push(Certificate::from_der(root).map_err(|error| refuse(root_cause(&error)))?);
        }
    }
    Ok(extra)
}

/// Builds the wreq client with Mozilla's roots and `extra` ones. Without a store, wreq uses Mozilla's.
fn with_roots(mut builder: wreq::ClientBuilder, extra: Vec<Certificate>) -> wreq::Result<wreq::Client> {
    if !extra.is_empty() {
        let roots = CertStore::builder().add_der_certs(TLS_SERVER_ROOT_CERTS);
        let roots = extra.into_iter().fold(roots, |roots, root| roots.add_der_cert(root));
        builder = builder.tls_cert_store(roots.build()?);
    }
    builder.build()
}

/// Returns the handshake of the official client 0.171.0, which is rustls's, as far as BoringSSL can imitate it;
/// `examples/fingerprint` compares the two. rustls shuffles the extensions for each connection. If BoringSSL does so,
/// it adds a padding extension whenever an empty one comes last, which rustls never sends, so their order is fixed
/// here.
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

/// Returns the handshake of the official client for a WebSocket, which offers no protocol at all. Its connections are
/// shared with no other requests.
fn without_alpn(mut options: TlsOptions) -> wreq::Emulation {
    options.alpn_protocols = None;
    wreq::Emulation::builder().tls_options(options).build(wreq::Group::new("websocket"))
}

/// Accepts data that the backend sent on a stream before it learned that the stream was reset (RFC 9113 section 5.1).
/// By default the library remembers 50 such streams for a second, and closes the connection, with all its replies,
/// after data has arrived for a thousand others. Clients that hang up would end other clients' replies.
fn with_reset_tolerance(mut options: Http2Options) -> Http2Options {
    options.max_concurrent_reset_streams = Some(MAX_RESET_STREAMS);
    options
}

/// Returns the HTTP/2 settings of reqwest over hyper: windows of 2 and 5 MiB, no push.
fn hyper_like() -> Http2Options {
    Http2Options::builder()
        .initial_window_size(2 * 1024 * 1024)
        .initial_connection_window_size(5 * 1024 * 1024)
        .max_frame_size(16 * 1024)
        .max_header_list_size(16 * 1024)
        .enable_push(false)
        .build()
}

/// Returns the host of a request that may be sent: over `https`, or over `http` to this machine. A bearer must not
/// cross a network in cleartext.
fn checked_host(uri: &Uri) -> Result<String, UpstreamError> {
    let refuse = |reason: &str| UpstreamError::InvalidRequest { reason: reason.to_owned() };
    let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| refuse("its URL has no host"))?;
    match uri.scheme_str() {
        Some("https") => Ok(host.to_owned()),
        Some("http") if is_loopback(host) => Ok(host.to_owned()),
        Some("http") => Err(UpstreamError::InvalidRequest {
            reason: format!("http to {host} would send the access token in cleartext; use https"),
        }),
        Some(_) | None => Err(refuse("its URL is neither http nor https")),
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

/// Returns whether the TLS handshake failed, and not the connection: its cause is neither an I/O nor a resolver error.
fn is_handshake(error: &wreq::Error) -> bool {
    !error.is_dns() && !causes(error).any(|cause| cause.is::<std::io::Error>())
}

/// Returns the innermost cause, without the addresses that the outer layers add.
fn root_cause(error: &wreq::Error) -> String {
    causes(error).last().map_or_else(|| "no reason given".to_owned(), ToString::to_string)
}

fn causes(error: &wreq::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
