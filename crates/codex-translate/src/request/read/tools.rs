//! Tools of either dialect. Chat nests a function's members in `function`, Responses does not, and clients mix the two.

use crate::error::Error;
use crate::json::{Members, Node, Raw, ValueKind, find, to_raw};
use crate::notice::Notices;
use crate::request::schema;
use crate::responses::{CustomTool, FunctionTool, Opaque, Tool};

/// The hosted tools that ChatGPT accounts do not have (docs/backend.md §2.8).
const UNAVAILABLE: &[&str] =
    &["file_search", "code_interpreter", "computer_use", "computer_use_preview", "computer", "mcp"];

/// Reads a list of tools. Tools of the Codex CLI are not changed.
///
/// # Errors
/// Something in it has the wrong type or is missing: a 400 with its path.
pub(crate) fn list(node: &Node<'_, '_>, from_cli: bool, notices: &mut Notices) -> Result<Vec<Tool>, Error> {
    let mut tools = Vec::new();
    for (index, raw) in node.array()?.into_iter().enumerate() {
        let tool_node = node.index(index, raw);
        let members = tool_node.object()?;
        let kind = kind_of(&tool_node, &members)?;
        if from_cli {
            tools.push(Tool::Verbatim(Opaque::new(&kind, &members)));
        } else {
            tools.extend(tool(&tool_node, &kind, &members, notices)?);
        }
    }
    Ok(tools)
}

/// Reads chat's legacy `functions`.
///
/// # Errors
/// Something in it has the wrong type or is missing: a 400 with its path.
pub(super) fn functions(node: &Node<'_, '_>, notices: &mut Notices) -> Result<Vec<Tool>, Error> {
    let mut tools = Vec::new();
    for (index, raw) in node.array()?.into_iter().enumerate() {
        let function_node = node.index(index, raw);
        let mut members = FunctionMembers::default();
        members.read(&function_node, &function_node.object()?, notices)?;
        tools.push(Tool::Function(members.finish(&function_node)?));
    }
    Ok(tools)
}

/// Makes the hosted web search without settings.
///
/// # Errors
/// This crate has a defect.
pub(crate) fn web_search() -> Result<Opaque, Error> {
    let kind = "web_search".to_owned();
    Ok(Opaque { members: vec![("type".to_owned(), to_raw(&kind)?)], kind })
}

/// Reads one tool; `None` if it is dropped with a notice.
fn tool(node: &Node<'_, '_>, kind: &str, members: &Members<'_>, notices: &mut Notices) -> Result<Option<Tool>, Error> {
    match kind {
        "function" => function(node, members, notices).map(Tool::Function).map(Some),
        "custom" => custom(node, members, notices).map(Tool::Custom).map(Some),
        kind if UNAVAILABLE.contains(&kind) => {
            notices.dropped(node.here(), format!("the hosted tool `{kind}` is not available to ChatGPT accounts"));
            Ok(None)
        }
        kind if kind.starts_with("web_search") => search(node, kind, members, notices).map(Tool::Opaque).map(Some),
        kind => Ok(Some(Tool::Opaque(without_cache_control(node, Opaque::new(kind, members), notices)))),
    }
}

/// Reads the hosted web search under the one name that the backend knows (docs/backend.md §2.8).
fn search(node: &Node<'_, '_>, kind: &str, members: &Members<'_>, notices: &mut Notices) -> Result<Opaque, Error> {
    let mut tool = web_search()?;
    if kind != tool.kind {
        notices.repaired(node.place("type"), format!("sent `{kind}` as `web_search`"));
    }
    let rest = members.iter().filter(|(key, _)| key != "type");
    tool.members.extend(rest.map(|(key, raw)| (key.to_string(), (*raw).to_owned())));
    Ok(without_cache_control(node, tool, notices))
}

fn without_cache_control(node: &Node<'_, '_>, mut tool: Opaque, notices: &mut Notices) -> Opaque {
    let before = tool.members.len();
    tool.members.retain(|(key, _)| key != "cache_control");
    if tool.members.len() < before {
        notices.dropped(node.place("cache_control"), "not supported by the backend");
    }
    tool
}

