//! Which URLs may be the base of requests with a token.

use std::net::IpAddr;

use url::Url;

/// Why a URL cannot be the base of requests with a token; reads on after the URL or the name of its setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BaseUrlError {
    /// The scheme is neither `https` nor `http`.
    #[error("has the URL scheme `{scheme}`, which is not supported; use https")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// Plain `http`, to another machine.
    #[error("would send the login's token unencrypted; use https (plain http is accepted only for this machine)")]
    Cleartext,
}

/// Checks that a URL can be the base of requests with a token: `https`, or `http` to this machine.
///
/// ```
/// use codex_upstream::{BACKEND_URL, BaseUrlError, check_base_url};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// check_base_url(&BACKEND_URL.parse()?)?;
/// check_base_url(&"http://127.0.0.1:8080".parse()?)?;
/// assert_eq!(check_base_url(&"http://gateway.example".parse()?), Err(BaseUrlError::Cleartext));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`BaseUrlError`] says what to correct.
pub fn check_base_url(url: &Url) -> Result<(), BaseUrlError> {
    match url.scheme() {
        "https" => Ok(()),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(()),
        "http" => Err(BaseUrlError::Cleartext),
        scheme => Err(BaseUrlError::Scheme { scheme: scheme.to_owned() }),
    }
}

/// Returns whether a host is this machine, for which cleartext `http` is accepted and no proxy is used.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

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
