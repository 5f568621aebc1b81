//! Tests of the simulator over real sockets.

mod account;
mod auth;
mod captured;
mod checks;
mod control;
mod framing;
mod interrupts;
mod load;
mod peer;
mod recorded;
mod scenarios;
mod shapes;
mod socket;
mod statuses;
mod transport;
mod unary;
mod websocket;
