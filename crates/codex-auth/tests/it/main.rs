//! Tests of the crate's promises against scripted peers.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod async_store;
#[cfg(unix)]
mod crash;
mod device;
mod endpoint;
mod faults;
mod file_store;
#[cfg(feature = "login")]
mod login;
#[cfg(feature = "login")]
mod logs;
mod manager;
mod panics;
mod processes;
mod support;
#[cfg(unix)]
mod worker;
