//! The configuration of an [`HttpUpstream`](crate::HttpUpstream), and its checks.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

/// The program that the TLS and HTTP/2 layers imitate.
///
/// Only those layers: headers are the caller's. The Python program that preceded this one sent the Codex headers
/// through curl_cffi's Chrome, and so does [`Emulation::Chrome`]. With [`Emulation::Codex`] the layers match the
/// headers, which may matter to a server that compares the two (`docs/backend.md §2.2`).
///
/// ```
/// use codex_upstream::Emulation;
///
/// assert_eq!("codex".parse(), Ok(Emulation::Codex));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Emulation {
    /// Chrome 156 as packaged by Debian, measured with `examples/fingerprint`: ciphers, groups, key shares, ALPN, ALPS,
    /// certificate compression, ECH GREASE, versions, SETTINGS, windows, priority and pseudo-headers are equal, and so
    /// is Akamai's HTTP/2 fingerprint.
    ///
    /// The TLS library has no options for three things. They make JA4 `t13d1516h2_8daaf6152771_d8a2da3f94cd`, that of
    /// earlier Chromes, instead of `t13d1517h2_8daaf6152771_cb7bf5808d99`:
    ///
    /// - the extension `trust_anchors` (51764), in which Chrome lists the roots that it would accept;
    /// - the signature algorithms ML-DSA-44, -65 and -87 (0x0904 to 0x0906);
    /// - a GREASE value before these.
    ///
    /// Header order and values are not Chrome's: the headers are the Codex client's.
    #[default]
    Chrome,
    /// The official client 0.171.0, measured in the same way: groups, key shares, ALPN, versions, SETTINGS, windows,
    /// priority, pseudo-headers and Akamai's fingerprint are equal, and so are the cipher suites and signature
    /// algorithms except two things that the library cannot do: ML-DSA-44, -65 and -87, and
    /// `TLS_EMPTY_RENEGOTIATION_INFO_SCSV` (0x00ff), instead of which BoringSSL sends the extension
    /// `renegotiation_info` (65281). For WebSockets there is no ALPN, where Chrome offers HTTP/1.1.
    Codex,
    /// None: the TLS library's own defaults.
    None,
}

impl FromStr for Emulation {
    type Err = ParseEmulationError;

    /// Parses `chrome`, `codex` or `none`.
    fn from_str(text: &str) -> Result<Self, ParseEmulationError> {
        match text {
            "chrome" => Ok(Self::Chrome),
            "codex" => Ok(Self::Codex),
            "none" => Ok(Self::None),
            _ => Err(ParseEmulationError),
        }
    }
}

/// Text that is not an [`Emulation`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected `chrome`, `codex` or `none`")]
pub struct ParseEmulationError;

/// How to reach the backend, and which certificates to trust.
///
/// # Example
/// The official client's fingerprint, behind a proxy that inspects TLS:
///
/// ```no_run
/// use codex_upstream::{Emulation, HttpUpstream, HttpUpstreamConfig, ProxyConfig};
///
/// let proxy = ProxyConfig {
///     https: std::env::var("HTTPS_PROXY").ok(),
///     no_proxy: Some("localhost,.example.com".to_owned()),
///     ..ProxyConfig::default()
/// };
/// let upstream = HttpUpstream::new(HttpUpstreamConfig {
///     emulation: Emulation::Codex,
///     proxy,
///     extra_roots_pem: vec![std::fs::read("/etc/ssl/company.pem")?],
///     ..HttpUpstreamConfig::default()
/// })?;
/// # drop(upstream);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct HttpUpstreamConfig {
    /// The program that the connection imitates.
    pub emulation: Emulation,
    /// PEM files of root certificates to trust in addition to Mozilla's; each may contain several.
    pub extra_roots_pem: Vec<Vec<u8>>,
    /// The proxy for `https` requests.
    pub proxy: ProxyConfig,
    /// The time limit of DNS lookup, TCP, proxy and TLS handshake together.
    pub connect_timeout: Duration,
    /// The longest time without data, before the head of a reply and between the pieces of its body.
    pub read_timeout: Duration,
}

