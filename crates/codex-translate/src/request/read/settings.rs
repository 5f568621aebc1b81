//! The parameters other than the conversation, which both dialects share under several names.

use super::format::{SET_TWICE, set};
use super::place::Place;
use super::{choice, content, format, tools};
use crate::error::Error;
use crate::json::{Members, Node, Raw, ValueKind, to_raw};
use crate::notice::Notices;
use crate::paths::ToolSource;
use crate::plan::ReasoningStyle;
use crate::profile::Effort;
use crate::request::params::{CUT_OFF, NO_AUDIO};
use crate::request::read::shape::Shape;
use crate::responses::{Opaque, ResponsesRequest, Tool};

/// The maximum number of stop strings (Chat Completions).
const MAX_STOPS: usize = 4;

/// The parameters that give way to others which say the same: to members of `reasoning` and `text`, to a newer name,
/// and to a tool in `tools`.
const READ_LAST: &[&str] = &[
    "max_tokens",
    "modalities",
    "reasoning_effort",
    "reasoningEffort",
    "reasoningSummary",
    "response_format",
    "textVerbosity",
    "verbosity",
    "web_search_options",
];

/// The tool that an image in a chat reply comes from, as the official client offers it (docs/backend.md §2.8).
const IMAGE_GENERATION: &str = "image_generation";

/// Returns whether the parameter `key` is to be read after the others.
pub(super) fn is_read_last(key: &str) -> bool {
    READ_LAST.contains(&key)
}

