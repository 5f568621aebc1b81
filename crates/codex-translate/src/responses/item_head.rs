//! What an item of an input is: given in full, in part, or by its id alone.

use std::borrow::Cow;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::json::{Members, Node, Object, find};

/// Members that say nothing about what an item contains.
const NOT_CONTENT: &[&str] = &["type", "id", "status", "object", "created_by", "role", "phase"];

/// What identifies an item, and how much of it is given. A member that is null or empty counts as absent.
///
/// ```
/// use codex_translate::responses::{ItemForm, ItemHead};
///
/// let head = ItemHead::read(r#"{"type":"image_generation_call","id":"ig_1","result":null}"#);
/// assert_eq!((head.id.as_deref(), head.form), (Some("ig_1"), ItemForm::Reference));
/// let failed = r#"{"type":"image_generation_call","id":"ig_1","status":"failed","result":null}"#;
/// assert_eq!(ItemHead::read(failed).form, ItemForm::Partial);
/// let message = r#"{"type":"message","id":"msg_1","role":"user","content":"Hi"}"#;
/// assert_eq!(ItemHead::read(message).form, ItemForm::Whole);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemHead<'a> {
    /// The id.
    pub id: Option<Cow<'a, str>>,
    /// How much of it is given.
    pub form: ItemForm,
    /// Whether a client wrote the item, and not the model.
    pub is_of_client: bool,
    /// Whether it is what a hosted tool did, which its id identifies: clients send back as much of it as they know.
    pub is_of_tool: bool,
}

/// How much of an item is given. One without an id is always whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ItemForm {
    /// All of it.
    #[default]
    Whole,
    /// An item that a stored one with its id may complete: the encrypted reasoning is missing, the content of an
    /// assistant's message, the data of an image, or all that a finished call has but its status.
    Partial,
    /// Only what identifies it: an `item_reference`, or an item of any other type with neither content nor a status,
    /// or a complete image without its image data.
    Reference,
}

impl<'a> ItemHead<'a> {
    /// Reads an item; one that is not an object has no id.
    pub fn read(item: &'a str) -> Self {
        serde_json::from_str(item).map(|Object(members)| Self::of(&members)).unwrap_or_default()
    }

    /// Reads the members of an item.
    pub(crate) fn of(members: &Members<'a>) -> Self {
        let word =
            |name| find(members, name).and_then(|raw| Node::root(raw).str().ok()).filter(|word| !word.is_empty());
        let (id, kind, role) = (word("id"), word("type"), word("role"));
        let kind = kind.as_deref().unwrap_or_default();
        let form = if id.is_some() { form_of(kind, role.as_deref(), members) } else { ItemForm::Whole };
        let is_of_client = kind.ends_with("_output") || role.is_some_and(|role| role != "assistant");
        let is_said = matches!(kind, "" | "message" | "reasoning" | "function_call" | "custom_tool_call");
        Self { id, form, is_of_client, is_of_tool: !is_of_client && !is_said }
    }
}

/// Returns whether `stored` is the item that `given` stands for in part, or by its id: all that is given, other than a
/// status, is in it. Some clients give the same id to different items.
///
/// ```
/// use codex_translate::responses::completes;
///
/// let given = r#"{"type":"reasoning","id":"rs_1","summary":[]}"#;
/// assert!(completes(given, r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAA"}"#));
/// assert!(!completes(given, r#"{"type":"message","id":"rs_1","role":"assistant","content":"Hi"}"#));
/// ```
pub fn completes(given: &str, stored: &str) -> bool {
    let value = |raw: &RawValue| serde_json::from_str::<Value>(raw.get()).unwrap_or_else(|_| raw.get().into());
    let (Ok(Object(given)), Ok(Object(stored))) = (serde_json::from_str(given), serde_json::from_str(stored)) else {
        return false;
    };
    given.iter().filter(|(_, raw)| !Node::root(raw).is_blank()).all(|(key, raw)| match &**key {
        "id" | "status" | "object" | "created_by" => true,
        "type" if raw.get() == "\"item_reference\"" => true,
        // The API does not require it of a message.
        "type" if raw.get() == "\"message\"" => find(&stored, "type").is_none_or(|known| known.get() == raw.get()),
        key => find(&stored, key).is_some_and(|known| value(known) == value(raw)),
    })
}

