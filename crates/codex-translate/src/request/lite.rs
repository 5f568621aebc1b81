//! Conversion to and from the Responses Lite shape (docs/backend.md §2.8).
//!
//! In it the tools are the first item of the input, the instructions are the second, and the caller's functions are in
//! a namespace. Models that accept it also accept the ordinary shape, which is sent unless the client's own body is
//! Lite.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::error::Error;
use crate::json::{Node, ValueKind, to_raw};
use crate::notice::Notices;
use crate::paths::ToolSource;
use crate::request::read;
use crate::request::schema::Strict;
use crate::responses::{InputItem, InputMessage, Opaque, ResponsesRequest, Role, Tool};

/// The type of the item that contains the tools.
const ADDITIONAL_TOOLS: &str = "additional_tools";

/// The namespace of the caller's functions.
const FUNCTIONS: &str = "functions";

/// The `reasoning.context` of the Lite shape.
const ALL_TURNS: &str = "all_turns";

impl ResponsesRequest {
    /// Returns whether the request has the Lite shape (docs/backend.md §2.8), which needs the Lite header.
    pub fn is_lite(&self) -> bool {
        self.input.iter().any(is_additional_tools)
    }
}

/// Converts a request to the Lite shape. A request that has it is not changed.
///
/// # Errors
/// This crate has a defect.
///
/// # Example
/// ```
/// use codex_translate::responses::ResponsesRequest;
/// use codex_translate::to_lite;
///
/// let mut request = ResponsesRequest::prompt("gpt-6-sol", "Hi");
/// to_lite(&mut request)?;
/// assert!(request.is_lite()); // It is sent with the Lite header.
/// # Ok::<(), codex_translate::Error>(())
/// ```
pub fn to_lite(request: &mut ResponsesRequest) -> Result<(), Error> {
    if request.is_lite() {
        return Ok(());
    }
    let (own, hosted): (Vec<_>, Vec<_>) =
        std::mem::take(&mut request.tools).into_iter().partition(|tool| tool.name().is_some());
    let members = vec![
        ("type".to_owned(), to_raw(&ADDITIONAL_TOOLS)?),
        ("role".to_owned(), to_raw(&"developer")?),
        ("tools".to_owned(), to_raw(&LiteTools { own: &own, hosted: &hosted })?),
    ];
    let mut head = vec![InputItem::Opaque(Opaque { kind: ADDITIONAL_TOOLS.to_owned(), members })];
    if let Some(instructions) = request.instructions.take().filter(|text| !text.is_empty()) {
        head.push(InputItem::Message(InputMessage::text(Role::Developer, instructions)));
    }
    request.input.splice(0..0, head);
    request.parallel_tool_calls = Some(false);
    request.reasoning.context = Some(ALL_TURNS.to_owned());
    Ok(())
}

/// Converts a Lite request to the ordinary shape, for a model that does not accept Lite. The instructions stay a
/// developer message.
///
/// # Errors
/// The tools in the input are not valid tools: a 400.
pub(crate) fn to_ordinary(request: &mut ResponsesRequest, notices: &mut Notices) -> Result<(), Error> {
    let from_cli = request.local.from_cli;
    let mut tools = Vec::new();
    for item in request.input.iter().filter(|item| is_additional_tools(item)) {
        if let Some(raw) = item.opaque().and_then(|item| item.member("tools")) {
            tools.extend(unwrapped(&Node::root(raw), from_cli, notices)?);
        }
    }
    request.retain_input(|item| !is_additional_tools(item));
    request.tools.extend(tools);
    request.local.sources.tools.resize(request.tools.len(), ToolSource::ADDED);
    request.reasoning.context = None;
    notices.repaired("input", "converted the Lite shape to the ordinary one");
    Ok(())
}

/// Reads the tools of a Lite list, and unwraps those in the namespace of functions.
fn unwrapped(list: &Node<'_, '_>, from_cli: bool, notices: &mut Notices) -> Result<Vec<Tool>, Error> {
    let mut tools = Vec::new();
    for tool in read::tools(list, from_cli, Strict::IfPossible, notices)? {
        if let Some(inner) = functions_of(&tool) {
            tools.extend(read::tools(&Node::root(inner), from_cli, Strict::IfPossible, notices)?);
            continue;
        }
        match tool {
            Tool::Namespace(namespace) if namespace.name == FUNCTIONS => tools.extend(namespace.tools),
            Tool::Function(_) | Tool::Custom(_) | Tool::Namespace(_) | Tool::Opaque(_) | Tool::Verbatim(_) => {
                tools.push(tool);
            }
        }
    }
    Ok(tools)
}

/// Returns the tools of the Codex CLI's namespace of functions, if `tool` is that namespace.
fn functions_of(tool: &Tool) -> Option<&RawValue> {
    let Tool::Verbatim(tool) = tool else { return None };
    let is_functions =
        tool.kind == "namespace" && tool.member("name").is_some_and(|name| name.get() == "\"functions\"");
    tool.member("tools").filter(|tools| is_functions && Node::root(tools).kind() == ValueKind::Array)
}

fn is_additional_tools(item: &InputItem) -> bool {
    item.opaque().is_some_and(|item| item.kind == ADDITIONAL_TOOLS)
}

/// The tools as the Lite shape lists them.
struct LiteTools<'a> {
    own: &'a [Tool],
    hosted: &'a [Tool],
}

impl Serialize for LiteTools<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let namespace = (!self.own.is_empty()).then_some(Namespace(self.own));
        let mut list = serializer.serialize_seq(None)?;
        if let Some(namespace) = &namespace {
            list.serialize_element(namespace)?;
        }
        for tool in self.hosted {
            list.serialize_element(tool)?;
        }
        list.end()
    }
}

/// The namespace of the caller's own functions.
struct Namespace<'a>(&'a [Tool]);

impl Serialize for Namespace<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("type", "namespace")?;
        map.serialize_entry("name", FUNCTIONS)?;
        map.serialize_entry("description", "")?;
        map.serialize_entry("tools", self.0)?;
        map.end()
    }
}
