//! Reading a request: bounded, decompressed, parsed and recorded.

use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Version};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use serde_json::{Map, Value};

use crate::exchange::connection::Connection;
use crate::request_log::{RecordedRequest, RequestLog, Ticket};

/// A request that was read to its end.
#[derive(Debug)]
pub(crate) struct Inbound {
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    /// The host and port that the client named.
    pub(crate) authority: Option<String>,
    pub(crate) headers: HeaderMap,
    /// The names of the headers as they were spelled; empty over HTTP/2.
    pub(crate) header_names: Vec<String>,
    pub(crate) body: Payload,
    pub(crate) ticket: Ticket,
    pub(crate) connection: Connection,
    /// The connection itself, if the client wants to upgrade it to another protocol.
    pub(crate) upgrade: Option<OnUpgrade>,
}

/// A body by what it contains.
#[derive(Debug, Clone)]
pub(crate) enum Payload {
    Empty,
    Json(Arc<Value>),
    Form(Vec<(String, String)>),
    /// A content-encoding the backend does not decode, by name.
    UnknownEncoding(String),
    /// Neither JSON nor a form; the text says where parsing stopped.
    Malformed(String),
    /// Over the limit, before or after decompression.
    TooLarge,
    /// The client disconnected before the end of its request.
    Incomplete,
}

impl Inbound {
    /// Reads `request` to its end, with a body of at most `limit` bytes, and records it.
    pub(crate) async fn read(
        mut request: Request<Incoming>,
        connection: Connection,
        limit: usize,
        log: &Arc<RequestLog>,
    ) -> Self {
        let upgrade = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
        let (parts, body) = request.into_parts();
        let header_names = connection.head_tap.take_names(parts.method.as_str(), &parts.uri.to_string());
        let (body, raw_length) = match Limited::new(body, limit).collect().await {
            Ok(collected) => {
                let raw = collected.to_bytes();
                (parse(&parts, &raw, limit), raw.len())
            }
            Err(error) if error.is::<LengthLimitError>() => (Payload::TooLarge, 0),
            Err(_) => (Payload::Incomplete, 0),
        };
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().map(str::to_owned);
        let ticket = log.append(RecordedRequest {
            connection: connection.number,
            version: format!("{:?}", parts.version),
            method: parts.method.to_string(),
            path: path.clone(),
            query: query.clone(),
            headers: header_list(&parts.headers),
            header_names: header_names.clone(),
            body: body.recorded(),
            body_bytes: raw_length,
            ..RecordedRequest::default()
        });
        let host = || parts.headers.get(HOST)?.to_str().ok().map(str::to_owned);
        let authority = parts.uri.authority().map(ToString::to_string).or_else(host);
        Self {
            method: parts.method,
            version: parts.version,
            path,
            query,
            authority,
            headers: parts.headers,
            header_names,
            body,
            ticket,
            connection,
            upgrade,
        }
    }

    /// Returns a request header as text; one that is not readable text counts as absent.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Returns the query as decoded pairs, in order.
    pub(crate) fn query_pairs(&self) -> Vec<(String, String)> {
        pairs(self.query.as_deref().unwrap_or_default().as_bytes())
    }
}

impl Payload {
    /// Returns the body, if it is JSON.
    pub(crate) fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Empty | Self::Form(_) | Self::UnknownEncoding(_) => None,
            Self::Malformed(_) | Self::TooLarge | Self::Incomplete => None,
        }
    }

    /// Returns the fields of a form or of a flat JSON object: the token endpoint accepts both.
    pub(crate) fn fields(&self) -> Option<Fields> {
        match self {
            Self::Form(pairs) => Some(Fields(pairs.clone())),
            Self::Json(value) => {
                let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
                Some(Fields(value.as_object()?.iter().filter_map(text).collect()))
            }
            Self::Empty | Self::UnknownEncoding(_) | Self::Malformed(_) | Self::TooLarge | Self::Incomplete => None,
        }
    }

    fn recorded(&self) -> Option<Arc<Value>> {
        match self {
            Self::Json(value) => Some(Arc::clone(value)),
            Self::Form(pairs) => {
                let object: Map<String, Value> = pairs.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
                Some(Arc::new(Value::Object(object)))
            }
            Self::Empty | Self::UnknownEncoding(_) | Self::Malformed(_) | Self::TooLarge | Self::Incomplete => None,
        }
    }
}

/// Named text fields, as a form or a flat JSON object carries them.
#[derive(Debug)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(key, _)| key == name).count()
    }
}

fn pairs(encoded: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(encoded).into_owned().collect()
}

pub(crate) fn header_list(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Parses a body. Only the auth server reads forms: elsewhere a body is JSON whatever its content-type, as with `curl
/// -d`.
fn parse(parts: &Parts, raw: &Bytes, limit: usize) -> Payload {
    let headers = &parts.headers;
    let text = |name| headers.get(name).and_then(|v: &http::HeaderValue| v.to_str().ok()).unwrap_or_default();
    let encoding = text(CONTENT_ENCODING).trim().to_ascii_lowercase();
    let decoded = match encoding.as_str() {
        "" | "identity" => raw.clone(),
        "zstd" => match decompress(raw, limit) {
            Ok(decoded) if decoded.len() > limit => return Payload::TooLarge,
            Ok(decoded) => Bytes::from(decoded),
            Err(error) => return Payload::Malformed(format!("zstd: {error}")),
        },
        _ => return Payload::UnknownEncoding(encoding),
    };
    if decoded.is_empty() {
        return Payload::Empty;
    }
    let accepts_forms = parts.uri.path().starts_with("/oauth/") || parts.uri.path() == "/codex/device";
    if accepts_forms && text(CONTENT_TYPE).starts_with("application/x-www-form-urlencoded") {
        return Payload::Form(pairs(&decoded));
    }
    match serde_json::from_slice(&decoded) {
        Ok(value) => Payload::Json(Arc::new(value)),
        Err(error) => Payload::Malformed(error.to_string()),
    }
}

/// Decompresses at most one byte more than `limit`: a decompression bomb is noticed without being expanded.
fn decompress(raw: &[u8], limit: usize) -> std::io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    zstd::stream::read::Decoder::new(raw)?.take(limit as u64 + 1).read_to_end(&mut decoded)?;
    Ok(decoded)
}
