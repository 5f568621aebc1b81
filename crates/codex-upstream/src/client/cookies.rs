//! Which cookies are stored: Cloudflare's own, from the backend's hosts (`docs/backend.md §2.2`, `cookie`).

/// Returns whether any cookies of a host are stored.
pub(crate) fn stores_cookies(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    matches!(host.as_str(), "chatgpt.com" | "chat.openai.com" | "chatgpt-staging.com") || host.ends_with(".chatgpt.com")
}

/// Returns whether a `set-cookie` value is one of Cloudflare's infrastructure cookies.
pub(crate) fn is_infrastructure(set_cookie: &[u8]) -> bool {
    const NAMES: [&[u8]; 9] = [
        b"__cf_bm",
        b"__cflb",
        b"__cfruid",
        b"__cfseq",
        b"__cfwaitingroom",
        b"_cfuvid",
        b"cf_clearance",
        b"cf_ob_info",
        b"cf_use_ob",
    ];
    let end = set_cookie.iter().position(|byte| matches!(byte, b'=' | b';')).unwrap_or(set_cookie.len());
    let name = set_cookie[..end].trim_ascii();
    NAMES.contains(&name) || name.starts_with(b"cf_chl_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_cookies_of_the_backends_hosts_are_stored() {
        for host in ["chatgpt.com", "ChatGPT.com", "gov.chatgpt.com", "chat.openai.com", "chatgpt-staging.com"] {
            assert!(stores_cookies(host), "{host}");
        }
        for host in ["notchatgpt.com", "chatgpt.com.evil.example", "auth.openai.com", "127.0.0.1", ""] {
            assert!(!stores_cookies(host), "{host}");
        }
    }

    #[test]
    fn only_infrastructure_cookies_are_stored() {
        for value in ["__cf_bm=abc; path=/", " _cfuvid=1", "cf_chl_rc_i=2", "cf_clearance=x; Secure"] {
            assert!(is_infrastructure(value.as_bytes()), "{value}");
        }
        for value in ["session=1", "__cf_bmx=1", "cf_chl=1", "x=__cf_bm=1", "", "=__cf_bm", "oai-did=1; __cf_bm=2"] {
            assert!(!is_infrastructure(value.as_bytes()), "{value}");
        }
    }
}
