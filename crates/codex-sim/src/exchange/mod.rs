//! One HTTP exchange: its connection, its request, and its reply, which is tracked to the end.
//!
//! It never decides on a reply, and it knows neither of the two services.

pub(crate) mod compression;
pub(crate) mod connection;
pub(crate) mod flush_log;
pub(crate) mod head_tap;
pub(crate) mod inbound;
pub(crate) mod reply;
pub(crate) mod socket_handoff;
pub(crate) mod stalls;
pub(crate) mod tracked_body;
