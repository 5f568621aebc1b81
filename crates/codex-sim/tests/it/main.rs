//! Tests of the simulator over real sockets.

mod auth;
mod captured;
mod checks;
mod control;
mod interrupts;
mod load;
mod peer;
mod scenarios;
mod shapes;
mod socket;
mod transport;
mod unary;
mod websocket;
