//! The items of stored requests and responses: where they are in their text, and what identifies them.

use std::borrow::Cow;
use std::ops::Range;

use codex_translate::ItemOrigin;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

impl Item<'_> {
    /// Makes an item that is not the request's own.
    pub(crate) fn stored(json: Box<RawValue>) -> Self {
        Self { json: Cow::Owned(json), origin: ItemOrigin::Stored }
    }

    pub(crate) fn into_owned(self) -> Item<'static> {
        Item { json: Cow::Owned(self.json.into_owned()), origin: self.origin }
    }
}

/// A JSON text, and the positions of the items in it.
#[derive(Debug, Default)]
pub(super) struct ItemText {
    text: String,
    spans: Vec<Range<u32>>,
}

/// An item of an input, and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Item<'a> {
    pub(crate) json: Cow<'a, RawValue>,
    pub(crate) origin: ItemOrigin,
}

/// What a request or a response has.
#[derive(Deserialize)]
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
            taken.text.push_str(item.json.get());
            taken.spans.push(span(start, item.json.get().len()));
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
pub(crate) fn items(input: &RawValue) -> Result<Vec<Item<'_>>, serde_json::Error> {
    if input.get().starts_with('"') {
        let message = UserMessage { r#type: "message", role: "user", content: input };
        return to_raw_value(&message)
            .map(|message| vec![Item { json: Cow::Owned(message), origin: ItemOrigin::Text }]);
    }
    let items: Vec<&RawValue> = serde_json::from_str(input.get())?;
    let sent = |(index, item)| Item { json: Cow::Borrowed(item), origin: ItemOrigin::Sent(index) };
    Ok(items.into_iter().enumerate().map(sent).collect())
}

/// Returns whether an item is reasoning of the model.
pub(crate) fn is_reasoning(item: &str) -> bool {
    #[derive(Deserialize)]
    struct Typed<'a> {
        #[serde(borrow, default)]
        r#type: Option<Cow<'a, str>>,
    }
    serde_json::from_str(item).is_ok_and(|Typed { r#type }| r#type.as_deref() == Some("reasoning"))
}

#[cfg(test)]
mod tests {
    use super::*;

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
