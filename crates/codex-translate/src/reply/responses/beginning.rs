//! Items as they are when they begin.

use serde_json::value::RawValue;

use crate::error::Error;
use crate::json::{ObjectEdit, Text, members, word};
use crate::responses::TextKind;

/// Returns an item as it is when it begins: without its text, its arguments or its result.
///
/// # Errors
/// It is not an object.
pub(super) fn beginning_of(done: &str) -> Result<String, Error> {
    let [kind, status, content, summary, arguments, input, result] =
        members(done, ["type", "status", "content", "summary", "arguments", "input", "result"])?;
    let mut edit = ObjectEdit::new(done);
    let mut begin = |key: &str, found: Option<&RawValue>, value: &'static str| {
        if found.is_some() {
            edit.set(key, found, value);
        }
    };
    if word(kind).as_deref() != Some("reasoning") {
        begin("status", status, "\"in_progress\"");
    }
    begin("content", content, "[]");
    begin("summary", summary, "[]");
    begin("arguments", arguments, "\"\"");
    begin("input", input, "\"\"");
    begin("result", result, "null");
    Ok(edit.text())
}

/// Returns the item of a delta for which upstream has announced none.
pub(super) fn unannounced(text_kind: TextKind, id: Option<&str>, place: usize) -> String {
    let (prefix, rest) = match text_kind {
        TextKind::Text | TextKind::Refusal => {
            ("msg", "\"type\":\"message\",\"status\":\"in_progress\",\"content\":[],\"role\":\"assistant\"")
        }
        TextKind::Summary | TextKind::Reasoning => ("rs", "\"type\":\"reasoning\",\"summary\":[]"),
    };
    let id = id.map_or_else(|| format!("{prefix}_{place}"), str::to_owned);
    format!("{{\"id\":{},{rest}}}", Text::Plain(&id).to_json())
}
