//! One connection: its peer and its activity. Never the requests and replies themselves: only their beginning, their
//! end and their bytes in transit count here.

pub(crate) mod activity;
pub(crate) mod half_closed;
pub(crate) mod monitored_body;
pub(crate) mod monitored_io;
pub(crate) mod peer;
