//! Accepts connections and hands their requests to a handler until told to stop: sockets, signals and the service
//! manager. Never what is in a request or a reply.

pub(crate) mod listen;
#[cfg(all(unix, feature = "program"))]
pub(crate) mod open_files;
#[cfg(feature = "program")]
pub(crate) mod sd_notify;
pub(crate) mod serve;
#[cfg(feature = "program")]
pub(crate) mod signals;
#[cfg(unix)]
mod unix_socket;
pub(crate) mod upgraded;
