//! The simulator over real sockets.

mod auth;
mod checks;
mod control;
mod peer;
mod scenarios;
mod transport;
