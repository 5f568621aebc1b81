//! A client that sends requests of many kinds and checks the answers.

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;

type Failure = Box<dyn Error + Send + Sync>;

/// The behaviour of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Reads a stream that stalls until all streams have begun.
    Stall,
    Stream,
    Unary,
    Responses,
    Http2,
    /// Disconnects after the first bytes.
    DisconnectMidway,
    /// Disconnects before the first byte.
    DisconnectAtOnce,
    /// Reads a long reply piece by piece.
    ReadSlowly,
    /// Reads an error, since the reply is cut.
    Cut,
    /// Reads a reply from a backend that is overloaded once.
    Overloaded,
    WebSocket,
}

impl Action {
    /// The behaviours to choose from.
    pub(crate) const ALL: [Self; 10] = [
        Self::Stream,
        Self::Unary,
        Self::Responses,
        Self::Http2,
        Self::DisconnectMidway,
        Self::DisconnectAtOnce,
        Self::ReadSlowly,
        Self::Cut,
        Self::Overloaded,
        Self::WebSocket,
    ];

    fn scenario(self) -> &'static str {
        match self {
            Self::Stall => "[sim:stall]",
            Self::DisconnectMidway => "[sim:text=one two three][sim:stall]",
            Self::ReadSlowly => "[sim:big=50]",
            Self::Cut => "[sim:text=one two three four five][sim:cut]",
            Self::Overloaded => "[sim:503-once]",
            Self::Stream | Self::Unary | Self::Responses | Self::Http2 | Self::DisconnectAtOnce | Self::WebSocket => "",
        }
    }
}

/// A client of one address.
#[derive(Clone)]
pub(crate) struct Client {
    authority: String,
}

impl Client {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        Ok(Self { authority: url.strip_prefix("http://").ok_or("not an http URL")?.to_owned() })
    }

    /// Sends a unique question, and checks that the answer is to that question.
    pub(crate) async fn ask(&self, question: &str, action: Action) -> Result<(), Failure> {
        let text = format!("{} {question};", action.scenario());
        if action == Action::WebSocket {
            return self.ask_over_websocket(&text, question).await;
        }
        let path = if action == Action::Responses { "/v1/responses" } else { "/v1/chat/completions" };
        let body = if action == Action::Responses {
            json!({"model": "gpt-5.5", "input": text, "stream": true})
        } else {
            json!({"model": "gpt-5.5", "stream": action != Action::Unary, "messages": [{"role": "user", "content": text}]})
        };
        let sending = self.send(path, &body, action == Action::Http2);
        if action == Action::DisconnectAtOnce {
            // Long enough to send the request, too short for an answer.
            let _ = tokio::time::timeout(Duration::from_millis(2), sending).await;
            return Ok(());
        }
        let mut reply = sending.await?;
        let status = reply.status();
        if action == Action::Cut && status == 502 {
            // It was cut before there was anything to forward.
            return Ok(());
        }
        if status != 200 {
            let body = reply.into_body().collect().await?.to_bytes();
            return Err(format!("{action:?}: {status} {}", String::from_utf8_lossy(&body)).into());
        }
        let mut read = Vec::new();
        while let Some(frame) = reply.body_mut().frame().await {
            read.extend_from_slice(&frame?.into_data().unwrap_or_default());
            if action == Action::DisconnectMidway {
                return Ok(());
            }
            if action == Action::ReadSlowly {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        check(&String::from_utf8(read)?, question, action)
    }

    /// Sends one request on a new connection, which closes with the reply.
    async fn send(&self, path: &str, body: &Value, http2: bool) -> Result<http::Response<Incoming>, Failure> {
        let io = TokioIo::new(TcpStream::connect(&self.authority).await?);
        let request = http::Request::post(format!("http://{}{path}", self.authority))
            .header("host", &self.authority)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body.to_string())))?;
        if http2 {
            let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
            tokio::spawn(connection);
            return Ok(sender.send_request(request).await?);
        }
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }

    async fn ask_over_websocket(&self, text: &str, question: &str) -> Result<(), Failure> {
        let stream = TcpStream::connect(&self.authority).await?;
        let (mut socket, _) = client_async(format!("ws://{}/v1/responses", self.authority), stream).await?;
        let frame = json!({"type": "response.create", "model": "gpt-5.5", "input": text});
        socket.send(Message::text(frame.to_string())).await?;
        let mut read = String::new();
        while let Some(message) = socket.next().await {
            let Message::Text(event) = message? else { continue };
            read.push_str(&format!("data: {event}\n"));
            if event.contains("\"type\":\"response.completed\"") || event.contains("\"type\":\"error\"") {
                break;
            }
        }
        check(&read, question, Action::WebSocket)
    }
}

/// Checks that an answer is complete and repeats its own question and no other.
fn check(reply: &str, question: &str, action: Action) -> Result<(), Failure> {
    let wrong = |what: &str| Err(format!("{action:?} of {question}: {what}: {reply}").into());
    if action == Action::Cut {
        let is_reported = reply.contains("\"error\":{") && !reply.contains("\"finish_reason\":\"stop\"");
        return if is_reported { Ok(()) } else { wrong("a cut reply looks complete") };
    }
    let is_complete =
        [("[DONE]", ""), ("response.completed", ""), ("\"finish_reason\":\"stop\"", "\"object\":\"chat.completion\"")]
            .iter()
            .any(|(end, shape)| reply.contains(end) && reply.contains(shape));
    if !is_complete {
        return wrong("the answer is incomplete");
    }
    let text = text_of(reply);
    let mut asked = text.split("question-").skip(1).peekable();
    // A long reply is generated and repeats nothing.
    if asked.peek().is_none() && action != Action::ReadSlowly {
        return wrong("the answer repeats no question");
    }
    let own = format!("{};", question.trim_start_matches("question-"));
    if asked.any(|asked| !asked.starts_with(&own)) {
        return wrong("the answer is to another question");
    }
    Ok(())
}

/// Returns the text of a reply of any shape.
fn text_of(reply: &str) -> String {
    let lines = reply.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let texts = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter_map(|event| {
        let choice = &event["choices"][0];
        let text = choice["delta"]["content"].as_str().or_else(|| choice["message"]["content"].as_str());
        text.or_else(|| event["delta"].as_str()).map(str::to_owned)
    });
    texts.collect()
}
