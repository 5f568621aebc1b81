//! Recognises the official client, which reads replies differently from the public API's SDKs.

use http::HeaderMap;
use http::header::USER_AGENT;

/// Returns whether the headers are those of the official client, by the name in `originator` or in the user agent
/// (docs/backend.md §2.2).
pub(crate) fn is_official_client(headers: &HeaderMap) -> bool {
    let is_name = |name: &[u8]| name.starts_with(b"codex") || name.starts_with(b"Codex ");
    ["originator", USER_AGENT.as_str()]
        .into_iter()
        .filter_map(|name| headers.get(name))
        .any(|value| is_name(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn it_is_known_by_its_originator_or_its_user_agent() {
        for (name, value, expected) in [
            ("originator", "codex_cli_rs", true),
            ("originator", "codex-tui", true),
            ("originator", "Codex Desktop", true),
            ("user-agent", "codex_exec/0.171.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.171.0)", true),
            ("originator", "opencode", false),
            ("user-agent", "OpenAI/Python 3.57.0", false),
            ("user-agent", "my-codex/1", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(is_official_client(&headers), expected, "{name}: {value}");
        }
        assert!(!is_official_client(&HeaderMap::new()));
    }
}
