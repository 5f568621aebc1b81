//! How the model may choose among the tools: `tool_choice` in either dialect's shape, and the legacy `function_call`.

use super::tools::UNAVAILABLE;
use crate::error::Error;
use crate::json::{Members, Node, ValueKind, find, find_type};
use crate::notice::Notices;
use crate::responses::{AllowedTool, CallKind, NamedTool, Opaque, ResponsesRequest, ToolChoice};

/// Hosted tools of the public API, which some choices name with members of their own.
const HOSTED: &[&str] = &["apply_patch", "image_generation", "local_shell", "shell", "tool_search", "web_search"];

/// Reads `tool_choice`.
///
/// # Errors
/// It is not an object of the right shape: a 400.
pub(super) fn read(request: &mut ResponsesRequest, node: &Node<'_, '_>) -> Result<(), Error> {
    let choice = match node.kind() {
        ValueKind::String => word(node, &mut request.notices)?,
        ValueKind::Object | ValueKind::Array | ValueKind::Number | ValueKind::Bool | ValueKind::Null => {
            let mut members = node.object()?;
            without_parallel_calls(request, node, &mut members)?;
            object(node, &members, &mut request.notices)?
        }
    };
    request.tool_choice = Some(choice);
    Ok(())
}

/// Reads chat's legacy `function_call`: `none`, `auto`, or the name of a function.
///
/// # Errors
/// It is something else: a 400.
pub(super) fn function_call(node: &Node<'_, '_>, notices: &mut Notices) -> Result<ToolChoice, Error> {
    if node.kind() == ValueKind::String {
        return word(node, notices);
    }
    let members = node.object()?;
    let name = name_in(node, &members)?;
    drop_others(node, &members, &["name"], notices);
    Ok(ToolChoice::Named(NamedTool { kind: CallKind::Function, name }))
}

/// Reads a word. One that is no mode is the name of a tool, as frameworks write it; whether there is such a tool is
/// known later.
fn word(node: &Node<'_, '_>, notices: &mut Notices) -> Result<ToolChoice, Error> {
    let word = node.non_empty()?;
    let (mode, choice) = match &*word.to_ascii_lowercase() {
        "auto" => ("auto", ToolChoice::Auto),
        "none" => ("none", ToolChoice::None),
        "required" | "any" => ("required", ToolChoice::Required),
        _ => {
            notices.repaired(node.here(), "sent the name of a tool as an object");
            return Ok(ToolChoice::Named(NamedTool { kind: CallKind::Function, name: word }));
        }
    };
    if word != mode {
        notices.repaired(node.here(), format!("sent `{word}` as `{mode}`"));
    }
    Ok(choice)
}

/// Reads Anthropic's switch for parallel calls, which is a member of the choice there.
fn without_parallel_calls(
    request: &mut ResponsesRequest,
    node: &Node<'_, '_>,
    members: &mut Members<'_>,
) -> Result<(), Error> {
    const SWITCH: &str = "disable_parallel_tool_use";
    if let Some(raw) = find(members, SWITCH) {
        let member = node.key(SWITCH, raw);
        let parallel = !member.bool()?;
        request.parallel_tool_calls.get_or_insert(parallel);
        request.notices.repaired(member.here(), "sent as `parallel_tool_calls`");
        members.retain(|(key, _)| key != SWITCH);
    }
    Ok(())
}

fn object(node: &Node<'_, '_>, members: &Members<'_>, notices: &mut Notices) -> Result<ToolChoice, Error> {
    let kind = kind_of(node, members)?;
    let choice = match &*kind {
        // `tool` is Anthropic's word; whether the tool is a custom one is known later.
        "function" | "tool" => return named(node, members, CallKind::Function, notices).map(ToolChoice::Named),
        "custom" => return named(node, members, CallKind::Custom, notices).map(ToolChoice::Named),
        "allowed_tools" => return allowed(node, members, notices),
        // Some gateways write the words as objects.
        "auto" => ToolChoice::Auto,
        "none" => ToolChoice::None,
        "any" | "required" => ToolChoice::Required,
        kind if members.len() == 1 || is_hosted(kind) => ToolChoice::Hosted(kind.to_owned()),
        kind => return Ok(ToolChoice::Other(Opaque::new(kind, members))),
    };
    drop_others(node, members, &["type"], notices);
    Ok(choice)
}

