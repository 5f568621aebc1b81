//! A client of the simulator's WebSocket.

use bytes::Bytes;
use codex_sim::RecordedRequest;
use futures_util::{SinkExt as _, StreamExt as _};
use http::Request;
use http_body_util::Full;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use url::Url;

use crate::peer::{Peer, turn};

pub(crate) const BETA: (&str, &str) = ("openai-beta", "responses_websockets=2026-02-06");
const HANDSHAKE: [(&str, &str); 4] = [
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

pub(crate) struct Socket(pub(crate) WebSocketStream<TokioIo<Upgraded>>);

/// How a connection ended.
#[derive(Debug, PartialEq)]
pub(crate) enum Ended {
    Closed(u16),
    Broken,
}

/// Returns an upgrade without the header `without`.
pub(crate) fn upgrade(peer: &Peer, without: &str) -> Request<Full<Bytes>> {
    let mut request = peer.request(http::Method::GET, "/backend-api/codex/responses").header("host", "127.0.0.1");
    for (name, value) in HANDSHAKE.into_iter().chain([BETA]).filter(|(name, _)| *name != without) {
        request = request.header(name, value);
    }
    request.header("session-id", "s").body(Full::default()).expect("a request")
}

impl Socket {
    pub(crate) async fn open(peer: &Peer) -> Self {
        let url = Url::parse(peer.sim.base_url()).expect("a URL");
        let stream = TcpStream::connect(("127.0.0.1", url.port().expect("a port"))).await.expect("a connection");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
        tokio::spawn(connection.with_upgrades());
        let response = sender.send_request(upgrade(peer, "")).await.expect("a reply");
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(response.headers().contains_key("x-models-etag"));
        let upgraded = hyper::upgrade::on(response).await.expect("an upgrade");
        Self(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Client, None).await)
    }

    pub(crate) async fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.expect("sent");
    }

    pub(crate) async fn next(&mut self) -> Result<Value, Ended> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Some(Ok(Message::Close(frame))) => return Err(Ended::Closed(frame.map_or(1005, |f| f.code.into()))),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(Ended::Broken),
            }
        }
    }

    /// Sends a message and reads up to the end of its answer.
    pub(crate) async fn ask(&mut self, message: &Value) -> Vec<Value> {
        self.send(message).await;
        let mut events = Vec::new();
        loop {
            events.push(self.next().await.expect("an event"));
            let kind = events.last().expect("an event")["type"].as_str().expect("a type");
            if ["response.completed", "response.incomplete", "response.failed", "error"].contains(&kind) {
                return events;
            }
        }
    }

    /// Sends a message and reads up to the end of the connection.
    pub(crate) async fn end(&mut self, message: &Value) -> Ended {
        self.send(message).await;
        loop {
            if let Err(ended) = self.next().await {
                return ended;
            }
        }
    }
}

/// Returns a message whose user says `text`, with other keys merged into it.
pub(crate) fn create(text: &str, changes: Value) -> Value {
    let mut message = json!({"type": "response.create"});
    for (key, value) in turn(text).as_object().expect("an object").iter().chain(changes.as_object().expect("an object"))
    {
        message[key] = value.clone();
    }
    message
}

pub(crate) fn id(events: &[Value]) -> &Value {
    &events.last().expect("an event")["response"]["id"]
}

pub(crate) fn frames(peer: &Peer) -> Vec<RecordedRequest> {
    peer.sim.requests().into_iter().filter(|request| request.method == "FRAME").collect()
}
