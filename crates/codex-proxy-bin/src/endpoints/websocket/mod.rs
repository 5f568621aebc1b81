//! The Responses API over a WebSocket (docs/backend.md §4, seen from the other side): `response.create` in, the events
//! of the reply out, one JSON object per text frame. One task serves a connection: it reads frames and polls all turns.
//!
//! A turn is that of `POST /v1/responses`: the same body, the same [`Relay`](codex_client::Relay). In addition, the
//! last response of each lane is remembered, so a client needs to send only the new input; errors are frames; a comment
//! becomes a ping.
//!
//! `frame.rs` reads frames, `lanes.rs` decides which request is next, `turn.rs` is one turn, `remembered.rs` is what
//! requests continue, `steering.rs` is input for running responses, and `session.rs` brings them together.
//! `client_socket.rs` is the connection.

mod client_socket;
mod create;
mod frame;
mod lanes;
mod metered;
mod remembered;
mod session;
mod steering;
mod turn;

use codex_translate::{Error, ErrorKind};
use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response};
use hyper::upgrade::OnUpgrade;
use session::Session;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::app::App;
use crate::connection::peer::Peer;
use crate::reply::{self, ReplyBody};
use crate::server::serve::ConnectionSlot;

/// Returns whether a request asks for a WebSocket (RFC 6455 §4.2.1).
pub(crate) fn is_upgrade(head: &Parts) -> bool {
    let has = |name: HeaderName, word: &str| {
        let values = head.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    has(UPGRADE, "websocket") && has(CONNECTION, "upgrade")
}

/// Accepts a WebSocket, and serves it in its own task. The caller has been admitted.
///
/// # Errors
/// The request is not a valid handshake.
pub(crate) fn accept(app: &App, peer: Peer, mut head: Parts) -> Result<Response<ReplyBody>, Error> {
    if head.headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Ok(reply::unsupported_websocket_version());
    }
    let bad = |what: &str| Error::new(ErrorKind::InvalidRequest, format!("invalid WebSocket handshake: {what}"));
    let key = head.headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| bad("Sec-WebSocket-Key is missing"))?;
    let accepted = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| bad("Sec-WebSocket-Key"))?;
    // WebSockets over HTTP/2 (RFC 8441) are not supported: no client uses them without TLS.
    let upgrade = head.extensions.remove::<OnUpgrade>().ok_or_else(|| bad("use HTTP/1.1"))?;
    let slot = head.extensions.remove::<ConnectionSlot>();
    let session = Session::new(app.clone(), peer, head);
    let stopping = app.client_sockets.subscribe();
    tokio::spawn(async move {
        let _slot = slot;
        match upgrade.await {
            Ok(upgraded) => session.serve(upgraded, stopping).await,
            Err(error) => tracing::debug!(%peer, %error, "cannot upgrade the connection to a WebSocket"),
        }
    });
    Ok(reply::switching_protocols(accepted))
}