fn is_hosted(kind: &str) -> bool {
    HOSTED.contains(&kind) || UNAVAILABLE.contains(&kind) || kind.starts_with("web_search")
}

/// Returns the object's `type`. Old Responses clients omit it if there is a `function`.
fn kind_of(node: &Node<'_, '_>, members: &Members<'_>) -> Result<String, Error> {
    match find_type(members) {
        Some(raw) => node.key("type", raw).string(),
        None if find(members, "custom").is_some() => Ok("custom".to_owned()),
        None if find(members, "allowed_tools").is_some() => Ok("allowed_tools".to_owned()),
        None if find(members, "function").is_some() || find(members, "name").is_some() => Ok("function".to_owned()),
        None => Err(node.missing("type")),
    }
}

/// Reads `{"type":"function","function":{"name":…}}` (chat) or `{"type":"function","name":…}` (Responses); likewise
/// `custom`.
fn named(
    node: &Node<'_, '_>,
    members: &Members<'_>,
    kind: CallKind,
    notices: &mut Notices,
) -> Result<NamedTool, Error> {
    let name = match find(members, kind.tool_type()) {
        Some(raw) => {
            let nested = node.key(kind.tool_type(), raw);
            let inner = nested.object()?;
            drop_others(node, members, &["type", kind.tool_type()], notices);
            drop_others(&nested, &inner, &["name"], notices);
            name_in(&nested, &inner)?
        }
        None => {
            drop_others(node, members, &["type", "name"], notices);
            name_in(node, members)?
        }
    };
    Ok(NamedTool { kind, name })
}

fn name_in(node: &Node<'_, '_>, members: &Members<'_>) -> Result<String, Error> {
    let Some(raw) = find(members, "name") else {
        return Err(node.missing("name"));
    };
    node.key("name", raw).non_empty()
}

/// Reads the allowed tools. Chat nests mode and tools in `allowed_tools`, Responses does not.
fn allowed(node: &Node<'_, '_>, members: &Members<'_>, notices: &mut Notices) -> Result<ToolChoice, Error> {
    if let Some(raw) = find(members, "allowed_tools") {
        let nested = node.key("allowed_tools", raw);
        drop_others(node, members, &["type", "allowed_tools"], notices);
        return allowed_in(&nested, &nested.object()?, notices);
    }
    allowed_in(node, members, notices)
}

fn allowed_in(node: &Node<'_, '_>, members: &Members<'_>, notices: &mut Notices) -> Result<ToolChoice, Error> {
    drop_others(node, members, &["type", "mode", "tools"], notices);
    let mode = match find(members, "mode") {
        Some(raw) => node.key("mode", raw).string()?,
        None => "auto".to_owned(),
    };
    let Some(raw) = find(members, "tools") else {
        return Err(node.missing("tools"));
    };
    let list = node.key("tools", raw);
    let mut tools = Vec::new();
    for (index, raw) in list.array()?.into_iter().enumerate() {
        let tool = list.index(index, raw);
        let members = tool.object()?;
        let kind = kind_of(&tool, &members)?;
        match &*kind {
            "function" | "tool" => {
                tools.push(AllowedTool::Named(named(&tool, &members, CallKind::Function, notices)?));
            }
            "custom" => tools.push(AllowedTool::Named(named(&tool, &members, CallKind::Custom, notices)?)),
            // The tool itself is dropped, too.
            hosted if UNAVAILABLE.contains(&hosted) => {
                notices
                    .dropped(tool.here(), format!("the hosted tool `{hosted}` is not available to ChatGPT accounts"));
            }
            hosted => {
                drop_others(&tool, &members, &["type"], notices);
                let hosted = if hosted.starts_with("web_search") { "web_search" } else { hosted };
                tools.push(AllowedTool::Hosted(hosted.to_owned()));
            }
        }
    }
    Ok(ToolChoice::Allowed { mode, tools })
}

/// Leaves a notice of every member that is not read.
fn drop_others(node: &Node<'_, '_>, members: &Members<'_>, read: &[&str], notices: &mut Notices) {
    for (key, _) in members.iter().filter(|(key, _)| !read.contains(&&**key)) {
        notices.dropped(node.place(key), "not supported by the backend");
    }
}
