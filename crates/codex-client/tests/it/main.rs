//! The client against the simulated backend, over TLS, and against scripted replies.

mod errors;
mod login;
mod replies;
mod support;
