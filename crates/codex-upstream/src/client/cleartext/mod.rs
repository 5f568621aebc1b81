//! Cleartext HTTP/1.1, for load tests and for gateways on loopback.
//!
//! The ChatGPT backend is never reached this way. Nothing needs to imitate a browser here, so nothing of wreq is
//! needed. A reply's body owns its connection, without a task or a channel between them: one read yields all available
//! data in one piece, however many chunks it came in, and dropping the body closes the connection.

mod body;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod pool;

use std::time::Duration;

use body::{CleartextBody, Framing};
use bytes::{BufMut as _, BytesMut};
use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use pool::{CleartextConnection, CleartextPool};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::idle_timeout::with_idle_timeout;
use crate::error::{TimeoutPhase, UpstreamError};
use crate::upstream::ChunkStream;

/// The longest head of a reply.
const MAX_HEAD_BYTES: usize = 256 * 1024;

/// The size of one read while waiting for a head, including body data that arrives with it.
const HEAD_BYTES: usize = 4 * 1024;

/// The largest request body that is copied, to be sent together with the head.
const JOINED_BYTES: usize = 16 * 1024;

/// The maximum number of headers of a reply.
const MAX_HEADERS: usize = 256;

/// A client of servers on this machine. Clones share connections.
#[derive(Clone, Debug)]
pub(crate) struct CleartextClient {
    pool: CleartextPool,
    connect_timeout: Duration,
    read_timeout: Duration,
}

impl CleartextClient {
    pub(crate) fn new(connect_timeout: Duration, read_timeout: Duration) -> Self {
        Self { pool: CleartextPool::default(), connect_timeout, read_timeout }
    }

    /// Sends a request to `host`, the host of its URL.
    pub(crate) async fn send(
        &self,
        request: Request<bytes::Bytes>,
        host: String,
    ) -> Result<Response<ChunkStream>, UpstreamError> {
        let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
        let mut connection = match self.pool.take(&authority) {
            Some(connection) => connection,
            None => self.connect(authority, &host, request.uri().port_u16().unwrap_or(80)).await?,
        };
        let mut message = message(&request, connection.authority());
        let mut body = request.body().as_ref();
        if body.len() <= JOINED_BYTES {
            message.put_slice(std::mem::take(&mut body));
        }
        let exchange = async {
            connection.stream.write_all(&message).await?;
            connection.stream.write_all(body).await?;
            head(&mut connection).await
        };
        let closed = |reason: String| UpstreamError::Closed { host: host.clone(), reason };
        let head = match timeout(self.read_timeout, exchange).await {
            Ok(head) => head.map_err(|error| closed(error.to_string()))?,
            Err(_) => return Err(UpstreamError::Timeout { host, phase: TimeoutPhase::Head }),
        };
        let framing = framing(request.method(), &head).map_err(|reason| closed(reason.to_owned()))?;
        let pool = is_reusable(&head).then(|| self.pool.clone());
        let body = CleartextBody::new(connection, framing, pool, host.clone());
        Ok(head.map(|()| with_idle_timeout(body, self.read_timeout, host)))
    }

    async fn connect(&self, authority: String, host: &str, port: u16) -> Result<CleartextConnection, UpstreamError> {
        // In a URL, an IPv6 address is between brackets.
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let failed =
            |error: std::io::Error| UpstreamError::Connect { host: host.to_owned(), reason: error.to_string() };
        let stream = match timeout(self.connect_timeout, TcpStream::connect((address, port))).await {
            Ok(stream) => stream.map_err(failed)?,
            Err(_) => return Err(UpstreamError::Timeout { host: host.to_owned(), phase: TimeoutPhase::Connect }),
        };
        stream.set_nodelay(true).map_err(failed)?;
        Ok(CleartextConnection::new(authority, stream))
    }
}

/// Returns a request's bytes up to its body.
fn message(request: &Request<bytes::Bytes>, authority: &str) -> BytesMut {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let body = request.body();
    let mut message = BytesMut::with_capacity(1024 + body.len().min(JOINED_BYTES));
    let mut line = |parts: &[&[u8]]| {
        parts.iter().for_each(|part| message.put_slice(part));
        message.put_slice(b"\r\n");
    };
    line(&[request.method().as_str().as_bytes(), b" ", path.as_bytes(), b" HTTP/1.1"]);
    if !request.headers().contains_key(HOST) {
        line(&[b"host: ", authority.as_bytes()]);
    }
    // Compression saves nothing on one machine.
    if !request.headers().contains_key(ACCEPT_ENCODING) {
        line(&[b"accept-encoding: identity"]);
    }
    for (name, value) in request.headers() {
        line(&[name.as_str().as_bytes(), b": ", value.as_bytes()]);
    }
    if !request.headers().contains_key(CONTENT_LENGTH) && (!body.is_empty() || request.method() == Method::POST) {
        line(&[b"content-length: ", body.len().to_string().as_bytes()]);
    }
    line(&[]);
    message
}

