//! `POST /v1/alpha/…`: the Codex CLI's own tools, whose calls and replies pass unchanged.

use std::collections::HashMap;

use bytes::Bytes;
use codex_translate::{Error, ErrorKind, Finish, Summary};
use codex_upstream::{AlphaRequest, AlphaTool};
use http::{HeaderMap, Response};
use serde::de::IgnoredAny;

use crate::app::App;
use crate::reply::ReplyBody;
use crate::request::context::RequestContext;

/// Hands a call to the backend, as the login of this program.
///
/// # Errors
/// The body is not a JSON object, or the backend refused the call.
pub(crate) async fn alpha(
    app: &App,
    tool: AlphaTool,
    operation: &str,
    context: &RequestContext,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response<ReplyBody>, Error> {
    check_object(&body)?;
    let request = AlphaRequest::new(tool, operation, headers, body)?;
    let reply = app.client.alpha(&request).await?;
    context.record.complete(&Summary::new(Finish::Stop, None));
    Ok(reply.map(ReplyBody::from))
}

/// Checks what the backend requires of every call, so that a mistake does not look like one of the backend's.
fn check_object(body: &[u8]) -> Result<(), Error> {
    match serde_json::from_slice::<HashMap<String, IgnoredAny>>(body) {
        Ok(_) => Ok(()),
        Err(error) => {
            let message = format!("the request body is not a JSON object: {error}");
            Err(Error::new(ErrorKind::InvalidRequest, message))
        }
    }
}
