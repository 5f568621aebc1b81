//! The WebSocket transport of turns (`docs/backend.md` §4): the handshake, and the session that follows it.
//!
//! A message becomes what a request over HTTP would have been. It has no checks and no replies of its own.

pub(crate) mod control;
pub(crate) mod frame;
pub(crate) mod progress;
pub(crate) mod session;
pub(crate) mod upgrade;
