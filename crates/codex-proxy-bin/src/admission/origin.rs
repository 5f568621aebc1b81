//! Web pages: which are trusted, and which host names are ours.

use std::net::IpAddr;
use std::str::FromStr;

use url::Url;

/// The web pages that may call, in addition to those of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    any: bool,
    named: Vec<String>,
}

/// A word that is not an origin.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "invalid origin `{0}`: expected scheme and host without a path, such as `https://chat.example` or `app://obsidian.md`"
)]
pub struct UnusableOrigin(String);

impl AllowedOrigins {
    /// Returns whether the list names this very origin. `*` names none: it lets pages read replies without trusting
    /// them.
    pub fn names(&self, origin: &str) -> bool {
        self.named.iter().any(|named| named.eq_ignore_ascii_case(origin))
    }

    /// Returns whether pages of `origin` may read replies: those on the list, and those of this machine.
    pub fn may_read(&self, origin: &str) -> bool {
        self.any || self.names(origin) || origin.split_once("://").is_some_and(|(_, host)| is_local_authority(host))
    }

    /// Returns whether all pages may read replies.
    pub fn is_any(&self) -> bool {
        self.any
    }
}

/// Parses a list of origins, separated by commas or blanks; `*` for all.
impl FromStr for AllowedOrigins {
    type Err = UnusableOrigin;

    fn from_str(text: &str) -> Result<Self, UnusableOrigin> {
        let mut origins = Self::default();
        for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
            match word {
                "*" => origins.any = true,
                // The value that pages without an origin of their own send; any page can make one.
                "null" => return Err(UnusableOrigin(word.to_owned())),
                _ => origins.named.push(origin(word).ok_or_else(|| UnusableOrigin(word.to_owned()))?),
            }
        }
        Ok(origins)
    }
}

/// Returns the origin as browsers write it: without a path, and without the scheme's default port.
fn origin(word: &str) -> Option<String> {
    let url = Url::parse(word).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !is_bare || !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{host}{port}", url.scheme()))
}

/// Returns whether `host[:port]` names this machine in a way that no foreign DNS entry can imitate.
pub(crate) fn is_local_authority(authority: &str) -> bool {
    host(authority).is_some_and(|host| match host.parse::<IpAddr>() {
        // The unspecified address is in the log and the docs, and reaches this machine.
        Ok(ip) => ip.to_canonical().is_loopback() || ip.is_unspecified(),
        Err(_) => is_localhost(host),
    })
}

/// Returns whether `host[:port]` is an address, or a name that exists only on private networks: DNS rebinding needs a
/// public name.
pub(crate) fn is_private_authority(authority: &str) -> bool {
    const PRIVATE: [&str; 7] = [".local", ".lan", ".internal", ".home.arpa", ".home", ".ts.net", ".test"];
    host(authority).is_some_and(|host| {
        let lower = host.to_ascii_lowercase();
        host.parse::<IpAddr>().is_ok()
            || is_localhost(host)
            || !host.contains(['.', ':'])
            || PRIVATE.iter().any(|suffix| lower.ends_with(suffix))
    })
}

fn is_localhost(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost")
}

/// Returns the host of `host[:port]`, without the brackets of an IPv6 address; `None` if it contains anything else.
fn host(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    // A name has letters, digits, dots and hyphens, and neither begins nor ends with a dot; an address may be in
    // brackets.
    let is_host = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':'))
        && !host.is_empty()
        && !host.starts_with('.')
        && !host.ends_with('.')
        && !is_number(host);
    (is_port && is_host).then_some(host)
}

/// Returns whether a name ends in a number without being an address in its usual form: some resolvers accept one
/// (`127.1`).
fn is_number(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    is_numeric && host.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let origins: AllowedOrigins = "https://Chat.example/, http://10.0.0.1:3000\napp://obsidian.md".parse().unwrap();
        for origin in ["https://chat.example", "http://10.0.0.1:3000", "app://obsidian.md"] {
            assert!(origins.names(origin) && origins.may_read(origin), "{origin}");
        }
        for origin in ["http://chat.example", "https://chat.example:444", "null", "", "https://chat.example.evil"] {
            assert!(!origins.names(origin) && !origins.may_read(origin), "{origin}");
        }
        assert!(origins.may_read("http://localhost:5173") && !origins.names("http://localhost:5173"));
        assert!(!origins.is_any());
    }

    #[test]
    fn a_star_lets_all_pages_read_but_trusts_none() {
        let any: AllowedOrigins = "*".parse().unwrap();
        assert!(any.is_any() && any.may_read("https://evil.example") && !any.names("https://evil.example"));
    }

    #[test]
    fn the_error_names_the_invalid_origin() {
        for word in
            ["chat.example", "null", "https://", "https://a.example/path", "https://u@a.example", "https://a/?q"]
        {
            assert_eq!(word.parse::<AllowedOrigins>().unwrap_err(), UnusableOrigin(word.to_owned()));
        }
    }
}
