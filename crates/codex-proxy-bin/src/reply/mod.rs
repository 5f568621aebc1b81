//! Replies: their bodies, their heads, and the one place that maps an error to a status. Never where a reply comes
//! from.

mod body;
mod response;

pub use body::ReplyBody;
pub use response::{add_notices, event_stream, from_error, json, not_found, of_denied, wrong_method};
pub(crate) use response::{
    bare_too_slow, logged, never_cached, no_content, no_upgrade, other_websocket_version, probed, response_not_found,
    switching_protocols, worded_for,
};
