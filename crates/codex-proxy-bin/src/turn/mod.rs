//! One turn at the backend, from a translated request to the reply's bytes for the client: login, route, sending,
//! retries, and the relay of the events. Never the program around it: no setting, no log of requests, and no client's
//! request or connection.

mod account;
pub mod attempts;
pub mod client;
pub mod error;
pub(crate) mod first_event;
pub(crate) mod model;
pub mod observer;
pub mod quota;
pub mod relay;
pub mod reply_events;
pub mod send;
pub(crate) mod unary;
