//! The crate from outside: tables over its pure parts, and the client against real sockets.

#![expect(clippy::unwrap_used, reason = "what cannot be set up must fail its test")]

mod catalogue;
mod client;
mod clock;
mod fingerprint;
mod model_cache;
mod proxy;
mod quota;
mod retry;
mod routing;
mod server;
mod sim;
mod tls;
mod verdict;
