//! The tool calls of a reply, gathered from deltas.

use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::delta::{Delta, DeltaSink};

/// A tool call of the model.
///
/// A `Vec<ToolCall>` is a [`DeltaSink`] that gathers the calls of a reply and ignores everything else. It serialises in
/// the form of `tool_calls` in a message of the assistant, so calls can be sent back with their outputs. Calls of
/// legacy functions, which a reply contains only if the request has `functions`, are ignored.
///
/// # Example
/// ```
/// use codex_translate::chat::ToolCall;
/// use codex_translate::{ChatStream, Chunk, EventReader, ReplyPlan};
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","#,
/// #     r#""call_id":"call_1","name":"get_weather","arguments":"{\"city\":\"Oslo\"}"}}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"status":"completed"}}"#, "\n\n",
/// # );
/// let (mut reader, mut stream) = (EventReader::new(), ChatStream::new(&ReplyPlan::new("gpt-5.5")));
/// let mut calls: Vec<ToolCall> = Vec::new();
/// for bytes in events.as_bytes().chunks(16) {
///     let _flow = reader.read(&Chunk::Bytes(bytes), |event| stream.push(event, &mut calls))?;
/// }
/// stream.finish()?; // An error if a call is incomplete.
/// assert_eq!((&*calls[0].name, &*calls[0].arguments), ("get_weather", r#"{"city":"Oslo"}"#));
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The id that the call shares with its output.
    pub id: String,
    /// The caller's name for the tool.
    pub name: String,
    /// The arguments of a function as JSON text, or the input of a custom tool.
    pub arguments: String,
}

impl DeltaSink for Vec<ToolCall> {
    fn delta(&mut self, delta: Delta<'_>) {
        gather(self, delta);
    }
}

/// Adds to `calls` what `delta` says about one, and returns the number of bytes added.
pub(crate) fn gather(calls: &mut Vec<ToolCall>, delta: Delta<'_>) -> usize {
    match delta {
        Delta::ToolCall { id, name, .. } => {
            calls.push(ToolCall { id: id.to_owned(), name: name.to_owned(), arguments: String::new() });
            id.len() + name.len()
        }
        Delta::Arguments { index, text } => {
            let Some(call) = calls.get_mut(index as usize) else { return 0 };
            let before = call.arguments.len();
            text.push_to(&mut call.arguments);
            call.arguments.len() - before
        }
        Delta::Role
        | Delta::Content(_)
        | Delta::Refusal(_)
        | Delta::Reasoning { .. }
        | Delta::FunctionCall { .. }
        | Delta::FunctionArguments(_)
        | Delta::Citation(_)
        | Delta::Image(_) => 0,
    }
}

impl Serialize for ToolCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut call = serializer.serialize_struct("ToolCall", 3)?;
        call.serialize_field("id", &self.id)?;
        call.serialize_field("type", "function")?;
        call.serialize_field("function", &CalledFunction { name: &self.name, arguments: &self.arguments })?;
        call.end()
    }
}

/// The function of a call, as chat bodies contain it.
#[derive(Debug, serde::Serialize)]
pub(super) struct CalledFunction<'a> {
    pub(super) name: &'a str,
    pub(super) arguments: &'a str,
}
