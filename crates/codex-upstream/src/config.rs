//! What a [`Client`](crate::Client) is built from, and what is checked before one is built.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

/// What the TLS and HTTP/2 layers look like from outside.
///
/// Only those layers: the headers are the caller's. The Python program that this one follows sent the Codex headers
/// through curl_cffi's Chrome, and so does [`Emulation::Chrome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Emulation {
    /// Chrome 156 as Debian has it, measured with `examples/fingerprint`: ciphers, groups, key shares, ALPN, ALPS,
    /// certificate compression, ECH GREASE, versions, SETTINGS, windows, priority and pseudo-headers are equal, and so is
    /// Akamai's HTTP/2 fingerprint.
    ///
    /// Three things are out of reach of the TLS library's options, and make JA4 `t13d1516h2_8daaf6152771_d8a2da3f94cd`, that
    /// of earlier Chromes, where this one has `t13d1517h2_8daaf6152771_cb7bf5808d99`:
    ///
    /// - the extension `trust_anchors` (51764), by which Chrome tells the server which of its roots it would accept;
    /// - the signature algorithms ML-DSA-44, -65 and -87 (0x0904 to 0x0906);
    /// - a GREASE value before these.
    ///
    /// Header order and values are not Chrome's: the headers are the Codex client's.
    #[default]
    Chrome,
    /// The official client 0.169.0, measured in the same way: groups, key shares, ALPN, versions, SETTINGS, windows, priority,
    /// pseudo-headers and Akamai's fingerprint are equal, and so are the cipher suites and signature algorithms but for two
    /// things that are out of reach: ML-DSA-44, -65 and -87, and `TLS_EMPTY_RENEGOTIATION_INFO_SCSV` (0x00ff), in place of
    /// which BoringSSL sends the extension `renegotiation_info` (65281).
    Codex,
    /// The TLS library as it is.
    None,
}

impl FromStr for Emulation {
    type Err = ParseEmulationError;

    /// Reads `chrome`, `codex` or `none`.
    fn from_str(text: &str) -> Result<Self, ParseEmulationError> {
        match text {
            "chrome" => Ok(Self::Chrome),
            "codex" => Ok(Self::Codex),
            "none" => Ok(Self::None),
            _ => Err(ParseEmulationError),
        }
    }
}

/// A name that no [`Emulation`] has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the emulations are chrome, codex and none")]
pub struct ParseEmulationError;

/// How to reach the backend, and whom to trust.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// What the connection looks like.
    pub emulation: Emulation,
    /// PEM files of root certificates to trust beside Mozilla's; each may hold several.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// The proxy for `https` requests.
    pub proxy: ProxyConfig,
    /// How long name lookup, TCP, proxy and TLS handshake may take together.
    pub connect_timeout: Duration,
    /// How long the backend may be silent, before the head of a reply and between the pieces of its body.
    pub read_timeout: Duration,
}

impl Default for ClientConfig {
    /// No proxy, no extra roots; timeouts that long silent reasoning survives (docs/backend.md §3.1, §3.6).
    fn default() -> Self {
        Self {
            emulation: Emulation::default(),
            extra_roots_pem: Vec::new(),
            proxy: ProxyConfig::default(),
            connect_timeout: Duration::from_secs(15),
            read_timeout: Duration::from_secs(600),
        }
    }
}

/// The values of the usual proxy variables; the caller reads them. Empty text counts as unset.
///
/// The proxy is used for `https` requests to hosts other than this machine. Schemes: `http`, `https` (the proxy must
/// speak HTTP/1.1 on that connection), `socks5` (names are looked up here) and `socks5h` (names are looked up by the
/// proxy); without one, `http` is meant. Credentials stand in the address, percent-encoded.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `ALL_PROXY`, used when `https` is not given.
    pub all: Option<String>,
    /// `NO_PROXY`: hosts, domains, addresses and networks that are reached directly, separated by commas or spaces. A
    /// domain stands for its subdomains too, as do `.example.com` and `*.example.com`; `*` alone is everything.
    pub no_proxy: Option<String>,
}

impl fmt::Debug for ProxyConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = |value: &Option<String>| value.as_deref().map(without_credentials);
        f.debug_struct("ProxyConfig")
            .field("https", &address(&self.https))
            .field("all", &address(&self.all))
            .field("no_proxy", &self.no_proxy)
            .finish()
    }
}

impl ProxyConfig {
    /// Names the proxy for people: its address without the credentials; `None` without one.
    ///
    /// # Errors
    ///
    /// [`ClientError::Proxy`]: no client can be built either.
    pub fn shown(&self) -> Result<Option<String>, ClientError> {
        Ok(self.address()?.map(|url| without_credentials(url.as_str())))
    }

