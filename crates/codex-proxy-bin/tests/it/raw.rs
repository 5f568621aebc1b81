//! HTTP/1.1 by hand: for requests that no client library would send, and for clients that misbehave.

use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::process::PATIENCE;

/// A reply that was read to the end of its connection.
#[derive(Debug)]
pub(crate) struct RawReply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl RawReply {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no reply: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Self {
            status: status.unwrap_or_else(|| panic!("no status: {head}")),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// Returns the code of the error, and checks that it has OpenAI's shape.
    #[track_caller]
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        let error = &body["error"];
        for key in ["message", "type", "param", "code"] {
            assert!(error.get(key).is_some(), "no {key} in {body}");
        }
        error["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Returns a header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Opens a connection to `base`, an `http://` URL.
pub(crate) async fn connect(base: &str) -> TcpStream {
    TcpStream::connect(base.trim_start_matches("http://")).await.unwrap()
}

/// Reads to the end; a connection that is reset has ended, too.
pub(crate) async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 * 1024];
    while let Ok(read @ 1..) = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await.unwrap() {
        bytes.extend_from_slice(&piece[..read]);
    }
    String::from_utf8(bytes).unwrap()
}

/// Sends the bytes of one request on its own connection, and reads the reply.
pub(crate) async fn send(base: &str, request: &str) -> RawReply {
    let mut stream = connect(base).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    RawReply::parse(&read_to_end(&mut stream).await)
}

/// Returns the bytes of a request. `lines` are the headers, including Host.
pub(crate) fn request(start: &str, lines: &[&str], body: &str) -> String {
    let mut request = format!("{start} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for line in lines {
        request.push_str(line);
        request.push_str("\r\n");
    }
    request + "\r\n" + body
}
