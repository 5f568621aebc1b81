//! The items of stored requests and responses: where they are in their text, and what identifies them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as DeriveDeserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// A JSON text, and the positions of the items in it.
#[derive(Debug, Default)]
pub(super) struct ItemText {
    text: String,
    spans: Vec<Range<u32>>,
}

/// What a request or a response has.
#[derive(DeriveDeserialize)]
struct Itemised<'a> {
    #[serde(borrow, default)]
    input: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output: Option<Vec<&'a RawValue>>,
}

/// A text as the message item that it stands for.
#[derive(Serialize)]
struct UserMessage<'a> {
    r#type: &'static str,
    role: &'static str,
    content: &'a RawValue,
}

impl ItemText {
    /// Takes the items of a request's input.
    pub(super) fn of_request(body: &[u8]) -> Self {
        // It was parsed when it arrived.
        let input = serde_json::from_slice(body).ok().and_then(|Itemised { input, .. }| input);
        let items = input.and_then(|input| items(input).ok()).unwrap_or_default();
        let mut taken = Self::default();
        for item in items {
            let start = taken.text.len();
            taken.text.push_str(item.get());
            taken.spans.push(span(start, item.get().len()));
        }
        taken
    }

    /// Takes a response with the items of its output.
    pub(super) fn of_response(text: String) -> Self {
        let output = serde_json::from_str(&text).ok().and_then(|Itemised { output, .. }| output).unwrap_or_default();
        let start = |item: &RawValue| item.get().as_ptr().addr() - text.as_ptr().addr();
        let spans = output.into_iter().map(|item| span(start(item), item.get().len())).collect();
        Self { text, spans }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn item(&self, at: usize) -> Option<&str> {
        let Range { start, end } = self.spans.get(at)?;
        self.text.get(*start as usize..*end as usize)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.spans.len()).filter_map(|at| self.item(at))
    }

    /// Returns how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.spans.len() * size_of::<Range<u32>>()
    }
}

/// A text of more than 4 GiB, which no request or reply has, has no items.
fn span(start: usize, length: usize) -> Range<u32> {
    let end = start.saturating_add(length);
    match (u32::try_from(start), u32::try_from(end)) {
        (Ok(start), Ok(end)) => start..end,
        _ => 0..0,
    }
}

/// Returns the items of an input; a text is the user's message.
///
/// # Errors
/// The input is neither a text nor a list.
pub(crate) fn items(input: &RawValue) -> Result<Vec<Cow<'_, RawValue>>, serde_json::Error> {
    if input.get().starts_with('"') {
        let message = UserMessage { r#type: "message", role: "user", content: input };
        return to_raw_value(&message).map(|message| vec![Cow::Owned(message)]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(input.get())?;
    Ok(items.into_iter().map(Cow::Borrowed).collect())
}

/// Returns whether an item is reasoning of the model.
pub(crate) fn is_reasoning(item: &str) -> bool {
    #[derive(DeriveDeserialize)]
    struct Typed<'a> {
        #[serde(borrow, default)]
        r#type: Option<Cow<'a, str>>,
    }
    serde_json::from_str(item).is_ok_and(|Typed { r#type }| r#type.as_deref() == Some("reasoning"))
}

/// What identifies an item, and how much of it is given. Absent, null and empty are one thing, as in
/// [`item_reference`](codex_translate::responses::item_reference).
#[derive(Debug, Default)]
pub(super) struct ItemHead<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) form: ItemForm,
    /// Whether the client wrote the item, and not the model.
    pub(super) is_of_client: bool,
}

/// How much of an item is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ItemForm {
    #[default]
    Whole,
    /// Only what identifies it.
    Reference,
    /// What the stored item may have in addition is missing: the encrypted reasoning, or the action of a search.
    Partial,
}

