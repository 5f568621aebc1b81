//! What a chat request means and a Responses request says otherwise.
//!
//! The reader has already put the messages into items. Left to do are:
//!
//! * **Instructions.** The system and developer messages before everything else are joined to `instructions`, in order,
//!   with a blank line between; those that come later stay where they are, as developer messages. If nothing else would
//!   be left, the last of them stays too, since the backend wants an input.
//! * **Reasoning.** A summary is asked for when reasoning is shown and the model has summaries, and the encrypted
//!   reasoning always, so that it can be given back.

use crate::plan::ReasoningStyle;
use crate::profile::Profile;
use crate::responses::{ContentPart, InputItem, InputMessage, ResponsesRequest, Role};

/// What asks for the encrypted reasoning.
const ENCRYPTED_REASONING: &str = "reasoning.encrypted_content";

/// Joins the leading system and developer messages to `instructions`.
pub(crate) fn hoist_instructions(request: &mut ResponsesRequest) {
    let mut leading = request.input.iter().take_while(|item| is_instruction(item)).count();
    if leading == request.input.len() {
        leading = leading.saturating_sub(1);
    }
    let mut texts: Vec<String> = request.instructions.take().into_iter().collect();
    for item in request.input.drain(..leading) {
        if let InputItem::Message(message) = item {
            texts.extend(message.content.into_iter().filter_map(into_text));
        }
    }
    texts.retain(|text| !text.is_empty());
    request.instructions = Some(texts.join("\n\n"));
}

/// Asks for what a chat reply shows of the reasoning, and for what the next turn can give back.
pub(crate) fn ask_for_reasoning(request: &mut ResponsesRequest, style: ReasoningStyle, profile: &Profile) {
    if style != ReasoningStyle::None && profile.summaries && request.reasoning.summary.is_none() {
        request.reasoning.summary = Some("auto".to_owned());
    }
    ask_for_encrypted_reasoning(request);
}

/// Asks for what gives the model its own reasoning back in a later turn.
pub(crate) fn ask_for_encrypted_reasoning(request: &mut ResponsesRequest) {
    if !request.include.iter().any(|value| value == ENCRYPTED_REASONING) {
        request.include.push(ENCRYPTED_REASONING.to_owned());
    }
}

/// Whether the item is a message of system or developer that is all text.
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
