//! References: items that are given by their id alone.

use crate::json::{Members, Node, Object, find};

/// Members that say nothing about what an item contains.
const NOT_CONTENT: &[&str] = &["type", "id", "status", "object", "created_by"];

/// Returns the id of the item that `item`, as JSON, stands for: an `item_reference`, or an item of any other type that
/// has an id and no content. A member that is null or empty counts as absent, and so does the type of a reference.
///
/// ```
/// use codex_translate::responses::item_reference;
///
/// let image = r#"{"type":"image_generation_call","id":"ig_1","result":null}"#;
/// assert_eq!(item_reference(image).as_deref(), Some("ig_1"));
/// assert_eq!(item_reference(r#"{"id":"msg_1"}"#).as_deref(), Some("msg_1"));
/// assert_eq!(item_reference(r#"{"type":"message","id":"msg_1","role":"user","content":"Hi"}"#), None);
/// assert_eq!(item_reference(r#"{"type":"local_shell_call_output","id":"call_1","output":""}"#), None);
/// ```
pub fn item_reference(item: &str) -> Option<String> {
    let Object(members) = serde_json::from_str(item).ok()?;
    let id = Node::root(find(&members, "id")?).string().ok()?;
    (is_reference(&members) && !id.is_empty()).then_some(id)
}

/// Returns whether an item with these members, which has an id, stands for another.
pub(crate) fn is_reference(members: &Members<'_>) -> bool {
    match find(members, "type").and_then(|kind| Node::root(kind).str().ok()).as_deref() {
        Some("item_reference") => true,
        Some("compaction_trigger") => false,
        // A tool may have put out nothing.
        _ if find(members, "output").is_some() => false,
        // Replies of 2025 had web searches without an action.
        Some("web_search_call") if find(members, "status").is_some() => false,
        _ => !members.iter().any(|(key, raw)| !NOT_CONTENT.contains(&&**key) && !Node::root(raw).is_blank()),
    }
}
