//! Replies that web pages may read (the Fetch standard, §3.2). Pages of this machine and of [`AllowedOrigins`] may;
//! preflights are answered before the key is checked, since browsers send none with them.

use codex_translate::{Error, ErrorKind};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::admission::advice::Advice;
use crate::admission::origin::AllowedOrigins;

/// The methods that the endpoints accept.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE");

/// How long a browser may cache a preflight, in seconds: the most that Chromium accepts.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// A page on a public site sends this before it contacts a private network.
const REQUEST_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-request-private-network");
const ALLOW_PRIVATE_NETWORK: HeaderName = HeaderName::from_static("access-control-allow-private-network");

/// Headers that pages may read, and the prefixes of the backend's own headers.
const EXPOSED: [&str; 2] = ["x-request-id", "retry-after"];
const EXPOSED_PREFIXES: [&str; 3] = ["x-codex-", "x-ratelimit-", "x-should-retry"];

/// The part of a request that decides whether pages may read its reply.
#[derive(Clone, Debug)]
pub(crate) struct Cors {
    /// The page's origin, to be sent back; `None` unless the request comes from a page that may read the reply.
    allowed: Option<HeaderValue>,
}

impl Cors {
    /// Reads the origin of the page that sends the request.
    pub(crate) fn new(origins: &AllowedOrigins, headers: &HeaderMap) -> Self {
        let origin = headers.get(ORIGIN).filter(|origin| origin.to_str().is_ok_and(|text| origins.may_read(text)));
        Self { allowed: origin.cloned() }
    }

    /// Returns the headers of the reply to a preflight, which has no body; `None` if the request is not a preflight.
    ///
    /// # Errors
    /// Pages of that origin may not call.
    pub(crate) fn preflight(&self, head: &Parts, advice: &Advice) -> Option<Result<HeaderMap, Error>> {
        let headers = &head.headers;
        let is_preflight = head.method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !is_preflight {
            return None;
        }
        if self.allowed.is_none() {
            return Some(Err(refusal(headers, advice)));
        }
        let mut out = HeaderMap::new();
        out.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        // SDKs send headers of their own (`x-stainless-…`), new ones with each version; a trusted page may send any.
        if let Some(wanted) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            out.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        out.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        if headers.get(REQUEST_PRIVATE_NETWORK).is_some_and(|wanted| wanted == "true") {
            out.insert(ALLOW_PRIVATE_NETWORK, HeaderValue::from_static("true"));
        }
        Some(Ok(out))
    }

    /// Adds to any reply the headers that let the page read it.
    pub(crate) fn write(&self, response: &mut HeaderMap) {
        // Even if no page asks: a cache must not serve the reply to one that does.
        response.append(VARY, HeaderValue::from_static("origin"));
        let Some(origin) = &self.allowed else { return };
        response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let ours = response
            .keys()
            .map(HeaderName::as_str)
            .filter(|name| EXPOSED.contains(name) || EXPOSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)));
        let names = ours.collect::<Vec<_>>().join(", ");
        if let Ok(names) = HeaderValue::from_str(&names) {
            response.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
        }
    }
}

fn refusal(headers: &HeaderMap, advice: &Advice) -> Error {
    let origin = headers.get(ORIGIN).map(|origin| String::from_utf8_lossy(origin.as_bytes()));
    let mut message = format!("requests from `{}` are not allowed", origin.unwrap_or_default());
    if let Some(setting) = &advice.origins_setting {
        message += &format!("; to allow them, add the origin to {setting}");
    }
    Error::new(ErrorKind::Permission, message).with_code("foreign_origin")
}
