//! What both ways of translating a request return.

use crate::notice::Notice;
use crate::plan::ReplyPlan;
use crate::responses::ResponsesRequest;

/// A request as the backend takes it, and what the reply needs to know of it.
#[derive(Clone, Debug)]
pub struct Translated {
    /// The request to send.
    pub request: ResponsesRequest,
    /// How to write the reply.
    pub plan: ReplyPlan,
    /// What could not be carried as it was, each once.
    pub notices: Vec<Notice>,
}
