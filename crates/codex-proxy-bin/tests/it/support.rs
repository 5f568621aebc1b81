//! The program on a free port over a simulator, and a client for it.

use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::Bytes;
use codex_auth::{MemoryStore, Secret, Tokens};
use codex_proxy::{Access, Advice, App, Config, ConfigBuilder, Limits};
use codex_sim::{Mint, Outcome, RecordedRequest, Sim, SimConfig};
use codex_upstream::{
    ChunkStream, HttpUpstream, HttpUpstreamConfig, RetryPolicy, TransportChoice, Upstream, read_to_end,
};
use futures_util::StreamExt;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct Harness {
    pub(crate) sim: Sim,
    pub(crate) base: String,
    pub(crate) store: MemoryStore,
    pub(crate) app: App,
    pub(crate) server: JoinHandle<()>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    client: HttpUpstream,
}

pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Returns the `data` of every event, each parsed unless it is `[DONE]`.
    pub(crate) fn events(&self) -> Vec<Value> {
        let data =
            self.text.split("\n\n").filter_map(|event| event.lines().find_map(|line| line.strip_prefix("data: ")));
        data.map(|data| if data == "[DONE]" { data.into() } else { serde_json::from_str(data).unwrap() }).collect()
    }

    /// Returns the concatenated `content` of a chat stream.
    pub(crate) fn streamed_text(&self) -> String {
        self.events().iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
    }
}

impl Harness {
    pub(crate) async fn start() -> Self {
        Self::start_with(backend(), None).await
    }

    pub(crate) async fn start_with(sim: SimConfig, api_key: Option<&str>) -> Self {
        let sim = Sim::start(sim).await.unwrap();
        let store = MemoryStore::with_tokens(tokens_of(&sim));
        Self::start_over(sim, store, api_key).await
    }

    pub(crate) async fn start_over(sim: Sim, store: MemoryStore, api_key: Option<&str>) -> Self {
        Self::start_by(TransportChoice::Http, sim, store, api_key).await
    }

    /// Starts a program whose turns use this transport.
    pub(crate) async fn start_by(
        transport: TransportChoice,
        sim: Sim,
        store: MemoryStore,
        api_key: Option<&str>,
    ) -> Self {
        let access = Access { keys: api_key.unwrap_or_default().parse().unwrap(), ..Access::default() };
        Self::start_as(sim, store, |config| config.access(access).transport(transport)).await
    }

    /// Starts with these keys, pages and limits.
    pub(crate) async fn start_under(sim: Sim, store: MemoryStore, access: Access, limits: Limits) -> Self {
        Self::start_as(sim, store, |config| config.access(access).limits(limits)).await
    }

    /// Starts with at most this much memory for stored responses.
    pub(crate) async fn start_storing(stored_bytes: usize) -> Self {
        let sim = Sim::start(backend()).await.unwrap();
        let store = MemoryStore::with_tokens(tokens_of(&sim));
        Self::start_as(sim, store, |config| config.stored_bytes(stored_bytes)).await
    }

    async fn start_as(sim: Sim, store: MemoryStore, with: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        let config = Config::builder()
            .upstream_url(sim.upstream_url())
            .auth_url(sim.auth_url())
            .aliases("work=gpt-5.5-high".parse().unwrap());
        // Only over TLS.
        let config = sim.ca_pem().into_iter().fold(config, |config, pem| config.ca_pem(pem));
        let config = with(config).build().unwrap();
        let upstream = HttpUpstream::new(config.http()).unwrap();
        let login = store.clone().with_login_command("codex-proxy login");
        let retry = RetryPolicy { base: Duration::from_millis(1), ..RetryPolicy::default() };
        let client = config.client_builder(login).upstream(upstream).retry(retry);
        let app = App::over(&config, client).unwrap().with_advice(Advice::program());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        // Not `run`: what keeps the proxy fresh sends requests of its own.
        let server = tokio::spawn(app.clone().serve_only(listener, app.clone(), async {
            // A dropped sender does not stop the program: the harness lives as long as its test.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        }));
        let client = HttpUpstream::new(HttpUpstreamConfig::default()).unwrap();
        Self { sim, base, store, app, server, stop: Some(stop), client }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, &[], body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, &[], String::new()).await
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        self.fetch(self.request(method, path, headers, body)).await
    }

    /// Sends a request of any kind.
    pub(crate) async fn fetch(&self, request: Request<Bytes>) -> Reply {
        let (head, stream) = self.client.send(request).await.unwrap().into_parts();
        let bytes = read_to_end(stream, 256 << 20).await.unwrap();
        Reply { status: head.status, headers: head.headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    /// Sends a request and returns the open reply.
    pub(crate) async fn open(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> (http::response::Parts, ChunkStream) {
        self.client.send(self.request(method, path, headers, body)).await.unwrap().into_parts()
    }

    fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Request<Bytes> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.header("content-type", "application/json").body(body.into()).unwrap()
    }

    /// Waits until the backend has seen its first client disconnect.
    pub(crate) async fn disconnected(&self) {
        let is_over = |request: &RecordedRequest| request.outcome == Outcome::Disconnected;
        while !self.sim.requests().iter().any(is_over) {
            tokio::task::yield_now().await;
        }
    }

    /// Returns the bodies that reached the backend's responses endpoint.
    pub(crate) fn turns(&self) -> Vec<Value> {
        let requests = self.sim.requests().into_iter();
        // An upgrade to a WebSocket does not count.
        let turns = requests.filter(|request| request.path.ends_with("/codex/responses") && request.method != "GET");
        turns.map(|request| request.body.map(|body| (*body).clone()).unwrap_or_default()).collect()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Returns a backend that is reached like the real one: over TLS and HTTP/2.
pub(crate) fn backend() -> SimConfig {
    SimConfig { tls: true, ..SimConfig::default() }
}

pub(crate) fn tokens_of(sim: &Sim) -> Tokens {
    tokens(sim.mint_tokens(Mint::default()))
}

pub(crate) fn tokens(minted: codex_sim::Tokens) -> Tokens {
    Tokens {
        refresh_token: Some(Secret::new(minted.refresh_token)),
        id_token: Some(Secret::new(minted.id_token)),
        account_id: Some(minted.account_id),
        ..Tokens::new(Secret::new(minted.access_token))
    }
}

/// Reads until `text` has arrived.
pub(crate) async fn read_until(stream: &mut ChunkStream, text: &str) -> String {
    let mut read = String::new();
    while !read.contains(text) {
        let piece = stream.next().await.unwrap_or_else(|| panic!("the stream ended before {text:?}: {read}")).unwrap();
        read.push_str(std::str::from_utf8(piece.as_ref()).unwrap());
    }
    read
}

/// Returns a chat request whose user message is `text`.
pub(crate) fn ask(text: &str) -> Value {
    serde_json::json!({"model": "gpt-5.1", "messages": [{"role": "user", "content": text}]})
}

/// Returns the same, with a stream.
pub(crate) fn ask_streaming(text: &str) -> Value {
    let mut body = ask(text);
    body["stream"] = true.into();
    body
}
