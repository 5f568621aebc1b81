//! Tools and the choice among them, as the backend accepts them (docs/backend.md §2.7, §2.8).

use std::collections::BTreeMap;

use crate::error::Error;
use crate::notice::Notices;
use crate::profile::Options;
use crate::request::read;
use crate::responses::{AllowedTool, CallKind, InputItem, NamedTool, ResponsesRequest, Tool, ToolChoice};
use crate::tool_names::ToolNames;

/// Adds the hosted web search if the options say so, and removes duplicates: chat has several ways to request it.
///
/// # Errors
/// This crate has a defect.
pub(super) fn offer_web_search_once(request: &mut ResponsesRequest, options: &Options) -> Result<(), Error> {
    let is_search = |tool: &Tool| tool.kind() == "web_search";
    if options.web_search && !request.tools.iter().any(is_search) && !request.is_lite() {
        request.tools.push(Tool::Opaque(read::web_search()?));
    }
    let mut searches = 0;
    request.tools.retain(|tool| {
        searches += usize::from(is_search(tool));
        !is_search(tool) || searches == 1
    });
    Ok(())
}

/// Normalises `tool_choice`: a hosted tool cannot be forced, a named tool must exist, and without tools there is no
/// choice.
///
/// # Errors
/// The choice needs a tool that the request does not have: a 400.
pub(super) fn normalise_tool_choice(request: &mut ResponsesRequest, notices: &mut Notices) -> Result<(), Error> {
    if request.local.from_cli || request.is_lite() {
        return Ok(());
    }
    if let Some(ToolChoice::Hosted(kind)) = &request.tool_choice {
        notices.clamped("tool_choice", format!("the hosted tool `{kind}` cannot be forced; sent as `auto`"));
        request.tool_choice = Some(ToolChoice::Auto);
    }
    let kinds = kinds_of(&request.tools);
    if let Some(ToolChoice::Allowed { mode, tools }) = &mut request.tool_choice {
        tools.iter_mut().filter_map(named_mut).for_each(|named| correct_kind(named, &kinds));
        if mode != "auto" && mode != "required" {
            let message = format!("`tool_choice.mode` is `{mode}`; it must be `auto` or `required`");
            return Err(Error::invalid("tool_choice.mode", message));
        }
    }
    match &mut request.tool_choice {
        Some(ToolChoice::Auto | ToolChoice::None) if request.tools.is_empty() => request.tool_choice = None,
        Some(ToolChoice::Required | ToolChoice::Allowed { .. }) if request.tools.is_empty() => {
            return Err(Error::invalid("tool_choice", "`tool_choice` asks for a tool, but the request has no `tools`"));
        }
        Some(ToolChoice::Named(named)) => {
            if !kinds.contains_key(&*named.name) {
                let message = format!("`tool_choice` names `{}`, which is not among the `tools`", named.name);
                return Err(Error::invalid("tool_choice", message));
            }
            correct_kind(named, &kinds);
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// Renames the tools whose names the backend does not accept, wherever they occur. The result maps them back.
pub(super) fn rename(request: &mut ResponsesRequest, notices: &mut Notices) -> ToolNames {
    let mut names = ToolNames::new(names_in(request));
    if !names.is_unchanged() {
        notices.repaired("tools[].name", "replaced a name that the backend does not accept; replies use the original");
    }
    for tool in &mut request.tools {
        if let Some(name) = tool.name_mut() {
            replace(name, &names);
        }
        if let Tool::Custom(tool) = tool {
            names.mark_custom(&tool.name);
        }
    }
    for item in &mut request.input {
        if let InputItem::Call(call) = item {
            replace(&mut call.name, &names);
        }
    }
    match &mut request.tool_choice {
        Some(ToolChoice::Named(named)) => replace(&mut named.name, &names),
        Some(ToolChoice::Allowed { tools, .. }) => {
            tools.iter_mut().filter_map(named_mut).for_each(|named| replace(&mut named.name, &names));
        }
        Some(
            ToolChoice::Auto | ToolChoice::None | ToolChoice::Required | ToolChoice::Hosted(_) | ToolChoice::Other(_),
        )
        | None => {}
    }
    names
}

/// Returns every tool name of the request, including those of its history.
fn names_in(request: &ResponsesRequest) -> impl Iterator<Item = &str> {
    let called = request.input.iter().filter_map(|item| match item {
        InputItem::Call(call) => Some(&*call.name),
        InputItem::Message(_)
        | InputItem::Reasoning(_)
        | InputItem::Output(_)
        | InputItem::Opaque(_)
        | InputItem::Verbatim(_) => None,
    });
    let chosen = match &request.tool_choice {
        Some(ToolChoice::Allowed { tools, .. }) => &**tools,
        _ => &[],
    };
    let chosen = chosen.iter().filter_map(|tool| match tool {
        AllowedTool::Named(named) => Some(&*named.name),
        AllowedTool::Hosted(_) => None,
    });
    request.tools.iter().filter_map(Tool::name).chain(called).chain(chosen)
}

fn replace(name: &mut String, names: &ToolNames) {
    let wire = names.to_wire(name);
    if wire != name {
        *name = wire.to_owned();
    }
}

fn named_mut(tool: &mut AllowedTool) -> Option<&mut NamedTool> {
    match tool {
        AllowedTool::Named(named) => Some(named),
        AllowedTool::Hosted(_) => None,
    }
}

/// Returns the kinds of the caller's tools by name.
pub(super) fn kinds_of(tools: &[Tool]) -> BTreeMap<&str, CallKind> {
    let named = tools.iter().filter_map(|tool| match tool {
        Tool::Function(tool) => Some((&*tool.name, CallKind::Function)),
        Tool::Custom(tool) => Some((&*tool.name, CallKind::Custom)),
        Tool::Opaque(_) | Tool::Verbatim(_) => None,
    });
    named.collect()
}

/// Corrects the kind of a custom tool, which clients that know only functions name as a function.
fn correct_kind(named: &mut NamedTool, kinds: &BTreeMap<&str, CallKind>) {
    if let Some(kind) = kinds.get(&*named.name) {
        named.kind = *kind;
    }
}
