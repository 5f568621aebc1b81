//! Clients that end their side of the connection after the request: those that wait for the reply get it, and those
//! that have closed the connection are noticed.

use codex_proxy::Listeners;
use codex_sim::{Outcome, RecordedRequest};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use crate::process::PATIENCE;
use crate::raw::{self, RawReply};
use crate::support::{Harness, ask, ask_streaming};

const VERSIONS: [&str; 2] = ["HTTP/1.1", "HTTP/1.0"];

/// Either kind of connection.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// A program that is reached over TCP and, where there are any, over a Unix socket.
struct Rig {
    proxy: Harness,
    #[cfg(unix)]
    socket: std::path::PathBuf,
    #[cfg(unix)]
    _directory: tempfile::TempDir,
    #[cfg(unix)]
    server: JoinHandle<()>,
}

impl Rig {
    #[cfg(unix)]
    async fn start() -> Self {
        let proxy = Harness::start().await;
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("proxy.sock");
        let address = format!("unix:{}", socket.display()).parse().unwrap();
        let listeners = Listeners::bind(&[address]).await.map_err(|(_, error)| error).unwrap();
        let app = proxy.app.clone();
        let server = tokio::spawn(app.clone().serve_only(listeners, app, std::future::pending()));
        Self { proxy, socket, _directory: directory, server }
    }

    #[cfg(not(unix))]
    async fn start() -> Self {
        Self { proxy: Harness::start().await }
    }

    /// Opens a connection of each kind.
    async fn connections(&self) -> Vec<Box<dyn Connection>> {
        let mut connections: Vec<Box<dyn Connection>> = vec![Box::new(raw::connect(&self.proxy.base).await)];
        #[cfg(unix)]
        connections.push(Box::new(tokio::net::UnixStream::connect(&self.socket).await.unwrap()));
        connections
    }

    /// Sends a chat request. Returns the number of the backend's earlier requests, once it has this one and stalls.
    async fn ask(&self, connection: &mut dyn Connection, version: &str, body: &Value) -> usize {
        let place = self.proxy.sim.requests().len();
        connection.write_all(request(version, body).as_bytes()).await.unwrap();
        self.until(place, |request| request.waiting).await;
        place
    }

    /// Waits until `is_so` is true of one of the backend's requests from `place` on.
    async fn until(&self, place: usize, is_so: impl Fn(&RecordedRequest) -> bool) {
        let requests = self.proxy.sim.requests_until(|all| all.iter().skip(place).any(&is_so));
        tokio::time::timeout(PATIENCE, requests).await.unwrap();
    }
}

#[cfg(unix)]
impl Drop for Rig {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn request(version: &str, body: &Value) -> String {
    let request = raw::request("POST /v1/chat/completions", &["host: localhost"], &body.to_string());
    request.replacen("HTTP/1.1", version, 1)
}

/// Reads until `text` has arrived.
async fn read_until(connection: &mut dyn Connection, text: &str) -> String {
    let mut read = Vec::new();
    while !String::from_utf8_lossy(&read).contains(text) {
        let byte = tokio::time::timeout(PATIENCE, connection.read_u8()).await.unwrap();
        read.push(byte.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&read))));
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn a_half_closed_client_gets_its_whole_reply() {
    let rig = Rig::start().await;
    for version in VERSIONS {
        for mut connection in rig.connections().await {
            rig.ask(&mut connection, version, &ask("[sim:text=Hello][sim:stall=headers] hi")).await;
            connection.shutdown().await.unwrap();
            // The beginning of the status line shows that the end of the request was seen.
            let begun = read_until(&mut connection, "H").await;
            rig.proxy.sim.control().release();
            let reply = RawReply::parse(&(begun + &raw::read_to_end(&mut connection).await));
            assert!(reply.head.starts_with(&format!("{version} 200 OK\r\n")), "{reply:?}");
            let json: Value = serde_json::from_str(&reply.body).unwrap();
            assert_eq!(json["choices"][0]["message"]["content"], "Hello");
        }
    }
}