fn form_of(kind: &str, role: Option<&str>, members: &Members<'_>) -> ItemForm {
    let is_given = |name| find(members, name).is_some_and(|raw| !Node::root(raw).is_blank());
    let has_content = || members.iter().any(|(key, raw)| !NOT_CONTENT.contains(&&**key) && !Node::root(raw).is_blank());
    match kind {
        "item_reference" => ItemForm::Reference,
        "compaction_trigger" => ItemForm::Whole,
        "reasoning" if is_given("encrypted_content") => ItemForm::Whole,
        "reasoning" => ItemForm::Partial,
        "image_generation_call" if is_given("result") => ItemForm::Whole,
        // The others have failed, or were interrupted.
        "image_generation_call" if find(members, "status").is_some_and(|status| status.get() != "\"completed\"") => {
            ItemForm::Partial
        }
        "image_generation_call" if has_content() => ItemForm::Partial,
        "image_generation_call" => ItemForm::Reference,
        // A tool may have put out nothing.
        _ if find(members, "output").is_some() || has_content() => ItemForm::Whole,
        _ if role == Some("assistant") => ItemForm::Partial,
        _ if role.is_some() => ItemForm::Whole,
        _ if is_given("status") => ItemForm::Partial,
        _ => ItemForm::Reference,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_null_and_empty_are_one_thing() {
        use ItemForm::{Partial, Reference, Whole};
        let image = |members: Value| {
            let mut image = json!({"type": "image_generation_call", "id": "a"});
            image.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
            image
        };
        for (item, form) in [
            (json!({"type": "item_reference", "id": "a"}), Reference),
            (json!({"type": "item_reference", "id": "a", "status": "completed"}), Reference),
            (json!({"type": null, "id": "a"}), Reference),
            (json!({"id": "a"}), Reference),
            (image(json!({})), Reference),
            (image(json!({"result": null, "action": {}, "size": ""})), Reference),
            (image(json!({"status": "completed"})), Reference),
            (image(json!({"status": "completed", "result": [ ]})), Reference),
            (image(json!({"status": "completed", "size": "1024x1024"})), Partial),
            (image(json!({"status": "failed", "result": null})), Partial),
            (image(json!({"status": "in_progress"})), Partial),
            (image(json!({"result": "x"})), Whole),
            (image(json!({"id": ""})), Whole),
            (json!({"type": "web_search_call", "id": "a"}), Reference),
            (json!({"type": "web_search_call", "id": "a", "status": "completed"}), Partial),
            (json!({"type": "fancy_call", "id": "a", "status": "completed"}), Partial),
            (json!({"type": "fancy_call", "id": "a", "status": ""}), Reference),
            (json!({"type": "fancy_call", "id": "a", "status": "completed", "x": 0}), Whole),
            (json!({"type": "compaction_trigger", "id": "a"}), Whole),
            (json!({"type": "local_shell_call_output", "id": "a", "output": ""}), Whole),
            (json!({"type": "local_shell_call_output", "id": "a", "output": null}), Reference),
            (json!({"type": "reasoning", "id": "a", "summary": []}), Partial),
            (json!({"type": "reasoning", "id": "a", "summary": [{"text": "x"}], "encrypted_content": ""}), Partial),
            (json!({"type": "reasoning", "id": "a", "summary": [], "encrypted_content": "x"}), Whole),
            (json!({"role": "user", "id": "a", "content": ""}), Whole),
            (json!({"role": "assistant", "id": "a", "content": []}), Partial),
            (json!({"role": "assistant", "id": "a", "status": "completed", "phase": "commentary"}), Partial),
            (json!({"type": "message", "role": "user", "content": "x"}), Whole),
            (json!("x"), Whole),
        ] {
            assert_eq!(ItemHead::read(&item.to_string()).form, form, "{item}");
        }
    }
}
