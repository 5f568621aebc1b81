//! The connection that requests arrive on.

use crate::exchange::flush_log::FlushLog;
use crate::exchange::head_tap::HeadTap;
use crate::exchange::socket_handoff::SocketHandoff;

/// The connection a request came on.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// From 1, in the order of acceptance.
    pub(crate) number: u64,
    pub(crate) flush_log: FlushLog,
    /// The session that takes over once the connection is no longer HTTP.
    pub(crate) head_tap: HeadTap,
    pub(crate) socket_handoff: SocketHandoff,
}
