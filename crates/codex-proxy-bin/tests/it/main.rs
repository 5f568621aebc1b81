//! The program over sockets, the real client and the simulator.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod account;
mod attacks;
mod bad_input;
mod chat;
mod cli_routes;
mod command_line;
mod control;
mod cors;
mod doctor;
mod failures;
mod faults;
mod lanes;
mod lifecycle;
mod limits;
mod liveness;
mod models;
mod mounting;
mod openapi;
mod packaging;
mod paths;
mod process;
mod processes;
mod raw;
mod responses;
mod routing;
mod secrets;
mod seeing;
mod serving;
mod sockets;
mod steering;
mod stored;
mod support;
mod tokens;
mod websocket;
mod whole;
