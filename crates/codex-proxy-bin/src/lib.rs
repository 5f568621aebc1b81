#![doc = include_str!("../README.md")]
//!
//! # In another server
//!
//! An `App` is a [`tower_service::Service`] for requests with any body. There are two ways to serve it beside other
//! paths:
//!
//! - [`App::run_service`] serves a service around the app, such as an axum router, and does all that a server must.
//! - A server of your own calls the app. [`App`] lists what must run besides answering.
//!
//! | To | Use |
//! |---|---|
//! | serve the app below a path | [`App::mounted_at`], [`App::stripping_prefix`] |
//! | admit the users of your own login | [`Access::open`] |
//! | show these users the status page, metrics and quota | [`Access::with_shared_status`] |
//! | keep what users store separate | [`CallerId`], [`App::answer_as`] |
//! | name your own settings in error texts | [`App::with_advice`] |
//! | change keys, aliases and limits while the app runs | [`App::runtime`] |
//! | answer in the shape of the proxy | [`reply`] |
//!
//! `examples/src/bin/embed_axum.rs` is a whole server.

#[cfg(not(panic = "unwind"))]
compile_error!("a panic must end one request, not the program: build with panic = \"unwind\"");

mod admission;
mod app;
#[cfg(feature = "program")]
mod cli;
#[cfg(feature = "program")]
mod commands;
mod config;
mod connection;
#[cfg(feature = "simulator")]
mod credentials;
mod dispatch;
mod endpoints;
mod ids;
#[cfg(feature = "program")]
mod program;
pub mod reply;
mod request;
mod route;
mod server;
#[cfg(feature = "simulator")]
mod simulated;
mod stored;
mod sync;
mod telemetry;

pub use admission::access::{Access, Denied};
pub use admission::advice::Advice;
pub use admission::caller::CallerId;
pub use admission::keys::{ApiKeys, KeyMatch};
pub use admission::origin::{AllowedOrigins, UnusableOrigin};
pub use app::App;
pub use config::runtime::{Reloadable, RuntimeConfig};
pub use config::{Config, ConfigBuilder, ConfigError, CredentialStorage, LogFormat, Redaction, Setting, ValueShape};
#[cfg(feature = "config-file")]
pub use config::{SettingSource, SettingValue};
pub use connection::peer::Peer;
#[cfg(feature = "program")]
#[doc(hidden)]
pub use program::main;
pub use request::limits::{Limits, Timeouts};
pub use server::listen::{Address, Listeners, UnusableAddress};
#[cfg(feature = "simulator")]
pub use simulated::{Simulated, SimulatedError};

/// The parts that the tests of the program look into. They change without notice.
#[doc(hidden)]
pub mod internal {
    pub use crate::admission::slots::{Slot, Slots};
    pub use crate::app::AppState;
    pub use crate::request::limits::{MAX_BODY_BYTES, MAX_HEAD_BYTES, MAX_HEADERS};
    pub use crate::route::{endpoints, paths_without_key};
    pub use crate::telemetry::metrics::{Gauges, Metrics, Totals};
    pub use crate::telemetry::record::{LogEntry, RequestInfo, RequestRecord};
    pub use crate::telemetry::request_log::{RequestGuard, RequestLog};
}
