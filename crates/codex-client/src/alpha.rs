//! Calls of the official client's own tools, which the backend answers as the client expects.

use bytes::Bytes;
use codex_translate::{Error, ErrorKind};
use codex_upstream::{AlphaRequest, RetryPolicy, SendError, read_to_end, requests};
use http::header::CONTENT_TYPE;
use http::{Response, StatusCode};

use crate::attempts::Attempts;
use crate::client::Client;
use crate::error;
use crate::send::{send, with_bearer};

/// The maximum size of a reply. The official client limits what it asks for to a few thousand tokens.
const MAX_REPLY_BYTES: usize = 16 * 1024 * 1024;

impl Client {
    /// Sends a call of one of the official client's own tools, and returns the backend's reply with its status and
    /// content type.
    ///
    /// # Errors
    /// There is no usable login, the backend refused the call, or the reply was cut off.
    pub async fn alpha(&self, request: &AlphaRequest) -> Result<Response<Bytes>, Error> {
        let client = &**self.state();
        let retry = if request.is_repeatable() { client.retry } else { RetryPolicy::NEVER };
        let (retry, upstream) = (&retry, &Attempts::new(client.upstream.clone(), &client.observer));
        with_bearer(client, |bearer| async move {
            let route = client.route(&bearer).await?;
            let sent = requests::alpha(&client.backend(&bearer, &route), request)?;
            let reply = send(client, upstream, &sent, retry).await;
            let reply = reply.map_err(|error| refused(error, request, &client.tokens.login_command()))?;
            let (head, body) = reply.into_parts();
            let mut response = Response::new(read_to_end(body, MAX_REPLY_BYTES).await?);
            *response.status_mut() = head.status;
            response.headers_mut().extend(head.headers.get(CONTENT_TYPE).map(|kind| (CONTENT_TYPE, kind.clone())));
            Ok(response)
        })
        .await
    }
}

/// Returns the error for the client. That the backend does not have an operation is no fault of the backend's, which
/// might disappear: a retry cannot help.
fn refused(error: SendError, request: &AlphaRequest, login: &str) -> Error {
    if let SendError::Refused { failure, .. } = &error
        && failure.status == StatusCode::NOT_FOUND
        && failure.error.kind() == ErrorKind::Server
    {
        let message = format!("the backend does not have `{}`: {}", request.path(), failure.error.message());
        return Error::new(ErrorKind::InvalidRequest, message).with_code("unknown_url");
    }
    error::of_last_try(error, login)
}
