//! Tools and the choice among them, as the backend accepts them (docs/backend.md §2.7, §2.8).

use std::collections::BTreeMap;
use std::iter;

use crate::error::Error;
use crate::json::{Node, is_same_value, to_raw};
use crate::notice::Notices;
use crate::paths::{ToolSource, Written};
use crate::profile::Options;
use crate::request::read;
use crate::request::schema::Strict;
use crate::responses::{AllowedTool, CallKind, InputItem, NamedTool, Opaque, ResponsesRequest, Tool, ToolChoice};
use crate::tool_names::ToolNames;

const WEB_SEARCH: &str = "web_search";

/// Adds the hosted web search if the options say so, and makes one of several: chat has several ways to request it.
///
/// # Errors
/// This crate has a defect.
pub(super) fn offer_web_search_once(
    request: &mut ResponsesRequest,
    options: &Options,
    notices: &mut Notices,
) -> Result<(), Error> {
    if options.web_search && !request.tools.iter().any(|tool| tool.kind() == WEB_SEARCH) && !request.is_lite() {
        request.tools.push(Tool::Opaque(read::web_search()?));
        request.local.sources.tools.push(ToolSource::ADDED);
    }
    let (mut index, mut first) = (0, None);
    while index < request.tools.len() {
        let (before, rest) = request.tools.split_at_mut(index);
        match (&mut rest[0], first.map(|first: usize| &mut before[first])) {
            (Tool::Opaque(again), Some(Tool::Opaque(search))) if again.kind == WEB_SEARCH => {
                let source = request.local.sources.tools.get(index).copied().unwrap_or(ToolSource::ADDED);
                merge(search, again, source, notices);
                request.tools.remove(index);
                if let Some(merged) = first.and_then(|first| request.local.sources.tools.get_mut(first)) {
                    merged.members = Written::None;
                }
                if index < request.local.sources.tools.len() {
                    request.local.sources.tools.remove(index);
                }
            }
            (Tool::Opaque(tool), None) if tool.kind == WEB_SEARCH => {
                first = Some(index);
                index += 1;
            }
            _ => index += 1,
        }
    }
    Ok(())
}

/// Adds to a tool what another of the same type has and it has not.
fn merge(tool: &mut Opaque, other: &Opaque, source: ToolSource, notices: &mut Notices) {
    for (key, raw) in &other.members {
        match tool.member(key) {
            None => tool.members.push((key.clone(), raw.clone())),
            Some(known) if is_same_value(known.get(), raw.get()) => {}
            Some(_) => notices.dropped(source.place(key), "already set by another web search"),
        }
    }
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
    let parameter = request.local.name_of("tool_choice");
    if let Some(ToolChoice::Hosted(kind)) = &request.tool_choice {
        notices.clamped(parameter, format!("the hosted tool `{kind}` cannot be forced; sent as `auto`"));
        request.tool_choice = Some(ToolChoice::Auto);
    }
    let kinds = kinds_of(&request.tools);
    if let Some(ToolChoice::Allowed { mode, tools }) = &mut request.tool_choice {
        tools.iter_mut().filter_map(named_mut).for_each(|named| correct_kind(named, &kinds));
        if mode != "auto" && mode != "required" {
            let message = format!("`tool_choice.mode` is `{mode}`; it must be `auto` or `required`");
            return Err(Error::invalid("tool_choice.mode", message));
        }
        if tools.is_empty() {
            if mode == "required" {
                let message = format!("`{parameter}` asks for a tool, but allows none of the `tools`");
                return Err(Error::invalid(parameter, message));
            }
            request.tool_choice = Some(ToolChoice::None);
        }
    }
    match &mut request.tool_choice {
        Some(ToolChoice::Auto | ToolChoice::None) if request.tools.is_empty() => request.tool_choice = None,
        Some(ToolChoice::Required | ToolChoice::Allowed { .. }) if request.tools.is_empty() => {
            let message = format!("`{parameter}` asks for a tool, but the request has no `tools`");
            return Err(Error::invalid(parameter, message));
        }
        Some(ToolChoice::Named(named)) => {
            if !kinds.contains_key(&*named.name) {
                let message = format!("`{parameter}` names `{}`, which is not among the `tools`", named.name);
                return Err(Error::invalid(parameter, message));
            }
            correct_kind(named, &kinds);
        }
        Some(_) | None => {}
    }
    Ok(())
}

