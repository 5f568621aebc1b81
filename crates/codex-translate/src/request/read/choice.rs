//! How the model may choose among the tools: `tool_choice` in either dialect's shape, and the legacy `function_call`.

use crate::error::Error;
use crate::json::{Members, Node, ValueKind, find};
use crate::notice::Notices;
use crate::responses::{AllowedTool, CallKind, NamedTool, Opaque, ToolChoice};

/// Reads `tool_choice`.
///
/// # Errors
/// It is not a known word or an object of the right shape: a 400.
pub(super) fn read(node: &Node<'_, '_>, notices: &mut Notices) -> Result<ToolChoice, Error> {
    match node.kind() {
        ValueKind::String => word(node, notices),
        ValueKind::Object | ValueKind::Array | ValueKind::Number | ValueKind::Bool | ValueKind::Null => {
            let members = node.object()?;
            let kind = kind_of(node, &members)?;
            match &*kind {
                "function" => named(node, &members, CallKind::Function).map(ToolChoice::Named),
                "custom" => named(node, &members, CallKind::Custom).map(ToolChoice::Named),
                "allowed_tools" => allowed(node, &members),
                // Some gateways write the words as objects.
                "auto" => Ok(ToolChoice::Auto),
                "none" => Ok(ToolChoice::None),
                "any" | "required" => Ok(ToolChoice::Required),
                kind if members.len() == 1 => Ok(ToolChoice::Hosted(kind.to_owned())),
                kind => Ok(ToolChoice::Other(Opaque::new(kind, &members))),
            }
        }
    }
}

/// Reads chat's legacy `function_call`: `none`, `auto`, or the name of a function.
///
/// # Errors
/// It is something else: a 400.
pub(super) fn function_call(node: &Node<'_, '_>) -> Result<ToolChoice, Error> {
    if node.kind() == ValueKind::String {
        return match &*node.str()? {
            "auto" => Ok(ToolChoice::Auto),
            "none" => Ok(ToolChoice::None),
            _ => Err(node.invalid("must be `auto`, `none` or an object with a `name`")),
        };
    }
    let members = node.object()?;
    let name = name_in(node, &members)?;
    Ok(ToolChoice::Named(NamedTool { kind: CallKind::Function, name }))
}

fn word(node: &Node<'_, '_>, notices: &mut Notices) -> Result<ToolChoice, Error> {
    match &*node.str()? {
        "auto" => Ok(ToolChoice::Auto),
        "none" => Ok(ToolChoice::None),
        "required" => Ok(ToolChoice::Required),
        "any" => {
            notices.repaired(node.here(), "sent `any` as `required`");
            Ok(ToolChoice::Required)
        }
        _ => Err(node.invalid("must be `auto`, `none`, `required` or an object that names a tool")),
    }
}

/// Returns the object's `type`. Old Responses clients omit it if there is a `function`.
fn kind_of(node: &Node<'_, '_>, members: &Members<'_>) -> Result<String, Error> {
    match find(members, "type") {
        Some(raw) => node.key("type", raw).string(),
        None if find(members, "function").is_some() || find(members, "name").is_some() => Ok("function".to_owned()),
        None => Err(node.missing("type")),
    }
}

/// Reads `{"type":"function","function":{"name":…}}` (chat) or `{"type":"function","name":…}` (Responses); likewise
/// `custom`.
fn named(node: &Node<'_, '_>, members: &Members<'_>, kind: CallKind) -> Result<NamedTool, Error> {
    let name = match find(members, kind.tool_type()) {
        Some(raw) => {
            let nested = node.key(kind.tool_type(), raw);
            name_in(&nested, &nested.object()?)?
        }
        None => name_in(node, members)?,
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
fn allowed(node: &Node<'_, '_>, members: &Members<'_>) -> Result<ToolChoice, Error> {
    if let Some(raw) = find(members, "allowed_tools") {
        let nested = node.key("allowed_tools", raw);
        return allowed(&nested, &nested.object()?);
    }
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
        tools.push(match &*kind_of(&tool, &members)? {
            "function" => AllowedTool::Named(named(&tool, &members, CallKind::Function)?),
            "custom" => AllowedTool::Named(named(&tool, &members, CallKind::Custom)?),
            hosted => AllowedTool::Hosted(hosted.to_owned()),
        });
    }
    Ok(ToolChoice::Allowed { mode, tools })
}
