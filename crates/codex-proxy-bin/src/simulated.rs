//! The app over the embedded simulator: for `serve --simulate`, the demonstration, and the tests of embedders.

use codex_auth::{MemoryStore, Secret, Tokens};
use codex_client::BuildError;
use codex_sim::{Mint, Sim, SimConfig, SimError};
use codex_upstream::ModelCacheConfig;

use crate::app::App;
use crate::config::{Config, ConfigError};
use crate::credentials::LOGIN_COMMAND;

/// A simulated backend, and the program over it, logged in. Dropping it stops the backend.
#[derive(Debug)]
pub struct Simulated {
    /// The program.
    pub app: App,
    _sim: Sim,
}

/// Why there is no [`Simulated`] program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulatedError {
    /// The backend could not be started.
    #[error(transparent)]
    Backend(#[from] SimError),
    /// The app could not be assembled.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A URL of the backend is not accepted.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Simulated {
    /// Starts a backend on a free port of this machine, over TLS like the real one, and logs in to it. Touches no
    /// files.
    ///
    /// # Errors
    /// The backend or the client could not be started.
    pub async fn start(config: Config) -> Result<Self, SimulatedError> {
        let sim = Sim::start(SimConfig { tls: true, ..SimConfig::default() }).await?;
        let config = config.into_builder().upstream_url(sim.upstream_url()).auth_url(sim.auth_url());
        let mut config = sim.ca_pem().into_iter().fold(config, |config, pem| config.ca_pem(pem)).build()?;
        config.is_simulated = true;
        let store = MemoryStore::with_tokens(login(&sim)).with_login_command(LOGIN_COMMAND);
        let app = App::over(&config, config.client_builder(store).models(ModelCacheConfig::default()))?;
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
