//! Input items of a Responses request (docs/backend.md §2.8).

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::json::{Members, Raw, TextBuf};

/// One item of a conversation, as it is sent.
///
/// What is read here is typed; every other item is carried as it was written. No item carries an `id`: with `store:
/// false` the backend knows none of them (docs/backend.md §2.7).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum InputItem {
    /// Something said.
    Message(InputMessage),
    /// What the model thought, encrypted.
    Reasoning(ReasoningItem),
    /// A tool call of the model.
    Call(ToolCall),
    /// What a tool call came to.
    Output(ToolOutput),
    /// An item of any other type, without the keys that its type does not have.
    Opaque(Opaque),
    /// An item of the Codex CLI, exactly as the CLI wrote it.
    Verbatim(Opaque),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputMessage {
    /// Who speaks.
    pub role: Role,
    /// What is said, in parts.
    pub content: Vec<ContentPart>,
    /// `commentary`, `final_answer` or another, on messages of the assistant.
    pub phase: Option<String>,
}

/// Who speaks in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The system. The backend refuses it (docs/backend.md §2.5); [`normalise`](crate::normalise()) leaves none.
    System,
    /// The developer, whose word counts like the system's.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A role that is not known here.
    Other(String),
}

impl CallKind {
    /// The kind of call that an output item of this type is.
    pub(crate) fn of_item(kind: &str) -> Option<Self> {
        match kind {
            "function_call" => Some(Self::Function),
            "custom_tool_call" => Some(Self::Custom),
            _ => None,
        }
    }
}

impl Role {
    /// The role that `word` names.
    pub fn from_word(word: &str) -> Self {
        match word {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Other(word) => word,
        }
    }
}

/// A part of a message's content, or of a tool's output.
///
/// The wire names of text differ by role, `input_text` and `output_text`; here it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentPart {
    /// Text.
    Text(TextBuf),
    /// An image.
    Image(InputImage),
    /// A file.
    File(InputFile),
    /// The model's refusal.
    Refusal(String),
    /// A part of a type that is not known here.
    Other(Opaque),
}

/// An image, by an address (`https:` or `data:`) or by the id of an uploaded file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputImage {
    /// The image's address.
    pub image_url: Option<String>,
    /// The id of an uploaded file.
    pub file_id: Option<String>,
    /// `auto`, `low`, `high` or `original`.
    pub detail: Option<String>,
}

/// A file, by its data, by an id, or by an address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputFile {
    /// The file's name.
    pub filename: Option<String>,
    /// The file's data as a `data:` address.
    pub file_data: Option<String>,
    /// The id of an uploaded file.
    pub file_id: Option<String>,
    /// The file's address.
    pub file_url: Option<String>,
}

/// What the model thought. Only what is encrypted can be given back to it; the summary is for people.
#[derive(Clone, Debug)]
pub struct ReasoningItem {
    /// The summary's parts, as they came.
    pub summary: Raw,
    /// The thoughts in plain text, as they came, from models that show them.
    pub content: Option<Raw>,
    /// The thoughts as the backend takes them back, bound to account and model family.
    pub encrypted_content: Option<String>,
}

/// The kind of a tool call, and of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// A function, called with JSON arguments.
    Function,
    /// A custom tool, called with text of any form.
    Custom,
}

/// A tool call of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// Which kind of tool was called.
    pub kind: CallKind,
    /// What pairs the call with its output; at most 64 characters.
    pub call_id: String,
    /// The tool's name on the wire.
    pub name: String,
    /// The arguments as JSON text, or a custom tool's input.
    pub input: String,
    /// The namespace of the tool, if it is in one.
    pub namespace: Option<String>,
}

/// What a tool call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    /// Which kind of tool answered.
    pub kind: CallKind,
    /// The id of the call that is answered.
    pub call_id: String,
    /// What the tool answered.
    pub content: OutputContent,
}

/// The content of a tool's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputContent {
    /// One text.
    Text(TextBuf),
    /// Parts, among them images.
    Parts(Vec<ContentPart>),
}

/// A JSON object that is carried as it was written, member by member.
#[derive(Clone, Debug)]
pub struct Opaque {
    /// The object's `type`.
    pub kind: String,
    /// All members in order, `type` among them.
    pub members: Vec<(String, Raw)>,
}

impl Opaque {
    /// The object with these members, as they were written.
    pub(crate) fn new(kind: &str, members: &Members<'_>) -> Self {
        let members = members.iter().map(|(key, raw)| (key.to_string(), (*raw).to_owned())).collect();
        Self { kind: kind.to_owned(), members }
    }

    /// The member `key` as it was written.
    pub fn member(&self, key: &str) -> Option<&RawValue> {
        self.members.iter().find(|(name, _)| name == key).map(|(_, raw)| &**raw)
    }
}

