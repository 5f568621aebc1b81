//! Calls of the official client's own tools, which the backend answers as the client expects.

use bytes::Bytes;
use codex_translate::Error;
use codex_upstream::{AlphaRequest, RetryPolicy, requests};
use http::Response;
use http::header::CONTENT_TYPE;

use crate::client::Client;
use crate::unary::send_repeatedly;

impl Client {
    /// Sends a call of one of the official client's own tools, and returns the backend's reply with its status and
    /// content type.
    ///
    /// # Errors
    /// There is no usable login, the backend refused the call, or the reply was cut off.
    pub async fn alpha(&self, request: &AlphaRequest) -> Result<Response<Bytes>, Error> {
        let retry = if request.is_repeatable() { self.state().retry } else { RetryPolicy::NEVER };
        let reply = send_repeatedly(self.state(), &retry, |backend| requests::alpha(backend, request)).await?;
        let (head, body) = reply.into_parts();
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        response.headers_mut().extend(head.headers.get(CONTENT_TYPE).map(|kind| (CONTENT_TYPE, kind.clone())));
        Ok(response)
    }
}
