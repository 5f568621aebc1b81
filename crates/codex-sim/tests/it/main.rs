//! Tests of the simulator over real sockets.

mod auth;
mod captured;
mod checks;
mod control;
mod load;
mod peer;
mod scenarios;
mod shapes;
mod transport;
mod unary;
mod websocket;