impl PartialEq for Opaque {
    fn eq(&self, other: &Self) -> bool {
        let text = |(key, raw): &(String, Raw)| (key.clone(), raw.get().to_owned());
        self.members.iter().map(text).eq(other.members.iter().map(text))
    }
}

impl Eq for Opaque {}

impl InputMessage {
    /// A message of one text.
    pub fn text(role: Role, text: impl Into<TextBuf>) -> Self {
        Self { role, content: vec![ContentPart::Text(text.into())], phase: None }
    }
}

impl ContentPart {
    /// The text of a text part.
    pub fn as_text(&self) -> Option<&TextBuf> {
        match self {
            Self::Text(text) => Some(text),
            Self::Image(_) | Self::File(_) | Self::Refusal(_) | Self::Other(_) => None,
        }
    }
}

impl Serialize for InputItem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Message(message) => {
                map.serialize_entry("type", "message")?;
                map.serialize_entry("role", message.role.as_str())?;
                let assistant = message.role == Role::Assistant;
                map.serialize_entry("content", &Parts { parts: &message.content, assistant })?;
                entry(&mut map, "phase", message.phase.as_ref())?;
            }
            Self::Reasoning(reasoning) => {
                map.serialize_entry("type", "reasoning")?;
                map.serialize_entry("summary", &reasoning.summary)?;
                entry(&mut map, "content", reasoning.content.as_ref())?;
                entry(&mut map, "encrypted_content", reasoning.encrypted_content.as_ref())?;
            }
            Self::Call(call) => {
                let (kind, input_key) = match call.kind {
                    CallKind::Function => ("function_call", "arguments"),
                    CallKind::Custom => ("custom_tool_call", "input"),
                };
                map.serialize_entry("type", kind)?;
                map.serialize_entry("call_id", &call.call_id)?;
                map.serialize_entry("name", &call.name)?;
                map.serialize_entry(input_key, &call.input)?;
                entry(&mut map, "namespace", call.namespace.as_ref())?;
            }
            Self::Output(output) => {
                let kind = match output.kind {
                    CallKind::Function => "function_call_output",
                    CallKind::Custom => "custom_tool_call_output",
                };
                map.serialize_entry("type", kind)?;
                map.serialize_entry("call_id", &output.call_id)?;
                match &output.content {
                    OutputContent::Text(text) => map.serialize_entry("output", text)?,
                    OutputContent::Parts(parts) => map.serialize_entry("output", &Parts { parts, assistant: false })?,
                }
            }
            Self::Opaque(opaque) | Self::Verbatim(opaque) => opaque.write(&mut map)?,
        }
        map.end()
    }
}

impl Serialize for Opaque {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.members.len()))?;
        self.write(&mut map)?;
        map.end()
    }
}

impl Opaque {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.members.iter().try_for_each(|(key, raw)| map.serialize_entry(key, raw))
    }
}

/// Content parts under the names that their side has on the wire.
struct Parts<'a> {
    parts: &'a [ContentPart],
    assistant: bool,
}

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.parts.len()))?;
        for part in self.parts {
            list.serialize_element(&SidedPart { part, assistant: self.assistant })?;
        }
        list.end()
    }
}

struct SidedPart<'a> {
    part: &'a ContentPart,
    assistant: bool,
}

impl Serialize for SidedPart<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.part {
            ContentPart::Text(text) => {
                map.serialize_entry("type", if self.assistant { "output_text" } else { "input_text" })?;
                map.serialize_entry("text", text)?;
            }
            // Only the assistant refuses; a refusal that somebody else quotes is text.
            ContentPart::Refusal(text) if self.assistant => {
                map.serialize_entry("type", "refusal")?;
                map.serialize_entry("refusal", text)?;
            }
            ContentPart::Refusal(text) => {
                map.serialize_entry("type", "input_text")?;
                map.serialize_entry("text", text)?;
            }
            ContentPart::Image(image) => {
                map.serialize_entry("type", "input_image")?;
                entry(&mut map, "image_url", image.image_url.as_ref())?;
                entry(&mut map, "file_id", image.file_id.as_ref())?;
                entry(&mut map, "detail", image.detail.as_ref())?;
            }
            ContentPart::File(file) => {
                map.serialize_entry("type", "input_file")?;
                entry(&mut map, "filename", file.filename.as_ref())?;
                entry(&mut map, "file_data", file.file_data.as_ref())?;
                entry(&mut map, "file_id", file.file_id.as_ref())?;
                entry(&mut map, "file_url", file.file_url.as_ref())?;
            }
            ContentPart::Other(opaque) => opaque.write(&mut map)?,
        }
        map.end()
    }
}

/// Writes the member `key` if there is a value for it.
pub(crate) fn entry<M: SerializeMap, T: Serialize>(map: &mut M, key: &str, value: Option<&T>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, value))
}
