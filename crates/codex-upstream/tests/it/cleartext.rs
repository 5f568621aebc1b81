//! The client of backends on this machine: its connections, and every form of a reply. What it has in common with the
//! other client is in `client.rs`.

use bytes::Bytes;
use codex_upstream::{ChunkStream, HttpUpstream, HttpUpstreamConfig, Upstream, UpstreamError, read_to_end};
use http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::server::{Server, Wire, soon, whole};

fn client() -> HttpUpstream {
    HttpUpstream::new(HttpUpstreamConfig::default()).unwrap()
}

async fn get(client: &HttpUpstream, url: &str) -> ChunkStream {
    client.send(Request::get(url).body(Bytes::new()).unwrap()).await.unwrap().into_body()
}

/// Reads a request to its end: closing a connection with unread data resets it.
async fn request(stream: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_connection_is_used_again_once_its_reply_was_read() {
    let server = Server::start(Wire::Plain, |request| whole(200, request.uri().path().to_owned())).await;
    let client = client();
    for path in ["/one", "/two", "/three"] {
        let body = get(&client, &server.url(path)).await;
        assert_eq!(read_to_end(body, 64).await.unwrap(), path);
    }
    assert_eq!(server.connections(), 1);
    // A connection whose reply is not read to its end is closed.
    drop(get(&client, &server.url("/four")).await);
    let body = get(&client, &server.url("/five")).await;
    assert_eq!(read_to_end(body, 64).await.unwrap(), "/five");
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_the_backend_closes_is_not_used_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
            // The connection stays open: only the header counts.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        }
    });
    let client = client();
    for _ in 0..2 {
        let body = soon("an answer", get(&client, &url)).await;
        assert_eq!(read_to_end(body, 64).await.unwrap(), "ok");
    }
    server.await.unwrap();
}

#[tokio::test]
async fn interim_replies_are_skipped_and_every_framing_is_read() {
    for (reply, expected) in [
        ("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc", "abc"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc"),
        ("HTTP/1.1 200 OK\r\n\r\nabc", "abc"),
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            stream.write_all(reply.as_bytes()).await.unwrap();
        });
        let body = get(&client(), &url).await;
        assert_eq!(read_to_end(body, 64).await.unwrap(), expected, "{reply}");
        server.await.unwrap();
    }
}

#[tokio::test]
async fn an_invalid_reply_is_an_error() {
    for reply in ["SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", "HTTP/1.1 200 OK\r\nhalf a he"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            stream.write_all(reply.as_bytes()).await.unwrap();
        });
        let error = client().send(Request::get(&url).body(Bytes::new()).unwrap()).await.err().unwrap();
        assert!(matches!(error, UpstreamError::Closed { .. }), "{reply}: {error}");
        server.await.unwrap();
    }
}
