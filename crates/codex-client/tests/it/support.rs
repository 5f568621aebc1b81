//! A client of a simulated backend.

use codex_auth::{MemoryStore, Secret, Tokens};
use codex_client::{Client, ClientBuilder};
use codex_sim::{Mint, Outcome, RecordedRequest, Sim, SimConfig};
use codex_translate::chat::ChatRequest;
use codex_translate::responses::ResponsesRequest;
use codex_upstream::{HttpUpstreamConfig, RetryPolicy};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

pub(crate) struct Rig {
    pub(crate) sim: Sim,
    pub(crate) store: MemoryStore,
    pub(crate) client: Client,
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(|client| client).await
    }

    pub(crate) async fn start_with(with: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Self {
        let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await.unwrap();
        let store = MemoryStore::with_tokens(tokens(&sim)).with_login_command("myapp sign-in");
        let client = with(builder(&sim, store.clone())).build().unwrap();
        Self { sim, store, client }
    }

    /// The turns that reached the backend.
    pub(crate) fn turns(&self) -> Vec<RecordedRequest> {
        let requests = self.sim.requests().into_iter();
        requests.filter(|request| request.path.ends_with("/codex/responses")).collect()
    }

    /// Returns encrypted reasoning that the backend accepts from this client for `model`.
    pub(crate) async fn encrypted(&self, model: &str) -> String {
        let body = json!({"model": model, "input": "[sim:reasoning] hi", "include": ["reasoning.encrypted_content"]});
        let request = ResponsesRequest::from_json(body.to_string().as_bytes()).unwrap();
        let whole = self.client.responses(request).await.unwrap().collect().await.unwrap();
        let whole: Value = serde_json::to_value(&whole).unwrap();
        whole["output"][0]["encrypted_content"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn until_disconnected(&self) {
        let left = |all: &[RecordedRequest]| all.iter().any(|request| request.outcome == Outcome::Disconnected);
        self.sim.requests_until(left).await;
    }

    /// Waits until a reply of the backend waits to be released.
    pub(crate) async fn until_stalled(&self) {
        self.sim.requests_until(|all| all.iter().any(|request| request.waiting)).await;
    }
}

/// Starts a client of `sim` that retries at once.
pub(crate) fn builder(sim: &Sim, store: MemoryStore) -> ClientBuilder {
    let extra_roots_pem = sim.ca_pem().map(|pem| pem.as_bytes().to_vec()).into_iter().collect();
    Client::builder(store)
        .http(HttpUpstreamConfig { extra_roots_pem, ..HttpUpstreamConfig::default() })
        .base_url(&*sim.upstream_url())
        .auth_url(sim.auth_url())
        .retry(RetryPolicy { base: std::time::Duration::from_millis(1), ..RetryPolicy::default() })
}

pub(crate) fn tokens(sim: &Sim) -> Tokens {
    let minted = sim.mint_tokens(Mint::default());
    let mut tokens = Tokens::new(Secret::new(minted.access_token));
    tokens.refresh_token = Some(Secret::new(minted.refresh_token));
    tokens.account_id = Some(minted.account_id);
    tokens
}

pub(crate) fn chat(text: &str) -> ChatRequest {
    chat_with(text, json!({}))
}

pub(crate) fn chat_with(text: &str, more: Value) -> ChatRequest {
    let mut body = json!({"model": "gpt-5.5", "messages": [{"role": "user", "content": text}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ChatRequest::from_json(body.to_string().as_bytes()).unwrap()
}

pub(crate) fn responses(text: &str) -> ResponsesRequest {
    ResponsesRequest::from_json(json!({"model": "gpt-5.5", "input": text}).to_string().as_bytes()).unwrap()
}

/// Reads a stream of bytes as text.
pub(crate) async fn read(stream: impl futures_util::Stream<Item = bytes::Bytes>) -> String {
    let pieces: Vec<_> = stream.collect().await;
    String::from_utf8(pieces.concat()).unwrap()
}
