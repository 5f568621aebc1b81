//! Who may call. Pure: decides from the peer's address, the headers and the keys.
//!
//! With keys, only a key counts. Without one, only programs on this machine are served, whatever address the proxy
//! listens on. A web page in the user's browser also connects from this machine, so every header that names where a
//! request comes from must name this machine, too (DNS rebinding, cross-site requests). The key that the shipped unit
//! sets is public: it is accepted from this machine and from private networks, but never from a web page. Behind the
//! login of another server, only the pages of other origins are rejected.

use http::header::{AUTHORIZATION, HOST, ORIGIN, REFERER, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

use crate::admission::keys::{ApiKeys, KeyMatch};
use crate::admission::origin::{AllowedOrigins, is_local_authority, is_private_authority};
use crate::connection::peer::Peer;

/// Headers by which an intermediary marks a request as forwarded; those that begin with `x-forwarded` or `cf-` count,
/// too.
const FORWARDED: [&str; 13] = [
    "cdn-loop",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "true-client-ip",
    "via",
    "x-azure-clientip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-original-forwarded-for",
    "x-real-ip",
];

/// Who may call: the keys, and the trusted web pages.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// The keys that callers must send; without any, only this machine is served.
    pub keys: ApiKeys,
    /// The web pages that may send requests and read the replies, in addition to those of this machine.
    pub origins: AllowedOrigins,
    /// Whether everyone may call without a key: see [`Access::open`].
    pub open: bool,
    /// Whether everyone may see what an open proxy shows of all callers: see [`Access::with_shared_status`].
    pub shared_status: bool,
}

/// Why a caller is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// A key is required and none was sent.
    NoKey,
    /// The key sent is not one of the keys.
    WrongKey,
    /// The key sent is the public one, and the caller is not on a private network.
    PublicKey,
    /// No key is configured, and the caller is not on this machine.
    Remote,
    /// No secret was sent, and the request comes from a web page or names a foreign host.
    ForeignPage,
    /// The access is open, and the request comes from a web page of another origin.
    OtherOrigin,
}

impl Denied {
    /// Returns whether only the right key is missing.
    pub fn is_about_a_key(self) -> bool {
        match self {
            Self::NoKey | Self::WrongKey | Self::PublicKey => true,
            Self::Remote | Self::ForeignPage | Self::OtherOrigin => false,
        }
    }
}

impl Access {
    /// Admits everyone, for a server that has a login of its own: no key is required, and the peer is not checked.
    ///
    /// A browser sends the cookies of that login with the requests of any page. POST and DELETE requests and WebSockets
    /// are therefore rejected if they come from a page of another origin than the request's host, unless `origins`
    /// names that origin (`*` names none) or it is on this machine. `origins` also decides which pages may read
    /// replies. Behind a reverse proxy that changes `Host`, your own origin belongs in `origins`.
    ///
    /// Name the callers to the app ([`CallerId`](crate::CallerId)); otherwise they share their stored responses. The
    /// status page, the metrics and the quota, which all callers share, are hidden: see
    /// [`Access::with_shared_status`].
    pub fn open() -> Self {
        Self { open: true, ..Self::default() }
    }

