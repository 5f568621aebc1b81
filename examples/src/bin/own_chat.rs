//! A small server of the Chat Completions API, with axum over `codex_client::Client`: streams, whole replies, errors as
//! OpenAI's SDKs read them. It answers some requests of its own, at a simulated backend.
//!
//! ```text
//! cargo run -p examples --bin own_chat
//! ```

use std::error::Error;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::SystemTime;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use codex_auth::{FileStore, Tokens};
use codex_client::Client;
use codex_sim::{Mint, Outcome, RecordedRequest, Sim, SimConfig};
use codex_translate::chat::ChatRequest;
use codex_translate::dialect;
use codex_upstream::{ChunkStream, HttpUpstream, HttpUpstreamConfig, Upstream as _, read_to_end};
use futures_util::StreamExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderName, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// `POST /v1/chat/completions`
async fn chat(State(client): State<Client>, body: Bytes) -> Response {
    answer(&client, &body).await.unwrap_or_else(|error| failure(&error))
}

async fn answer(client: &Client, body: &[u8]) -> Result<Response, codex_translate::Error> {
    let reply = client.chat(ChatRequest::from_json(body)?).await?;
    let notices: Vec<_> = reply.notices().iter().filter_map(|notice| notice.to_string().parse().ok()).collect();
    let mut response = if reply.is_stream() {
        ([(CONTENT_TYPE, "text/event-stream")], Body::new(reply.into_sse())).into_response()
    } else {
        json_body(StatusCode::OK, reply.collect().await?.to_json())
    };
    response.headers_mut().extend(notices.into_iter().map(|notice| (NOTICE, notice)));
    Ok(response)
}

/// Returns the response for an error, as OpenAI's SDKs read it.
fn failure(error: &codex_translate::Error) -> Response {
    let status = StatusCode::from_u16(error.status_hint()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (codex_client::error::headers(error), json_body(status, error.to_json())).into_response()
}

/// `GET /v1/models`
async fn models(State(client): State<Client>) -> Response {
    let catalogue = client.models().await.catalogue;
    let list = dialect::CHAT.models(catalogue.listed().map(|model| (model.slug.as_str(), model.facts())));
    json_body(StatusCode::OK, Value::Object(list).to_string())
}

fn json_body(status: StatusCode, body: impl Into<Body>) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.into()).into_response()
}

const NOTICE: HeaderName = HeaderName::from_static("x-notice");

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await?;
    let home = tempfile::tempdir()?;
    let path = home.path().join("credentials.json");
    // As after a night: the access token has expired.
    let login = sim.mint_tokens(Mint::default());
    let mut tokens = Tokens::new(login.access_token.into());
    tokens.refresh_token = Some(login.refresh_token.into());
    tokens.expires_at = Some(SystemTime::UNIX_EPOCH);
    std::fs::write(&path, tokens.to_json())?;

    let roots = sim.ca_pem().map(|pem| pem.as_bytes().to_vec()).into_iter().collect();
    let client = Client::builder(FileStore::new(&path).with_login_command("own_chat sign-in"))
        // The real backend needs none of these three.
        .base_url(sim.upstream_url().as_str())
        .auth_url(sim.auth_url())
        .http(HttpUpstreamConfig { extra_roots_pem: roots, ..HttpUpstreamConfig::default() })
        .build()?;
    let router = Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/models", get(models))
        .with_state(client.clone());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let user =
        User { http: HttpUpstream::new(HttpUpstreamConfig::default())?, address: listener.local_addr()?.to_string() };
    let server = tokio::spawn(axum::serve(listener, router).into_future());

    let outcome = use_it(&user, &sim, &path, &tokens).await;
    server.abort();
    // Also after an error: a refresh in progress holds the only copy of a token.
    client.wait_for_refresh().await;
    outcome
}

/// Sends requests of all kinds.
async fn use_it(user: &User, sim: &Sim, path: &Path, tokens: &Tokens) -> Result<(), Box<dyn Error>> {
    user.ask("stream", "Hello!", json!({"stream": true, "seed": 1})).await?;
    let stored = Tokens::from_json(&std::fs::read(path)?)?;
    print("refreshed on disk", stored.access_token.expose() != tokens.access_token.expose())?;
    let weather = json!({"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}});
    user.ask("tool call", "[sim:tool=weather]", json!({"tools": [weather]})).await?;
    sim.control().invalidate_access_tokens();
    user.ask("rejected token", "Hello!", json!({})).await?;
    print("refreshes", sim.control().refreshes())?;
    user.ask("cut off", "[sim:cut]", json!({"stream": true})).await?;
    user.ask("full context", "[sim:failed-first=context_length_exceeded]", json!({"stream": true})).await?;
    user.ask("bad body", "", json!({"messages": 1})).await?;
    user.ask("unknown model", "Hello!", json!({"model": "gpt-unknown"})).await?;
    user.ask("used up", "[sim:429-usage]", json!({})).await?;
    let mut stalled = user.send("/v1/chat/completions", "[sim:stall=8]", json!({"stream": true})).await?.into_body();
    let _first = stalled.next().await;
    drop(stalled);
    let is_over = |request: &RecordedRequest| request.outcome == Outcome::Disconnected;
    sim.requests_until(|all| all.iter().any(is_over)).await;
    print("hung up", "the turn at the backend is over")?;
    let list = user.send("/v1/models", "", Value::Null).await?;
    print("models", String::from_utf8_lossy(&read_to_end(list.into_body(), 1 << 20).await?))
}

/// A user of the server.
struct User {
    http: HttpUpstream,
    address: String,
}

impl User {
    /// Sends a chat request with `members`, or none if they are null.
    async fn send(
        &self,
        path: &str,
        prompt: &str,
        members: Value,
    ) -> Result<http::Response<ChunkStream>, Box<dyn Error>> {
        let mut body = json!({"model": "gpt-5.5", "messages": [{"role": "user", "content": prompt}]});
        let method = if members.is_null() { "GET" } else { "POST" };
        if let (Value::Object(body), Value::Object(members)) = (&mut body, members) {
            body.extend(members);
        }
        let request = http::Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        Ok(self.http.send(request.body(Bytes::from(body.to_string()))?).await?)
    }

    /// Does the same with a request for a reply, and prints the reply.
    async fn ask(&self, what: &str, prompt: &str, members: Value) -> Result<(), Box<dyn Error>> {
        let (head, body) = self.send("/v1/chat/completions", prompt, members).await?.into_parts();
        let body = read_to_end(body, 1 << 20).await?;
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
        let headers = format!("notice {}, should retry {}", header("x-notice"), header("x-should-retry"));
        print(what, format_args!("{} ({headers})\n{}", head.status, String::from_utf8_lossy(&body)))
    }
}

fn print(what: &str, result: impl std::fmt::Display) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(io::stdout(), "{what}: {result}")?)
}
