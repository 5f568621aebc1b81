//! The program over sockets, the real client and the simulator.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod bad_input;
mod chat;
mod command_line;
mod failures;
mod lifecycle;
mod responses;
mod support;
mod tokens;
