//! Input items of the Responses API, as its clients write them (docs/backend.md §2.7, §2.8).
//!
//! Items are rebuilt from an allow-list, because the backend rejects keys that it does not know. Leftovers of a reply
//! (`id`, `status`, annotations, log probabilities) mean nothing in a request and are dropped without a notice.

use super::identity::{self, KnownItems};
use super::message::{self, MessageReader};
use super::{content, output, tools};
use crate::error::Error;
use crate::json::{Members, Node, Object, Path, Raw, ValueKind, find, find_type, to_raw};
use crate::notice::Notices;
use crate::paths::ItemOrigin;
use crate::request::read::shape::Shape;
use crate::request::schema::Strict;
use crate::responses::{
    CallKind, InputItem, InputMessage, InputToolCall, ItemForm, ItemHead, Opaque, ReasoningItem, Role, ToolOutput,
};

/// The key that only the Codex CLI writes on its items (docs/backend.md §9).
const PASSTHROUGH: &str = "internal_chat_message_metadata_passthrough";

/// The type of an item that stands for another.
const REFERENCE: &str = "item_reference";

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

/// The types of items that are nothing without their encrypted content.
const ENCRYPTED: &[&str] = &["compaction", "compaction_summary", "context_compaction"];

/// The types of calls that are forwarded and have an output of their own.
const FORWARDED_CALLS: &[&str] = &["apply_patch_call", "computer_call", "local_shell_call", "shell_call"];

/// The types of items that list tools, in `tools`.
pub(crate) const TOOL_LISTS: &[&str] = &["additional_tools", "tool_search_output"];

/// Keys that replies put on items and that mean nothing in a request.
const LEFTOVERS: &[&str] = &["id", "status", "created_by", "object"];

/// The same on images.
const LEFTOVERS_OF_IMAGES: &[&str] = &["error", "svg_usage"];

/// Returns whether the Codex CLI wrote the item.
pub(super) fn is_of_cli(members: &Members<'_>) -> bool {
    find(members, PASSTHROUGH).is_some()
}

/// Returns whether two items of an `input` mean the same to the model, however each is written: arguments with other
/// spacing, content as a string or as a part, with an id and a status or without. It is false if one cannot be read.
///
/// ```
/// use codex_translate::responses::is_same_item;
///
/// let sent = r#"{"role":"user","content":"Hi"}"#;
/// let listed =
///     r#"{"type":"message","id":"msg_1","role":"user","content":[{"type":"input_text","text":"Hi"}]}"#;
/// assert!(is_same_item(sent, listed));
/// assert!(!is_same_item(sent, r#"{"role":"user","content":"Ho"}"#));
/// ```
pub fn is_same_item(one: &str, other: &str) -> bool {
    let read = |text: &str| {
        let Object(members) = serde_json::from_str(text).ok()?;
        let mut reader = ItemReader::new(false, 1);
        reader.read_any(ItemOrigin::Stored, &Path::ROOT, members, &mut Notices::default()).ok()?;
        Some(reader.into_items()).filter(|items| !items.is_empty())
    };
    match (read(one), read(other)) {
        (Some(one), Some(other)) => {
            one.len() == other.len() && one.iter().zip(&other).all(|(one, other)| identity::is_one(one, other))
        }
        _ => false,
    }
}

/// Reads the items of an `input`, one at a time.
pub(super) struct ItemReader<'a> {
    from_cli: bool,
    items: MessageReader,
    known: KnownItems<'a>,
}

impl<'a> ItemReader<'a> {
    /// Makes a reader for `count` items.
    pub(super) fn new(from_cli: bool, count: usize) -> Self {
        Self { from_cli, items: MessageReader::new(Shape::Responses, count), known: KnownItems::default() }
    }

    /// Returns the items that were read so far.
    pub(super) fn items(&mut self) -> &mut Vec<InputItem> {
        self.items.items()
    }

    pub(super) fn into_items(self) -> Vec<InputItem> {
        self.items.into_items()
    }

    /// Reads one item.
    ///
    /// # Errors
    /// Something in it has the wrong type or is missing: a 400 with its path. It refers to an item that is not here: a
    /// 404 that names that item. Only reasoning may be missing: the model can do without. A stored item is no error,
    /// because its caller cannot mend it.
    pub(super) fn read(
        &mut self,
        origin: ItemOrigin,
        at: &Path<'_>,
        members: Members<'a>,
        notices: &mut Notices,
    ) -> Result<(), Error> {
        let start = self.items.items().len();
        match self.read_any(origin, at, members, notices) {
            Err(_) if origin.is_stored() => {
                self.items.items().truncate(start);
                notices.repaired("input[]", "left out a stored item that cannot be sent again");
                Ok(())
            }
            read => read,
        }
    }

