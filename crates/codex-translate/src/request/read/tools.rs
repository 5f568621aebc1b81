//! Tools of either dialect. Chat nests a function's members in `function`, Responses does not, and clients mix the two.

use serde_json::value::RawValue;

use super::format::SET_TWICE;
use crate::error::Error;
use crate::json::{Members, Node, Raw, ValueKind, find, find_type, to_raw};
use crate::notice::Notices;
use crate::paths::{ToolSource, Written};
use crate::request::schema::{self, Settled, Strict};
use crate::responses::{CustomTool, FunctionTool, NamespaceTool, Opaque, Tool};

/// The hosted tools that ChatGPT accounts do not have (docs/backend.md §2.8).
pub(super) const UNAVAILABLE: &[&str] =
    &["file_search", "code_interpreter", "computer_use", "computer_use_preview", "computer", "mcp"];

/// The members that have the schema of a function's arguments: OpenAI's, Anthropic's, MCP's, and Gemini's.
const SCHEMAS: &[&str] =
    &["parameters", "input_schema", "inputSchema", "parametersJsonSchema", "parameters_json_schema"];

/// Reads a list of tools. Tools of the Codex CLI are not changed.
///
/// # Errors
/// Something in it has the wrong type or is missing, or a schema has no equal that the backend accepts: a 400 with its
/// path.
pub(crate) fn list(
    node: &Node<'_, '_>,
    from_cli: bool,
    absent: Strict,
    notices: &mut Notices,
) -> Result<Vec<Tool>, Error> {
    let mut tools = Vec::new();
    for (index, raw) in node.array()?.into_iter().enumerate() {
        let tool_node = node.index(index, raw);
        let members = tool_node.object()?;
        let kind = kind_of(&tool_node, &members)?;
        if from_cli {
            tools.push(Tool::Verbatim(Opaque::new(&kind, &members)));
        } else if kind == "namespace" {
            tools.push(Tool::Namespace(namespace(&tool_node, &members, absent, notices)?));
        } else {
            tools.extend(tool(&tool_node, &kind, &members, absent, notices)?);
        }
        let nested = ["function", "custom"].into_iter().find(|name| find(&members, name).is_some());
        let schema = notices.trail.schema.take().unwrap_or(SCHEMAS[0]);
        let written = match tools.last() {
            Some(Tool::Opaque(_) | Tool::Verbatim(_)) => Written::All,
            _ if nested.is_some() => Written::None,
            _ => Written::of(&members),
        };
        let source = ToolSource {
            nested,
            schema,
            members: written,
            has_listed: is_listed(tools.last(), &members),
            ..ToolSource::of("tools", index)
        };
        notices.trail.tools.resize(tools.len(), source);
    }
    Ok(tools)
}

/// Returns whether a tool is a namespace that has each tool of the caller's list, in the form in which it is sent.
fn is_listed(tool: Option<&Tool>, members: &Members<'_>) -> bool {
    let Some(Tool::Namespace(namespace)) = tool else { return false };
    let listed = find(members, "tools").and_then(|raw| Node::root(raw).array().ok()).unwrap_or_default();
    let is_flat = |tool: &&RawValue| {
        let members = Node::root(tool).object().unwrap_or_default();
        ["function", "custom", "input_schema", "inputSchema"].iter().all(|name| find(&members, name).is_none())
    };
    listed.len() == namespace.tools.len() && listed.iter().all(is_flat)
}

