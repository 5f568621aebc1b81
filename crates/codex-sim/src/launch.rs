//! The `codex-sim` program: a simulator for tests in other languages.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use argh::FromArgs;
use serde_json::json;

use crate::config::{RedirectPorts, SimConfig};
use crate::sim::{Sim, SimError};

/// serve a simulated ChatGPT Codex backend and auth server on 127.0.0.1
#[derive(FromArgs, Debug)]
pub struct Args {
    /// port to listen on; 0 picks a free one
    #[argh(option, default = "0")]
    pub port: u16,
    /// serve TLS with a private CA
    #[argh(switch)]
    pub tls: bool,
    /// write the CA certificate (PEM) to this file; needs --tls
    #[argh(option, arg_name = "file")]
    pub ca_out: Option<PathBuf>,
    /// lifetime of access tokens in seconds
    #[argh(option)]
    pub token_lifetime_secs: Option<u64>,
    /// accept any port in the redirect_uri of a login, not only 1455 and 1457
    #[argh(switch)]
    pub any_redirect_port: bool,
    /// seed of identifiers; the same seed gives the same identifiers
    #[argh(option)]
    pub seed: Option<u64>,
}

/// Starts a simulator, writes one JSON line with its addresses to `out`, and serves until the future is dropped.
///
/// # Errors
/// [`io::Error`] with a message that names the option to change: `--port` or `--ca-out`.
pub async fn run(args: Args, out: &mut impl Write) -> io::Result<()> {
    let defaults = SimConfig::default();
    let config = SimConfig {
        port: args.port,
        tls: args.tls,
        token_lifetime: args.token_lifetime_secs.map_or(defaults.token_lifetime, Duration::from_secs),
        redirect_ports: if args.any_redirect_port { RedirectPorts::Any } else { defaults.redirect_ports },
        seed: args.seed,
        ..SimConfig::default()
    };
    let sim = Sim::start(config).await.map_err(|error: SimError| io::Error::other(error.to_string()))?;
    if let Some(path) = &args.ca_out {
        let pem = sim.ca_pem().ok_or_else(|| io::Error::other("--ca-out needs --tls"))?;
        let named = |error: io::Error| io::Error::other(format!("cannot write {}: {error}", path.display()));
        fs::write(path, pem).map_err(named)?;
    }
    let ready = json!({
        "base_url": sim.base_url(),
        "upstream_url": sim.upstream_url(),
        "auth_url": sim.auth_url(),
        "control_url": format!("{}/__sim", sim.base_url()),
        "ca_file": args.ca_out,
        "pid": std::process::id(),
    });
    writeln!(out, "{ready}")?;
    out.flush()?;
    std::future::pending().await
}
