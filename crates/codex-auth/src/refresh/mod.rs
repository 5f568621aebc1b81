//! Access tokens that are renewed in time, and once.
//!
//! `freshness.rs` and `state.rs` decide without I/O; only `manager.rs` awaits anything.

pub(crate) mod freshness;
pub(crate) mod manager;
mod single_flight;
mod state;