/// Renames the tools whose names the backend does not accept, wherever they occur. The result maps them back.
///
/// # Errors
/// This crate has a defect.
pub(super) fn rename(request: &mut ResponsesRequest, notices: &mut Notices) -> Result<ToolNames, Error> {
    let mut listed = tools_in_items(&request.input);
    let in_items = listed.iter().flat_map(|(_, tools)| tools);
    let mut names = ToolNames::new(names_in(request).chain(in_items.flat_map(names_of)));
    if !names.is_unchanged() {
        notices.repaired("tools[].name", "replaced a name that the backend does not accept; replies use the original");
    }
    for tool in request.tools.iter_mut().chain(listed.iter_mut().flat_map(|(_, tools)| tools)) {
        rename_tool(tool, &mut names);
    }
    for item in &mut request.input {
        if let InputItem::Call(call) = item {
            replace(&mut call.name, &names);
            if let Some(namespace) = &mut call.namespace {
                replace(namespace, &names);
            }
        }
    }
    if !names.is_unchanged() {
        for (index, tools) in listed {
            write_tools(&mut request.input[index], &tools)?;
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
    Ok(names)
}

fn rename_tool(tool: &mut Tool, names: &mut ToolNames) {
    if let Tool::Namespace(namespace) = tool {
        replace(&mut namespace.name, names);
    }
    for tool in tool.members_mut() {
        if let Some(name) = tool.name_mut() {
            replace(name, names);
        }
        if let Tool::Custom(tool) = tool {
            names.mark_custom(&tool.name);
        }
    }
}

/// Returns the tools that items of the input list, with the items' positions. The reader has settled them.
fn tools_in_items(input: &[InputItem]) -> Vec<(usize, Vec<Tool>)> {
    let lists = input.iter().enumerate().filter_map(|(index, item)| match item {
        InputItem::Opaque(item) if read::TOOL_LISTS.contains(&&*item.kind) => Some((index, item.member("tools")?)),
        InputItem::Message(_)
        | InputItem::Reasoning(_)
        | InputItem::Call(_)
        | InputItem::Output(_)
        | InputItem::Opaque(_)
        | InputItem::Verbatim(_) => None,
    });
    let mut settled = Notices::default();
    lists
        .filter_map(|(index, raw)| {
            let tools = read::tools(&Node::root(raw), false, Strict::IfPossible, &mut settled);
            Some((index, tools.ok()?))
        })
        .collect()
}

fn write_tools(item: &mut InputItem, tools: &[Tool]) -> Result<(), Error> {
    let InputItem::Opaque(item) = item else { return Ok(()) };
    for (_, raw) in item.members.iter_mut().filter(|(key, _)| key == "tools") {
        *raw = to_raw(&tools)?;
    }
    Ok(())
}

/// Returns the names of a tool: its own, or those of a namespace and of the tools in it.
fn names_of(tool: &Tool) -> impl Iterator<Item = &str> {
    let namespace = match tool {
        Tool::Namespace(namespace) => Some(&*namespace.name),
        Tool::Function(_) | Tool::Custom(_) | Tool::Opaque(_) | Tool::Verbatim(_) => None,
    };
    tool.members().iter().filter_map(Tool::name).chain(namespace)
}

/// Returns every tool name of the request, including those of its history.
fn names_in(request: &ResponsesRequest) -> impl Iterator<Item = &str> {
    let calls = request.input.iter().filter_map(|item| match item {
        InputItem::Call(call) => Some(call),
        InputItem::Message(_)
        | InputItem::Reasoning(_)
        | InputItem::Output(_)
        | InputItem::Opaque(_)
        | InputItem::Verbatim(_) => None,
    });
    let called = calls.flat_map(|call| iter::once(&*call.name).chain(call.namespace.as_deref()));
    let chosen = match &request.tool_choice {
        Some(ToolChoice::Allowed { tools, .. }) => &**tools,
        _ => &[],
    };
    let chosen = chosen.iter().filter_map(|tool| match tool {
        AllowedTool::Named(named) => Some(&*named.name),
        AllowedTool::Hosted(_) => None,
    });
    request.tools.iter().flat_map(names_of).chain(called).chain(chosen)
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

/// Returns the kinds of the caller's tools by name, those in namespaces included.
pub(super) fn kinds_of(tools: &[Tool]) -> BTreeMap<&str, CallKind> {
    let named = tools.iter().flat_map(Tool::members).filter_map(|tool| match tool {
        Tool::Function(tool) => Some((&*tool.name, CallKind::Function)),
        Tool::Custom(tool) => Some((&*tool.name, CallKind::Custom)),
        Tool::Namespace(_) | Tool::Opaque(_) | Tool::Verbatim(_) => None,
    });
    named.collect()
}

/// Corrects the kind of a custom tool, which clients that know only functions name as a function.
fn correct_kind(named: &mut NamedTool, kinds: &BTreeMap<&str, CallKind>) {
    if let Some(kind) = kinds.get(&*named.name) {
        named.kind = *kind;
    }
}
