//! The tools of a Responses request, the choice among them, and the format of the answer (docs/backend.md §2.8).

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::item::{CallKind, Opaque, entry};
use crate::json::Raw;

/// A tool that the model may use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Tool {
    /// A function of the client.
    Function(FunctionTool),
    /// A custom tool of the client, whose input is text.
    Custom(CustomTool),
    /// Tools of the client under a common name.
    Namespace(NamespaceTool),
    /// A tool of any other type, without keys that its type does not have.
    Opaque(Opaque),
    /// A tool of the Codex CLI, exactly as the CLI wrote it.
    Verbatim(Opaque),
}

/// A function tool.
#[derive(Clone, Debug)]
pub struct FunctionTool {
    /// The name on the wire.
    pub name: String,
    /// What the function is for.
    pub description: Option<String>,
    /// The JSON Schema of the arguments.
    pub parameters: Raw,
    /// Whether the arguments must match the schema. The backend treats absence as `true` and rewrites the schema
    /// (docs/backend.md §2.7), which chat's clients do not expect, so only requests in the Responses form leave it out.
    pub strict: Option<bool>,
    /// Whether the model finds the tool by a search instead of seeing it at once.
    pub defer_loading: Option<bool>,
}

/// A custom tool.
#[derive(Clone, Debug)]
pub struct CustomTool {
    /// The name on the wire.
    pub name: String,
    /// What the tool is for.
    pub description: Option<String>,
    /// The format of the input: text, or a grammar.
    pub format: Option<Raw>,
    /// Whether the model finds the tool by a search before it may call it.
    pub defer_loading: Option<bool>,
}

/// A group of tools.
#[derive(Clone, Debug)]
pub struct NamespaceTool {
    /// The namespace's name on the wire.
    pub name: String,
    /// What the tools are for.
    pub description: Option<String>,
    /// The tools: functions and custom tools.
    pub tools: Vec<Tool>,
}

/// How the model may choose among the tools.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ToolChoice {
    /// The model decides.
    Auto,
    /// No tool.
    None,
    /// At least one tool.
    Required,
    /// This tool.
    Named(NamedTool),
    /// As `mode` says, among `tools`.
    Allowed {
        /// `auto` or `required`.
        mode: String,
        /// The tools to choose from.
        tools: Vec<AllowedTool>,
    },
    /// A hosted tool, which the backend does not allow (docs/backend.md §2.7).
    Hosted(String),
    /// A choice that this crate does not know.
    Other(Opaque),
}

/// A tool that a choice names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedTool {
    /// The tool's kind.
    pub kind: CallKind,
    /// The tool's name on the wire.
    pub name: String,
}

/// A tool that a choice allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedTool {
    /// A tool of the client.
    Named(NamedTool),
    /// A hosted tool, by its type.
    Hosted(String),
}

/// The format of the model's answer: `text` on the wire.
#[derive(Clone, Debug, Default)]
pub struct TextConfig {
    /// `low`, `medium` or `high`.
    pub verbosity: Option<String>,
    /// The format.
    pub format: Option<Format>,
}

impl TextConfig {
    /// Returns whether the answer must have a format, such as JSON.
    pub(crate) fn is_formatted(&self) -> bool {
        self.format.as_ref().is_some_and(|format| !matches!(format, Format::Text))
    }
}

/// The format of an answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Format {
    /// Any text.
    Text,
    /// Any JSON object; `input` must then mention JSON (docs/backend.md §2.8).
    JsonObject,
    /// JSON that follows a schema.
    JsonSchema(JsonSchema),
    /// A format that is not known here.
    Other(Opaque),
}

/// The JSON Schema of an answer.
#[derive(Clone, Debug)]
pub struct JsonSchema {
    /// The schema's name.
    pub name: String,
    /// What the schema is for.
    pub description: Option<String>,
    /// The schema.
    pub schema: Raw,
    /// Whether the answer must follow the schema. Always sent, because the backend treats absence as `true`.
    pub strict: bool,
}