#[tokio::test]
async fn a_half_closed_client_gets_its_stream() {
    let rig = Rig::start().await;
    for version in VERSIONS {
        for mut connection in rig.connections().await {
            rig.ask(&mut connection, version, &ask_streaming("[sim:text=Hello there][sim:stall] hi")).await;
            let begun = read_until(&mut connection, "assistant").await;
            connection.shutdown().await.unwrap();
            let probed = read_until(&mut connection, ": keep-alive\n").await;
            rig.proxy.sim.control().release();
            let reply = RawReply::parse(&(begun + &probed + &raw::read_to_end(&mut connection).await));
            assert_eq!(reply.status, 200);
            assert!(reply.body.contains("there") && reply.body.contains("data: [DONE]"), "{}", reply.body);
            // No blank line ends an event without data (docs/clients/quirks.md, rule 5); HTTP/1.0 has no chunks.
            let mut events = reply.body.trim_end().split("\n\n");
            assert!(version == "HTTP/1.1" || events.all(|event| event.contains("data: ")), "{}", reply.body);
        }
    }
}

#[tokio::test]
async fn a_client_that_closes_is_noticed_whatever_it_waits_for() {
    let rig = Rig::start().await;
    for version in VERSIONS {
        for (body, first) in [
            (ask("[sim:stall=headers] hi"), None),
            (ask_streaming("[sim:stall=headers] hi"), None),
            (ask("[sim:text=Hello there][sim:stall] hi"), None),
            (ask_streaming("[sim:text=Hello there][sim:stall] hi"), Some("assistant")),
        ] {
            for shuts_down in [false, true] {
                for mut connection in rig.connections().await {
                    let place = rig.ask(&mut connection, version, &body).await;
                    if let Some(text) = first {
                        read_until(&mut connection, text).await;
                    }
                    if shuts_down {
                        connection.shutdown().await.unwrap();
                        read_until(&mut connection, if first.is_some() { ": keep-alive\n" } else { "H" }).await;
                    }
                    drop(connection);
                    rig.until(place, |request| request.outcome == Outcome::Disconnected).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_half_closed_client_that_reads_slowly_gets_everything() {
    let rig = Rig::start().await;
    for version in &VERSIONS[..1] {
        for body in [ask("[sim:single-delta=3000000] hi"), ask_streaming("[sim:single-delta=3000000] hi")] {
            for mut connection in rig.connections().await {
                connection.write_all(request(version, &body).as_bytes()).await.unwrap();
                connection.shutdown().await.unwrap();
                read_until(&mut connection, "HTTP/1.").await;
                let rest = raw::read_to_end(&mut connection).await;
                let is_whole = if body["stream"] == true { rest.contains("data: [DONE]") } else { rest.ends_with('}') };
                assert!(is_whole && rest.len() > 3_000_000, "{version} {} {:.500}", rest.len(), rest);
            }
        }
    }
}

#[tokio::test]
async fn a_half_closed_client_gets_the_replies_to_all_its_requests() {
    let rig = Rig::start().await;
    for mut connection in rig.connections().await {
        let kept = "GET /v1/models HTTP/1.1\r\nhost: localhost\r\n\r\n".to_owned();
        let requests = kept + &request("HTTP/1.1", &ask("[sim:text=Hello] hi"));
        connection.write_all(requests.as_bytes()).await.unwrap();
        connection.shutdown().await.unwrap();
        let replies = raw::read_to_end(&mut connection).await;
        assert!(replies.matches("HTTP/1.1 200 OK\r\n").count() == 2 && replies.contains("Hello"), "{replies}");
    }
}

#[tokio::test]
async fn a_request_that_breaks_off_gets_no_turn() {
    let rig = Rig::start().await;
    for mut connection in rig.connections().await {
        let request = request("HTTP/1.1", &ask("hi"));
        connection.write_all(&request.as_bytes()[..request.len() - 1]).await.unwrap();
        connection.shutdown().await.unwrap();
        raw::read_to_end(&mut connection).await;
    }
    assert!(rig.proxy.turns().is_empty());
}
