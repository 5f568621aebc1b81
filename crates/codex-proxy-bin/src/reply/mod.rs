//! Replies: their bodies, their heads, and the one place that maps an error to a status. Never where a reply comes
//! from.

mod body;
mod response;

pub use body::ReplyBody;
pub use response::{add_notices, event_stream, from_denied, from_error, json, not_found, wrong_method};
pub(crate) use response::{
    error_in, logged, never_cached, no_content, outside_prefix, probe_result, request_timeout_bytes,
    response_not_found, reworded_for, switching_protocols, unserved, unsupported_websocket_version, websocket_only,
};
