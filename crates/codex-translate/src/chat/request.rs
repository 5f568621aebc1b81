//! A Chat Completions request.

use crate::responses;

/// The body of a request to `/v1/chat/completions`, read and checked.
///
/// It is read straight into the hub, a [`responses::ResponsesRequest`]; what is left to do is
/// [`to_responses`](crate::to_responses()).
#[derive(Clone, Debug)]
pub struct ChatRequest(pub(crate) responses::ResponsesRequest);

impl ChatRequest {
    /// The model as the caller named it.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// Whether the caller asked for a stream.
    pub fn stream(&self) -> bool {
        self.0.local.stream
    }
}
