//! Accepts connections and hands their requests to a handler until told to stop: sockets, signals and the service
//! manager. Never what is in a request or a reply.

pub(crate) mod listen;
#[cfg(unix)]
pub(crate) mod open_files;
pub(crate) mod sd_notify;
pub(crate) mod serve;
pub(crate) mod signals;
#[cfg(unix)]
mod unix_socket;
pub(crate) mod upgraded;
