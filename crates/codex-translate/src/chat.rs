//! The Chat Completions API.

mod request;

pub use request::Request;
