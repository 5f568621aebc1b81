//! What the server sees of a client that looks like Chrome, before any request.

use bytes::Bytes;
use codex_upstream::{Client, ClientConfig, Upstream};
use http::Request;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::server::{accept_tls, ca_pem};

/// One HTTP/2 frame (RFC 9113 section 4.1).
struct Frame {
    kind: u8,
    payload: Vec<u8>,
}

const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

/// Reads the client's preface and its first frames up to the headers of its request.
async fn opening_frames() -> Vec<Frame> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    let capture = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // The first handshake fails: the built-in roots do not know the test's CA.
            let Some(mut stream) = accept_tls(stream, b"\x02h2").await else { continue };
            let mut preface = [0; 24];
            if stream.read_exact(&mut preface).await.is_err() {
                continue;
            }
            assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
            let mut frames = Vec::new();
            loop {
                let mut head = [0; 9];
                stream.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; length as usize];
                stream.read_exact(&mut payload).await.unwrap();
                let kind = head[3];
                frames.push(Frame { kind, payload });
                if kind == 1 {
                    return frames;
                }
            }
        }
    });
    let client = Client::new(ClientConfig { extra_roots_pem: vec![ca_pem()], ..ClientConfig::default() }).unwrap();
    let request = Request::get(url).header("user-agent", "x").body(Bytes::new()).unwrap();
    // The captured connection is dropped without an answer.
    assert!(client.send(request).await.is_err());
    capture.await.unwrap()
}

#[tokio::test]
async fn http2_opens_as_chrome_does() {
    let frames = opening_frames().await;
    let settings = frames.iter().find(|frame| frame.kind == SETTINGS).unwrap();
    let settings: Vec<(u16, u32)> = settings
        .payload
        .chunks(6)
        .map(|pair| (u16::from_be_bytes([pair[0], pair[1]]), u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]])))
        .collect();
    // Header table 64 KiB, no push, stream window 6 MiB, header list 256 KiB.
    assert_eq!(settings, [(1, 65_536), (2, 0), (4, 6_291_456), (6, 262_144)]);
    let update = frames.iter().find(|frame| frame.kind == WINDOW_UPDATE).unwrap();
    let increment = u32::from_be_bytes([update.payload[0], update.payload[1], update.payload[2], update.payload[3]]);
    // To a connection window of 15 MiB from the initial 65,535 bytes.
    assert_eq!(increment, 15_663_105);
}
