//! A request to compact a conversation (docs/backend.md §2.1): a turn whose input ends with a trigger.

use super::chat::hoist_instructions;
use super::{items, settings, tools};
use crate::error::Error;
use crate::json::to_raw;
use crate::notice::Notices;
use crate::paths::RequestPaths;
use crate::plan::ReplyPlan;
use crate::profile::{Options, Profile};
use crate::request::lite;
use crate::request::translated::Translated;
use crate::responses::{InputItem, Opaque, ResponsesRequest, StreamOptions};

/// The item that asks for a compaction. It must be the last one.
const TRIGGER: &str = "compaction_trigger";

const NO_REPLY: &str = "does not apply to a compaction";

/// Normalises a request to `/v1/responses/compact` for the model of `profile`: a turn whose reply a
/// [`CompactionFold`](crate::CompactionFold) reads.
///
/// The conversation is sent as for a turn, with its tools; parameters about the reply are dropped.
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
/// let body = String::from_utf8(compaction.request.to_json()).expect("JSON");
/// assert!(body.contains(r#"{"type":"compaction_trigger"}],"#));
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
    leave_the_reply_out(&mut request, &mut notices);
    if !request.input.last().is_some_and(is_trigger) {
        request.insert_input(request.input.len(), trigger()?);
    }
    items::normalise_items(&mut request, &mut notices)?;
    if request.input.iter().all(is_trigger) {
        let name = request.local.name_of("input");
        return Err(Error::invalid(name, format!("`{name}` holds no conversation to compact")));
    }
    let tools = tools::rename(&mut request, &mut notices)?;
    settings::normalise_settings(&mut request, profile, options, &mut notices);
    let notices = notices.finish(options.strict)?;
    let paths = RequestPaths::new(std::mem::take(&mut request.local.sources), request.reasoning());
    Ok(Translated { request, plan: ReplyPlan { tools, paths, ..plan }, notices })
}

fn is_trigger(item: &InputItem) -> bool {
    item.opaque().is_some_and(|item| item.kind == TRIGGER)
}

fn trigger() -> Result<InputItem, Error> {
    let members = vec![("type".to_owned(), to_raw(&TRIGGER)?)];
    Ok(InputItem::Opaque(Opaque { kind: TRIGGER.to_owned(), members }))
}

fn leave_the_reply_out(request: &mut ResponsesRequest, notices: &mut Notices) {
    let local = std::mem::take(&mut request.local);
    let text = std::mem::take(&mut request.text);
    let options = std::mem::take(&mut request.stream_options);
    let repeats = |name: &str| local.echoed.iter().flatten().any(|(key, _)| *key == name);
    for (name, is_given) in [
        (local.name_of("tool_choice"), request.tool_choice.take().is_some()),
        (local.name_of("text.verbosity"), text.verbosity.is_some()),
        (local.name_of("text.format"), text.format.is_some()),
        ("stream", local.stream),
        ("stream_options", options != StreamOptions::default()),
        ("include", !std::mem::take(&mut request.include).is_empty()),
        ("stop", !local.stop.is_empty()),
        (local.name_of("max_output_tokens"), local.max_tokens.is_some()),
        ("n", local.n.is_some_and(|n| n > 1)),
        ("store", local.store == Some(true)),
        ("metadata", repeats("metadata")),
    ] {
        if is_given {
            notices.dropped(name, NO_REPLY);
        }
    }
    request.local.conventions = local.conventions;
    request.local.from_cli = local.from_cli;
    request.local.sources = local.sources;
}
