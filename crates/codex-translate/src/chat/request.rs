//! A Chat Completions request.

use crate::error::Error;
use crate::responses::{self, Shape};

/// The body of a request to `/v1/chat/completions`, read and checked.
///
/// It is read straight into the hub, a [`responses::Request`]; what is left to do is
/// [`to_responses`](crate::to_responses()).
#[derive(Clone, Debug)]
pub struct Request(pub(crate) responses::Request);

impl Request {
    /// Reads a body. A Responses-shaped one (`input` and no `messages`), as Cursor sends it, is understood as well.
    ///
    /// # Errors
    /// The body is not JSON (the message says at which line and column), or something in it has the wrong type or is
    /// missing (the error's parameter is its path, such as `messages[3].content[1].image_url`): a 400.
    pub fn from_json(body: &[u8]) -> Result<Self, Error> {
        crate::read::body(body, Shape::Chat).map(Self)
    }

    /// The model as the caller named it.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// Whether the caller asked for a stream.
    pub fn stream(&self) -> bool {
        self.0.asked.stream
    }
}
