//! The result of a translation.

use crate::notice::Notice;
use crate::plan::ReplyPlan;
use crate::responses::ResponsesRequest;

/// A request as the backend accepts it, and what the reply needs to know about it.
#[derive(Clone, Debug)]
pub struct Translated {
    /// The request to send.
    pub request: ResponsesRequest,
    /// How the reply is written.
    pub plan: ReplyPlan,
    /// What could not be forwarded unchanged, without duplicates.
    pub notices: Vec<Notice>,
}
