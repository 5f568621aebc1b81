//! Answers a prompt: text in, text out. The backend is simulated; without the builder's three lines between `builder`
//! and `build`, it is the real one.
//!
//! ```text
//! cargo run -p examples --bin ask -- "What is new?"
//! ```

use std::error::Error;
use std::io::{self, Write as _};

use codex_auth::{MemoryStore, Tokens};
use codex_client::Client;
use codex_sim::{Mint, Sim, SimConfig};
use codex_translate::chat::ChatRequest;
use codex_upstream::HttpUpstreamConfig;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let prompt = std::env::args().nth(1).unwrap_or_else(|| "Hello!".to_owned());
    let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await?;
    // A program with a login of its own has a `FileStore` here; `login_and_refresh` shows how to fill it.
    let store = MemoryStore::with_tokens(Tokens::new(sim.mint_tokens(Mint::default()).access_token.into()));
    let roots = sim.ca_pem().map(|pem| pem.as_bytes().to_vec()).into_iter().collect();

    let client = Client::builder(store)
        .base_url(sim.upstream_url().as_str())
        .auth_url(sim.auth_url())
        .http(HttpUpstreamConfig { extra_roots_pem: roots, ..HttpUpstreamConfig::default() })
        .build()?;
    let prompt = ChatRequest::prompt("gpt-5.5", prompt);
    let answer = async { client.chat(prompt).await?.collect().await }.await;
    // Also after an error: a refresh in progress holds the only copy of a token.
    client.wait_for_refresh().await;
    writeln!(io::stdout(), "{}", answer?.text())?;
    Ok(())
}
