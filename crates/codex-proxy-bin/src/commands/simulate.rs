//! The program over the embedded simulator: `serve --simulate`, and the demonstration.

use codex_auth::{AnyStore, MemoryStore, Secret, Tokens};
use codex_sim::{Mint, Sim, SimConfig};
use codex_upstream::{HttpUpstream, ModelCacheConfig};

use crate::app::App;
use crate::commands::CommandError;
use crate::config::Config;
use crate::credentials::store::LOGIN_COMMAND;

/// A simulated backend, and the program over it, logged in. Dropping it stops the backend.
#[derive(Debug)]
pub struct Simulated {
    /// The program.
    pub app: App,
    _sim: Sim,
}

impl Simulated {
    /// Starts a backend on a free port of this machine, over TLS like the real one, and logs in to it. Touches no
    /// files.
    ///
    /// # Errors
    /// The backend or the client could not be started.
    pub async fn start(config: Config) -> Result<Self, CommandError> {
        let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await.map_err(CommandError::other)?;
        let config = config.into_builder().upstream_url(sim.upstream_url()).auth_url(sim.auth_url());
        let mut config = sim.ca_pem().into_iter().fold(config, |config, pem| config.ca_pem(pem)).build()?;
        config.is_simulated = true;
        let client = HttpUpstream::new(config.client()).map_err(CommandError::other)?;
        let store = AnyStore::new(MemoryStore::with_tokens(login(&sim)).with_login_command(LOGIN_COMMAND));
        let app = App::new(&config, client, store, ModelCacheConfig::default()).map_err(CommandError::other)?;
        Ok(Self { app, _sim: sim })
    }
}

fn login(sim: &Sim) -> Tokens {
    let minted = sim.mint_tokens(Mint::default());
    Tokens {
        refresh_token: Some(Secret::new(minted.refresh_token)),
        id_token: Some(Secret::new(minted.id_token)),
        account_id: Some(minted.account_id),
        ..Tokens::new(Secret::new(minted.access_token))
    }
}
