//! The crate from outside: tables over its pure parts, and the client against real sockets.

#![expect(clippy::unwrap_used, reason = "what cannot be set up must fail its test")]

mod catalogue;
mod cleartext;
mod client;
mod fingerprint;
#[path = "../../examples/fingerprint/hello.rs"]
#[expect(dead_code, reason = "shared with the tool that compares with a browser")]
mod hello;
mod model_cache;
mod on_the_wire;
#[path = "../../examples/fingerprint/preface.rs"]
#[expect(dead_code, reason = "shared with the tool that compares with a browser")]
mod preface;
mod proxy;
mod quota;
mod retry;
mod server;
mod sim;
mod timer;
mod tls;
mod tls_server;
mod verdict;
mod websocket;
mod workspaces;
