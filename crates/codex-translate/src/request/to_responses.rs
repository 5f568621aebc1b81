//! Chat requests: the chat dialect's entry to [`normalise`](super::normalise()).

use super::normalise::normalise_request;
use super::translated::Translated;
use crate::chat::ChatRequest;
use crate::error::Error;
use crate::plan::ReasoningStyle;
use crate::profile::{Options, Profile};

/// Translates a chat request for the model of `profile`.
///
/// # Errors
/// The request asks for something that is not possible or, in strict mode, for something that would be dropped: a 400
/// that names the parameter.
///
/// # Example
/// ```
/// use codex_translate::chat::ChatRequest;
/// use codex_translate::{Options, Profile, to_responses};
///
/// let body = br#"{"model": "gpt-5.5", "seed": 1, "messages": [{"role": "user", "content": "Hi"}]}"#;
/// let translated = to_responses(ChatRequest::from_json(body)?, &Profile::permissive("gpt-5.5"), &Options::default())?;
/// assert_eq!(translated.notices[0].to_string(), "seed dropped: not supported by the backend");
///
/// let strict = Options { strict: true, ..Options::default() };
/// let error = to_responses(ChatRequest::from_json(body)?, &Profile::permissive("gpt-5.5"), &strict).unwrap_err();
/// assert_eq!((error.status_hint(), error.param()), (400, Some("seed")));
/// # Ok::<(), codex_translate::Error>(())
/// ```
pub fn to_responses(request: ChatRequest, profile: &Profile, options: &Options) -> Result<Translated, Error> {
    let mut request = request.0;
    let local = &mut request.local;
    if request.text.is_formatted() && local.style.unwrap_or(options.reasoning) == ReasoningStyle::Think {
        local.style = Some(ReasoningStyle::ReasoningContent);
        request
            .notices
            .clamped("x-codex-proxy-reasoning", "sent `think` as `reasoning_content`: tags would break the JSON");
    }
    normalise_request(request, profile, options)
}
