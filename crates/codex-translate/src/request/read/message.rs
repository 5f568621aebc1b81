//! Messages of either dialect, read into input items.

use sha2::{Digest as _, Sha256};

use super::place::Place;
use super::{content, output};
use crate::error::Error;
use crate::json::{Members, Node, Path, TextBuf, ValueKind, find};
use crate::notice::Notices;
use crate::request::read::shape::Shape;
use crate::responses::{
    CallKind, ContentPart, InputItem, InputMessage, InputToolCall, OutputContent, Role, ToolOutput,
};

/// The longest id that the backend accepts, in characters (docs/backend.md §2.7).
const MAX_CALL_ID_CHARS: usize = 64;

/// Members that clients put on messages and calls of the assistant because a reply had them, ours or another
/// provider's, and that mean nothing in a request: the reasoning that chat replies show, in the forms of LiteLLM and
/// OpenRouter, too, and what the parsers of OpenAI's SDKs add. The backend takes reasoning only in its encrypted form.
const LEFTOVERS: &[&str] = &[
    "annotations",
    "parsed",
    "parsed_arguments",
    "provider_specific_fields",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "reasoning_items",
    "thinking_blocks",
];

/// The name for a tool call in the history without one; the backend rejects an empty name (docs/backend.md §2.7).
const UNNAMED: &str = "unnamed_tool";

/// What becomes of a message without content, which the backend refuses.
const NOTHING_SAID: &str = "dropped a message without content";

/// Reads messages, one at a time.
///
/// A message becomes one item or several: an assistant's calls follow its text as items of their own.
pub(super) struct MessageReader {
    shape: Shape,
    items: Vec<InputItem>,
    /// The legacy function calls that have no answer yet: the name, and the id that the call was given.
    legacy_calls: Vec<(String, String)>,
    legacy_count: usize,
}

/// The members of one message.
#[derive(Default)]
struct MessageFields {
    content: Option<Vec<ContentPart>>,
    output: Option<OutputContent>,
    name: Option<String>,
    refusal: Option<String>,
    images: Vec<ContentPart>,
    phase: Option<String>,
    call_id: Option<String>,
    calls: Vec<InputToolCall>,
    legacy_call: Option<(String, String)>,
}

impl MessageReader {
    /// Makes a reader for `count` messages, most of which become one item each.
    pub(super) fn new(shape: Shape, count: usize) -> Self {
        Self { shape, items: Vec::with_capacity(count), legacy_calls: Vec::new(), legacy_count: 0 }
    }

    pub(super) fn push(&mut self, item: InputItem) {
        self.items.push(item);
    }

    /// Returns the items that were read so far.
    pub(super) fn items(&mut self) -> &mut Vec<InputItem> {
        &mut self.items
    }

    pub(super) fn into_items(self) -> Vec<InputItem> {
        self.items
    }

    /// Reads one message.
    ///
    /// # Errors
    /// Its role is unknown, or something in it has the wrong type or is missing: a 400 with its path.
    pub(super) fn read(&mut self, at: &Path<'_>, members: Members<'_>, notices: &mut Notices) -> Result<(), Error> {
        let Some(role) = find(&members, "role") else {
            return Err(at.missing("role"));
        };
        let role_node = at.key("role", role);
        let role = role_node.string()?;
        let fields = self.fields(at, &members, &role, notices)?;
        match &*role {
            "tool" => self.tool(at, fields),
            "function" => self.function(at, fields),
            "assistant" => {
                self.assistant(fields, at, notices);
                Ok(())
            }
            "system" | "developer" | "user" => self.said(Role::from_word(&role), fields, at, notices),
            _ if self.shape == Shape::Responses => self.said(Role::from_word(&role), fields, at, notices),
            _ => Err(role_node.invalid(format_args!(
                "is `{role}`; it must be `system`, `developer`, `user`, `assistant`, `tool` or `function`"
            ))),
        }
    }

    fn fields(
        &self,
        at: &Path<'_>,
        members: &Members<'_>,
        role: &str,
        notices: &mut Notices,
    ) -> Result<MessageFields, Error> {
        let (answers, is_reply) = (matches!(role, "tool" | "function"), role == "assistant");
        let mut fields = MessageFields::default();
        for (key, raw) in members {
            let member = at.key(key, raw);
            match &**key {
                "content" if answers => fields.output = Some(output::read(&member, notices)?),
                "content" => fields.content = Some(content::parts(&member, Place::Message(self.shape), notices)?),
                "name" => fields.name = Some(member.string()?).filter(|name| !name.is_empty()),
                "refusal" => fields.refusal = Some(member.string()?),
                "phase" => fields.phase = Some(member.string()?),
                "tool_call_id" | "call_id" => fields.call_id = Some(call_id(&member, notices)?),
                "tool_calls" => fields.calls = tool_calls(&member, notices)?,
                "function_call" => fields.legacy_call = Some(name_and_input(&member, "arguments", notices)?),
                "images" if is_reply => fields.images = images(&member, self.shape, notices)?,
                "role" | "type" | "id" | "status" | "object" | "annotations" | "parsed" => {}
                key if is_reply && LEFTOVERS.contains(&key) => {}
                _ => notices.dropped(member.here(), "not supported by the backend"),
            }
        }
        Ok(fields)
    }

