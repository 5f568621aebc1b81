//! The parameters other than the conversation, which both dialects share under several names.

use super::{choice, content, format, tools};
use crate::error::Error;
use crate::json::{Node, Raw, ValueKind, to_raw};
use crate::notice::Notices;
use crate::plan::ReasoningStyle;
use crate::profile::Effort;
use crate::request::params::CUT_OFF;
use crate::request::read::shape::Shape;
use crate::responses::{Opaque, ResponsesRequest, Tool};

/// The maximum number of stop strings (Chat Completions).
const MAX_STOPS: usize = 4;

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
        "instructions" => request.instructions = Some(instructions(node)?),
        "stream" => request.local.stream = node.bool()?,
        "stream_options" => stream_options(request, node)?,
        "tools" => {
            let from_cli = request.local.from_cli;
            let tools = tools::list(node, from_cli, &mut request.notices)?;
            request.tools.extend(tools);
        }
        "tool_choice" => request.tool_choice = Some(choice::read(node, &mut request.notices)?),
        "parallel_tool_calls" => request.parallel_tool_calls = Some(node.bool()?),
        "reasoning" => reasoning(request, node)?,
        "reasoning_effort" | "reasoningEffort" => {
            let effort = Effort::from_word(&node.non_empty()?);
            request.reasoning.effort.get_or_insert(effort);
        }
        "reasoningSummary" => request.reasoning.summary = summary(node)?,
        "verbosity" | "textVerbosity" => {
            let verbosity = node.non_empty()?;
            request.text.verbosity.get_or_insert(verbosity);
        }
        "text" => text(request, node)?,
        "response_format" => request.text.format = format::read(node, &mut request.notices)?,
        "include" => request.include = strings(node)?,
        "service_tier" => request.service_tier = Some(node.string()?),
        "prompt_cache_key" => request.prompt_cache_key = Some(node.string()?).filter(|key| !key.is_empty()),
        // The older name of the same limit; the newer names override it.
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

/// Reads the parameters that only a chat reply can honour, and those of its legacy function calls.
fn read_chat(request: &mut ResponsesRequest, node: &Node<'_, '_>, key: &str) -> Result<bool, Error> {
    match key {
        "n" => request.local.n = Some(node.positive()?),
        "stop" => request.local.stop = stop(node)?,
        "functions" => {
            request.local.legacy_functions = true;
            let functions = tools::functions(node, &mut request.notices)?;
            request.tools.extend(functions);
        }
        "function_call" => request.tool_choice = Some(choice::function_call(node)?),
        _ => return Ok(false),
    }
    Ok(true)
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
fn instructions(node: &Node<'_, '_>) -> Result<String, Error> {
    match node.kind() {
        ValueKind::Array => {
            let mut scratch = Notices::default();
            let parts = content::parts(node, Shape::Responses, &mut scratch)?;
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
    for (key, raw) in node.object()? {
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
    for (key, raw) in node.object()? {
        let member = node.key(&key, raw);
        match &*key {
            "effort" => request.reasoning.effort = Some(Effort::from_word(&member.non_empty()?)),
            "summary" => request.reasoning.summary = summary(&member)?,
            "generate_summary" => {
                let summary = summary(&member)?;
                request.reasoning.summary = request.reasoning.summary.take().or(summary);
            }
            "context" => request.reasoning.context = Some(member.string()?),
            "exclude" if member.bool()? => request.local.style = Some(ReasoningStyle::None),
            "enabled" if !member.bool()? => {
                request.reasoning.effort.get_or_insert(Effort::None);
            }
            "exclude" | "enabled" => {}
            // The default (docs/backend.md §2.4).
            "mode" if member.string()? == "standard" => {}
            _ => request.notices.dropped(member.here(), "not supported by the backend"),
        }
    }
    Ok(())
}

/// Reads the detail of the summary. The CLI's settings use `none` for no summary (docs/backend.md §2.4).
fn summary(node: &Node<'_, '_>) -> Result<Option<String>, Error> {
    Ok(Some(node.string()?).filter(|summary| summary != "none"))
}

fn text(request: &mut ResponsesRequest, node: &Node<'_, '_>) -> Result<(), Error> {
    for (key, raw) in node.object()? {
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
    for (key, raw) in node.object()? {
        let member = node.key(&key, raw);
        match &*key {
            "search_context_size" => tool.members.push((key.to_string(), member.raw())),
            "user_location" => tool.members.push((key.to_string(), location(&member)?)),
            _ => request.notices.dropped(member.here(), "unknown member"),
        }
    }
    request.tools.push(Tool::Opaque(tool));
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
