//! The steps that only a chat request needs.
//!
//! The reader has already turned the messages into items. Two steps remain:
//!
//! * **Instructions.** Leading system and developer messages are joined to `instructions`, in order, separated by a
//!   blank line. Later ones stay where they are, as developer messages. If nothing else would remain, the last leading
//!   one stays, too, because the backend requires an input.
//! * **Reasoning.** A summary is requested if reasoning is shown and the model supports summaries. Encrypted reasoning
//!   is always requested, because the next turn can return it.

use crate::plan::ReasoningStyle;
use crate::profile::Profile;
use crate::responses::{ContentPart, InputItem, InputMessage, ResponsesRequest, Role};

/// The value of `include` that requests encrypted reasoning.
const ENCRYPTED_REASONING: &str = "reasoning.encrypted_content";

/// Joins the leading system and developer messages to `instructions`.
pub(crate) fn hoist_instructions(request: &mut ResponsesRequest) {
    let mut leading = request.input.iter().take_while(|item| is_instruction(item)).count();
    if leading == request.input.len() {
        leading = leading.saturating_sub(1);
    }
    let sources = &mut request.local.sources;
    sources.hoisted.extend(sources.items.drain(..leading.min(sources.items.len())));
    let mut texts: Vec<String> = request.instructions.take().into_iter().collect();
    for item in request.input.drain(..leading) {
        if let InputItem::Message(message) = item {
            texts.extend(message.content.into_iter().filter_map(into_text));
        }
    }
    texts.retain(|text| !text.is_empty());
    request.instructions = Some(texts.join("\n\n"));
}

/// Requests the reasoning that a chat reply shows, and the encrypted reasoning that the next turn can return.
pub(crate) fn ask_for_reasoning(request: &mut ResponsesRequest, style: ReasoningStyle, profile: &Profile) {
    if style != ReasoningStyle::None && profile.summaries && request.reasoning.summary.is_none() {
        request.reasoning.summary = Some("auto".to_owned());
    }
    ask_for_encrypted_reasoning(request);
}

/// Requests the encrypted reasoning, which a later turn can return to the model.
pub(crate) fn ask_for_encrypted_reasoning(request: &mut ResponsesRequest) {
    if !asks_for_encrypted_reasoning(request) {
        request.include.push(ENCRYPTED_REASONING.to_owned());
    }
}

/// Returns whether the request asks for encrypted reasoning.
pub(crate) fn asks_for_encrypted_reasoning(request: &ResponsesRequest) -> bool {
    request.include.iter().any(|value| value == ENCRYPTED_REASONING)
}

/// Returns whether the item is a system or developer message of text only.
fn is_instruction(item: &InputItem) -> bool {
    matches!(item, InputItem::Message(InputMessage { role: Role::System | Role::Developer, content, .. })
        if content.iter().all(|part| part.as_text().is_some()))
}

fn into_text(part: ContentPart) -> Option<String> {
    match part {
        ContentPart::Text(text) => Some(text.decode().into_owned()),
        ContentPart::Image(_) | ContentPart::File(_) | ContentPart::Refusal(_) | ContentPart::Other(_) => None,
    }
}
