//! Logs in, stores the tokens in a file, and refreshes them. The auth server is simulated, and so is the user who
//! enters the device code.
//!
//! ```text
//! cargo run -p examples --bin login_and_refresh
//! ```

use std::error::Error;
use std::io::{self, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use codex_auth::{
    AuthConfig, DeviceLogin, FileStore, HttpClient, HttpClientError, HttpTokenEndpoint, SystemClock, TokenManager,
};
use codex_sim::{Sim, SimConfig};
use codex_upstream::{Client, ClientConfig, Upstream as _, read_to_end};
use http::{Request, Response};
use url::Url;

/// The largest reply of the auth server.
const MAX_REPLY_BYTES: usize = 1 << 20;

/// `codex-auth` has no HTTP client of its own: any client that does not follow redirects will do.
struct Http(Client);

impl HttpClient for Http {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpClientError> {
        let reply = self.0.send(request).await.map_err(|error| match error.before_dispatch() {
            true => HttpClientError::NotSent(error.to_string()),
            false => HttpClientError::Interrupted(error.to_string()),
        })?;
        let (head, body) = reply.into_parts();
        let body = read_to_end(body, MAX_REPLY_BYTES).await;
        Ok(Response::from_parts(head, body.map_err(|error| HttpClientError::Interrupted(error.to_string()))?))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let out = &mut io::stdout();
    let sim = Sim::start(SimConfig::default()).await?;
    let home = tempfile::tempdir()?;
    let config = AuthConfig::new(Url::parse(sim.auth_url())?);
    let http = Arc::new(Http(Client::new(ClientConfig::default())?));
    let store = FileStore::new(home.path().join("credentials.json"));

    let login = DeviceLogin::start(&config, &*http, &SystemClock).await?;
    writeln!(out, "enter {} at {}", login.user_code(), login.verification_url())?;
    sim.control().approve_device(login.user_code())?;
    let account = login.complete(&*http, &store, &SystemClock).await?;
    writeln!(out, "logged in as {}", account.email.as_deref().unwrap_or("an unknown user"))?;

    let tokens = TokenManager::new(store, HttpTokenEndpoint::new(http, config));
    let first = tokens.bearer().await?;
    // Suppose the backend has answered 401: refresh. The new token is stored before it is returned.
    let second = tokens.replace(&first).await?;
    writeln!(out, "refreshed: {}", first.token.expose() != second.token.expose())?;
    tokens.wait_for_refresh().await;
    Ok(())
}
