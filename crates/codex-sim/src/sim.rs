//! The running simulator.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::SimConfig;
use crate::control::Control;
use crate::request_log::Recorded;
use crate::server;
use crate::server::route::Surface;
use crate::server::tls::Tls;
use crate::state::SimState;
use crate::tokens::ledger::{Mint, Tokens};

/// A running simulator. Dropping it closes its listeners and every connection.
pub struct Sim {
    state: Arc<SimState>,
    base_url: String,
    auth_url: String,
    ca_pem: Option<String>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a simulator could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The port is taken or may not be bound: choose another, or 0 for a free one.
    #[error("cannot listen on 127.0.0.1:{port}: {source}; choose another port")]
    Bind {
        /// The port asked for.
        port: u16,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The private CA or the leaf could not be made.
    #[error("cannot make the TLS certificates: {0}")]
    Tls(#[from] btls::error::ErrorStack),
    /// The built-in model catalogue cannot be read: a defect of this crate.
    #[error("cannot read the built-in model catalogue: {0}")]
    Catalogue(#[from] serde_json::Error),
}

impl Sim {
    /// Starts a simulator on 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`SimError::Bind`] asks for another port; the others cannot be mended by the caller.
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let tls = if config.tls { Some(Arc::new(Tls::generate()?)) } else { None };
        let (listener, base_url) = bind(config.port, config.tls).await?;
        let separate = if config.separate_auth { Some(bind(0, config.tls).await?) } else { None };
        let auth_url = separate.as_ref().map_or_else(|| base_url.clone(), |(_, url)| url.clone());
        let state = Arc::new(SimState::new(config, base_url.clone(), auth_url.clone())?);
        let surface = if separate.is_some() { Surface::Backend } else { Surface::Both };
        let mut tasks = vec![tokio::spawn(server::serve(listener, tls.clone(), surface, Arc::clone(&state)))];
        if let Some((listener, _)) = separate {
            tasks.push(tokio::spawn(server::serve(listener, tls.clone(), Surface::Auth, Arc::clone(&state))));
        }
        let ca_pem = tls.map(|tls| tls.ca_pem().to_owned());
        Ok(Self { state, base_url, auth_url, ca_pem, tasks })
    }

    /// The origin, without a trailing slash: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The base of the backend's paths: what `CODEX_PROXY_UPSTREAM_URL` takes.
    pub fn upstream_url(&self) -> String {
        format!("{}/backend-api", self.base_url)
    }

    /// The issuer: what `CODEX_PROXY_AUTH_URL` takes.
    pub fn auth_url(&self) -> &str {
        &self.auth_url
    }

    /// The CA certificate that clients must trust, in PEM; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Issues tokens as a login would.
    pub fn mint_tokens(&self, mint: Mint) -> Tokens {
        self.state.mint(mint)
    }

    /// The recorded requests, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.log.snapshot()
    }

    /// Waits until `wanted` holds of the recorded requests (a reply ended, an event was sent) and returns them.
    pub async fn requests_until(&self, wanted: impl FnMut(&[Recorded]) -> bool) -> Vec<Recorded> {
        self.state.log.until(wanted).await
    }

    /// The handle that changes how the simulator behaves.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.state))
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim")
            .field("base_url", &self.base_url)
            .field("auth_url", &self.auth_url)
            .field("tls", &self.ca_pem.is_some())
            .finish_non_exhaustive()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn bind(port: u16, tls: bool) -> Result<(TcpListener, String), SimError> {
    let failed = |source| SimError::Bind { port, source };
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let scheme = if tls { "https" } else { "http" };
    Ok((listener, format!("{scheme}://{bound}")))
}
