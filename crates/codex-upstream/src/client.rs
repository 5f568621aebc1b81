//! The client itself. Nothing outside of this module names wreq, the library behind it.

mod library;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, StatusCode, Uri, Version};
use wreq::cookie::{CookieStore, Cookies, Jar};
use wreq::header::OrigHeaderMap;

use self::library::Library;
use crate::attended::attended;
use crate::config::{ClientConfig, ClientError, is_loopback};
use crate::cookies::{host_keeps_cookies, is_infrastructure};
use crate::plain::Plain;
use crate::socket::{self, Upgrade};
use crate::upstream::{ByteStream, TimeoutPhase, Upstream, UpstreamError};
use crate::websocket::handshake::{self, Handshake};

/// A pooling HTTP client whose TLS and HTTP/2 look like the chosen [`Emulation`](crate::Emulation).
///
/// It follows no redirect, accepts and undoes `zstd` and `gzip` in replies as the official client does, reads no environment
/// variable, and keeps no cookie but Cloudflare's own from the backend's hosts, in memory. `https` negotiates HTTP/2 and falls back to HTTP/1.1; plain `http` is
/// refused except to this machine. There is no limit on how long a reply may take, only on silence. What a backend says
/// that it never looked at (RFC 9113 section 8.7) goes out again on another connection; nothing else does. Clones share
/// connections and cookies.
#[derive(Clone)]
pub struct Client {
    library: Arc<Library>,
    read_timeout: Duration,
    plain: Plain,
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
        let plain = Plain::new(config.connect_timeout, config.read_timeout);
        let library = Arc::new(Library::new(&config, &cookies)?);
        Ok(Self { library, read_timeout: config.read_timeout, plain, cookies })
    }
}

impl Client {
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
    fn neutral(&self, reply: wreq::Response, host: String) -> Response<ByteStream> {
        let mut head = Response::new(());
        *head.status_mut() = reply.status();
        *head.version_mut() = reply.version();
        head.headers_mut().clone_from(reply.headers());
        let from = host.clone();
        let body = reply.bytes_stream().map(move |piece| piece.map_err(|error| within_body(&error, from.clone())));
        head.map(|()| attended(Box::pin(body), self.read_timeout, host))
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Upstream for Client {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<ByteStream>, UpstreamError> {
        let host = checked_host(request.uri())?;
        if request.uri().scheme() == Some(&Scheme::HTTP) {
            return self.plain.send(request, host).await;
        }
        let reply = self.head(self.library.client(&host)?.execute(request.into()), &host).await?;
        Ok(self.neutral(reply, host))
    }

    async fn connect(&self, request: Request<()>) -> Result<Upgrade, UpstreamError> {
        let host = checked_host(request.uri())?;
        let handshake = Handshake::new()?;
        let (mut head, ()) = request.into_parts();
        head.headers = handshake.headers(head.headers)?;
        let names = spelled(&head.headers);
        let client = self.library.client(&host)?.clone();
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

/// The names of these headers as the official client writes them, which matters where HTTP/1.1 shows it (wire.md §9).
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
