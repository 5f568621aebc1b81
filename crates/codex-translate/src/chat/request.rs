//! A Chat Completions request.

use crate::responses;

/// The parsed body of a request to `/v1/chat/completions`.
///
/// It is parsed into the hub, a [`responses::ResponsesRequest`]; [`to_responses`](crate::to_responses()) is the next
/// step.
#[derive(Clone, Debug)]
pub struct ChatRequest(pub(crate) responses::ResponsesRequest);

impl ChatRequest {
    /// Returns the caller's name for the model.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// Returns whether the client asked for a stream.
    pub fn stream(&self) -> bool {
        self.0.local.stream
    }
}
