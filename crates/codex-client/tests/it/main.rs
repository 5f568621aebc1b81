//! The client against the simulated backend, over TLS, and against scripted replies.

#![expect(clippy::unwrap_used, reason = "what cannot be set up must fail its test")]

mod errors;
mod liveness;
mod login;
mod replies;
mod support;