    /// Lets everyone see what the proxy shows of all callers: the status page with their recent requests
    /// (`/status.json`), the metrics (`/metrics`), and the account's remaining quota (`/v1/usage`, and the headers of
    /// replies). Without an open access, everyone who may call sees them anyway.
    ///
    /// ```
    /// use codex_proxy::{Access, Config};
    ///
    /// # fn main() -> Result<(), codex_proxy::ConfigError> {
    /// let config = Config::builder().access(Access::open().with_shared_status()).build()?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_shared_status(self) -> Self {
        Self { shared_status: true, ..self }
    }

    /// Returns whether callers may see what the proxy shows of all of them.
    pub(crate) fn shows_status(&self) -> bool {
        !self.open || self.shared_status
    }

    /// Returns whether every caller needs a key.
    pub(crate) fn needs_key(&self) -> bool {
        !self.open && !self.keys.is_empty()
    }

    /// Decides whether to serve the caller at `peer`.
    ///
    /// # Errors
    /// The reason; the caller gets 401 for a key problem and 403 otherwise.
    pub fn admit(&self, peer: Peer, head: &Parts) -> Result<(), Denied> {
        if self.open {
            return self.check_origin(head);
        }
        if self.keys.is_empty() {
            if is_forwarded(&head.headers) || !peer.is_this_machine() {
                return Err(Denied::Remote);
            }
            return self.check_page(head, is_local_authority);
        }
        match presented(&self.keys, &head.headers)? {
            KeyMatch::Secret => Ok(()),
            KeyMatch::WellKnown if is_forwarded(&head.headers) || !peer.is_private() => Err(Denied::PublicKey),
            // A page whose name was made to resolve to this machine (DNS rebinding) can send this key, too: it is in
            // the README.
            KeyMatch::WellKnown => self.check_page(head, is_private_authority),
        }
    }

    /// Returns whether a caller without a secret may be a program or a trusted web page: every host name in the request
    /// is one of ours, and so is every page that it is said to come from.
    fn check_page(&self, head: &Parts, is_ours: fn(&str) -> bool) -> Result<(), Denied> {
        let headers = &head.headers;
        let mut hosts = hosts(head);
        let trusted = |origin: &str| self.origins.names(origin) || authority_of(origin).is_some_and(is_ours);
        let mut origins = headers.get_all(ORIGIN).iter().map(text).peekable();
        let is_cross_site = headers.get_all("sec-fetch-site").iter().any(|site| site == "cross-site");
        // Browsers omit the origin from some requests. Even a page on this machine can be cross-site: 127.0.0.1 is to
        // localhost.
        let from_elsewhere = origins.peek().is_none()
            && (is_cross_site || headers.get_all(REFERER).iter().map(text).any(|page| !trusted(origin_of(&page))));
        if hosts.all(|host| is_ours(&host)) && origins.all(|origin| trusted(&origin)) && !from_elsewhere {
            Ok(())
        } else {
            Err(Denied::ForeignPage)
        }
    }

    /// Checks that the caller is a program, a page of the server itself or a trusted web page, as Go's
    /// `http.CrossOriginProtection` does. Reading is left to the browser, which allows it only to the pages that the
    /// reply names, except over WebSockets.
    fn check_origin(&self, head: &Parts) -> Result<(), Denied> {
        let headers = &head.headers;
        if head.method.is_safe() && !headers.contains_key(UPGRADE) {
            return Ok(());
        }
        let origins: Vec<_> = headers.get_all(ORIGIN).iter().map(text).collect();
        let sites: Vec<_> = headers.get_all("sec-fetch-site").iter().collect();
        // No page can change what the browser says of its site, while a proxy in front may have changed the host.
        let is_own = if sites.is_empty() {
            origins.iter().all(|origin| is_host(origin, head))
        } else {
            sites.iter().all(|site| *site == "same-origin" || *site == "none")
        };
        let is_trusted =
            |origin: &String| self.origins.names(origin) || authority_of(origin).is_some_and(is_local_authority);
        if is_own || (!origins.is_empty() && origins.iter().all(is_trusted)) {
            Ok(())
        } else {
            Err(Denied::OtherOrigin)
        }
    }
}

fn text(value: &HeaderValue) -> String {
    value.to_str().map(str::to_owned).unwrap_or_default()
}

/// Returns every host that a request names. The request line and the header can disagree; which one is meant is then
/// ambiguous.
fn hosts(head: &Parts) -> impl Iterator<Item = String> {
    let authority = head.uri.authority().map(|authority| authority.as_str().to_owned());
    authority.into_iter().chain(head.headers.get_all(HOST).iter().map(text))
}

/// Returns whether `origin` is that of the host to which the request was sent.
fn is_host(origin: &str, head: &Parts) -> bool {
    let hosts: Vec<_> = hosts(head).collect();
    let own = authority_of(origin);
    !hosts.is_empty() && hosts.iter().all(|host| own.is_some_and(|own| own.eq_ignore_ascii_case(host)))
}

/// Returns whether an intermediary forwarded the request: a proxy on this machine speaks for others.
fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().map(http::HeaderName::as_str).any(|name| {
        name.starts_with("x-forwarded") || name.starts_with("cf-") || FORWARDED.binary_search(&name).is_ok()
    })
}

/// The headers other than `Authorization` in which clients send a key: Anthropic's, and Azure's.
pub(crate) const KEY_HEADERS: [&str; 2] = ["x-api-key", "api-key"];

