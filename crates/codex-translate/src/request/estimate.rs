//! A rough count of a request's tokens, for replies that this crate cuts off: the backend reports no usage for them.

use crate::responses::{ContentPart, FunctionTool, InputItem, OutputContent, ResponsesRequest, Tool};
use crate::usage::BYTES_PER_TOKEN;

/// Returns roughly how many tokens a request has.
pub(crate) fn estimated_tokens(request: &ResponsesRequest) -> u64 {
    let instructions = request.instructions.as_deref().map_or(0, str::len);
    let input: usize = request.input.iter().map(item_bytes).sum();
    let tools: usize = request.tools.iter().map(tool_bytes).sum();
    (instructions + input + tools) as u64 / BYTES_PER_TOKEN
}

fn item_bytes(item: &InputItem) -> usize {
    match item {
        InputItem::Message(message) => parts_bytes(&message.content),
        InputItem::Reasoning(reasoning) => reasoning.encrypted_content.as_deref().map_or(0, str::len),
        InputItem::Call(call) => call.name.len() + call.input.len(),
        InputItem::Output(output) => match &output.content {
            OutputContent::Text(text) => text.as_text().decoded_len(),
            OutputContent::Parts(parts) => parts_bytes(parts),
        },
        InputItem::Opaque(item) | InputItem::Verbatim(item) => {
            item.members.iter().map(|(_, raw)| raw.get().len()).sum()
        }
    }
}

/// Counts the bytes of texts only: the cost of an image does not depend on its bytes.
fn parts_bytes(parts: &[ContentPart]) -> usize {
    parts.iter().filter_map(ContentPart::as_text).map(|text| text.as_text().decoded_len()).sum()
}

fn tool_bytes(tool: &Tool) -> usize {
    match tool {
        Tool::Function(FunctionTool { name, description, parameters, .. }) => {
            name.len() + description.as_deref().map_or(0, str::len) + parameters.get().len()
        }
        Tool::Custom(tool) => tool.name.len() + tool.description.as_deref().map_or(0, str::len),
        Tool::Namespace(namespace) => {
            let texts = namespace.name.len() + namespace.description.as_deref().map_or(0, str::len);
            // No namespace is in another.
            texts + namespace.tools.iter().map(tool_bytes).sum::<usize>()
        }
        Tool::Opaque(tool) | Tool::Verbatim(tool) => tool.members.iter().map(|(_, raw)| raw.get().len()).sum(),
    }
}