impl<'a> ItemHead<'a> {
    /// Reads an item; one that is not an object has no id.
    pub(super) fn read(item: &'a str) -> Self {
        serde_json::from_str(item).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for ItemHead<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadVisitor;
        impl<'de> Visitor<'de> for HeadVisitor {
            type Value = ItemHead<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an item")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let (mut id, mut kind, mut role) = (None, None, None);
                let (mut has_encrypted, mut has_status, mut has_more) = (false, false, false);
                while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                    let value: &RawValue = map.next_value()?;
                    match &*key {
                        "id" => id = word(value),
                        "type" => kind = word(value),
                        "encrypted_content" => has_encrypted = !is_empty(value),
                        "status" => has_status = !is_empty(value),
                        "object" | "created_by" => {}
                        "role" => {
                            role = word(value);
                            has_more |= role.is_some();
                        }
                        // A tool may have put out nothing.
                        "output" => has_more |= value.get() != "null",
                        _ => has_more |= !is_empty(value),
                    }
                }
                let kind = kind.as_deref().unwrap_or_default();
                let form = match kind {
                    _ if id.is_none() => ItemForm::Whole,
                    "item_reference" => ItemForm::Reference,
                    "compaction_trigger" => ItemForm::Whole,
                    "reasoning" if !has_encrypted => ItemForm::Partial,
                    // Replies of 2025 had web searches without an action.
                    "web_search_call" if has_status && !has_more => ItemForm::Partial,
                    _ if !(has_more || has_encrypted) => ItemForm::Reference,
                    _ => ItemForm::Whole,
                };
                let is_of_client = kind.ends_with("_output") || role.is_some_and(|role| role != "assistant");
                Ok(ItemHead { id, form, is_of_client })
            }
        }
        deserializer.deserialize_map(HeadVisitor)
    }
}

/// Returns a string that is not empty.
fn word(value: &RawValue) -> Option<Cow<'_, str>> {
    #[derive(DeriveDeserialize)]
    struct Word<'a>(#[serde(borrow)] Cow<'a, str>);
    serde_json::from_str(value.get()).ok().map(|Word(word)| word).filter(|word| !word.is_empty())
}

fn is_empty(value: &RawValue) -> bool {
    let text = value.get();
    matches!(text, "null" | "\"\"")
        || text.len() < 64 && {
            let text: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
            text == "[]" || text == "{}"
        }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_null_and_empty_are_one_thing() {
        use ItemForm::{Partial, Reference, Whole};
        for (item, form) in [
            (json!({"type": "item_reference", "id": "a"}), Reference),
            (json!({"type": null, "id": "a"}), Reference),
            (json!({"id": "a"}), Reference),
            (json!({"type": "image_generation_call", "id": "a"}), Reference),
            (json!({"type": "image_generation_call", "id": "a", "result": null, "action": {}, "size": ""}), Reference),
            (json!({"type": "image_generation_call", "id": "a", "status": "completed"}), Reference),
            (json!({"type": "web_search_call", "id": "a", "status": "completed"}), Partial),
            (json!({"type": "compaction_trigger", "id": "a"}), Whole),
            (json!({"type": "image_generation_call", "id": "a", "result": "x"}), Whole),
            (json!({"type": "local_shell_call_output", "id": "a", "output": ""}), Whole),
            (json!({"type": "local_shell_call_output", "id": "a", "output": null}), Reference),
            (json!({"type": "image_generation_call", "id": ""}), Whole),
            (json!({"type": "reasoning", "id": "a", "summary": []}), Partial),
            (json!({"type": "reasoning", "id": "a", "summary": [{"text": "x"}], "encrypted_content": ""}), Partial),
            (json!({"type": "reasoning", "id": "a", "summary": [], "encrypted_content": "x"}), Whole),
            (json!({"role": "user", "id": "a", "content": ""}), Whole),
            (json!({"type": "message", "role": "user", "content": "x"}), Whole),
            (json!("x"), Whole),
        ] {
            assert_eq!(ItemHead::read(&item.to_string()).form, form, "{item}");
        }
    }

    #[test]
    fn items_are_found_in_their_text() {
        let request = ItemText::of_request(br#"{"model": "m", "input": [{"a": 1}, {"b": "\u00fc"}]}"#);
        assert_eq!(request.iter().collect::<Vec<_>>(), [r#"{"a": 1}"#, r#"{"b": "\u00fc"}"#]);
        let text = ItemText::of_request(br#"{"input": "hi"}"#);
        assert_eq!(text.iter().collect::<Vec<_>>(), [r#"{"type":"message","role":"user","content":"hi"}"#]);
        let response = ItemText::of_response(r#"{"output":[{"id":"x"} ,{}],"id":"r"}"#.to_owned());
        assert_eq!(response.iter().collect::<Vec<_>>(), [r#"{"id":"x"}"#, "{}"]);
        assert_eq!((response.item(1), response.item(2)), (Some("{}"), None));
        assert!(ItemText::of_request(b"{}").iter().next().is_none());
    }
}