/// Returns the best match among the keys that a request sends in any header.
fn presented(keys: &ApiKeys, headers: &HeaderMap) -> Result<KeyMatch, Denied> {
    let bearers = headers.get_all(AUTHORIZATION).iter().filter_map(|value| bearer(value.as_bytes()));
    let bare =
        KEY_HEADERS.into_iter().flat_map(|name| headers.get_all(name)).map(|value| value.as_bytes().trim_ascii());
    let mut outcome = Err(Denied::NoKey);
    for candidate in bearers.chain(bare) {
        match (keys.find(candidate), outcome) {
            (Some(KeyMatch::Secret), _) => return Ok(KeyMatch::Secret),
            (Some(found), _) => outcome = Ok(found),
            (None, Err(_)) => outcome = Err(Denied::WrongKey),
            (None, Ok(_)) => {}
        }
    }
    outcome
}

/// Returns the token of a `Bearer` credential (RFC 6750 §2.1); the scheme is case-insensitive (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Returns the authority of an origin; `None` for `null` and the like.
fn authority_of(origin: &str) -> Option<&str> {
    origin.split_once("://").map(|(_, authority)| authority)
}

/// Returns the origin of a page's URL.
fn origin_of(page: &str) -> &str {
    let start = page.find("://").map_or(page.len(), |at| at + "://".len());
    let end = page[start..].find(['/', '?', '#']).map_or(page.len(), |at| start + at);
    &page[..end]
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    const LOCAL: &str = "127.0.0.1";

    #[track_caller]
    fn check(keys: &str, peer: &str, uri: &str, pairs: &[(&str, &str)], expected: Result<(), Denied>) {
        let mut request = Request::builder().method("POST").uri(uri);
        for (name, value) in pairs {
            request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let peer =
            if peer == "unix" { Peer::Unix } else { Peer::Tcp((peer.parse::<std::net::IpAddr>().unwrap(), 9).into()) };
        let origins = "https://chat.example, app://obsidian.md".parse().unwrap();
        let access = Access { keys: keys.parse().unwrap(), origins, ..Access::default() };
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(access.admit(peer, &head), expected, "{peer:?} {uri} {pairs:?}");
    }

    /// Checks a request without a key, from this machine, as a browser or a program would send it.
    #[track_caller]
    fn keyless(pairs: &[(&str, &str)], expected: Result<(), Denied>) {
        check("", LOCAL, "/v1/chat/completions", pairs, expected);
    }

    #[test]
    fn with_a_key_only_the_key_counts() {
        let with = |peer, pairs: &[(&str, &str)], expected| check("secret\nother,key", peer, "/", pairs, expected);
        with(LOCAL, &[], Err(Denied::NoKey));
        with("unix", &[], Err(Denied::NoKey));
        with("8.8.8.8", &[("authorization", "Bearer secret")], Ok(()));
        with("8.8.8.8", &[("authorization", "bearer  secret")], Ok(()));
        with("8.8.8.8", &[("authorization", "Bearer other,key")], Ok(()));
        with("8.8.8.8", &[("x-api-key", "secret"), ("via", "1.1 cdn"), ("origin", "https://evil.example")], Ok(()));
        with(LOCAL, &[("authorization", "Bearer secre")], Err(Denied::WrongKey));
        with(LOCAL, &[("authorization", "Bearer other")], Err(Denied::WrongKey));
        with(LOCAL, &[("authorization", "Bearer secret\u{e9}")], Err(Denied::WrongKey));
        with(LOCAL, &[("authorization", "Basic secret")], Err(Denied::NoKey));
        with(LOCAL, &[("authorization", "Bearer x"), ("x-api-key", "secret")], Ok(()));
        with(LOCAL, &[("x-api-key", "")], Err(Denied::WrongKey));
        with("8.8.8.8", &[("api-key", "secret"), ("via", "1.1 cdn"), ("origin", "https://evil.example")], Ok(()));
        with("8.8.8.8", &[("api-key", "x"), ("api-key", " other,key ")], Ok(()));
        with("8.8.8.8", &[("authorization", "Bearer x"), ("x-api-key", "y"), ("api-key", "secret")], Ok(()));
        with(LOCAL, &[("api-key", "Bearer secret")], Err(Denied::WrongKey));
        with(LOCAL, &[("api_key", "secret")], Err(Denied::NoKey));
    }

    #[test]
    fn the_public_key_is_accepted_from_private_networks_but_not_from_web_pages() {
        let key = ("authorization", "Bearer codex-proxy");
        for peer in [
            LOCAL,
            "unix",
            "::1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.7",
            "100.64.0.1",
            "100.127.255.255",
            "169.254.1.1",
            "fd7a:115c:a1e0::1",
            "fe80::1",
            "::ffff:192.168.1.7",
        ] {
            check("codex-proxy", peer, "/", &[key, ("host", "192.168.1.2:8787")], Ok(()));
        }
        for peer in ["8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            check("codex-proxy", peer, "/", &[key, ("host", "192.168.1.2:8787")], Err(Denied::PublicKey));
            // A secret that is sent in addition counts.
            check("codex-proxy\nsecret", peer, "/", &[key, ("x-api-key", "secret")], Ok(()));
        }
        for host in ["box", "box.local:8787", "box.tail1234.ts.net", "100.101.102.103:8787", "[fd7a::1]:8787"] {
            check("codex-proxy", "100.64.0.9", "/", &[key, ("host", host)], Ok(()));
        }
        for pairs in [[key, ("x-forwarded-for", "10.0.0.1")], [key, ("cf-connecting-ip", "8.8.8.8")]] {
            check("codex-proxy", LOCAL, "/", &pairs, Err(Denied::PublicKey));
        }
        for pair in
            [("host", "evil.example:8787"), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")]
        {
            check("codex-proxy", LOCAL, "/", &[key, pair], Err(Denied::ForeignPage));
        }
    }

    #[test]
    fn without_a_key_only_this_machine_is_served() {
        for peer in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "unix"] {
            check("", peer, "/", &[("host", "localhost:8787")], Ok(()));
        }
        for peer in ["192.168.1.7", "100.64.0.1", "::ffff:10.0.0.1", "2001:db8::1", "0.0.0.0"] {
            check("", peer, "/", &[("host", "localhost:8787")], Err(Denied::Remote));
        }
    }

    #[test]
    fn a_forwarded_request_is_remote() {
        assert!(FORWARDED.is_sorted());
        for name in FORWARDED.into_iter().chain(["x-forwarded-for", "x-forwarded-host", "cf-connecting-ip", "cf-ray"]) {
            for peer in [LOCAL, "unix"] {
                check("", peer, "/", &[("host", "localhost"), (name, "127.0.0.1")], Err(Denied::Remote));
            }
        }
    }

    #[test]
    fn without_a_key_every_host_named_must_be_this_machine() {
        for host in ["localhost", "LOCALHOST:80", "127.0.0.1:8787", "[::1]:8787", "0.0.0.0:8787", "api.localhost"] {
            keyless(&[("host", host)], Ok(()));
        }
        keyless(&[], Ok(()));
        for host in [
            "evil.example:8787",
            "localhost.evil.example",
            "localhost.",
            "127.0.0.1.",
            "127.0.0.1.nip.io",
            "localhost@evil.example",
            "localhost:80@evil.example",
            "[::1].evil.example",
            "[::1",
            "::1",
            ":8787",
            "",
            "192.168.1.7",
            "[::ffff:8.8.8.8]",
            "2130706433",
            "0x7f.1",
            "localhost:http",
            "localhost:80:80",
            "localhost\u{e9}",
        ] {
            keyless(&[("host", host)], Err(Denied::ForeignPage));
        }
        keyless(&[("host", "[::ffff:127.0.0.1]:80")], Ok(()));
        keyless(&[("host", "localhost"), ("host", "evil.example")], Err(Denied::ForeignPage));
        check("", LOCAL, "http://evil.example/v1/models", &[("host", "localhost")], Err(Denied::ForeignPage));
        check("", LOCAL, "http://localhost/v1/models", &[("host", "evil.example")], Err(Denied::ForeignPage));
        check("", LOCAL, "http://localhost@evil.example/", &[], Err(Denied::ForeignPage));
        check("", LOCAL, "http://localhost:8787/v1/models", &[("host", "localhost:8787")], Ok(()));
    }

    #[test]
    fn without_a_key_foreign_web_pages_are_rejected() {
        let host = ("host", "127.0.0.1:8787");
        for origin in
            ["http://localhost:3000", "http://[::1]", "tauri://localhost", "https://chat.example", "app://obsidian.md"]
        {
            // A page on this machine under another of its names is cross-site, as browsers see it.
            keyless(&[host, ("origin", origin), ("sec-fetch-site", "cross-site")], Ok(()));
        }
        for origin in [
            "https://evil.example",
            "null",
            "",
            "https://chat.example.evil.example",
            "http://chat.example",
            "https://chat.example:8443",
            "file://",
            "https://localhost@evil.example",
        ] {
            keyless(&[host, ("origin", origin)], Err(Denied::ForeignPage));
            keyless(&[host, ("origin", origin), ("content-type", "text/plain")], Err(Denied::ForeignPage));
        }
        keyless(&[host, ("origin", "http://localhost"), ("origin", "https://evil.example")], Err(Denied::ForeignPage));
        keyless(&[host, ("sec-fetch-site", "cross-site")], Err(Denied::ForeignPage));
        for site in ["same-origin", "same-site", "none"] {
            keyless(&[host, ("sec-fetch-site", site)], Ok(()));
        }
        keyless(&[host, ("referer", "https://evil.example/page")], Err(Denied::ForeignPage));
        keyless(&[host, ("referer", "https://evil.example?http://localhost/")], Err(Denied::ForeignPage));
        keyless(&[host, ("referer", "http://localhost:8787/?q=1")], Ok(()));
        keyless(&[host, ("referer", "https://chat.example/page")], Ok(()));
    }

    #[test]
    fn an_unknown_peer_needs_a_key() {
        let request = |key: &str| Request::get("/").header(AUTHORIZATION, key).body(()).unwrap().into_parts().0;
        let admit = |keys: &str, key: &str| {
            let access = Access { keys: keys.parse().unwrap(), ..Access::default() };
            access.admit(Peer::Unknown, &request(key))
        };
        assert_eq!(admit("", ""), Err(Denied::Remote));
        assert_eq!(admit("codex-proxy", "Bearer codex-proxy"), Err(Denied::PublicKey));
        assert_eq!(admit("secret", "Bearer secret"), Ok(()));
    }

    #[test]
    fn open_access_admits_everyone() {
        for peer in [Peer::Unknown, Peer::Unix, Peer::Tcp(([8, 8, 8, 8], 9).into())] {
            for method in ["GET", "POST", "DELETE"] {
                open(
                    peer,
                    method,
                    &[("host", "ai.example"), ("x-forwarded-for", "8.8.8.8"), ("via", "1.1 cdn")],
                    Ok(()),
                );
            }
        }
    }

    /// Checks a request to a server with a login of its own.
    #[track_caller]
    fn open(peer: Peer, method: &str, pairs: &[(&str, &str)], expected: Result<(), Denied>) {
        let origins = "https://chat.example, *".parse().unwrap();
        let access = Access { keys: "secret".parse().unwrap(), origins, ..Access::open() };
        let request = Request::builder().method(method).uri("/v1/responses");
        let request = pairs.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let (head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(access.admit(peer, &head), expected, "{method} {pairs:?}");
    }

    #[test]
    fn open_access_rejects_what_pages_of_other_origins_do() {
        let host = ("host", "ai.example:8443");
        let upgrade = ("upgrade", "websocket");
        let act = |pairs: &[(&str, &str)], expected: Result<(), Denied>| {
            let over_websocket: Vec<_> = pairs.iter().copied().chain([upgrade]).collect();
            open(Peer::Unknown, "GET", &over_websocket, expected);
            open(Peer::Unknown, "POST", pairs, expected);
            open(Peer::Unknown, "DELETE", pairs, expected);
            // The browser does not let the page read the reply.
            open(Peer::Unknown, "GET", pairs, Ok(()));
        };
        for pairs in [
            &[host][..],
            &[host, ("origin", "https://AI.example:8443")],
            &[host, ("origin", "https://chat.example"), ("sec-fetch-site", "cross-site")],
            &[host, ("origin", "http://localhost:5173")],
            &[("host", "backend:3000"), ("origin", "https://ai.example"), ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none")],
        ] {
            act(pairs, Ok(()));
        }
        for pairs in [
            &[host, ("origin", "https://evil.example")][..],
            &[host, ("origin", "https://evil.example"), ("content-type", "text/plain")],
            &[host, ("origin", "https://ai.example")],
            &[host, ("origin", "https://page.ai.example:8443"), ("sec-fetch-site", "same-site")],
            &[host, ("origin", "https://ai.example:8443"), ("origin", "https://evil.example")],
            &[host, ("origin", "https://chat.example"), ("origin", "https://evil.example")],
            &[host, ("origin", "null")],
            &[host, ("origin", "")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[("origin", "https://evil.example")],
        ] {
            act(pairs, Err(Denied::OtherOrigin));
        }
    }
}