    /// Reads a message of system, developer or user.
    fn said(&mut self, role: Role, fields: MessageFields, at: &Path<'_>, notices: &mut Notices) -> Result<(), Error> {
        let mut content = fields.content.ok_or_else(|| at.missing("content"))?;
        if let Some(name) = fields.name {
            name_speaker(&role, name, &mut content, at, notices);
        }
        if content.is_empty() {
            notices.repaired(at.place("content"), NOTHING_SAID);
            return Ok(());
        }
        self.items.push(InputItem::Message(InputMessage { role, content, phase: fields.phase }));
        Ok(())
    }

    /// Reads a message of the assistant: its text, then its calls.
    fn assistant(&mut self, fields: MessageFields, at: &Path<'_>, notices: &mut Notices) {
        if fields.name.is_some() {
            notices.dropped(at.place("name"), "the backend does not support speaker names");
        }
        let mut said = fields.content.unwrap_or_default();
        let mut shown: Vec<_> =
            said.extract_if(.., |part| matches!(part, ContentPart::Image(_) | ContentPart::File(_))).collect();
        said.retain(|part| !part.as_text().is_some_and(TextBuf::is_empty));
        said.extend(fields.refusal.filter(|refusal| !refusal.is_empty()).map(ContentPart::Refusal));
        let said_nothing = said.is_empty();
        if !said_nothing {
            self.items.push(InputItem::Message(InputMessage {
                role: Role::Assistant,
                content: said,
                phase: fields.phase,
            }));
        }
        if !shown.is_empty() {
            notices.repaired(at.place("content"), "sent the assistant's images and files as the user's");
        }
        // The backend takes no image of the assistant's.
        notices.trail.shown = shown.len();
        shown.extend(fields.images);
        let is_item = self.shape == Shape::Responses;
        if is_item && said_nothing && shown.is_empty() && fields.calls.is_empty() && fields.legacy_call.is_none() {
            notices.repaired(at.place("content"), NOTHING_SAID);
        }
        if !shown.is_empty() {
            self.items.push(InputItem::Message(InputMessage { role: Role::User, content: shown, phase: None }));
        }
        self.items.extend(fields.calls.into_iter().map(InputItem::Call));
        if let Some((name, input)) = fields.legacy_call {
            let call_id = self.legacy_id();
            self.legacy_calls.push((name.clone(), call_id.clone()));
            self.items.push(InputItem::Call(InputToolCall {
                kind: CallKind::Function,
                call_id,
                name,
                input,
                namespace: None,
            }));
        }
    }

    /// Reads a message of a tool. The kind of its call is known once calls and outputs are paired.
    fn tool(&mut self, at: &Path<'_>, fields: MessageFields) -> Result<(), Error> {
        let call_id = fields.call_id.ok_or_else(|| at.missing("tool_call_id"))?;
        let content = fields.output.unwrap_or_else(output::nothing);
        self.items.push(InputItem::Output(ToolOutput { kind: CallKind::Function, call_id, content }));
        Ok(())
    }

    /// Reads a message of a legacy function, which answers the earliest call with its name that has no answer.
    fn function(&mut self, at: &Path<'_>, fields: MessageFields) -> Result<(), Error> {
        let name = fields.name.ok_or_else(|| at.missing("name"))?;
        let call_id = match self.legacy_calls.iter().position(|(called, _)| *called == name) {
            Some(index) => self.legacy_calls.remove(index).1,
            None => self.legacy_id(),
        };
        let content = fields.output.unwrap_or_else(output::nothing);
        self.items.push(InputItem::Output(ToolOutput { kind: CallKind::Function, call_id, content }));
        Ok(())
    }

    /// Makes an id for a call whose dialect has none. Ids are counted, so the same history has the same ids in every
    /// turn.
    fn legacy_id(&mut self) -> String {
        self.legacy_count += 1;
        format!("call_legacy_{}", self.legacy_count)
    }
}

/// Writes a user's name into a text part, because the backend has no field for it. Other names are dropped.
fn name_speaker(role: &Role, name: String, content: &mut Vec<ContentPart>, at: &Path<'_>, notices: &mut Notices) {
    if *role == Role::User {
        notices.emulated(at.place("name"), "sent in a text part before the message");
        content.insert(0, ContentPart::Text(format!("Name of the speaker: {name}").into()));
    } else {
        notices.dropped(at.place("name"), "the backend does not support speaker names");
    }
}