impl Tool {
    /// The name of one of the caller's tools.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Function(tool) => Some(&tool.name),
            Self::Custom(tool) => Some(&tool.name),
            Self::Namespace(_) | Self::Opaque(_) | Self::Verbatim(_) => None,
        }
    }

    /// The name of one of the caller's tools, to be changed.
    pub(crate) fn name_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::Function(tool) => Some(&mut tool.name),
            Self::Custom(tool) => Some(&mut tool.name),
            Self::Namespace(_) | Self::Opaque(_) | Self::Verbatim(_) => None,
        }
    }

    /// The tools that a call can name: those of a namespace, else the tool itself.
    pub fn members(&self) -> &[Self] {
        match self {
            Self::Namespace(namespace) => &namespace.tools,
            Self::Function(_) | Self::Custom(_) | Self::Opaque(_) | Self::Verbatim(_) => std::slice::from_ref(self),
        }
    }

    /// The same, to be changed.
    pub(crate) fn members_mut(&mut self) -> &mut [Self] {
        match self {
            Self::Namespace(namespace) => &mut namespace.tools,
            Self::Function(_) | Self::Custom(_) | Self::Opaque(_) | Self::Verbatim(_) => std::slice::from_mut(self),
        }
    }

    /// The tool's `type` on the wire.
    pub fn kind(&self) -> &str {
        match self {
            Self::Function(_) => "function",
            Self::Custom(_) => "custom",
            Self::Namespace(_) => "namespace",
            Self::Opaque(tool) | Self::Verbatim(tool) => &tool.kind,
        }
    }
}

impl CallKind {
    /// The `type` of a tool of this kind.
    pub(crate) fn tool_type(self) -> &'static str {
        match self {
            Self::Function => "function",
            Self::Custom => "custom",
        }
    }
}

impl Serialize for Tool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Opaque(tool) | Self::Verbatim(tool) => return tool.serialize(serializer),
            Self::Function(_) | Self::Custom(_) | Self::Namespace(_) => {}
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.kind())?;
        match self {
            Self::Function(tool) => {
                map.serialize_entry("name", &tool.name)?;
                entry(&mut map, "description", tool.description.as_ref())?;
                entry(&mut map, "strict", tool.strict.as_ref())?;
                map.serialize_entry("parameters", &tool.parameters)?;
                entry(&mut map, "defer_loading", tool.defer_loading.as_ref())?;
            }
            Self::Custom(tool) => {
                map.serialize_entry("name", &tool.name)?;
                entry(&mut map, "description", tool.description.as_ref())?;
                entry(&mut map, "format", tool.format.as_ref())?;
                entry(&mut map, "defer_loading", tool.defer_loading.as_ref())?;
            }
            Self::Namespace(tool) => {
                map.serialize_entry("name", &tool.name)?;
                entry(&mut map, "description", tool.description.as_ref())?;
                map.serialize_entry("tools", &tool.tools)?;
            }
            Self::Opaque(_) | Self::Verbatim(_) => {}
        }
        map.end()
    }
}

impl Serialize for ToolChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::None => serializer.serialize_str("none"),
            Self::Required => serializer.serialize_str("required"),
            Self::Named(tool) => tool.serialize(serializer),
            Self::Allowed { mode, tools } => {
                let mut map = serializer.serialize_map(Some(3))?;
                map.serialize_entry("type", "allowed_tools")?;
                map.serialize_entry("mode", mode)?;
                map.serialize_entry("tools", tools)?;
                map.end()
            }
            Self::Hosted(kind) => hosted(kind, serializer),
            Self::Other(opaque) => opaque.serialize(serializer),
        }
    }
}

impl Serialize for NamedTool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", self.kind.tool_type())?;
        map.serialize_entry("name", &self.name)?;
        map.end()
    }
}

impl Serialize for AllowedTool {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Named(tool) => tool.serialize(serializer),
            Self::Hosted(kind) => hosted(kind, serializer),
        }
    }
}

fn hosted<S: Serializer>(kind: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry("type", kind)?;
    map.end()
}

impl Serialize for TextConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        // The backend's default, and the only value that every model accepts (docs/backend.md §2.7, §3.4).
        map.serialize_entry("verbosity", self.verbosity.as_deref().unwrap_or("medium"))?;
        entry(&mut map, "format", self.format.as_ref())?;
        map.end()
    }
}

impl Serialize for Format {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Text => map.serialize_entry("type", "text")?,
            Self::JsonObject => map.serialize_entry("type", "json_object")?,
            Self::JsonSchema(schema) => {
                map.serialize_entry("type", "json_schema")?;
                map.serialize_entry("name", &schema.name)?;
                entry(&mut map, "description", schema.description.as_ref())?;
                map.serialize_entry("strict", &schema.strict)?;
                map.serialize_entry("schema", &schema.schema)?;
            }
            Self::Other(opaque) => {
                for (key, raw) in &opaque.members {
                    map.serialize_entry(key, raw)?;
                }
            }
        }
        map.end()
    }
}
