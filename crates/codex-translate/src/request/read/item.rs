//! Input items of the Responses API, as its clients write them (docs/backend.md §2.7, §2.8).
//!
//! Items are rebuilt from an allow-list, because the backend rejects keys that it does not know. Leftovers of a reply
//! (`id`, `status`, annotations, log probabilities) mean nothing in a request and are dropped without a notice.

use super::content;
use super::message::{self, MessageReader};
use crate::error::Error;
use crate::json::{Members, Node, Path, Raw, find, to_raw};
use crate::notice::Notices;
use crate::request::read::shape::Shape;
use crate::responses::{CallKind, InputItem, InputMessage, InputToolCall, Opaque, ReasoningItem, Role, ToolOutput};

/// The key that only the Codex CLI writes on its items (docs/backend.md §9).
const PASSTHROUGH: &str = "internal_chat_message_metadata_passthrough";

/// The types of items that are forwarded unchanged, with the keys that the backend knows for each (docs/backend.md
/// §2.8, plus what the CLI 0.171.0 writes).
const ALLOWED: &[(&str, &[&str])] = &[
    ("additional_tools", &["type", "role", "tools"]),
    ("agent_message", &["type", "author", "recipient", "content"]),
    ("compaction", &["type", "encrypted_content"]),
    ("compaction_summary", &["type", "encrypted_content"]),
    ("compaction_trigger", &["type"]),
    ("configuration_update", &["type", "reasoning", "text"]),
    ("context_compaction", &["type", "encrypted_content"]),
    (
        "image_generation_call",
        &["type", "status", "revised_prompt", "result", "action", "background", "output_format", "quality", "size"],
    ),
    ("local_shell_call", &["type", "call_id", "status", "action"]),
    ("tool_search_call", &["type", "call_id", "status", "execution", "arguments"]),
    ("tool_search_output", &["type", "call_id", "status", "execution", "tools"]),
    ("web_search_call", &["type", "status", "action"]),
];

/// Keys that replies put on items and that mean nothing in a request.
const LEFTOVERS: &[&str] = &["id", "status", "created_by", "object"];

/// The same on images.
const LEFTOVERS_OF_IMAGES: &[&str] = &["error", "svg_usage"];

/// Returns whether the Codex CLI wrote the item.
pub(super) fn is_of_cli(members: &Members<'_>) -> bool {
    find(members, PASSTHROUGH).is_some()
}

/// Reads the items of an `input`, one at a time.
pub(super) struct ItemReader {
    from_cli: bool,
    items: MessageReader,
}

impl ItemReader {
    /// Makes a reader for `count` items.
    pub(super) fn new(from_cli: bool, count: usize) -> Self {
        Self { from_cli, items: MessageReader::new(Shape::Responses, count) }
    }

    pub(super) fn into_items(self) -> Vec<InputItem> {
        self.items.into_items()
    }

    /// Reads one item.
    ///
    /// # Errors
    /// Something in it has the wrong type or is missing: a 400 with its path.
    pub(super) fn read(&mut self, at: &Path<'_>, members: Members<'_>, notices: &mut Notices) -> Result<(), Error> {
        let kind = kind_of(at, &members)?;
        if self.from_cli && kind != "item_reference" {
            self.items.push(InputItem::Verbatim(verbatim(&kind, &members)?));
            return Ok(());
        }
        match &*kind {
            "message" => return self.items.read(at, members, notices),
            "function_call" => self.items.push(InputItem::Call(call(at, &members, CallKind::Function, notices)?)),
            "custom_tool_call" => self.items.push(InputItem::Call(call(at, &members, CallKind::Custom, notices)?)),
            "function_call_output" => {
                self.items.push(InputItem::Output(output(at, &members, CallKind::Function, notices)?));
            }
            "custom_tool_call_output" => {
                self.items.push(InputItem::Output(output(at, &members, CallKind::Custom, notices)?));
            }
            "reasoning" => self.items.push(InputItem::Reasoning(reasoning(at, &members, notices)?)),
            // A content part instead of an item is treated as a message of the user.
            "text" | "input_text" | "input_image" | "input_file" | "image_url" => {
                let content =
                    vec![content::part_of(at, &members, Shape::Responses, notices)?].into_iter().flatten().collect();
                self.items.push(InputItem::Message(InputMessage { role: Role::User, content, phase: None }));
            }
            _ => self.items.push(InputItem::Opaque(cleaned(at, &kind, &members, notices))),
        }
        Ok(())
    }
}

