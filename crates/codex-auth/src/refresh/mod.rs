//! Access tokens that are renewed in time, and once.
//!
//! `freshness.rs` and `state.rs` decide without I/O. `manager.rs` carries it out; `store_access.rs` calls the store.

pub(crate) mod freshness;
pub(crate) mod manager;
mod single_flight;
mod state;
mod store_access;
