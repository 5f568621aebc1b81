//! `codex-proxy demo`: the whole program over the simulated backend, as a user would see it.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::process::ExitCode;

use bytes::Bytes;
use codex_upstream::{ChunkStream, HttpUpstream, HttpUpstreamConfig, Upstream, read_to_end};
use eventsource_stream::Eventsource;
use futures_util::StreamExt;
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::admission::access::Access;
use crate::commands::CommandError;
use crate::config::Config;
use crate::simulated::Simulated;

/// More than any reply of the simulator.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// Starts simulator and proxy on free ports, sends four requests through them, and prints the replies.
///
/// # Errors
/// A reply is not as expected; the message says which.
pub(crate) async fn run(config: Config, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let demo = Demo::start(config).await?;
    writeln!(out, "codex-proxy on {} over a simulated ChatGPT backend (TLS, Chrome's fingerprint)\n", demo.base)?;
    demo.chat_stream(out).await?;
    demo.chat(out).await?;
    demo.tool_call(out).await?;
    demo.responses(out).await?;
    writeln!(out, "All four replies are complete. With an account: codex-proxy login, then codex-proxy serve.")?;
    Ok(ExitCode::SUCCESS)
}

struct Demo {
    base: String,
    client: HttpUpstream,
    proxy: JoinHandle<()>,
    _simulated: Simulated,
}

impl Demo {
    async fn start(config: Config) -> Result<Self, CommandError> {
        // The demonstration calls the program without a key.
        let simulated = Simulated::start(config.into_builder().access(Access::default()).build()?).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let base = format!("http://{}", listener.local_addr()?);
        let proxy = tokio::spawn(simulated.app.clone().run(listener, std::future::pending()));
        let client = HttpUpstream::new(HttpUpstreamConfig::default()).map_err(CommandError::other)?;
        Ok(Self { base, client, proxy, _simulated: simulated })
    }

    async fn chat_stream(&self, out: &mut impl Write) -> Result<(), CommandError> {
        let body = json!({"model": "gpt-5.5", "stream": true, "stream_options": {"include_usage": true},
            "messages": [{"role": "user", "content": "Hello!"}]});
        announce(out, "POST /v1/chat/completions, streaming", &body)?;
        let mut events = self.post("/v1/chat/completions", &body).await?.eventsource();
        let (mut finish, mut usage) = (Value::Null, Value::Null);
        while let Some(event) = events.next().await {
            let event = event.map_err(CommandError::other)?;
            if event.data == "[DONE]" {
                break;
            }
            let chunk: Value = serde_json::from_str(&event.data)?;
            write!(out, "{}", chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default())?;
            out.flush()?;
            if chunk["choices"][0]["finish_reason"].is_string() {
                finish = chunk["choices"][0]["finish_reason"].clone();
            }
            if chunk["usage"].is_object() {
                usage = chunk["usage"].clone();
            }
        }
        expect(finish == "stop", "the stream finishes with `stop`")?;
        writeln!(
            out,
            "\n(finish_reason {finish}, {} tokens in, {} out)\n",
            usage["prompt_tokens"], usage["completion_tokens"]
        )?;
        Ok(())
    }

    async fn chat(&self, out: &mut impl Write) -> Result<(), CommandError> {
        let body = json!({"model": "gpt-5.5", "messages": [{"role": "user", "content": "Say it in one piece."}]});
        announce(out, "POST /v1/chat/completions", &body)?;
        let reply = self.post_whole("/v1/chat/completions", &body).await?;
        let text = reply["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        expect(!text.is_empty(), "the reply has text")?;
        writeln!(out, "{text}\n")?;
        Ok(())
    }

    async fn tool_call(&self, out: &mut impl Write) -> Result<(), CommandError> {
        let tool = json!({"type": "function", "function": {"name": "get_weather", "description": "The weather at a place",
            "parameters": {"type": "object", "properties": {"location": {"type": "string"}}, "required": ["location"]}}});
        let question = json!({"role": "user", "content": "What is the weather in Paris?"});
        let body = json!({"model": "gpt-5.5", "messages": [question], "tools": [tool], "tool_choice": "required"});
        announce(out, "POST /v1/chat/completions with a tool", &body)?;
        let reply = self.post_whole("/v1/chat/completions", &body).await?;
        let message = &reply["choices"][0]["message"];
        let call = &message["tool_calls"][0];
        expect(call["function"]["name"] == "get_weather", "the model calls get_weather")?;
        let (name, arguments) = (&call["function"]["name"], &call["function"]["arguments"]);
        writeln!(
            out,
            "the model calls {} with {}",
            name.as_str().unwrap_or_default(),
            arguments.as_str().unwrap_or_default()
        )?;
        let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "18 °C, light rain"});
        let body = json!({"model": "gpt-5.5", "messages": [question, message, result], "tools": [tool]});
        let reply = self.post_whole("/v1/chat/completions", &body).await?;
        let text = reply["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        expect(!text.is_empty(), "the model replies with the tool's result")?;
        writeln!(out, "given 18 °C, light rain, it replies: {text}\n")?;
        Ok(())
    }

    async fn responses(&self, out: &mut impl Write) -> Result<(), CommandError> {
        let body = json!({"model": "gpt-5.5", "input": "Hello!", "stream": true});
        announce(out, "POST /v1/responses, streaming", &body)?;
        let mut events = self.post("/v1/responses", &body).await?.eventsource();
        let mut last = String::new();
        while let Some(event) = events.next().await {
            let event = event.map_err(CommandError::other)?;
            let data: Value = serde_json::from_str(&event.data)?;
            if event.event == "response.output_text.delta" {
                write!(out, "{}", data["delta"].as_str().unwrap_or_default())?;
                out.flush()?;
            }
            last = event.event;
        }
        expect(last == "response.completed", "the last event is response.completed")?;
        writeln!(out, "\n(last event {last})\n")?;
        Ok(())
    }

    async fn post_whole(&self, path: &str, body: &Value) -> Result<Value, CommandError> {
        let stream = self.post(path, body).await?;
        let bytes = read_to_end(stream, MAX_REPLY_BYTES).await.map_err(CommandError::other)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<ChunkStream, CommandError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .body(Bytes::from(body.to_string()))
            .map_err(CommandError::other)?;
        let (parts, stream) = self.client.send(request).await.map_err(CommandError::other)?.into_parts();
        if parts.status == StatusCode::OK {
            return Ok(stream);
        }
        let reply = read_to_end(stream, MAX_REPLY_BYTES).await.map_err(CommandError::other)?;
        Err(CommandError::other(format!("{path} answered {}: {}", parts.status, String::from_utf8_lossy(&reply))))
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.proxy.abort();
    }
}

fn announce(out: &mut impl Write, what: &str, body: &Value) -> io::Result<()> {
    writeln!(out, "── {what}\n   {body}")
}

/// Fails the command: the demonstration is also a check.
fn expect(holds: bool, what: &str) -> Result<(), CommandError> {
    if holds { Ok(()) } else { Err(CommandError::other(format!("check failed: {what}"))) }
}