/// Returns the item's type. An item without one is a message if it has a role, as many clients write it.
fn kind_of(at: &Path<'_>, members: &Members<'_>) -> Result<String, Error> {
    match find(members, "type") {
        Some(raw) => at.key("type", raw).string(),
        None if find(members, "role").is_some() => Ok("message".to_owned()),
        None => Err(at.missing("type")),
    }
}

/// Copies an item of the Codex CLI. Only the role `system`, which the backend rejects, becomes `developer`.
fn verbatim(kind: &str, members: &Members<'_>) -> Result<Opaque, Error> {
    let mut item = Opaque::new(kind, members);
    for (key, raw) in &mut item.members {
        if key == "role" && raw.get() == "\"system\"" {
            *raw = to_raw(&"developer")?;
        }
    }
    Ok(item)
}

fn call(at: &Path<'_>, members: &Members<'_>, kind: CallKind, notices: &mut Notices) -> Result<InputToolCall, Error> {
    let input_key = match kind {
        CallKind::Function => "arguments",
        CallKind::Custom => "input",
    };
    let (mut call_id, mut name, mut input, mut namespace) = (None, None, None, None);
    for (key, raw) in members {
        let member = at.key(key, raw);
        match &**key {
            "call_id" => call_id = Some(message::call_id(&member, notices)?),
            "name" => name = Some(message::tool_name(&member, notices)?),
            "namespace" => namespace = Some(member.string()?),
            key if key == input_key => input = Some(message::tool_input(&member, kind, notices)?),
            key => leftover(key, &member, notices),
        }
    }
    Ok(InputToolCall {
        kind,
        call_id: call_id.ok_or_else(|| at.missing("call_id"))?,
        name: name.ok_or_else(|| at.missing("name"))?,
        input: input.unwrap_or_else(|| message::empty_input(kind)),
        namespace,
    })
}

fn output(at: &Path<'_>, members: &Members<'_>, kind: CallKind, notices: &mut Notices) -> Result<ToolOutput, Error> {
    let (mut call_id, mut content) = (None, None);
    for (key, raw) in members {
        let member = at.key(key, raw);
        match &**key {
            "call_id" => call_id = Some(message::call_id(&member, notices)?),
            "output" => content = Some(content::output(&member, Shape::Responses, notices)?),
            // The call has the name.
            "name" => {}
            key => leftover(key, &member, notices),
        }
    }
    let call_id = call_id.ok_or_else(|| at.missing("call_id"))?;
    Ok(ToolOutput { kind, call_id, content: content.unwrap_or_else(content::no_output) })
}

fn reasoning(at: &Path<'_>, members: &Members<'_>, notices: &mut Notices) -> Result<ReasoningItem, Error> {
    let (mut summary, mut content, mut encrypted_content) = (None, None, None);
    for (key, raw) in members {
        let member = at.key(key, raw);
        match &**key {
            "summary" => {
                member.array()?;
                summary = Some(member.raw());
            }
            "content" => {
                member.array()?;
                content = Some(member.raw());
            }
            "encrypted_content" => encrypted_content = Some(member.string()?),
            key => leftover(key, &member, notices),
        }
    }
    let summary = match summary {
        Some(summary) => summary,
        None => empty_list()?,
    };
    Ok(ReasoningItem { summary, content, encrypted_content })
}

fn empty_list() -> Result<Raw, Error> {
    to_raw(&[(); 0])
}

/// Copies an item of another type with the keys of its type. An item of an unknown type keeps all keys but leftovers.
fn cleaned(at: &Path<'_>, kind: &str, members: &Members<'_>, notices: &mut Notices) -> Opaque {
    let allowed = ALLOWED.iter().find(|(name, _)| *name == kind).map(|(_, keys)| *keys);
    let mut item = Opaque { kind: kind.to_owned(), members: Vec::new() };
    for (key, raw) in members {
        let keep = match allowed {
            Some(keys) => keys.contains(&&**key),
            None => kind == "item_reference" || !(key == "id" || key == "cache_control"),
        };
        let is_of_image = kind == "image_generation_call" && LEFTOVERS_OF_IMAGES.contains(&&**key);
        if keep {
            item.members.push((key.to_string(), (*raw).to_owned()));
        } else if !is_of_image {
            leftover(key, &at.key(key, raw), notices);
        }
    }
    item
}

/// Drops a key that the item's type does not have, with a notice unless it is a leftover of a reply.
fn leftover(key: &str, member: &Node<'_, '_>, notices: &mut Notices) {
    if key != "type" && !LEFTOVERS.contains(&key) {
        notices.dropped(member.here(), "not supported by the backend");
    }
}
