//! The program `codex-proxy` as a library: what the binary is made of, for those who embed it.
//!
//! [`app::App`] answers requests, [`serve::serve`] accepts connections for it. Everything an `App` needs is a field, so it runs
//! over any [`codex_upstream::Upstream`], on any listener, until any future completes.

#[cfg(not(panic = "unwind"))]
compile_error!("a panic is to cost one request, not the program: build with panic = \"unwind\"");

pub mod access;
pub mod app;
pub mod args;
pub mod body;
pub mod command_line;
pub mod commands;
pub mod config;
pub mod journal;
pub mod keys;
pub mod limits;
pub mod listen;
pub mod metrics;
pub mod origin;
pub mod peer;
pub mod quota;
pub mod record;
pub mod relay;
pub mod reply;
pub mod route;
pub mod serve;
pub mod simulate;
pub mod slots;
pub mod store;
pub mod terms;
pub mod transport;

mod account;
mod cors;
mod decode;
mod endpoints;
mod form;
mod guard;
mod ids;
mod keyring;
mod large;
mod limits_watch;
mod model;
mod nearest;
#[cfg(unix)]
mod open_files;
mod pulse;
mod service;
mod signals;
mod socket;
mod start;
mod stored;
mod turn;
#[cfg(unix)]
mod unix_socket;
mod whole;