/// Reads the head of a reply and skips interim responses (RFC 9110 section 15.2).
async fn head(connection: &mut CleartextConnection) -> std::io::Result<Response<()>> {
    loop {
        if let Some(head) = take_head(&mut connection.buffer)? {
            return Ok(head);
        }
        connection.buffer.reserve(HEAD_BYTES);
        if connection.stream.read_buf(&mut connection.buffer).await? == 0 {
            return Err(std::io::Error::other("connection closed before message completed"));
        }
    }
}

/// Takes the head of a reply out of `buffer`, with the interim responses before it; `None` if it is incomplete.
fn take_head(buffer: &mut BytesMut) -> std::io::Result<Option<Response<()>>> {
    while let Some((head, length)) = parse(buffer)? {
        let _ = buffer.split_to(length);
        if !head.status().is_informational() || head.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Some(head));
        }
    }
    if buffer.len() > MAX_HEAD_BYTES {
        return Err(std::io::Error::other("the head of the reply is too long"));
    }
    Ok(None)
}

/// Parses the head at the start of `bytes`, and returns it with its length; `None` if it is incomplete.
fn parse(bytes: &[u8]) -> std::io::Result<Option<(Response<()>, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let length = match parsed.parse(bytes).map_err(std::io::Error::other)? {
        httparse::Status::Complete(length) => length,
        httparse::Status::Partial => return Ok(None),
    };
    let mut head = Response::new(());
    *head.version_mut() = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
    *head.status_mut() = StatusCode::from_u16(parsed.code.unwrap_or_default()).map_err(std::io::Error::other)?;
    for header in parsed.headers {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(std::io::Error::other)?;
        head.headers_mut().append(name, HeaderValue::from_bytes(header.value).map_err(std::io::Error::other)?);
    }
    Ok(Some((head, length)))
}

/// Returns how the end of the body is found (RFC 9112 section 6.3).
fn framing(method: &Method, head: &Response<()>) -> Result<Framing, &'static str> {
    let is_bare = matches!(head.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if is_bare || method == Method::HEAD {
        return Ok(Framing::Length(0));
    }
    if let Some(encoding) = head.headers().get_all(TRANSFER_ENCODING).iter().next_back() {
        let last = encoding.as_bytes().rsplit(|&byte| byte == b',').next().unwrap_or_default();
        return Ok(if last.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            Framing::chunked()
        } else {
            Framing::Close
        });
    }
    let mut lengths = head.headers().get_all(CONTENT_LENGTH).iter().map(|length| {
        let length = length.to_str().ok().filter(|length| length.bytes().all(|byte| byte.is_ascii_digit()));
        length.and_then(|length| length.parse().ok())
    });
    match lengths.next() {
        None => Ok(Framing::Close),
        Some(first) => match first.filter(|_| lengths.all(|other| other == first)) {
            Some(length) => Ok(Framing::Length(length)),
            None => Err("the reply's content-length is not a number"),
        },
    }
}

/// Returns whether the connection can be used for another request (RFC 9112 section 9.3).
fn is_reusable(head: &Response<()>) -> bool {
    let mut options =
        head.headers().get_all(CONNECTION).iter().flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
    head.version() == Version::HTTP_11 && !options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(text: &str) -> Response<()> {
        let (head, length) = parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!(length, text.len());
        head
    }

    #[test]
    fn the_end_of_a_body_is_known_by_its_head() {
        for (headers, expected) in [
            ("", Some(Framing::Close)),
            ("content-length: 12\r\n", Some(Framing::Length(12))),
            ("content-length: 12\r\ncontent-length: 12\r\n", Some(Framing::Length(12))),
            ("content-length: 12\r\ncontent-length: 13\r\n", None),
            ("content-length: +1\r\n", None),
            ("content-length: x\r\n", None),
            ("Transfer-Encoding: Chunked\r\ncontent-length: 12\r\n", Some(Framing::chunked())),
            ("transfer-encoding: gzip, chunked\r\n", Some(Framing::chunked())),
            ("transfer-encoding: gzip\r\n", Some(Framing::Close)),
        ] {
            let head = head_of(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n"));
            assert_eq!(framing(&Method::POST, &head).ok(), expected, "{headers}");
        }
        let bare = head_of("HTTP/1.1 204 No Content\r\n\r\n");
        assert_eq!(framing(&Method::POST, &bare).ok(), Some(Framing::Length(0)));
        assert!(parse(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap().is_none());
        assert!(parse(b"SSH-2.0-x\r\n").is_err());
    }

    #[test]
    fn a_connection_is_reusable_unless_the_server_closes_it() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: foo, Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
        ] {
            assert_eq!(is_reusable(&head_of(head)), expected, "{head}");
        }
    }
}