impl Default for HttpUpstreamConfig {
    /// Returns a configuration without proxy and extra roots, with timeouts long enough for silent reasoning
    /// (`docs/backend.md §3.1`, `§3.6`).
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

/// The values of the usual proxy variables, which the caller reads. An empty value counts as unset.
///
/// The proxy is used for `https` requests to hosts other than this machine. Schemes: `http`, `https` (the proxy must
/// speak HTTP/1.1 on that connection), `socks5` (names are resolved locally) and `socks5h` (names are resolved by the
/// proxy); the default is `http`. Credentials are part of the URL, percent-encoded.
///
/// ```
/// use codex_upstream::ProxyConfig;
///
/// let proxy = ProxyConfig { all: Some("socks5h://user:password@proxy:1080".to_owned()), ..ProxyConfig::default() };
/// assert_eq!(proxy.redacted_url()?.as_deref(), Some("socks5h://[redacted]@proxy:1080"));
/// # Ok::<(), codex_upstream::HttpUpstreamError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// `HTTPS_PROXY`.
    pub https: Option<String>,
    /// `ALL_PROXY`, used if `https` is unset.
    pub all: Option<String>,
    /// `NO_PROXY`: hosts, domains, addresses and networks that are reached directly, separated by commas or spaces. A
    /// domain includes its subdomains, as do `.example.com` and `*.example.com`; `*` alone matches everything.
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
    /// Returns the proxy's URL for display, without credentials; `None` without a proxy.
    ///
    /// # Errors
    /// [`HttpUpstreamError::Proxy`]: no upstream can be created either.
    pub fn redacted_url(&self) -> Result<Option<String>, HttpUpstreamError> {
        Ok(self.address()?.map(|url| without_credentials(url.as_str())))
    }

    /// Returns the proxy's URL after checking it.
    ///
    /// # Errors
    /// [`HttpUpstreamError::Proxy`], which names the variable, but not the credentials.
    pub(crate) fn address(&self) -> Result<Option<Url>, HttpUpstreamError> {
        let given = |value: &'_ Option<String>| value.clone().filter(|value| !value.trim().is_empty());
        let (setting, text) = match (given(&self.https), given(&self.all)) {
            (Some(text), _) => ("HTTPS_PROXY", text),
            (None, Some(text)) => ("ALL_PROXY", text),
            (None, None) => return Ok(None),
        };
        let text = text.trim();
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let refuse = |reason| HttpUpstreamError::Proxy { setting, reason };
        let url = Url::parse(&text).map_err(|_| refuse("it is not a URL such as http://user:password@host:3128"))?;
        if !matches!(url.scheme(), "http" | "https" | "socks5" | "socks5h") {
            return Err(refuse("its scheme is not one of http, https, socks5, socks5h"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(refuse("it has no host"));
        }
        Ok(Some(url))
    }

    /// Returns the hosts that are reached directly, including this machine, in wreq's form: commas, and no `*.`.
    pub(crate) fn exceptions(&self) -> String {
        let given = self.no_proxy.as_deref().unwrap_or_default();
        let given = given.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
        let given = given.map(|entry| match entry.strip_prefix('*') {
            // wreq's `*` matches every name, but no address.
            Some("") => "*,0.0.0.0/0,::/0",
            Some(domain) if domain.starts_with('.') => domain,
            Some(_) | None => entry,
        });
        given.chain([LOOPBACK]).collect::<Vec<_>>().join(",")
    }
}

/// A configuration from which no client can be created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpUpstreamError {
    /// A file of extra root certificates cannot be used.
    #[error("cannot use file number {number} of extra root certificates: {reason}; use a PEM file of certificates")]
    Certificate {
        /// Its position in [`HttpUpstreamConfig::extra_roots_pem`], counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// The proxy's address cannot be used.
    #[error("cannot use {setting}: {reason}; correct or unset it")]
    Proxy {
        /// The variable that contains it.
        setting: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// This machine, which is never reached through a proxy.
const LOOPBACK: &str = "localhost,127.0.0.0/8,::1";

/// Returns a URL without the credentials before the last `@` of its authority.
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
    fn the_https_variable_takes_precedence_over_the_general_one() {
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
        let config = HttpUpstreamConfig::default();
        assert!(config.read_timeout >= Duration::from_secs(300) && config.connect_timeout < config.read_timeout);
    }

    #[test]
    fn bad_addresses_are_refused_without_showing_the_password() {
        for text in ["ftp://u:s3cret@h", "http://u:s3cret@", "http://u:s3cret@h:notaport", "socks4://u:s3cret@h"] {
            let error = https(text).address().unwrap_err();
            assert!(matches!(error, HttpUpstreamError::Proxy { setting: "HTTPS_PROXY", .. }), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn debug_does_not_show_the_password() {
        for text in ["http://u:s3cret@h:1", "u:s3@cret@h:1", "socks5://u:s3cret@h"] {
            let shown = format!("{:?}", HttpUpstreamConfig { proxy: https(text), ..HttpUpstreamConfig::default() });
            assert!(!shown.contains("cret") && shown.contains("@h"), "{shown}");
        }
    }

    #[test]
    fn a_proxy_is_named_without_its_password() {
        assert_eq!(https("u:s3cret@proxy:1").redacted_url().unwrap().as_deref(), Some("http://[redacted]@proxy:1/"));
        assert_eq!(ProxyConfig::default().redacted_url().unwrap(), None);
        assert!(https("ftp://h").redacted_url().is_err());
    }
}