    /// Picks and checks the proxy's address.
    ///
    /// # Errors
    ///
    /// [`ClientError::Proxy`] naming the variable, without the credentials.
    pub(crate) fn address(&self) -> Result<Option<Url>, ClientError> {
        let given = |value: &'_ Option<String>| value.clone().filter(|value| !value.trim().is_empty());
        let (setting, text) = match (given(&self.https), given(&self.all)) {
            (Some(text), _) => ("HTTPS_PROXY", text),
            (None, Some(text)) => ("ALL_PROXY", text),
            (None, None) => return Ok(None),
        };
        let text = text.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let refuse = |reason| ClientError::Proxy { setting, reason };
        let url =
            Url::parse(&text).map_err(|_| refuse("it is not an address such as http://user:password@host:3128"))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return Err(refuse("its scheme is not one of http, https, socks5, socks5h"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(refuse("it names no host"));
        }
        Ok(Some(url))
    }

    /// Lists what is reached directly, this machine included, in the form that the client takes: commas, and no `*.`.
    pub(crate) fn exceptions(&self) -> String {
        let given = self.no_proxy.as_deref().unwrap_or_default();
        let given = given.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        let given = given.map(|entry| match entry.strip_prefix('*') {
            // The library's `*` is every name, but no address.
            Some("") => "*,0.0.0.0/0,::/0",
            Some(domain) if domain.starts_with('.') => domain,
            Some(_) | None => entry,
        });
        given.chain([LOOPBACK]).collect::<Vec<_>>().join(",")
    }
}

/// A configuration from which no client can be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A file of extra root certificates cannot be used.
    #[error("extra root certificates number {number} cannot be used: {reason}; give a PEM file of certificates")]
    Certificate {
        /// Its place in [`ClientConfig::extra_roots_pem`], counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The proxy's address cannot be used.
    #[error("{setting} cannot be used: {reason}; correct or unset it")]
    Proxy {
        /// The variable that it came from.
        setting: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// This machine, which no proxy can reach in our stead.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Tells whether a host is this machine, for which plain `http` is accepted and no proxy is used.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Shows an address without what stands before the last `@` of its authority.
fn without_credentials(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}[redacted]@{host}"),
        None => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn https(value: &str) -> ProxyConfig {
        ProxyConfig { https: Some(value.to_owned()), ..ProxyConfig::default() }
    }

    #[test]
    fn emulations_have_names() {
        assert_eq!("chrome".parse(), Ok(Emulation::Chrome));
        assert_eq!("codex".parse(), Ok(Emulation::Codex));
        assert_eq!("none".parse(), Ok(Emulation::None));
        assert_eq!("Chrome".parse::<Emulation>(), Err(ParseEmulationError));
    }

    #[test]
    fn the_https_variable_goes_before_the_general_one() {
        let both = ProxyConfig { all: Some("socks5h://b:1".to_owned()), ..https("http://a:1") };
        assert_eq!(both.address().unwrap().unwrap().host_str(), Some("a"));
        let all = ProxyConfig { https: Some(" ".to_owned()), ..both };
        assert_eq!(all.address().unwrap().unwrap().as_str(), "socks5h://b:1");
        assert_eq!(ProxyConfig::default().address().unwrap(), None);
    }

    #[test]
    fn an_address_without_scheme_is_http() {
        assert_eq!(https("user:pw@proxy:3128").address().unwrap().unwrap().as_str(), "http://user:pw@proxy:3128/");
    }

    #[test]
    fn exceptions_have_one_form_and_end_with_this_machine() {
        let rows = [
            (None, ""),
            (Some(" , "), ""),
            (Some("*"), "*,0.0.0.0/0,::/0,"),
            (Some("a.example,.b.example, *.c.example 10.0.0.0/8"), "a.example,.b.example,.c.example,10.0.0.0/8,"),
        ];
        for (no_proxy, expected) in rows {
            let config = ProxyConfig { no_proxy: no_proxy.map(str::to_owned), ..ProxyConfig::default() };
            assert_eq!(config.exceptions(), format!("{expected}localhost,127.0.0.0/8,::1"), "{no_proxy:?}");
        }
    }

    #[test]
    fn long_silent_reasoning_fits_into_the_default_timeouts() {
        let config = ClientConfig::default();
        assert!(config.read_timeout >= Duration::from_secs(300) && config.connect_timeout < config.read_timeout);
    }

    #[test]
    fn bad_addresses_are_refused_without_showing_the_password() {
        for text in ["ftp://u:s3cret@h", "http://u:s3cret@", "http://u:s3cret@h:notaport", "socks4://u:s3cret@h"] {
            let error = https(text).address().unwrap_err();
            assert!(matches!(error, ClientError::Proxy { setting: "HTTPS_PROXY", .. }), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn debug_does_not_show_the_password() {
        for text in ["http://u:s3cret@h:1", "u:s3@cret@h:1", "socks5://u:s3cret@h"] {
            let shown = format!("{:?}", ClientConfig { proxy: https(text), ..ClientConfig::default() });
            assert!(!shown.contains("cret") && shown.contains("@h"), "{shown}");
        }
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        assert_eq!(https("u:s3cret@proxy:1").shown().unwrap().as_deref(), Some("http://[redacted]@proxy:1/"));
        assert_eq!(ProxyConfig::default().shown().unwrap(), None);
        assert!(https("ftp://h").shown().is_err());
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["chatgpt.com", "localhost.example.com", "0.0.0.0", "10.0.0.1", "[::]", "128.0.0.1", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
