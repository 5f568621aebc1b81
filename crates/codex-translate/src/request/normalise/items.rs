//! Repairs `input` items that the backend rejects (docs/backend.md §2.5, §2.7).

use super::{pairing, tools};
use crate::error::Error;
use crate::json::{Node, ValueKind};
use crate::notice::Notices;
use crate::responses::{
    CallKind, ContentPart, Format, InputItem, InputMessage, Opaque, ReasoningItem, ResponsesRequest, Role,
};

/// The actions that a web search in the history may have (docs/backend.md §2.7).
const SEARCH_ACTIONS: &[&str] = &["search", "open_page", "find_in_page"];

/// The instruction to the model if a client wants JSON and the conversation does not mention it.
const SPEAK_JSON: &str = "Answer with a JSON object.";

/// Normalises the conversation. Items of the Codex CLI are not changed.
///
/// # Errors
/// The conversation is empty after repairs: a 400.
pub(super) fn normalise_items(request: &mut ResponsesRequest, notices: &mut Notices) -> Result<(), Error> {
    system_becomes_developer(&mut request.input);
    drop_unknown_search_actions(request, notices);
    drop_empty_messages(request, notices);
    drop_unreadable_reasoning(request, notices);
    functions_become_custom_calls(request);
    if !request.local.from_cli {
        pairing::normalise_calls(&mut request.input, &mut request.local.sources.items, notices);
    }
    speak_of_json(request, notices);
    if request.input.is_empty() {
        let name = request.local.name_of("input");
        let message = format!(
            "`{name}` is empty after dropping messages without content and reasoning without encrypted content; send at \
             least one message"
        );
        return Err(Error::invalid(name, message));
    }
    Ok(())
}

/// Changes the role of system messages, which LangChain, n8n and others send in `input`: the backend answers `System
/// messages are not allowed`.
fn system_becomes_developer(input: &mut [InputItem]) {
    for item in input {
        if let InputItem::Message(message) = item
            && message.role == Role::System
        {
            message.role = Role::Developer;
        }
    }
}

/// Drops web searches of the history with an action that the backend does not know, which it answers with a 400.
fn drop_unknown_search_actions(request: &mut ResponsesRequest, notices: &mut Notices) {
    request.retain_input(|item| {
        let InputItem::Opaque(search) = item else {
            return true;
        };
        let known = search.kind != "web_search_call" || action_of(search).is_none_or(|action| is_known(&action));
        if !known {
            // A reply may have had it, and the caller cannot know.
            notices.repaired("input[]", "left out a `web_search_call` with an unknown action");
        }
        known
    });
}

fn is_known(action: &str) -> bool {
    SEARCH_ACTIONS.contains(&action)
}

/// Returns the `action.type` of a search.
fn action_of(search: &Opaque) -> Option<String> {
    let action = Node::root(search.member("action")?);
    if action.kind() != ValueKind::Object {
        return Some(String::new());
    }
    let members = action.object().ok()?;
    let (_, kind) = members.iter().find(|(key, _)| key == "type")?;
    Node::root(kind).string().ok()
}

/// Drops empty messages: the backend requires content.
fn drop_empty_messages(request: &mut ResponsesRequest, notices: &mut Notices) {
    request.retain_input(|item| {
        let empty = matches!(item, InputItem::Message(InputMessage { content, .. }) if content.is_empty());
        if empty {
            notices.repaired("input[].content", "dropped a message without content");
        }
        !empty
    });
}

/// Drops reasoning without encrypted content, which is only the id of a stored item. With it, reasoning may stand
/// alone: the official client sends what was finished of an interrupted reply, and then what the user says instead
/// (docs/backend.md §2.7).
fn drop_unreadable_reasoning(request: &mut ResponsesRequest, notices: &mut Notices) {
    request.retain_input(|item| {
        let kept = !matches!(item, InputItem::Reasoning(ReasoningItem { encrypted_content: None, .. }));
        if !kept {
            // Not a loss that strict mode refuses: a client sends back what the reply had. The summary is for people.
            notices.repaired("input[]", "left out `reasoning` without encrypted content");
        }
        kept
    });
}

/// Restores calls of custom tools. Cursor and chat clients know only functions, so they return such a call as a
/// function call with its text as arguments.
fn functions_become_custom_calls(request: &mut ResponsesRequest) {
    let kinds = tools::kinds_of(&request.tools);
    for item in &mut request.input {
        if let InputItem::Call(call) = item
            && kinds.get(&*call.name) == Some(&CallKind::Custom)
        {
            call.kind = CallKind::Custom;
        }
    }
}

/// Mentions JSON in `input`, which `json_object` requires; `instructions` do not count (docs/backend.md §2.8).
fn speak_of_json(request: &mut ResponsesRequest, notices: &mut Notices) {
    if !matches!(request.text.format, Some(Format::JsonObject)) || request.input.iter().any(speaks_of_json) {
        return;
    }
    let parameter = request.local.name_of("text.format");
    notices.repaired(parameter, "added a developer message that asks for JSON");
    request.insert_input(0, InputItem::Message(InputMessage::text(Role::Developer, SPEAK_JSON)));
}

fn speaks_of_json(item: &InputItem) -> bool {
    match item {
        InputItem::Message(message) => {
            message.content.iter().filter_map(ContentPart::as_text).any(|text| has_json(&text.decode()))
        }
        InputItem::Verbatim(item) => {
            item.kind == "message" && item.member("content").is_some_and(|raw| has_json(raw.get()))
        }
        InputItem::Reasoning(_) | InputItem::Call(_) | InputItem::Output(_) | InputItem::Opaque(_) => false,
    }
}

fn has_json(text: &str) -> bool {
    text.as_bytes().windows(4).any(|word| word.eq_ignore_ascii_case(b"json"))
}
