//! The program `codex-proxy` as a library: what the binary is made of, for those who embed it.
//!
//! [`app::App`] answers requests, [`serve::serve`] accepts connections for it. Everything an `App` needs is a field, so it runs
//! over any [`codex_upstream::Upstream`], on any listener, until any future completes.

pub mod access;
pub mod app;
pub mod args;
pub mod body;
pub mod command_line;
pub mod commands;
pub mod config;
pub mod journal;
pub mod metrics;
pub mod quota;
pub mod record;
pub mod relay;
pub mod reply;
pub mod route;
pub mod serve;
pub mod simulate;
pub mod store;
pub mod transport;

mod account;
mod endpoints;
mod form;
mod ids;
mod keyring;
mod limits_watch;
mod model;
mod nearest;
mod start;
mod turn;
mod whole;
