//! The crate from outside, as its callers use it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backend;
mod chat_request;
mod parameters;
mod request_properties;
mod responses_request;
