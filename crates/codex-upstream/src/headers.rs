//! The names of the headers that the backend reads and writes (docs/backend.md §2.2, §3.5), and how secrets become values.

use http::{HeaderName, HeaderValue};

use crate::upstream::UpstreamError;

/// The account (workspace) that the request is for.
pub const CHATGPT_ACCOUNT_ID: HeaderName = HeaderName::from_static("chatgpt-account-id");
/// Set to `true` for a FedRAMP workspace.
pub const X_OPENAI_FEDRAMP: HeaderName = HeaderName::from_static("x-openai-fedramp");
/// The region that has to serve the workspace (docs/backend.md §9).
pub const X_OPENAI_ACCOUNT_ROUTING_OVERRIDE: HeaderName = HeaderName::from_static("x-openai-account-routing-override");
/// Which kind of client is asking.
pub const ORIGINATOR: HeaderName = HeaderName::from_static("originator");
/// Which experiments the client takes part in; over HTTP, none.
pub const OPENAI_BETA: HeaderName = HeaderName::from_static("openai-beta");
/// The conversation, for prompt caching and routing (docs/backend.md §2.6).
pub const SESSION_ID: HeaderName = HeaderName::from_static("session-id");
/// The conversation once more; equal to [`SESSION_ID`].
pub const THREAD_ID: HeaderName = HeaderName::from_static("thread-id");
/// The conversation a third time; equal to [`SESSION_ID`].
pub const X_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
/// The model, and the service tier if one is asked for.
pub const X_CODEX_ROUTING_HINT: HeaderName = HeaderName::from_static("x-codex-routing-hint");
/// Set to `true` when the body has the Responses Lite shape (docs/backend.md §2.8).
pub const X_RESPONSES_LITE: HeaderName = HeaderName::from_static("x-openai-internal-codex-responses-lite");

/// The entity tag of the model catalogue; a value that differs from the cached one means the catalogue changed.
pub const X_MODELS_ETAG: HeaderName = HeaderName::from_static("x-models-etag");
/// The slug of the model that really answers.
pub const OPENAI_MODEL: HeaderName = HeaderName::from_static("openai-model");
/// The backend's id for the request, for support.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Cloudflare's verdict on a request it did not let through.
pub const CF_MITIGATED: HeaderName = HeaderName::from_static("cf-mitigated");
/// A short code saying why authorization failed.
pub const X_OPENAI_AUTHORIZATION_ERROR: HeaderName = HeaderName::from_static("x-openai-authorization-error");
/// An error object in base64, beside or instead of the body.
pub const X_ERROR_JSON: HeaderName = HeaderName::from_static("x-error-json");

/// Makes a header value out of text that came from outside.
///
/// # Errors
///
/// [`UpstreamError::InvalidRequest`] naming `what`, never the text, when it cannot stand in a header.
pub(crate) fn value(what: &str, text: &str) -> Result<HeaderValue, UpstreamError> {
    HeaderValue::from_str(text).map_err(|_| UpstreamError::InvalidRequest {
        reason: format!("the {what} has characters that cannot stand in a header; correct it"),
    })
}

/// Makes the value of `authorization`, marked so that neither `Debug` nor HTTP/2 header compression keeps it.
///
/// # Errors
///
/// As [`value`].
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, UpstreamError> {
    let mut value = value("access token", &format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}
