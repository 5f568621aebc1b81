//! One turn at the backend, from a translated request to the reply's bytes for the client: login, route, sending, retries, and the
//! relay of the events. Never the program around it: no setting, no log of requests, and no client's request or connection.

pub(crate) mod account;
pub mod auth_http;
pub mod error;
pub(crate) mod first_event;
pub(crate) mod limits_watch;
pub(crate) mod model;
pub mod quota;
pub mod relay;
pub(crate) mod send;
pub(crate) mod unary;