/// Returns the tool's type. A tool without one is a function if it looks like one.
fn kind_of(node: &Node<'_, '_>, members: &Members<'_>) -> Result<String, Error> {
    match find(members, "type") {
        Some(raw) => node.key("type", raw).string(),
        None if find(members, "function").is_some() || find(members, "name").is_some() => Ok("function".to_owned()),
        None => Err(node.missing("type")),
    }
}

/// The members of a function, from the tool itself and from its `function`.
#[derive(Default)]
struct FunctionMembers {
    name: Option<String>,
    description: Option<String>,
    parameters: Option<Raw>,
    strict: bool,
    defer_loading: Option<bool>,
}

fn function(node: &Node<'_, '_>, members: &Members<'_>, notices: &mut Notices) -> Result<FunctionTool, Error> {
    let mut function = FunctionMembers::default();
    function.read(node, members, notices)?;
    match find(members, "function") {
        Some(raw) => {
            let nested = node.key("function", raw);
            function.read(&nested, &nested.object()?, notices)?;
            function.finish(&nested)
        }
        None => function.finish(node),
    }
}

impl FunctionMembers {
    fn read(&mut self, node: &Node<'_, '_>, members: &Members<'_>, notices: &mut Notices) -> Result<(), Error> {
        for (key, raw) in members {
            let member = node.key(key, raw);
            match &**key {
                "type" | "function" => {}
                "name" => self.name = Some(member.non_empty()?),
                "description" => self.description = Some(member.string()?),
                "parameters" | "input_schema" => self.parameters = Some(schema::of_parameters(&member, notices)?),
                "strict" => self.strict = member.bool()?,
                "defer_loading" => self.defer_loading = Some(member.bool()?),
                _ => notices.dropped(member.here(), "not supported by the backend"),
            }
        }
        Ok(())
    }

    /// Returns the function. Without a schema it gets an empty one: in chat that means a function without arguments.
    fn finish(self, node: &Node<'_, '_>) -> Result<FunctionTool, Error> {
        let parameters = match self.parameters {
            Some(parameters) => parameters,
            None => schema::empty()?,
        };
        let name = self.name.ok_or_else(|| node.missing("name"))?;
        let Self { description, strict, defer_loading, .. } = self;
        Ok(FunctionTool { name, description, parameters, strict, defer_loading })
    }
}

fn custom(node: &Node<'_, '_>, members: &Members<'_>, notices: &mut Notices) -> Result<CustomTool, Error> {
    let (mut name, mut description, mut format, mut defer_loading) = (None, None, None, None);
    let nested = find(members, "custom").map(|raw| node.key("custom", raw));
    let node = nested.as_ref().unwrap_or(node);
    let inner;
    let members = match &nested {
        Some(nested) => {
            inner = nested.object()?;
            &inner
        }
        None => members,
    };
    for (key, raw) in members {
        let member = node.key(key, raw);
        match &**key {
            "type" => {}
            "name" => name = Some(member.non_empty()?),
            "description" => description = Some(member.string()?),
            "format" => format = Some(input_format(&member)?),
            "defer_loading" => defer_loading = Some(member.bool()?),
            _ => notices.dropped(member.here(), "not supported by the backend"),
        }
    }
    Ok(CustomTool { name: name.ok_or_else(|| node.missing("name"))?, description, format, defer_loading })
}

/// Reads a custom tool's input format. Chat nests a grammar's members in `grammar`.
fn input_format(node: &Node<'_, '_>) -> Result<Raw, Error> {
    let members = node.object()?;
    let Some(raw) = find(&members, "grammar").filter(|raw| Node::root(raw).kind() == ValueKind::Object) else {
        return Ok(node.raw());
    };
    let mut flat = Opaque::new("grammar", &members);
    flat.members.retain(|(key, _)| key != "grammar");
    let grammar = node.key("grammar", raw);
    flat.members.extend(Opaque::new("grammar", &grammar.object()?).members);
    to_raw(&flat)
}
