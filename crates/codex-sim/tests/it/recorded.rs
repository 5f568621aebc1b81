//! What the request log shows of a request: header names as they were spelled, and keys in their order.

use codex_sim::RecordedRequest;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use url::Url;

use crate::peer::{Peer, read, turn};
use crate::socket::{Socket, create, frames};

const CLIENT: &str = "app_EMoamEEZ73f0CkXaXp7hrann";

/// Sends `requests` over one connection, one after the other, and waits for a reply to each.
async fn raw(peer: &Peer, requests: &[String]) {
    let port = Url::parse(peer.sim.base_url()).expect("a URL").port().expect("a port");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("a connection");
    for (index, request) in requests.iter().enumerate() {
        stream.write_all(request.as_bytes()).await.expect("sent");
        let wanted = index + 1;
        peer.sim.requests_until(|log| log.iter().filter(|r| r.status.is_some()).count() == wanted).await;
        assert!(stream.read(&mut [0; 65_536]).await.expect("a reply") > 0);
    }
}

fn keys(recorded: &RecordedRequest) -> Vec<&str> {
    recorded.body.as_ref().and_then(|body| body.as_object()).expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn header_names_are_recorded_as_they_were_spelled() {
    let peer = Peer::start().await;
    let body = turn("hi").to_string();
    let length = body.len();
    raw(&peer, &[
        format!("POST /backend-api/codex/responses?a HTTP/1.1\r\nHost: h\r\nAuthorization: b\r\nx-Odd: 1\r\nContent-Length: {length}\r\n\r\n{body}"),
        "GET /backend-api/wham/usage HTTP/1.1\r\nhost: h\r\nuser-agent: u\r\n\r\n".to_owned(),
        "POST /oauth/token HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHOST: h\r\n\r\n".to_owned(),
    ])
    .await;
    let names: Vec<Vec<String>> = peer.sim.requests().into_iter().map(|request| request.header_names).collect();
    assert_eq!(names[0], ["Host", "Authorization", "x-Odd", "Content-Length"]);
    assert_eq!(names[1], ["host", "user-agent"]);
    assert_eq!(names[2], ["Host", "Transfer-Encoding"]);
    assert_eq!(names[3], ["HOST"]);
    for request in peer.sim.requests() {
        let lower: Vec<String> = request.header_names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let listed: Vec<String> = request.headers.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(lower, listed, "the order is the same");
    }
}

#[tokio::test]
async fn a_frame_has_the_names_of_its_upgrade() {
    let peer = Peer::start().await;
    let mut socket = Socket::open(&peer).await;
    socket.ask(&create("hi", json!({}))).await;
    let names = &frames(&peer)[0].header_names;
    assert!(names.iter().any(|name| name == "sec-websocket-key"), "{names:?}");
    assert_eq!(*names, peer.sim.requests()[0].header_names);
}

#[tokio::test]
async fn keys_of_a_refresh_and_of_a_code_exchange_are_recorded_in_their_order() {
    let peer = Peer::start().await;
    let token = peer.tokens.refresh_token.clone();
    // As the official client sends them.
    for reason in ["proactive_expiry", "unauthorized_recovery"] {
        let body = format!(
            r#"{{"client_id":"{CLIENT}","grant_type":"refresh_token","refresh_reason":"{reason}","refresh_token":"{token}"}}"#
        );
        let request = Request::post(format!("{}/oauth/token", peer.sim.base_url()))
            .header("content-type", "application/json")
            .body(Full::from(body));
        read(peer.send(request.expect("a request")).await).await;
        let recorded = peer.sim.requests().pop().expect("a request");
        assert_eq!(keys(&recorded), ["client_id", "grant_type", "refresh_reason", "refresh_token"]);
        assert_eq!(recorded.body.expect("a body")["refresh_reason"], reason);
    }
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", "c"),
        ("redirect_uri", "r"),
        ("code_verifier", "v"),
    ];
    peer.form("/oauth/token", &fields).await;
    let recorded = peer.sim.requests().pop().expect("a request");
    assert_eq!(keys(&recorded), ["grant_type", "client_id", "code", "redirect_uri", "code_verifier"]);
}

#[tokio::test]
async fn keys_of_a_turn_are_recorded_in_their_order() {
    let peer = Peer::start().await;
    let mut keys_of_turn: Vec<String> = turn("").as_object().expect("an object").keys().cloned().collect();
    keys_of_turn.reverse();
    let body: serde_json::Map<String, Value> =
        keys_of_turn.iter().map(|key| (key.clone(), turn("hi")[key].clone())).collect();
    peer.turn(&Value::Object(body)).await;
    assert_eq!(keys(&peer.sim.requests()[0]), keys_of_turn);
}
