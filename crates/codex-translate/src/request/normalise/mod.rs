//! Brings a request into the form that the backend accepts, with one function for each deviation of clients.
//!
//! Both dialects end here: the parsed request is fitted to the model's profile, repaired where the backend would reject
//! it, and split into the request to send and the plan of its reply. Normalising a normalised request changes nothing.

mod chat;
mod compaction;
mod items;
mod pairing;
mod settings;
mod tools;

use chat::{ask_for_encrypted_reasoning, ask_for_reasoning, hoist_instructions};
pub use compaction::compact;

use crate::error::Error;
use crate::notice::Notices;
use crate::paths::RequestPaths;
use crate::plan::ReplyPlan;
use crate::profile::{Options, Profile, Storage};
use crate::request::translated::Translated;
use crate::request::{echo, estimate, lite, params};
use crate::responses::ResponsesRequest;
use crate::tool_names::ToolNames;

/// Normalises a request that was sent to `/v1/responses`, for the model of `profile`.
///
/// The operation is idempotent: the request that it returns, written, parsed and normalised again, is the same.
///
/// # Errors
/// The request asks for something that is not possible or, in strict mode, for something that would be dropped: a 400
/// that names the parameter.
///
/// # Example
/// ```
/// use codex_translate::responses::ResponsesRequest;
/// use codex_translate::{Options, Profile, normalise};
///
/// let request = ResponsesRequest::from_json(br#"{"model": "my-model", "input": "Hi", "stream": true}"#)?;
/// let translated = normalise(request, &Profile::permissive("gpt-5.5"), &Options::default())?;
/// let body = translated.request.to_json();
/// assert!(body.starts_with(br#"{"model":"gpt-5.5","stream":true,"instructions":"","input":[{"#));
/// assert_eq!((&*translated.plan.model, translated.plan.stream), ("my-model", true));
/// # Ok::<(), codex_translate::Error>(())
/// ```
pub fn normalise(mut request: ResponsesRequest, profile: &Profile, options: &Options) -> Result<Translated, Error> {
    if request.local.n.take().is_some_and(|n| n > 1) {
        request.notices.dropped("n", "a Responses reply has one choice");
    }
    normalise_request(request, profile, options)
}

/// Normalises a request of either dialect.
///
/// # Errors
/// As for [`normalise`].
pub(crate) fn normalise_request(
    mut request: ResponsesRequest,
    profile: &Profile,
    options: &Options,
) -> Result<Translated, Error> {
    let mut notices = std::mem::take(&mut request.notices);
    let mut plan = plan(&mut request, options, &mut notices)?;
    request.model.clone_from(&profile.slug);

    if request.is_lite() && !profile.lite {
        lite::to_ordinary(&mut request, &mut notices)?;
    }
    let conventions = request.local.conventions;
    if conventions.hoists_instructions {
        hoist_instructions(&mut request);
    }
    if conventions.shows_reasoning {
        ask_for_reasoning(&mut request, plan.reasoning, profile);
    } else if plan.store {
        ask_for_encrypted_reasoning(&mut request);
    }
    items::normalise_items(&mut request, &mut notices)?;
    plan.tools = normalise_tools(&mut request, options, &mut notices)?;
    settings::normalise_settings(&mut request, profile, options, &mut notices);
    if plan.is_cut() {
        plan.prompt_tokens = estimate::estimated_tokens(&request);
    }

    let notices = notices.finish(options.strict)?;
    plan.paths = RequestPaths::new(std::mem::take(&mut request.local.sources), request.reasoning());
    Ok(Translated { request, plan, notices })
}

fn normalise_tools(
    request: &mut ResponsesRequest,
    options: &Options,
    notices: &mut Notices,
) -> Result<ToolNames, Error> {
    tools::offer_web_search_once(request, options, notices)?;
    tools::normalise_tool_choice(request, notices)?;
    tools::rename(request, notices)
}

/// Takes the settings of the reply out of the request.
fn plan(request: &mut ResponsesRequest, options: &Options, notices: &mut Notices) -> Result<ReplyPlan, Error> {
    let echo = request.local.echoed.take().map(|echoed| echo::echo_of(request, echoed));
    let encrypted_reasoning = request.local.from_cli || chat::asks_for_encrypted_reasoning(request);
    let store_bytes = store_bytes(request, options, notices);
    let local = &mut request.local;
    let n = local.n.unwrap_or(1);
    if n > options.max_choices {
        let message = format!("`n` is {n}; the maximum is {}", options.max_choices);
        return Err(Error::invalid("n", message));
    }
    if n > 1 {
        notices.emulated("n", "one turn per choice");
    }
    if !local.stop.is_empty() {
        notices.emulated("stop", "the reply is cut off by the proxy");
    }
    Ok(ReplyPlan {
        stream: local.stream,
        include_usage: local.include_usage,
        reasoning: local.style.unwrap_or(options.reasoning),
        formatted: request.text.is_formatted(),
        legacy_functions: local.legacy_functions,
        keep_phases: local.from_cli,
        keepalive: options.keepalive,
        stop: std::mem::take(&mut local.stop),
        max_tokens: local.max_tokens,
        n,
        store: store_bytes.is_some(),
        store_bytes: store_bytes.unwrap_or(usize::MAX),
        encrypted_reasoning,
        echo,
        ..ReplyPlan::new(request.model.clone())
    })
}

/// Returns how large a response the embedder stores; `None` if it stores none or the caller wants none to be stored.
fn store_bytes(request: &ResponsesRequest, options: &Options, notices: &mut Notices) -> Option<usize> {
    let is_explicit = request.local.store == Some(true);
    let wanted = request.local.store.unwrap_or(request.local.conventions.stores);
    match &options.storage {
        Storage::UpTo(bytes) => Some(*bytes).filter(|_| wanted),
        Storage::Never if is_explicit => {
            notices.dropped("store", params::NO_STORE);
            None
        }
        Storage::Refused(why) if is_explicit => {
            notices.dropped("store", why);
            None
        }
        // The default of the API, which strict requests need not turn off.
        Storage::Refused(why) if wanted => {
            notices.lost("store", why);
            None
        }
        Storage::Never | Storage::Refused(_) => None,
    }
}
