//! Chat requests: the chat dialect's entry to [`normalise`](super::normalise()).

use super::normalise::normalise_request;
use super::translated::Translated;
use crate::chat::ChatRequest;
use crate::error::Error;
use crate::profile::{Options, Profile};

/// Translates a chat request for the model of `profile`.
///
/// # Errors
/// The request asks for something that is not possible or, in strict mode, for something that would be dropped: a 400
/// that names the parameter.
pub fn to_responses(request: ChatRequest, profile: &Profile, options: &Options) -> Result<Translated, Error> {
    normalise_request(request.0, profile, options)
}