    fn read_any(
        &mut self,
        origin: ItemOrigin,
        at: &Path<'_>,
        members: Members<'a>,
        notices: &mut Notices,
    ) -> Result<(), Error> {
        let kind = kind_of(at, &members)?;
        if self.from_cli && kind != REFERENCE {
            self.items.push(InputItem::Verbatim(verbatim(&kind, &members)?));
            return Ok(());
        }
        let ItemHead { id, form, is_of_client, .. } = ItemHead::of(&members);
        if form == ItemForm::Reference && !origin.is_stored() {
            return Err(identity::not_found(&id.unwrap_or_default()));
        }
        let start = self.items.items().len();
        if id.is_some() && !is_of_client {
            // The caller got it in a reply, with members that later versions of the backend may add.
            notices.without_error(|notices| self.read_whole(at, &kind, members, notices))?;
        } else {
            self.read_whole(at, &kind, members, notices)?;
        }
        if let Some(id) = id {
            self.known.add(id, origin, self.items.items(), start, notices);
        }
        Ok(())
    }

    /// Reads an item that is given in full.
    fn read_whole(
        &mut self,
        at: &Path<'_>,
        kind: &str,
        members: Members<'a>,
        notices: &mut Notices,
    ) -> Result<(), Error> {
        let item = match kind {
            "message" => return self.items.read(at, members, notices),
            REFERENCE => return Err(at.missing("id")),
            "function_call" => InputItem::Call(call(at, &members, CallKind::Function, notices)?),
            "custom_tool_call" => InputItem::Call(call(at, &members, CallKind::Custom, notices)?),
            // The official client answers calls of the shell with outputs of functions (docs/backend.md §2.8).
            "function_call_output" | "local_shell_call_output" => {
                InputItem::Output(self.output(at, &members, CallKind::Function, notices)?)
            }
            "custom_tool_call_output" => InputItem::Output(self.output(at, &members, CallKind::Custom, notices)?),
            "reasoning" => InputItem::Reasoning(reasoning(at, &members, notices)?),
            // It has failed, or was interrupted: there is nothing to see.
            "image_generation_call" if find(&members, "result").is_none_or(|raw| Node::root(raw).is_blank()) => {
                notices.repaired(at.without_indexes(), "left out an image that was not made");
                return Ok(());
            }
            // A content part instead of an item is treated as a message of the user.
            "text" | "input_text" | "input_image" | "input_file" | "image_url" => {
                let content =
                    vec![content::part_of(at, &members, Shape::Responses, notices)?].into_iter().flatten().collect();
                InputItem::Message(InputMessage { role: Role::User, content, phase: None })
            }
            _ => {
                let mut item = self.cleaned(at, kind, &members, notices)?;
                if TOOL_LISTS.contains(&&*item.kind) {
                    settle_tools(&mut item, at, &members, notices)?;
                }
                InputItem::Opaque(item)
            }
        };
        self.items.push(item);
        Ok(())
    }

    fn output(
        &mut self,
        at: &Path<'_>,
        members: &Members<'_>,
        kind: CallKind,
        notices: &mut Notices,
    ) -> Result<ToolOutput, Error> {
        let (mut call_id, mut content) = (None, None);
        for (key, raw) in members {
            let member = at.key(key, raw);
            match &**key {
                "call_id" if member.is_blank() => {}
                "call_id" => call_id = Some(message::call_id(&member, notices)?),
                "output" => content = Some(output::read(&member, notices)?),
                // The call has the name.
                "name" => {}
                key => leftover(key, &member, notices),
            }
        }
        let call_id = match call_id {
            Some(call_id) => match self.known.call_of_item(&call_id, self.items.items()) {
                Some(known) if known != call_id => {
                    notices
                        .repaired(at.place("call_id"), "sent the `call_id` of the call instead of the id of its item");
                    known
                }
                _ => call_id,
            },
            None => self.answered(at, members)?,
        };
        Ok(ToolOutput { kind, call_id, content: content.unwrap_or_else(output::nothing) })
    }

    /// Returns the id of the call that an output without `call_id` answers: its own id, which openai-python's type of a
    /// shell's output has instead.
    ///
    /// # Errors
    /// There is no such call, and the output is that of a function: a 400.
    fn answered(&mut self, at: &Path<'_>, members: &Members<'_>) -> Result<String, Error> {
        let Some(id) = identity::id_of(members) else { return Err(at.missing("call_id")) };
        let found = self.known.call_id(&id, self.items.items());
        let is_of_shell = find(members, "type").is_some_and(|kind| kind.get() == "\"local_shell_call_output\"");
        found.or_else(|| is_of_shell.then(|| id.into_owned())).ok_or_else(|| at.missing("call_id"))
    }

