//! The program `codex-proxy` as a library, for servers that embed the proxy.
//!
//! [`App`] answers requests, and [`serve()`] accepts connections for it. An `App` runs over any
//! [`Upstream`](codex_upstream::Upstream) and any token store, on any listener, until any future completes. [`Config`]
//! holds its settings. [`Simulated`] is an `App` over a simulated backend, for tests and demonstrations.
//!
//! ```
//! use std::sync::Arc;
//!
//! use codex_proxy::{Config, Simulated, serve};
//! use tokio::net::TcpListener;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // The settings of the environment and of `config.toml`; here, a home directory is all that is set.
//! let config = Config::from_env(&|name| (name == "HOME").then(|| "/nonexistent".into()))?;
//! let simulated = Simulated::start(config).await?;
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! # let shutdown = std::future::ready(());
//! serve(listener, Arc::clone(&simulated.app), shutdown).await;
//! # Ok(())
//! # }
//! ```
//!
//! To serve paths of your own in addition to those of the proxy, implement [`Handler`] and pass all other requests to
//! [`App::answer`]; [`reply`] has the responses. For a login, [`App::new`] takes a store of `codex-auth`;
//! [`App::keep_fresh`] then refreshes the tokens of a proxy that gets no requests.

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must end one request, not the program: build with panic = \"unwind\"");

mod admission;
mod app;
mod cli;
mod commands;
mod config;
mod connection;
mod credentials;
mod dispatch;
mod endpoints;
mod ids;
mod program;
pub mod reply;
mod request;
mod route;
mod server;
mod stored;
mod sync;
mod telemetry;
#[doc(hidden)]
pub mod turn;

pub use admission::access::{Access, Denied};
pub use admission::keys::{ApiKeys, KeyMatch};
pub use admission::origin::{AllowedOrigins, UnusableOrigin};
pub use app::App;
pub use commands::CommandError;
pub use commands::simulate::Simulated;
pub use config::runtime::{Reloadable, RuntimeConfig};
pub use config::{
    Config, ConfigError, CredentialStorage, Env, LogFormat, Provenance, Redaction, Setting, SettingSource,
    SettingValue, ValueShape,
};
pub use connection::peer::Peer;
#[doc(hidden)]
pub use program::main;
pub use request::limits::{Limits, Timeouts};
pub use server::listen::{Address, Listeners, UnusableAddress};
pub use server::serve::{Handler, serve};

/// The parts that the tests of the program look into. They change without notice.
#[doc(hidden)]
pub mod internal {
    pub use crate::admission::slots::{Slot, Slots};
    pub use crate::request::limits::{MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS};
    pub use crate::route::{endpoints, paths_without_key};
    pub use crate::telemetry::metrics::{Gauges, Metrics, Totals};
    pub use crate::telemetry::record::{LogEntry, RequestInfo, RequestRecord};
    pub use crate::telemetry::request_log::{RequestGuard, RequestLog};
}
