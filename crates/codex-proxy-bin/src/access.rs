//! Who may call. Pure: a decision from the peer's address, the headers and the keys.
//!
//! With keys, only a key counts. Without one, only programs on this machine are served, whatever address the proxy listens
//! on; and since a web page in the user's browser also speaks from this machine, the `Host` and `Origin` headers must name
//! it too (DNS rebinding, cross-site requests).

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{AUTHORIZATION, FORWARDED, ORIGIN};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A key that callers present. Has no `Display`, and its `Debug` shows nothing.
#[derive(Clone)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// Takes a key as the caller is to send it; `None` if it is empty.
    pub fn new(key: String) -> Option<Self> {
        (!key.is_empty()).then(|| Self(Zeroizing::new(key)))
    }

    /// Whether `presented` is this key, in a time that does not depend on where they differ.
    fn matches(&self, presented: &str) -> bool {
        self.0.as_bytes().ct_eq(presented.as_bytes()).into()
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey([redacted])")
    }
}

/// Why a caller is turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A key is needed and none was sent.
    NoKey,
    /// The key sent is not the key.
    WrongKey,
    /// No key is set up, and the caller is not on this machine.
    Remote,
    /// No key is set up, and the request comes from a web page or through a foreign host name.
    ForeignPage,
}

impl Denied {
    /// Whether nothing but the right key is missing.
    pub fn is_about_a_key(self) -> bool {
        match self {
            Self::NoKey | Self::WrongKey => true,
            Self::Remote | Self::ForeignPage => false,
        }
    }
}

/// Decides whether a caller is served. `host` is the authority the caller asked for: the `Host` header, or in HTTP/2 the
/// `:authority` pseudo-header.
///
/// # Errors
/// Tells why not; the caller gets 401 for a key problem and 403 otherwise.
pub fn admit(key: Option<&ApiKey>, peer: IpAddr, host: Option<&str>, headers: &HeaderMap) -> Result<(), Denied> {
    match key {
        Some(key) => by_key(key, headers),
        None => by_place(peer, host, headers),
    }
}

fn by_key(key: &ApiKey, headers: &HeaderMap) -> Result<(), Denied> {
    let presented = headers
        .get_all(AUTHORIZATION)
        .iter()
        .filter_map(|value| bearer(value.to_str().ok()?))
        .chain(headers.get_all("x-api-key").iter().filter_map(|value| value.to_str().ok()));
    let mut denied = Denied::NoKey;
    for candidate in presented {
        if key.matches(candidate) {
            return Ok(());
        }
        denied = Denied::WrongKey;
    }
    Err(denied)
}

/// The token of a `Bearer` credential (RFC 6750 §2.1); the scheme's case does not matter (RFC 9110 §11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn by_place(peer: IpAddr, host: Option<&str>, headers: &HeaderMap) -> Result<(), Denied> {
    // A reverse proxy on this machine speaks for somebody elsewhere.
    let forwarded = headers.contains_key(FORWARDED)
        || headers.keys().any(|name| name.as_str().starts_with("x-forwarded-") || name == "x-real-ip");
    if forwarded || !peer.to_canonical().is_loopback() {
        return Err(Denied::Remote);
    }
    let host_is_local = host.is_none_or(is_local_authority);
    let origin_is_local = headers.get_all(ORIGIN).iter().all(|origin| {
        let origin = origin.to_str().unwrap_or_default();
        origin.split_once("://").is_some_and(|(_, authority)| is_local_authority(authority))
    });
    if host_is_local && origin_is_local { Ok(()) } else { Err(Denied::ForeignPage) }
}

/// Whether `host[:port]` names this machine in a way that no foreign DNS entry can imitate.
fn is_local_authority(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    let host = host.to_ascii_lowercase();
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback() || ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[track_caller]
    fn check(key: Option<&str>, peer: &str, pairs: &[(&'static str, &str)], expected: Result<(), Denied>) {
        let key = key.map(|key| ApiKey::new(key.to_owned()).unwrap());
        let headers = headers(pairs);
        let host = headers.get("host").map(|host| host.to_str().unwrap());
        assert_eq!(admit(key.as_ref(), peer.parse().unwrap(), host, &headers), expected);
    }

    #[test]
    fn with_a_key_only_the_key_counts() {
        let k = Some("secret");
        check(k, "127.0.0.1", &[], Err(Denied::NoKey));
        check(k, "8.8.8.8", &[("authorization", "Bearer secret")], Ok(()));
        check(k, "8.8.8.8", &[("authorization", "bearer  secret")], Ok(()));
        check(k, "8.8.8.8", &[("x-api-key", "secret")], Ok(()));
        check(k, "127.0.0.1", &[("authorization", "Bearer secre")], Err(Denied::WrongKey));
        check(k, "127.0.0.1", &[("authorization", "Basic secret")], Err(Denied::NoKey));
        check(k, "127.0.0.1", &[("authorization", "Bearer x"), ("x-api-key", "secret")], Ok(()));
        check(k, "127.0.0.1", &[("x-api-key", "")], Err(Denied::WrongKey));
    }

    #[test]
    fn without_a_key_only_this_machine_is_served() {
        for peer in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            check(None, peer, &[("host", "localhost:8787")], Ok(()));
        }
        for peer in ["192.168.1.7", "100.64.0.1", "::ffff:10.0.0.1", "2001:db8::1"] {
            check(None, peer, &[("host", "localhost:8787")], Err(Denied::Remote));
        }
        check(None, "127.0.0.1", &[("x-forwarded-for", "127.0.0.1")], Err(Denied::Remote));
        check(None, "127.0.0.1", &[("forwarded", "for=127.0.0.1")], Err(Denied::Remote));
    }

    #[test]
    fn without_a_key_no_web_page_gets_through() {
        check(None, "127.0.0.1", &[("host", "evil.example:8787")], Err(Denied::ForeignPage));
        check(None, "127.0.0.1", &[("host", "localhost.evil.example")], Err(Denied::ForeignPage));
        check(
            None,
            "127.0.0.1",
            &[("host", "[::1]:8787"), ("origin", "https://evil.example")],
            Err(Denied::ForeignPage),
        );
        check(None, "127.0.0.1", &[("host", "127.0.0.1"), ("origin", "null")], Err(Denied::ForeignPage));
        check(None, "127.0.0.1", &[("host", "127.0.0.1"), ("origin", "http://localhost:3000")], Ok(()));
    }

    #[test]
    fn debug_shows_no_key() {
        assert!(!format!("{:?}", ApiKey::new("hush".to_owned())).contains("hush"));
    }
}
