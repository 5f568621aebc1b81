//! Input items of a Responses request (docs/backend.md §2.8).

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use crate::json::{Members, Raw, TextBuf};

/// An item of a conversation, as it is sent.
///
/// Items that this crate reads have types of their own; others are forwarded as they were written. No item has an `id`:
/// with `store: false` the backend knows none (docs/backend.md §2.7).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum InputItem {
    /// A message.
    Message(InputMessage),
    /// The model's reasoning, encrypted.
    Reasoning(ReasoningItem),
    /// A tool call of the model.
    Call(InputToolCall),
    /// The output of a tool call.
    Output(ToolOutput),
    /// An item of any other type, without keys that its type does not have.
    Opaque(Opaque),
    /// An item of the Codex CLI, exactly as the CLI wrote it.
    Verbatim(Opaque),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputMessage {
    /// Whose message it is.
    pub role: Role,
    /// The content.
    pub content: Vec<ContentPart>,
    /// The phase of a message of the assistant, such as `commentary` or `final_answer`.
    pub phase: Option<String>,
}

/// Whose message it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The system. The backend rejects this role (docs/backend.md §2.5); [`normalise`](crate::normalise()) changes it
    /// to `developer`.
    System,
    /// The developer, who has the authority of the system.
    Developer,
    /// The user.
    User,
    /// The model.
    Assistant,
    /// A role that this crate does not know.
    Other(String),
}

impl CallKind {
    /// Returns the kind of call of an output item of the type `kind`.
    pub(crate) fn of_item(kind: &str) -> Option<Self> {
        match kind {
            "function_call" => Some(Self::Function),
            "custom_tool_call" => Some(Self::Custom),
            _ => None,
        }
    }
}

impl Role {
    /// Returns the role that `word` names.
    pub fn from_word(word: &str) -> Self {
        match word {
            "system" => Self::System,
            "developer" => Self::Developer,
            "user" => Self::User,
            "assistant" => Self::Assistant,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Returns the word on the wire.
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
/// On the wire, text is `input_text` or `output_text`, depending on the role.
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
    /// A part of another type.
    Other(Opaque),
}

/// An image, by URL (`https:` or `data:`) or by the id of an uploaded file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputImage {
    /// The image's URL.
    pub image_url: Option<String>,
    /// The id of an uploaded file.
    pub file_id: Option<String>,
    /// `auto`, `low`, `high` or `original`.
    pub detail: Option<String>,
}

/// A file, by data, id or URL.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputFile {
    /// The file's name.
    pub filename: Option<String>,
    /// The file's data as a `data:` URL.
    pub file_data: Option<String>,
    /// The id of an uploaded file.
    pub file_id: Option<String>,
    /// The file's URL.
    pub file_url: Option<String>,
}

/// The model's reasoning. The model can only read the encrypted form; the summary is for people.
#[derive(Clone, Debug)]
pub struct ReasoningItem {
    /// The parts of the summary, as they were written.
    pub summary: Raw,
    /// The encrypted reasoning, which only works for the same account and model family.
    pub encrypted_content: Option<String>,
}

/// The kind of a tool call, and of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallKind {
    /// A function, whose arguments are JSON.
    Function,
    /// A custom tool, whose input is any text.
    Custom,
}

/// A tool call of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputToolCall {
    /// The kind of the tool.
    pub kind: CallKind,
    /// The id that the call shares with its output; at most 64 characters.
    pub call_id: String,
    /// The tool's name on the wire.
    pub name: String,
    /// The arguments of a function as JSON text, or the input of a custom tool.
    pub input: String,
    /// The namespace of the tool, if it has one.
    pub namespace: Option<String>,
}

/// The output of a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOutput {
    /// The kind of the tool.
    pub kind: CallKind,
    /// The id that the output shares with its call.
    pub call_id: String,
    /// The content.
    pub content: OutputContent,
}

/// The content of a tool's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputContent {
    /// A string.
    Text(TextBuf),
    /// Parts, for example images.
    Parts(Vec<ContentPart>),
}

/// A JSON object whose members are forwarded as they were written.
#[derive(Clone, Debug)]
pub struct Opaque {
    /// The object's `type`.
    pub kind: String,
    /// All members in order, including `type`.
    pub members: Vec<(String, Raw)>,
}

impl Opaque {
    /// Copies the members of an object as they were written.
    pub(crate) fn new(kind: &str, members: &Members<'_>) -> Self {
        let members = members.iter().map(|(key, raw)| (key.to_string(), (*raw).to_owned())).collect();
        Self { kind: kind.to_owned(), members }
    }

    /// Returns the member `key` as it was written.
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
    /// Makes a message of one text.
    pub fn text(role: Role, text: impl Into<TextBuf>) -> Self {
        Self { role, content: vec![ContentPart::Text(text.into())], phase: None }
    }
}

impl ContentPart {
    /// Returns the text of a text part.
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

/// Content parts under the wire names of their role.
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
            // Only the assistant refuses; a refusal in another role's message is text.
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
