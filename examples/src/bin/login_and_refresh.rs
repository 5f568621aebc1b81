//! Logs in, stores the tokens in a file, and refreshes them. The auth server is simulated, and so is the user who
//! enters the device code.
//!
//! ```text
//! cargo run -p examples --bin login_and_refresh
//! ```

use std::error::Error;
use std::io::{self, Write as _};

use codex_auth::{AuthConfig, DeviceLogin, FileStore, HttpTokenEndpoint, SystemClock, TokenManager};
use codex_sim::{Sim, SimConfig};
use codex_upstream::{ClientIdentity, HttpUpstream, HttpUpstreamConfig};
use url::Url;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let out = &mut io::stdout();
    let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await?;
    let home = tempfile::tempdir()?;
    let user_agent = Some(ClientIdentity::default().startup_user_agent);
    let config = AuthConfig { user_agent, ..AuthConfig::new(Url::parse(sim.auth_url())?) };
    let roots = sim.ca_pem().map(|pem| pem.as_bytes().to_vec()).into_iter().collect();
    let http = HttpUpstream::new(HttpUpstreamConfig { extra_roots_pem: roots, ..HttpUpstreamConfig::default() })?;
    let store = FileStore::new(home.path().join("credentials.json")).with_login_command("login_and_refresh");

    let login = DeviceLogin::start(&config, &http, &SystemClock).await?;
    writeln!(out, "enter {} at {}", login.user_code(), login.verification_url())?;
    sim.control().approve_device(login.user_code())?;
    let account = login.complete(&http, &store, &SystemClock).await?;
    writeln!(out, "logged in as {}", account.email.as_deref().unwrap_or("an unknown user"))?;

    let tokens = TokenManager::new(store, HttpTokenEndpoint::new(http, config));
    let first = tokens.bearer().await?;
    // Suppose the backend has answered 401: refresh. The new token is stored before it is returned.
    let second = tokens.replace(&first).await?;
    writeln!(out, "refreshed: {}", first.token.expose() != second.token.expose())?;
    tokens.wait_for_refresh().await;
    Ok(())
}