/// Reads chat's legacy `functions`.
///
/// # Errors
/// As for [`list`].
pub(super) fn functions(node: &Node<'_, '_>, notices: &mut Notices) -> Result<Vec<Tool>, Error> {
    let mut tools = Vec::new();
    for (index, raw) in node.array()?.into_iter().enumerate() {
        let function_node = node.index(index, raw);
        let members = function_node.object()?;
        tools.push(Tool::Function(function(&function_node, &members, Strict::Off, notices)?));
        let schema = notices.trail.schema.take().unwrap_or(SCHEMAS[0]);
        notices.trail.tools.push(ToolSource { schema, ..ToolSource::of("functions", index) });
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

/// Reads a tool that is no namespace; `None` if it is dropped with a notice.
fn tool(
    node: &Node<'_, '_>,
    kind: &str,
    members: &Members<'_>,
    absent: Strict,
    notices: &mut Notices,
) -> Result<Option<Tool>, Error> {
    match kind {
        // Anthropic's name for a function.
        "custom" if has_foreign_schema(members) => {
            notices.repaired(node.place("type"), "sent a custom tool with a schema as a function");
            function(node, members, absent, notices).map(Tool::Function).map(Some)
        }
        "function" => function(node, members, absent, notices).map(Tool::Function).map(Some),
        "custom" => custom(node, members, notices).map(Tool::Custom).map(Some),
        kind if UNAVAILABLE.contains(&kind) => {
            notices.dropped(node.here(), format!("the hosted tool `{kind}` is not available to ChatGPT accounts"));
            Ok(None)
        }
        kind if kind.starts_with("web_search") => search(node, kind, members, notices).map(Tool::Opaque).map(Some),
        kind => opaque(node, kind, members, notices).map(Tool::Opaque).map(Some),
    }
}

/// Reads the tools of a namespace as those outside of it. A namespace in another is not known to the backend and is
/// left to it.
fn namespace(
    node: &Node<'_, '_>,
    members: &Members<'_>,
    absent: Strict,
    notices: &mut Notices,
) -> Result<NamespaceTool, Error> {
    let (mut name, mut description, mut tools) = (None, None, Vec::new());
    for (key, raw) in members {
        let member = node.key(key, raw);
        match &**key {
            "type" => {}
            "name" => name = Some(member.non_empty()?),
            "description" => description = Some(member.string()?),
            "tools" => {
                for (index, raw) in member.array()?.into_iter().enumerate() {
                    let inner = member.index(index, raw);
                    let members = inner.object()?;
                    let kind = kind_of(&inner, &members)?;
                    tools.extend(tool(&inner, &kind, &members, absent, notices)?);
                }
            }
            _ => notices.dropped(member.here(), "not supported by the backend"),
        }
    }
    Ok(NamespaceTool { name: name.ok_or_else(|| node.missing("name"))?, description, tools })
}

/// Copies a tool of another type. Of the known ones, only the search for tools has a schema.
fn opaque(node: &Node<'_, '_>, kind: &str, members: &Members<'_>, notices: &mut Notices) -> Result<Opaque, Error> {
    let mut tool = without_cache_control(node, Opaque::new(kind, members), notices);
    if kind == "tool_search" {
        for (key, raw) in tool.members.iter_mut().filter(|(key, _)| key == "parameters") {
            let settled = schema::of_parameters(&node.key(key, &raw.clone()), kind, Strict::Off, notices)?;
            *raw = settled.schema;
        }
    }
    Ok(tool)
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
    match find_type(members) {
        Some(raw) => node.key("type", raw).string(),
        None if find(members, "function").is_some() || find(members, "name").is_some() => Ok("function".to_owned()),
        None => Err(node.missing("type")),
    }
}

/// Returns whether a tool has its schema where another API has it.
fn has_foreign_schema(members: &Members<'_>) -> bool {
    SCHEMAS[1..].iter().any(|name| find(members, name).is_some())
}

/// The members of a function, from the tool itself and from its `function`.
#[derive(Default)]
struct FunctionMembers<'a, 'n> {
    name: Option<String>,
    description: Option<String>,
    /// The schema, and the member that has it.
    parameters: Option<(&'static str, Node<'a, 'n>)>,
    strict: Option<bool>,
    defer_loading: Option<bool>,
}

fn function(
    node: &Node<'_, '_>,
    members: &Members<'_>,
    absent: Strict,
    notices: &mut Notices,
) -> Result<FunctionTool, Error> {
    let nested = find(members, "function").map(|raw| node.key("function", raw));
    let inner = nested.as_ref().map(Node::object).transpose()?.unwrap_or_default();
    let mut function = FunctionMembers::default();
    function.read(node, members, notices)?;
    if let Some(nested) = &nested {
        function.read(nested, &inner, notices)?;
    }
    // A tool in the form of another API means what it means there.
    let is_foreign = nested.is_some() || has_foreign_schema(members);
    let absent = if is_foreign { Strict::Off } else { absent };
    function.finish(nested.as_ref().unwrap_or(node), absent, notices)
}

impl<'a, 'n> FunctionMembers<'a, 'n> {
    fn read(&mut self, node: &'n Node<'a, 'n>, members: &'n Members<'a>, notices: &mut Notices) -> Result<(), Error> {
        for (key, raw) in members {
            let member = node.key(key, raw);
            let is_second = match &**key {
                "type" | "function" => false,
                // An empty text counts as absent.
                key if SCHEMAS.contains(&key) && member.text() == "\"\"" => false,
                "name" => self.name.replace(member.non_empty()?).is_some(),
                "description" => self.description.replace(member.string()?).is_some(),
                key if let Some(name) = SCHEMAS.iter().find(|name| **name == key) => {
                    self.set_schema(name, member, notices);
                    false
                }
                "strict" => self.strict.replace(member.bool()?).is_some(),
                "defer_loading" => self.defer_loading.replace(member.bool()?).is_some(),
                _ => {
                    notices.dropped(member.here(), "not supported by the backend");
                    false
                }
            };
            if is_second {
                notices.dropped(member.here(), "given twice; the last one is sent");
            }
        }
        Ok(())
    }

    /// Sets the schema. An empty one gives way to that of another member, and `parameters` is preferred.
    fn set_schema(&mut self, name: &'static str, member: Node<'a, 'n>, notices: &mut Notices) {
        let Some((known, first)) = &self.parameters else {
            self.parameters = Some((name, member));
            return;
        };
        if member.is_blank() || first.text() == member.text() {
            return;
        }
        let is_preferred = first.is_blank() || *known == name || name == SCHEMAS[0];
        if is_preferred {
            if !first.is_blank() {
                notices.dropped(first.here(), SET_TWICE);
            }
            self.parameters = Some((name, member));
        } else {
            notices.dropped(member.here(), SET_TWICE);
        }
    }

    /// Returns the function. Without a schema it gets an empty one: in chat that means a function without arguments.
    fn finish(self, node: &Node<'_, '_>, absent: Strict, notices: &mut Notices) -> Result<FunctionTool, Error> {
        let name = self.name.ok_or_else(|| node.missing("name"))?;
        let strict = self.strict.map_or(absent, Strict::Given);
        let settled = match &self.parameters {
            Some((member, parameters)) => {
                notices.trail.schema = Some(member);
                schema::of_parameters(parameters, &name, strict, notices)?
            }
            None => schema::empty(strict)?,
        };
        let Settled { schema: parameters, strict } = settled;
        let Self { description, defer_loading, .. } = self;
        Ok(FunctionTool { name, description, parameters, strict, defer_loading })
    }
}

fn custom(node: &Node<'_, '_>, members: &Members<'_>, notices: &mut Notices) -> Result<CustomTool, Error> {
    let nested = find(members, "custom").map(|raw| node.key("custom", raw));
    let inner = nested.as_ref().map(Node::object).transpose()?.unwrap_or_default();
    let outer = members.iter().map(|(key, raw)| node.key(key, raw));
    let inner_nodes = nested.iter().flat_map(|nested| inner.iter().map(|(key, raw)| nested.key(key, raw)));
    let keys = members.iter().chain(&inner).map(|(key, _)| &**key);
    let (mut name, mut description, mut format, mut defer_loading) = (None, None, None, None);
    for (key, member) in keys.zip(outer.chain(inner_nodes)) {
        match key {
            "type" | "custom" => {}
            "name" => name = Some(member.non_empty()?),
            "description" => description = Some(member.string()?),
            "format" => format = Some(input_format(&member)?),
            "defer_loading" => defer_loading = Some(member.bool()?),
            _ => notices.dropped(member.here(), "not supported by the backend"),
        }
    }
    let node = nested.as_ref().unwrap_or(node);
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
