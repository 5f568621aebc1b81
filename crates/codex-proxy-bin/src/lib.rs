//! The program `codex-proxy` as a library: the parts of the binary, for embedding.
//!
//! [`app::App`] answers requests; [`server::serve::serve`] accepts connections for it. Everything an `App` needs is a
//! field, so it runs over any [`codex_upstream::Upstream`], on any listener, until any future completes.

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must end one request, not the program: build with panic = \"unwind\"");

pub mod admission;
pub mod app;
pub mod cli;
pub mod commands;
pub mod config;
pub mod connection;
pub mod credentials;
pub mod reply;
pub mod request;
pub mod route;
pub mod server;
pub mod telemetry;
pub mod turn;

mod dispatch;
mod endpoints;
mod ids;
mod stored;
mod sync;
