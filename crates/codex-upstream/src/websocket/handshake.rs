//! The headers that open a WebSocket, and the proof that the answer is one to them (RFC 6455 section 4.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use sha1::{Digest as _, Sha1};

use crate::upstream::UpstreamError;

/// A wish for a WebSocket.
pub(crate) struct Handshake {
    key: String,
}

impl Handshake {
    /// Draws the key.
    ///
    /// # Errors
    ///
    /// [`UpstreamError::InvalidRequest`] when the system has no random numbers.
    pub(crate) fn new() -> Result<Self, UpstreamError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce)
            .map_err(|error| UpstreamError::InvalidRequest { reason: format!("there is no randomness: {error}") })?;
        Ok(Self { key: STANDARD.encode(nonce) })
    }

    /// The headers of the wish, then `rest`: the order in which the official client sends them (docs/backend.md §9).
    pub(crate) fn headers(&self, rest: HeaderMap) -> Result<HeaderMap, UpstreamError> {
        let mut headers = HeaderMap::with_capacity(rest.len() + 4);
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(SEC_WEBSOCKET_KEY, crate::headers::value("WebSocket key", &self.key)?);
        headers.extend(rest);
        Ok(headers)
    }

    /// Says what keeps a 101 from being the answer to this.
    pub(crate) fn objection(&self, headers: &HeaderMap) -> Option<&'static str> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let upgrades = text(CONNECTION).split(',').any(|member| member.trim().eq_ignore_ascii_case("upgrade"));
        if !upgrades || !text(UPGRADE).eq_ignore_ascii_case("websocket") {
            Some("it switched to another protocol")
        } else if text(SEC_WEBSOCKET_ACCEPT) != accept(&self.key) {
            Some("its answer is not to this request")
        } else if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) || headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
            Some("it chose an extension or a protocol that was not offered")
        } else {
            None
        }
    }
}

/// The headers of an answer that are not about the handshake.
pub(crate) fn without_handshake(mut headers: HeaderMap) -> HeaderMap {
    for name in [CONNECTION, UPGRADE, SEC_WEBSOCKET_ACCEPT] {
        headers.remove(name);
    }
    headers
}

fn accept(key: &str) -> String {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    STANDARD.encode(Sha1::digest(format!("{key}{GUID}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    /// RFC 6455 section 1.3.
    #[test]
    fn only_an_answer_to_the_key_is_one() {
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
    fn a_wish_begins_with_the_handshake_and_each_has_a_key_of_its_own() {
        let rest = answer(&[("originator", "x")]);
        let headers = Handshake::new().unwrap().headers(rest.clone()).unwrap();
        let names: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["connection", "upgrade", "sec-websocket-version", "sec-websocket-key", "originator"]);
        assert_ne!(headers, Handshake::new().unwrap().headers(rest).unwrap());
    }
}
