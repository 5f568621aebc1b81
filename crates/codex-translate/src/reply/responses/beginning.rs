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
pub(super) fn unannounced(text_kind: TextKind, id: Option<&str>) -> String {
    let rest = match text_kind {
        TextKind::Text | TextKind::Refusal => {
            "\"type\":\"message\",\"status\":\"in_progress\",\"content\":[],\"role\":\"assistant\""
        }
        TextKind::Summary | TextKind::Reasoning => "\"type\":\"reasoning\",\"summary\":[]",
    };
    format!("{{\"id\":{},{rest}}}", Text::Plain(id.unwrap_or_default()).to_json())
}

/// Returns an id for an item of `type_name` that has none: the one at `place` in the output of `response`. It has the
/// prefix that the backend expects (docs/backend.md §2.7), and is unlike the ids that a proxy makes up for input.
pub(super) fn made_up_id(type_name: &str, response: &str, place: usize) -> String {
    let prefix = match type_name {
        "message" => "msg",
        "reasoning" => "rs",
        "function_call" => "fc",
        "custom_tool_call" => "ctc",
        "web_search_call" => "ws",
        "image_generation_call" => "ig",
        "local_shell_call" => "lsh",
        "tool_search_call" => "tsc",
        "compaction" | "compaction_summary" | "context_compaction" => "cmp",
        _ => "item",
    };
    format!("{prefix}_{}_out{place}", response.trim_start_matches("resp_"))
}
