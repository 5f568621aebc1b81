//! The headers that the backend reads and writes (`docs/backend.md §2.2`, `§3.5`), and header values with secrets.

use http::{HeaderName, HeaderValue};

use crate::error::UpstreamError;

/// The account (workspace) that the request is for.
pub const CHATGPT_ACCOUNT_ID: HeaderName = HeaderName::from_static("chatgpt-account-id");
/// `true` for a FedRAMP workspace.
pub const X_OPENAI_FEDRAMP: HeaderName = HeaderName::from_static("x-openai-fedramp");
/// The region that must serve the workspace (`docs/backend.md §9`).
pub const X_OPENAI_ACCOUNT_ROUTING_OVERRIDE: HeaderName = HeaderName::from_static("x-openai-account-routing-override");
/// The kind of client.
pub const ORIGINATOR: HeaderName = HeaderName::from_static("originator");
/// The beta features that the client uses; none over HTTP.
pub const OPENAI_BETA: HeaderName = HeaderName::from_static("openai-beta");
/// The conversation, for prompt caching and routing (docs/backend.md §2.6).
pub const SESSION_ID: HeaderName = HeaderName::from_static("session-id");
/// The conversation again; equal to [`SESSION_ID`].
pub const THREAD_ID: HeaderName = HeaderName::from_static("thread-id");
/// The conversation a third time; equal to [`SESSION_ID`].
pub const X_CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-client-request-id");
/// The model, and the service tier if the client chose one.
pub const X_CODEX_ROUTING_HINT: HeaderName = HeaderName::from_static("x-codex-routing-hint");
/// The features that the official client has turned on (`docs/backend.md §2.2`).
pub const X_CODEX_BETA_FEATURES: HeaderName = HeaderName::from_static("x-codex-beta-features");
/// `1`: the reply may contain the reserve of a used-up plan (`docs/backend.md §5.4`).
pub const X_CODEX_LUNA_RESERVE: HeaderName = HeaderName::from_static("x-openai-codex-luna-reserve");
/// `true` if the body has the Responses Lite shape (`docs/backend.md §2.8`).
pub const X_RESPONSES_LITE: HeaderName = HeaderName::from_static("x-openai-internal-codex-responses-lite");
/// The session, turn and settings of the official client, as JSON.
pub const X_CODEX_TURN_METADATA: HeaderName = HeaderName::from_static("x-codex-turn-metadata");
/// How much of a tool's output the official client accepts, as JSON.
pub const X_OPENAI_TOOL_OUTPUT_TRUNCATION_POLICY: HeaderName =
    HeaderName::from_static("x-openai-tool-output-truncation-policy");
/// `true` if the arguments of a tool call are encrypted.
pub const X_OPENAI_ENCRYPTED_TOOL_ARGUMENTS: HeaderName = HeaderName::from_static("x-openai-encrypted-tool-arguments");

/// The entity tag of the model catalogue; another value than the cached one means that the catalogue has changed.
pub const X_MODELS_ETAG: HeaderName = HeaderName::from_static("x-models-etag");
/// The slug of the model that actually answers.
pub const OPENAI_MODEL: HeaderName = HeaderName::from_static("openai-model");
/// The backend's id for the request, for support.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Cloudflare's action on a request that it blocked.
pub const CF_MITIGATED: HeaderName = HeaderName::from_static("cf-mitigated");
/// A short code for why authorization failed.
pub const X_OPENAI_AUTHORIZATION_ERROR: HeaderName = HeaderName::from_static("x-openai-authorization-error");
/// An error object in base64, in addition to or instead of the body.
pub const X_ERROR_JSON: HeaderName = HeaderName::from_static("x-error-json");

/// Converts external text to a header value.
///
/// # Errors
/// [`UpstreamError::InvalidRequest`], which names `what` but never the text, if it is not a valid header value.
pub(crate) fn value(what: &str, text: &str) -> Result<HeaderValue, UpstreamError> {
    HeaderValue::from_str(text).map_err(|_| UpstreamError::InvalidRequest {
        reason: format!("the {what} contains characters that are not allowed in a header; correct it"),
    })
}

/// Returns the value of `authorization`, marked as sensitive for `Debug` and HTTP/2 header compression.
///
/// # Errors
/// As [`value`].
pub(crate) fn bearer(token: &str) -> Result<HeaderValue, UpstreamError> {
    let mut value = value("access token", &format!("Bearer {token}"))?;
    value.set_sensitive(true);
    Ok(value)
}
