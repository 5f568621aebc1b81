//! A request to compact a conversation (docs/backend.md §2.1): a turn without the settings of its reply.

use super::chat::hoist_instructions;
use super::{items, settings, tools};
use crate::error::Error;
use crate::notice::Notices;
use crate::plan::ReplyPlan;
use crate::profile::{Options, Profile};
use crate::request::lite;
use crate::request::translated::Translated;
use crate::responses::ResponsesRequest;

const NO_REPLY: &str = "does not apply to a compaction";

/// Normalises a request to `/v1/responses/compact` for the model of `profile`; [`ResponsesRequest::to_compaction_json`]
/// is the body to send.
///
/// Tools are dropped: the backend rejects them here, and accepts calls of tools that it does not know.
///
/// # Errors
/// The same as for [`normalise`](crate::normalise()).
///
/// # Example
/// ```
/// use codex_translate::responses::ResponsesRequest;
/// use codex_translate::{Options, Profile, compact};
///
/// let request = ResponsesRequest::prompt("gpt-5.5", "Hi");
/// let compaction = compact(request, &Profile::permissive("gpt-5.5"), &Options::default())?;
/// assert!(compaction.request.to_compaction_json().starts_with(br#"{"model":"gpt-5.5","input":[{"#));
/// # Ok::<(), codex_translate::Error>(())
/// ```
pub fn compact(mut request: ResponsesRequest, profile: &Profile, options: &Options) -> Result<Translated, Error> {
    let mut notices = std::mem::take(&mut request.notices);
    let plan = ReplyPlan::new(request.model.clone());
    request.model.clone_from(&profile.slug);
    if request.is_lite() && !profile.lite {
        lite::to_ordinary(&mut request, &mut notices)?;
    }
    if request.local.conventions.hoists_instructions {
        hoist_instructions(&mut request);
    }
    items::normalise_items(&mut request, &mut notices)?;
    let tools = tools::rename(&mut request, &mut notices);
    leave_the_reply_out(&mut request, &mut notices);
    settings::normalise_settings(&mut request, profile, options, &mut notices);
    let notices = notices.finish(options.strict)?;
    Ok(Translated { request, plan: ReplyPlan { tools, ..plan }, notices })
}

fn leave_the_reply_out(request: &mut ResponsesRequest, notices: &mut Notices) {
    let local = std::mem::take(&mut request.local);
    let text = std::mem::take(&mut request.text);
    let options = std::mem::take(&mut request.stream_options);
    let parallel = request.parallel_tool_calls.replace(false);
    let conventions = local.conventions;
    for (name, is_given) in [
        ("tools", !std::mem::take(&mut request.tools).is_empty()),
        ("tool_choice", request.tool_choice.take().is_some()),
        ("parallel_tool_calls", parallel == Some(true)),
        (conventions.name_of("text.verbosity"), text.verbosity.is_some()),
        (conventions.name_of("text.format"), text.format.is_some()),
        ("stream", local.stream),
        ("stream_options", options != crate::responses::StreamOptions::default()),
        ("include", !std::mem::take(&mut request.include).is_empty()),
        ("client_metadata", request.client_metadata.take().is_some()),
        ("stop", !local.stop.is_empty()),
        (conventions.name_of("max_output_tokens"), local.max_tokens.is_some()),
        ("n", local.n.is_some_and(|n| n > 1)),
    ] {
        if is_given {
            notices.dropped(name, NO_REPLY);
        }
    }
    request.local.conventions = conventions;
    request.local.from_cli = local.from_cli;
}
