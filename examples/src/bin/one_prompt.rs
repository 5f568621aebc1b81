//! Sends one prompt and prints the answer as it arrives: translation and client, without a server. The backend is
//! simulated; use your own bearer token and `https://chatgpt.com/backend-api` for the real one.
//!
//! ```text
//! cargo run -p examples --bin one_prompt -- "What is new?"
//! ```

use std::error::Error;
use std::io::{self, Write as _};

use codex_auth::Bearer;
use codex_sim::{Mint, Sim, SimConfig};
use codex_translate::chat::{self, Delta, DeltaSink};
use codex_translate::{ChatStream, EventReader, Flow, Options, Profile, to_responses};
use codex_upstream::{
    Backend, ClientIdentity, HttpUpstream, HttpUpstreamConfig, RetryPolicy, TokioTimer, TurnRequest, requests,
    send_with_retry,
};
use futures_util::StreamExt as _;
use serde_json::json;
use url::Url;

const MODEL: &str = "gpt-5.5";

/// Prints the text of the answer, and stores the first error of writing it.
struct Terminal(io::Result<()>);

impl DeltaSink for Terminal {
    fn delta(&mut self, delta: Delta<'_>) {
        if let (Delta::Content(text), Ok(())) = (delta, &self.0) {
            self.0 = write!(io::stdout(), "{text}").and_then(|()| io::stdout().flush());
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let prompt = std::env::args().nth(1).unwrap_or_else(|| "Hello!".to_owned());
    let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await?;
    let login = sim.mint_tokens(Mint::default());
    let roots = sim.ca_pem().map(|pem| pem.as_bytes().to_vec()).into_iter().collect();
    let client = HttpUpstream::new(HttpUpstreamConfig { extra_roots_pem: roots, ..HttpUpstreamConfig::default() })?;

    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": prompt}]}).to_string();
    let request = chat::ChatRequest::from_json(body.as_bytes())?;
    let translated = to_responses(request, &Profile::permissive(MODEL), &Options::default())?;

    let (base, identity) = (Url::parse(&sim.upstream_url())?, ClientIdentity::default());
    let bearer = Bearer { token: login.access_token.into(), account_id: Some(login.account_id), fedramp: false };
    let backend = Backend { base: &base, region: None, identity: &identity, bearer: &bearer };
    let request = requests::responses(&backend, &TurnRequest::from(&translated.request))?;
    let reply = send_with_retry(&client, &request, &RetryPolicy::default(), &TokioTimer).await?;

    let mut upstream = reply.into_body();
    let mut reader = EventReader::new();
    let mut stream = ChatStream::new(&translated.plan);
    let mut terminal = Terminal(Ok(()));
    while let Some(chunk) = upstream.next().await {
        if reader.read(&chunk?, |event| stream.push(event, &mut terminal))? == Flow::Done {
            break;
        }
    }
    terminal.0?;
    writeln!(io::stdout(), "\n(finish: {})", stream.finish()?.finish)?;
    Ok(())
}
