//! A client that sends many kinds of requests and checks the replies.

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

/// A kind of client behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Reads a stream that starts only after all streams are open.
    Stall,
    Stream,
    Whole,
    Responses,
    Http2,
    /// Disconnects after the first bytes.
    LeaveMidway,
    /// Disconnects before the first byte.
    LeaveAtOnce,
    /// Reads a long reply slowly.
    ReadSlowly,
    /// Gets an error because the reply is cut short.
    Cut,
    /// The backend is overloaded once.
    Overloaded,
    WebSocket,
}

impl Act {
    /// The acts to choose from.
    pub(crate) const ALL: [Self; 10] = [
        Self::Stream,
        Self::Whole,
        Self::Responses,
        Self::Http2,
        Self::LeaveMidway,
        Self::LeaveAtOnce,
        Self::ReadSlowly,
        Self::Cut,
        Self::Overloaded,
        Self::WebSocket,
    ];

    fn scenario(self) -> &'static str {
        match self {
            Self::Stall => "[sim:stall]",
            Self::LeaveMidway => "[sim:text=one two three][sim:stall]",
            Self::ReadSlowly => "[sim:big=50]",
            Self::Cut => "[sim:text=one two three four five][sim:cut]",
            Self::Overloaded => "[sim:503-once]",
            Self::Stream | Self::Whole | Self::Responses | Self::Http2 | Self::LeaveAtOnce | Self::WebSocket => "",
        }
    }
}

/// The address of the proxy.
#[derive(Clone)]
pub(crate) struct Caller {
    authority: String,
}

impl Caller {
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        Ok(Self { authority: url.strip_prefix("http://").ok_or("not an http URL")?.to_owned() })
    }

    /// Asks a unique question and checks that the answer belongs to it.
    pub(crate) async fn ask(&self, question: &str, act: Act) -> Result<(), Failure> {
        let text = format!("{} {question};", act.scenario());
        if act == Act::WebSocket {
            return self.ask_over_websocket(&text, question).await;
        }
        let path = if act == Act::Responses { "/v1/responses" } else { "/v1/chat/completions" };
        let body = if act == Act::Responses {
            json!({"model": "gpt-5.5", "input": text, "stream": true})
        } else {
            json!({"model": "gpt-5.5", "stream": act != Act::Whole, "messages": [{"role": "user", "content": text}]})
        };
        let sending = self.send(path, &body, act == Act::Http2);
        if act == Act::LeaveAtOnce {
            // Long enough to send the request, too short for an answer.
            let _ = tokio::time::timeout(Duration::from_millis(2), sending).await;
            return Ok(());
        }
        let mut reply = sending.await?;
        let status = reply.status();
        if act == Act::Cut && status == 502 {
            // The reply was cut short before its first output.
            return Ok(());
        }
        if status != 200 {
            let body = reply.into_body().collect().await?.to_bytes();
            return Err(format!("{act:?}: {status} {}", String::from_utf8_lossy(&body)).into());
        }
        let mut read = Vec::new();
        while let Some(frame) = reply.body_mut().frame().await {
            read.extend_from_slice(&frame?.into_data().unwrap_or_default());
            if act == Act::LeaveMidway {
                return Ok(());
            }
            if act == Act::ReadSlowly {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        check(&String::from_utf8(read)?, question, act)
    }

    /// Sends one request on a new connection, which is closed with the reply.
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
        check(&read, question, Act::WebSocket)
    }
}

/// Checks that an answer ends correctly and repeats its own question and no other.
fn check(reply: &str, question: &str, act: Act) -> Result<(), Failure> {
    let wrong = |what: &str| Err(format!("{act:?} of {question}: {what}: {reply}").into());
    if act == Act::Cut {
        let is_told = reply.contains("\"error\":{") && !reply.contains("\"finish_reason\":\"stop\"");
        return if is_told { Ok(()) } else { wrong("a cut reply looks whole") };
    }
    let is_whole =
        [("[DONE]", ""), ("response.completed", ""), ("\"finish_reason\":\"stop\"", "\"object\":\"chat.completion\"")]
            .iter()
            .any(|(end, shape)| reply.contains(end) && reply.contains(shape));
    if !is_whole {
        return wrong("no end");
    }
    let said = said(reply);
    let mut asked = said.split("question-").skip(1).peekable();
    // A long reply is generated and repeats nothing.
    if asked.peek().is_none() && act != Act::ReadSlowly {
        return wrong("the answer is to no question");
    }
    let own = format!("{};", question.trim_start_matches("question-"));
    if asked.any(|asked| !asked.starts_with(&own)) {
        return wrong("the answer is to another question");
    }
    Ok(())
}

/// Returns the text of a reply in any form.
fn said(reply: &str) -> String {
    let lines = reply.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let texts = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok()).filter_map(|event| {
        let choice = &event["choices"][0];
        let text = choice["delta"]["content"].as_str().or_else(|| choice["message"]["content"].as_str());
        text.or_else(|| event["delta"].as_str()).map(str::to_owned)
    });
    texts.collect()
}
