//! One HTTP exchange: the connection it runs on, the request as it was read, and the reply as it is built and followed to its end.
//!
//! It never decides what is answered, and it knows neither of the two services.

pub(crate) mod connection;
pub(crate) mod flush_log;
pub(crate) mod inbound;
pub(crate) mod reply;
pub(crate) mod socket_handoff;
pub(crate) mod stalls;
pub(crate) mod tracked_body;
