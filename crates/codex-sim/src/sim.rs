//! The running simulator.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::config::SimConfig;
use crate::control::Control;
use crate::request_log::RecordedRequest;
use crate::server;
use crate::server::route::Services;
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
    /// The port is in use or cannot be bound: choose another, or 0 for a free one.
    #[error("cannot listen on 127.0.0.1:{port}: {source}; choose another port")]
    Bind {
        /// The requested port.
        port: u16,
        /// The operating system's error.
        source: std::io::Error,
    },
    /// The private CA or the server certificate could not be generated.
    #[error("cannot generate the TLS certificates: {0}")]
    Tls(#[from] btls::error::ErrorStack),
    /// The built-in model catalogue is invalid: a bug in this crate.
    #[error("cannot read the built-in model catalogue: {0}")]
    Catalogue(#[from] serde_json::Error),
}

impl Sim {
    /// Starts a simulator on 127.0.0.1.
    ///
    /// # Errors
    /// [`SimError::Bind`] if another port is needed; the caller can do nothing about the others.
    pub async fn start(config: SimConfig) -> Result<Self, SimError> {
        let tls = if config.tls { Some(Arc::new(Tls::generate()?)) } else { None };
        let (listener, base_url) = bind(config.port, config.tls).await?;
        let separate = if config.separate_auth { Some(bind(0, config.tls).await?) } else { None };
        let auth_url = separate.as_ref().map_or_else(|| base_url.clone(), |(_, url)| url.clone());
        let state = Arc::new(SimState::new(config, base_url.clone(), auth_url.clone())?);
        let services = if separate.is_some() { Services::Backend } else { Services::Both };
        let mut tasks = vec![tokio::spawn(server::serve(listener, tls.clone(), services, Arc::clone(&state)))];
        if let Some((listener, _)) = separate {
            tasks.push(tokio::spawn(server::serve(listener, tls.clone(), Services::Auth, Arc::clone(&state))));
        }
        let ca_pem = tls.map(|tls| tls.ca_pem().to_owned());
        Ok(Self { state, base_url, auth_url, ca_pem, tasks })
    }

    /// Returns the origin, without a trailing slash: `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the base URL of the backend, the value for `CODEX_PROXY_UPSTREAM_URL`.
    pub fn upstream_url(&self) -> String {
        format!("{}/backend-api", self.base_url)
    }

    /// Returns the issuer, the value for `CODEX_PROXY_AUTH_URL`.
    pub fn auth_url(&self) -> &str {
        &self.auth_url
    }

    /// Returns the CA certificate that clients must trust, in PEM; `None` without TLS.
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Issues tokens, as a login would.
    pub fn mint_tokens(&self, mint: Mint) -> Tokens {
        self.state.mint(mint)
    }

    /// Returns the recorded requests, oldest first.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.log.snapshot()
    }

    /// Waits until `wanted` is true of the recorded requests (a reply ended, an event was sent) and returns them.
    pub async fn requests_until(&self, wanted: impl FnMut(&[RecordedRequest]) -> bool) -> Vec<RecordedRequest> {
        self.state.log.until(wanted).await
    }

    /// Returns a handle that changes how the simulator behaves.
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