/// Reads the parameter `key` into `request`; false if this reader does not know it.
///
/// # Errors
/// The parameter has the wrong type or an invalid value: a 400 with its path.
pub(super) fn read(
    request: &mut ResponsesRequest,
    shape: Shape,
    node: &Node<'_, '_>,
    key: &str,
) -> Result<bool, Error> {
    if shape == Shape::Chat && read_chat(request, node, key)? {
        return Ok(true);
    }
    match key {
        "instructions" => request.instructions = Some(instructions(node, &mut request.notices)?),
        "stream" => request.local.stream = node.bool()?,
        "stream_options" => stream_options(request, node)?,
        "tools" => {
            let from_cli = request.local.from_cli;
            let tools = tools::list(node, from_cli, shape.absent_strict(), &mut request.notices)?;
            request.tools.extend(tools);
        }
        "tool_choice" => choice::read(request, node)?,
        "parallel_tool_calls" => request.parallel_tool_calls = Some(node.bool()?),
        "reasoning" => reasoning(request, node)?,
        "reasoning_effort" | "reasoningEffort" => {
            let effort = Effort::from_word(&node.string()?);
            set(&mut request.reasoning.effort, effort, node, &mut request.notices);
        }
        "reasoningSummary" => set(&mut request.reasoning.summary, node.string()?, node, &mut request.notices),
        "verbosity" | "textVerbosity" => set(&mut request.text.verbosity, node.string()?, node, &mut request.notices),
        "text" => text(request, node)?,
        "response_format" => match format::read(node, &mut request.notices)? {
            Some(_) if request.text.format.is_some() => request.notices.dropped(key, SET_TWICE),
            format => request.text.format = request.text.format.take().or(format),
        },
        "include" => request.include = strings(node)?,
        "service_tier" => request.service_tier = Some(node.string()?),
        "prompt_cache_key" => request.prompt_cache_key = Some(node.string()?),
        // The older name of the same limit.
        "max_tokens" => {
            let limit = node.positive()?;
            request.local.max_tokens.get_or_insert(limit);
            request.notices.emulated(key, CUT_OFF);
        }
        "max_completion_tokens" | "max_output_tokens" => {
            request.local.max_tokens = Some(node.positive()?);
            request.notices.emulated(key, CUT_OFF);
        }
        "web_search_options" => web_search_options(request, node)?,
        "store" if shape == Shape::Responses => request.local.store = Some(node.bool()?),
        "metadata" if request.local.echoed.is_some() => metadata(node)?,
        "access_programs" if shape == Shape::Responses => {
            node.object()?;
            request.access_programs = Some(node.raw());
        }
        "client_metadata" => {
            node.object()?;
            request.client_metadata = Some(node.raw());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Checks `metadata`, which the response repeats.
fn metadata(node: &Node<'_, '_>) -> Result<(), Error> {
    node.object()?.iter().try_for_each(|(key, raw)| node.key(key, raw).str().map(drop))
}

/// Reads the parameters that only a chat reply can honour, and those of its legacy function calls.
fn read_chat(request: &mut ResponsesRequest, node: &Node<'_, '_>, key: &str) -> Result<bool, Error> {
    match key {
        "n" => request.local.n = Some(node.positive()?),
        "stop" => request.local.stop = stop(node)?,
        "modalities" => modalities(request, node)?,
        "functions" => {
            request.local.legacy_functions = true;
            let functions = tools::functions(node, &mut request.notices)?;
            request.tools.extend(functions);
        }
        "function_call" => request.tool_choice = Some(choice::function_call(node, &mut request.notices)?),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Returns the members of an object of settings, without those that are empty and so count as absent.
fn filled<'a>(node: &Node<'a, '_>) -> Result<Members<'a>, Error> {
    let mut members = node.object()?;
    members.retain(|(key, raw)| !node.key(key, raw).is_blank());
    Ok(members)
}

/// Reads chat's `modalities`: an image in the reply is the work of a hosted tool.
fn modalities(request: &mut ResponsesRequest, node: &Node<'_, '_>) -> Result<(), Error> {
    for (index, raw) in node.array()?.into_iter().enumerate() {
        let modality = node.index(index, raw);
        match &*modality.str()? {
            "text" => {}
            "image" if request.tools.iter().any(|tool| tool.kind() == IMAGE_GENERATION) => {}
            "image" => {
                request.tools.push(Tool::Opaque(image_generation()?));
                request.notices.trail.tools.push(ToolSource::asked_by("modalities"));
            }
            "audio" => {
                let problem = format_args!("contains `audio`: {NO_AUDIO}; request text");
                return Err(node.invalid(problem).with_code("unsupported_parameter"));
            }
            _ => return Err(modality.invalid("must be `text` or `image`")),
        }
    }
    Ok(())
}

fn image_generation() -> Result<Opaque, Error> {
    let kind = IMAGE_GENERATION.to_owned();
    let members = vec![("type".to_owned(), to_raw(&kind)?), ("output_format".to_owned(), to_raw(&"png")?)];
    Ok(Opaque { kind, members })
}

/// Reads at most four strings; an empty one has no effect and is dropped.
fn stop(node: &Node<'_, '_>) -> Result<Vec<String>, Error> {
    let mut stop = match node.kind() {
        ValueKind::String => vec![node.string()?],
        ValueKind::Array => strings(node)?,
        ValueKind::Object | ValueKind::Number | ValueKind::Bool | ValueKind::Null => {
            return Err(node.invalid("must be a string or an array of strings").with_code("invalid_type"));
        }
    };
    if stop.len() > MAX_STOPS {
        return Err(node.invalid(format_args!("contains {} strings; the maximum is {MAX_STOPS}", stop.len())));
    }
    stop.retain(|stop| !stop.is_empty());
    Ok(stop)
}

fn strings(node: &Node<'_, '_>) -> Result<Vec<String>, Error> {
    let list = node.array()?;
    list.iter().enumerate().map(|(index, raw)| node.index(index, raw).string()).collect()
}

/// Reads a string, or a list of strings or text parts, which the public API also allows.
fn instructions(node: &Node<'_, '_>, notices: &mut Notices) -> Result<String, Error> {
    match node.kind() {
        ValueKind::Array => {
            let parts = content::parts(node, Place::Message(Shape::Responses), notices)?;
            let texts: Vec<_> = parts.iter().filter_map(|part| Some(part.as_text()?.decode())).collect();
            if texts.len() != parts.len() {
                return Err(node.invalid("must be text"));
            }
            Ok(texts.join("\n\n"))
        }
        ValueKind::Object | ValueKind::String | ValueKind::Number | ValueKind::Bool | ValueKind::Null => node.string(),
    }
}

/// Reads `stream_options`. `include_usage` is about the chat reply and is never sent to the backend (docs/backend.md
/// §2.5).
fn stream_options(request: &mut ResponsesRequest, node: &Node<'_, '_>) -> Result<(), Error> {
    for (key, raw) in filled(node)? {
        let member = node.key(&key, raw);
        match &*key {
            "include_usage" => request.local.include_usage = member.bool()?,
            "include_obfuscation" => request.stream_options.include_obfuscation = Some(member.bool()?),
            "reasoning_summary_delivery" => {
                request.stream_options.reasoning_summary_delivery = Some(member.string()?);
            }
            _ => request.notices.dropped(member.here(), "unknown member"),
        }
    }
    Ok(())
}

/// Reads `reasoning` in the forms of the Responses API and of OpenRouter (`max_tokens`, `exclude`, `enabled`).
fn reasoning(request: &mut ResponsesRequest, node: &Node<'_, '_>) -> Result<(), Error> {
    let members = filled(node)?;
    let older_name = |key: &str| key == "generate_summary";
    let mut is_off = false;
    let of_kind = |older| members.iter().filter(move |(key, _)| older_name(key) == older);
    for (key, raw) in of_kind(false).chain(of_kind(true)) {
        let member = node.key(key, raw);
        match &**key {
            "effort" => request.reasoning.effort = Some(Effort::from_word(&member.string()?)),
            "summary" | "generate_summary" => {
                set(&mut request.reasoning.summary, member.string()?, &member, &mut request.notices);
            }
            "context" => request.reasoning.context = Some(member.string()?),
            "exclude" if member.bool()? => request.local.style = Some(ReasoningStyle::None),
            "enabled" => is_off = !member.bool()?,
            "exclude" => {}
            // The default (docs/backend.md §2.4).
            "mode" if member.string()? == "standard" => {}
            _ => request.notices.dropped(member.here(), "not supported by the backend"),
        }
    }
    if is_off && *request.reasoning.effort.get_or_insert(Effort::None) != Effort::None {
        request.notices.dropped(node.place("enabled"), SET_TWICE);
    }
    Ok(())
}

fn text(request: &mut ResponsesRequest, node: &Node<'_, '_>) -> Result<(), Error> {
    for (key, raw) in filled(node)? {
        let member = node.key(&key, raw);
        match &*key {
            "verbosity" => request.text.verbosity = Some(member.string()?),
            "format" => request.text.format = format::read(&member, &mut request.notices)?,
            _ => request.notices.dropped(member.here(), "unknown member"),
        }
    }
    Ok(())
}

/// Reads chat's request for the hosted web search. Its location is nested one level deeper than the tool's.
fn web_search_options(request: &mut ResponsesRequest, node: &Node<'_, '_>) -> Result<(), Error> {
    let mut tool = tools::web_search()?;
    for (key, raw) in filled(node)? {
        let member = node.key(&key, raw);
        match &*key {
            "search_context_size" => tool.members.push((key.to_string(), member.raw())),
            "user_location" => tool.members.push((key.to_string(), location(&member)?)),
            _ => request.notices.dropped(member.here(), "unknown member"),
        }
    }
    request.tools.push(Tool::Opaque(tool));
    request.notices.trail.tools.push(ToolSource::asked_by("web_search_options"));
    Ok(())
}

/// Converts `{"type":"approximate","approximate":{…}}` to `{"type":"approximate",…}`.
fn location(node: &Node<'_, '_>) -> Result<Raw, Error> {
    let members = node.object()?;
    let Some((_, inner)) = members.iter().find(|(key, _)| key == "approximate") else {
        return Ok(node.raw());
    };
    let inner_node = node.key("approximate", inner);
    let mut flat = Opaque { kind: "approximate".to_owned(), members: Vec::new() };
    for (key, raw) in members.iter().filter(|(key, _)| key != "approximate").chain(&inner_node.object()?) {
        flat.members.push((key.to_string(), (*raw).to_owned()));
    }
    to_raw(&flat)
}
