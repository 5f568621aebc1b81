//! The headers that open a WebSocket, and the check of the answer (RFC 6455 section 4.1).

use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::error::UpstreamError;

/// A request for a WebSocket.
pub(crate) struct Handshake {
    key: String,
}

impl Handshake {
    /// Creates a request with a random key.
    pub(crate) fn new() -> Self {
        Self { key: generate_key() }
    }

    /// Returns the headers of the handshake, then `rest`: the order in which the official client sends them
    /// (`docs/backend.md §9`).
    pub(crate) fn headers(&self, rest: HeaderMap) -> Result<HeaderMap, UpstreamError> {
        let mut headers = HeaderMap::with_capacity(rest.len() + 4);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, crate::headers::value("WebSocket key", &self.key)?);
        headers.extend(rest);
        Ok(headers)
    }

    /// Returns why a 101 is not a valid answer to this request, or `None` if it is.
    pub(crate) fn objection(&self, headers: &HeaderMap) -> Option<&'static str> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let upgrades = text(CONNECTION).split(',').any(|member| member.trim().eq_ignore_ascii_case("upgrade"));
        if !upgrades || !text(UPGRADE).eq_ignore_ascii_case("websocket") {
            Some("it switched to another protocol")
        } else if text(SEC_WEBSOCKET_ACCEPT) != derive_accept_key(self.key.as_bytes()) {
            Some("its answer does not match the handshake's key")
        } else if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) || headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            Some("it chose an extension or a protocol that was not offered")
        } else {
            None
        }
    }
}

/// Returns the headers of an answer without those of the handshake.
pub(crate) fn without_handshake(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    /// The example of RFC 6455 section 1.3.
    #[test]
    fn only_an_answer_to_the_key_is_accepted() {
        let handshake = Handshake { key: "dGhlIHNhbXBsZSBub25jZQ==".to_owned() };
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        ];
        assert_eq!(handshake.objection(&answer(&good)), None);
        for (at, value) in [(0, "close"), (1, "h2c"), (2, "x")] {
            let mut bad = good;
            bad[at].1 = value;
            assert!(handshake.objection(&answer(&bad)).is_some(), "{bad:?}");
        }
        let extended = [&good[..], &[("sec-websocket-extensions", "permessage-deflate")]].concat();
        assert!(handshake.objection(&answer(&extended)).is_some());
        assert!(without_handshake(answer(&good)).is_empty());
    }

    #[test]
    fn a_request_begins_with_the_handshake_and_has_a_key_of_its_own() {
        let rest = answer(&[("originator", "x")]);
        let headers = Handshake::new().headers(rest.clone()).unwrap();
        let names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["connection", "upgrade", "sec-websocket-version", "sec-websocket-key", "originator"]);
        assert_ne!(headers, Handshake::new().headers(rest).unwrap());
    }
}