/// Reads the images of a reply, which are image parts, as this program and OpenRouter write them. Others are dropped.
fn images(node: &Node<'_, '_>, shape: Shape, notices: &mut Notices) -> Result<Vec<ContentPart>, Error> {
    let mut images = Vec::new();
    for (index, raw) in node.array()?.into_iter().enumerate() {
        let element = node.index(index, raw);
        match element.kind() {
            ValueKind::Object => images.extend(content::part_of(element.path(), &element.object()?, shape, notices)?),
            ValueKind::String | ValueKind::Array | ValueKind::Number | ValueKind::Bool | ValueKind::Null => {
                notices.dropped(element.here(), "not an image part");
            }
        }
        notices.trail.is_images_shifted |= images.len() != index + 1;
    }
    Ok(images)
}

fn tool_calls(node: &Node<'_, '_>, notices: &mut Notices) -> Result<Vec<InputToolCall>, Error> {
    let list = node.array()?;
    list.iter().enumerate().map(|(index, raw)| tool_call(&node.index(index, raw), notices)).collect()
}

fn tool_call(node: &Node<'_, '_>, notices: &mut Notices) -> Result<InputToolCall, Error> {
    let (mut id, mut called) = (None, None);
    for (key, raw) in node.object()? {
        let member = node.key(&key, raw);
        match &*key {
            "id" => id = Some(call_id(&member, notices)?),
            "function" => called = Some((CallKind::Function, name_and_input(&member, "arguments", notices)?)),
            "custom" => called = Some((CallKind::Custom, name_and_input(&member, "input", notices)?)),
            "type" | "index" | "status" => {}
            key if LEFTOVERS.contains(&key) => {}
            _ => notices.dropped(member.here(), "not supported by the backend"),
        }
    }
    let call_id = id.ok_or_else(|| node.missing("id"))?;
    let (kind, (name, input)) = called.ok_or_else(|| node.missing("function"))?;
    Ok(InputToolCall { kind, call_id, name, input, namespace: None })
}

/// Reads the name and the input of a call.
fn name_and_input(node: &Node<'_, '_>, input_key: &str, notices: &mut Notices) -> Result<(String, String), Error> {
    let kind = if input_key == "input" { CallKind::Custom } else { CallKind::Function };
    let (mut name, mut input) = (None, None);
    for (key, raw) in node.object()? {
        let member = node.key(&key, raw);
        match &*key {
            "name" => name = Some(tool_name(&member, notices)?),
            key if key == input_key => input = Some(tool_input(&member, kind, notices)?),
            key if LEFTOVERS.contains(&key) => {}
            _ => notices.dropped(member.here(), "not supported by the backend"),
        }
    }
    let name = name.ok_or_else(|| node.missing("name"))?;
    Ok((name, input.unwrap_or_else(|| empty_input(kind))))
}

/// Reads the arguments of a function as JSON text, or the input of a custom tool. Some clients send the arguments as an
/// object.
pub(super) fn tool_input(node: &Node<'_, '_>, kind: CallKind, notices: &mut Notices) -> Result<String, Error> {
    match node.kind() {
        ValueKind::String => {
            let text = node.string()?;
            Ok(if text.is_empty() { empty_input(kind) } else { text })
        }
        ValueKind::Object if kind == CallKind::Function => {
            notices.repaired(node.here(), "sent an object as JSON text");
            Ok(node.text().to_owned())
        }
        ValueKind::Object | ValueKind::Array | ValueKind::Number | ValueKind::Bool | ValueKind::Null => node.string(),
    }
}

/// Returns the input of a call that has none.
pub(super) fn empty_input(kind: CallKind) -> String {
    match kind {
        CallKind::Function => "{}".to_owned(),
        CallKind::Custom => String::new(),
    }
}

/// Reads the name of a tool in the history.
pub(super) fn tool_name(node: &Node<'_, '_>, notices: &mut Notices) -> Result<String, Error> {
    let name = node.string()?;
    if name.is_empty() {
        notices.repaired(node.here(), format!("sent an empty name as `{UNNAMED}`"));
        return Ok(UNNAMED.to_owned());
    }
    Ok(name)
}

/// Reads the id of a call. An id that is too long is shortened, in the same way for the call and its output.
pub(super) fn call_id(node: &Node<'_, '_>, notices: &mut Notices) -> Result<String, Error> {
    let id = node.non_empty()?;
    if id.chars().count() <= MAX_CALL_ID_CHARS {
        return Ok(id);
    }
    notices.repaired(node.here(), format!("shortened to {MAX_CALL_ID_CHARS} characters"));
    let digest = Sha256::digest(id.as_bytes());
    let hash: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let kept: String = id.chars().take(MAX_CALL_ID_CHARS - 1 - hash.len()).collect();
    Ok(format!("{kept}_{hash}"))
}
