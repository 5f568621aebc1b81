//! One connection: who is at its other end, and what it is doing. Never the requests and replies themselves, of which only the
//! beginning, the end and the bytes on their way count here.

pub(crate) mod activity;
pub(crate) mod monitored_io;
pub mod peer;