    /// Copies an item of another type with the keys of its type. An item of an unknown type keeps all keys but
    /// leftovers.
    ///
    /// # Errors
    /// It is nothing without its encrypted content, and has none: a 400.
    fn cleaned(
        &mut self,
        at: &Path<'_>,
        kind: &str,
        members: &Members<'_>,
        notices: &mut Notices,
    ) -> Result<Opaque, Error> {
        let allowed = ALLOWED.iter().find(|(name, _)| *name == kind).map(|(_, keys)| *keys);
        let mut item = Opaque { kind: kind.to_owned(), members: Vec::new() };
        for (key, raw) in members {
            let keep = match allowed {
                Some(keys) => keys.contains(&&**key),
                None => !(key == "id" || key == "cache_control"),
            };
            let is_of_image = kind == "image_generation_call" && LEFTOVERS_OF_IMAGES.contains(&&**key);
            let member = at.key(key, raw);
            if key == "call_id" && member.kind() == ValueKind::String && !member.is_blank() {
                item.members.push((key.to_string(), to_raw(&message::call_id(&member, notices)?)?));
            } else if keep {
                item.members.push((key.to_string(), (*raw).to_owned()));
            } else if !is_of_image {
                leftover(key, &member, notices);
            }
        }
        let is_given = |key| find(members, key).is_some_and(|raw| !Node::root(raw).is_blank());
        if ENCRYPTED.contains(&kind) && !is_given("encrypted_content") {
            return Err(at.missing("encrypted_content"));
        }
        let answers = kind.strip_suffix("_output").is_some_and(|call| FORWARDED_CALLS.contains(&call));
        if (answers || FORWARDED_CALLS.contains(&kind))
            && !is_given("call_id")
            && let Some(id) = identity::id_of(members)
        {
            let call_id = self.known.call_id(&id, self.items.items()).filter(|_| answers);
            item.members.retain(|(key, _)| key != "call_id");
            item.members.push(("call_id".to_owned(), to_raw(&call_id.as_deref().unwrap_or(&id))?));
        }
        Ok(item)
    }
}

/// Returns the item's type. An item without one is a message if it has a role, as many clients write it, or else a
/// reference, in which the public API does not require it.
fn kind_of(at: &Path<'_>, members: &Members<'_>) -> Result<String, Error> {
    match find_type(members) {
        Some(raw) => at.key("type", raw).string(),
        None if find(members, "role").is_some() => Ok("message".to_owned()),
        None if ItemHead::of(members).form == ItemForm::Reference => Ok(REFERENCE.to_owned()),
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
            "call_id" if member.is_blank() => {}
            "call_id" => call_id = Some(message::call_id(&member, notices)?),
            "name" => name = Some(message::tool_name(&member, notices)?),
            "namespace" => namespace = Some(member.string()?),
            key if key == input_key => input = Some(message::tool_input(&member, kind, notices)?),
            key => leftover(key, &member, notices),
        }
    }
    if call_id.is_none()
        && let Some(id) = find(members, "id").map(|raw| at.key("id", raw)).filter(|id| !id.is_blank())
    {
        notices.repaired(at.place("call_id"), "sent the `id` of the call, which has no `call_id`");
        call_id = Some(message::call_id(&id, notices)?);
    }
    Ok(InputToolCall {
        kind,
        call_id: call_id.ok_or_else(|| at.missing("call_id"))?,
        name: name.ok_or_else(|| at.missing("name"))?,
        input: input.unwrap_or_else(|| message::empty_input(kind)),
        namespace,
    })
}

fn reasoning(at: &Path<'_>, members: &Members<'_>, notices: &mut Notices) -> Result<ReasoningItem, Error> {
    let (mut summary, mut encrypted_content) = (None, None);
    for (key, raw) in members {
        let member = at.key(key, raw);
        match &**key {
            "summary" => {
                member.array()?;
                summary = Some(member.raw());
            }
            // The backend takes no plain reasoning (docs/backend.md §2.7); it is a leftover of a reply.
            "content" => {}
            "encrypted_content" => encrypted_content = Some(member.string()?).filter(|content| !content.is_empty()),
            key => leftover(key, &member, notices),
        }
    }
    let summary = match summary {
        Some(summary) => summary,
        None => empty_list()?,
    };
    Ok(ReasoningItem { summary, encrypted_content })
}

fn empty_list() -> Result<Raw, Error> {
    to_raw(&[(); 0])
}

/// Settles the tools that an item lists, as if they were the request's.
fn settle_tools(item: &mut Opaque, at: &Path<'_>, members: &Members<'_>, notices: &mut Notices) -> Result<(), Error> {
    let Some(listed) = find(members, "tools") else { return Ok(()) };
    let settled = to_raw(&tools::list(&at.key("tools", listed), false, Strict::IfPossible, notices)?)?;
    for (_, raw) in item.members.iter_mut().filter(|(key, _)| key == "tools") {
        raw.clone_from(&settled);
    }
    Ok(())
}

/// Drops a key that the item's type does not have, with a notice unless it is a leftover of a reply.
fn leftover(key: &str, member: &Node<'_, '_>, notices: &mut Notices) {
    if key != "type" && !LEFTOVERS.contains(&key) {
        notices.dropped(member.here(), "not supported by the backend");
    }
}
