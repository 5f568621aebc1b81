//! A whole chat reply, made of the same deltas as a stream.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::delta::{Delta, DeltaSink, ReasoningKey};
use super::tool_call::{CalledFunction, ToolCall, gather};
use crate::bounds::MAX_COMPLETION_BYTES;
use crate::error::{Error, ErrorKind};
use crate::outcome::{Finish, ReplyId};
use crate::usage::{ChatUsage, Usage};

/// The body of the reply to a chat request without `stream`, which has at least one choice.
///
/// It serialises as Chat Completions does. Its methods are about the first choice, which is the only one unless the
/// client asked for several (`n`); [`choices`](Self::choices) returns all.
///
/// # Example
/// ```
/// use codex_translate::{ChatFold, Chunk, EventReader, Finish, Fold, ReplyId, ReplyPlan};
///
/// # let events = concat!(
/// #     r#"data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"Hey!"}"#, "\n\n",
/// #     r#"data: {"type":"response.completed","response":{"status":"completed","usage":{"input_tokens":7,"#,
/// #     r#""output_tokens":2,"total_tokens":9}}}"#, "\n\n",
/// # );
/// let reply_id = ReplyId { id: "chatcmpl-1".to_owned(), created: 1_750_000_000 };
/// let mut fold = ChatFold::new(&ReplyPlan::new("gpt-5.5"), &reply_id);
/// let _flow = fold.feed(&mut EventReader::new(), &Chunk::Bytes(events))?;
/// let completion = fold.end()?;
/// assert_eq!((completion.text(), completion.finish()), ("Hey!", Finish::Stop));
/// assert_eq!((completion.tool_calls(), completion.usage().map(|usage| usage.total_tokens)), (&[][..], Some(9)));
/// # Ok::<(), codex_translate::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Completion {
    reply_id: ReplyId,
    model: String,
    /// Never empty.
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

/// One of the choices of a [`Completion`].
#[derive(Clone, Debug)]
pub struct Choice {
    index: u32,
    message: ChoiceMessage,
    finish: Finish,
}

/// The message of a choice, gathered from deltas.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChoiceMessage {
    content: Option<String>,
    refusal: Option<String>,
    reasoning: Option<(ReasoningKey, String)>,
    calls: Vec<ToolCall>,
    /// The name and the arguments of a legacy function call.
    function: Option<(String, String)>,
    citations: Vec<Box<RawValue>>,
    images: Vec<Box<RawValue>>,
    bytes: usize,
}

impl Completion {
    /// Makes a reply of one choice.
    pub(crate) fn new(reply_id: ReplyId, model: String, choice: Choice, usage: Option<Usage>) -> Self {
        Self { reply_id, model, choices: vec![choice], usage }
    }

    /// Adds the choices and the usage of another turn for the same request.
    pub fn merge(&mut self, other: Self) {
        self.choices.extend(other.choices);
        self.choices.sort_by_key(|choice| choice.index);
        match (&mut self.usage, other.usage) {
            (Some(usage), Some(more)) => *usage += more,
            (usage @ None, more) => *usage = more,
            (Some(_), None) => {}
        }
    }

    /// Returns the id and the time of the reply.
    pub fn reply_id(&self) -> &ReplyId {
        &self.reply_id
    }

    /// Returns the caller's name for the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Returns all choices, by their index.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }

    /// Returns the text of the answer; empty if there is none, as when the model refuses.
    pub fn text(&self) -> &str {
        self.choices[0].text()
    }

    /// Returns the model's refusal.
    pub fn refusal(&self) -> Option<&str> {
        self.choices[0].refusal()
    }

    /// Returns the tool calls of the model.
    pub fn tool_calls(&self) -> &[ToolCall] {
        self.choices[0].tool_calls()
    }

    /// Returns why the reply ended.
    pub fn finish(&self) -> Finish {
        self.choices[0].finish()
    }

    /// Returns the tokens used, by all choices, if the backend reported them or this crate cut off the reply.
    pub fn usage(&self) -> Option<&Usage> {
        self.usage.as_ref()
    }

    /// Returns the body as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        // Writing cannot fail: maps have string keys, and raw values are JSON.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Choice {
    /// Makes the choice at `index`.
    pub(crate) fn new(index: u32, message: ChoiceMessage, finish: Finish) -> Self {
        Self { index, message, finish }
    }

    /// Returns the index, counted from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// Returns the text of the answer; empty if there is none.
    pub fn text(&self) -> &str {
        self.message.content.as_deref().unwrap_or_default()
    }

    /// Returns the model's refusal.
    pub fn refusal(&self) -> Option<&str> {
        self.message.refusal.as_deref()
    }

    /// Returns the reasoning that is shown beside the answer, as [`ReasoningStyle`](crate::ReasoningStyle) says.
    pub fn reasoning(&self) -> Option<&str> {
        self.message.reasoning.as_ref().map(|(_, text)| &**text)
    }

    /// Returns the tool calls of the model. A call of a legacy function is only in the JSON.
    pub fn tool_calls(&self) -> &[ToolCall] {
        &self.message.calls
    }

    /// Returns why the choice ended.
    pub fn finish(&self) -> Finish {
        self.finish
    }
}

impl ChoiceMessage {
    /// Checks the size of the message.
    ///
    /// # Errors
    /// The message is larger than [`MAX_COMPLETION_BYTES`].
    pub(crate) fn check_size(&self) -> Result<(), Error> {
        if self.bytes <= MAX_COMPLETION_BYTES {
            return Ok(());
        }
        let message = format!("the reply is larger than {} MiB; ask for a stream", MAX_COMPLETION_BYTES >> 20);
        Err(Error::new(ErrorKind::Protocol, message))
    }

    /// Adds JSON that `write` writes; it is valid, because it is made of valid parts.
    fn push_json(&mut self, write: impl FnOnce(&mut Vec<u8>), list: impl FnOnce(&mut Self) -> &mut Vec<Box<RawValue>>) {
        let mut json = Vec::new();
        write(&mut json);
        self.bytes += json.len();
        let raw = String::from_utf8(json).ok().and_then(|json| RawValue::from_string(json).ok());
        list(self).extend(raw);
    }
}

impl DeltaSink for ChoiceMessage {
    fn delta(&mut self, delta: Delta<'_>) {
        let text = match delta {
            Delta::Role => return,
            Delta::Content(text) => (self.content.get_or_insert_default(), text),
            Delta::Refusal(text) => (self.refusal.get_or_insert_default(), text),
            Delta::Reasoning { key, text } => (&mut self.reasoning.get_or_insert((key, String::new())).1, text),
            Delta::ToolCall { .. } | Delta::Arguments { .. } => {
                self.bytes += gather(&mut self.calls, delta);
                return;
            }
            Delta::FunctionCall { name } => {
                self.function = Some((name.to_owned(), String::new()));
                return;
            }
            Delta::FunctionArguments(text) => match &mut self.function {
                Some((_, arguments)) => (arguments, text),
                None => return,
            },
            Delta::Citation(citation) => {
                return self.push_json(|out| citation.write(out), |message| &mut message.citations);
            }
            Delta::Image(image) => return self.push_json(|out| image.write(out), |message| &mut message.images),
        };
        let (whole, more) = text;
        let before = whole.len();
        more.push_to(whole);
        self.bytes += whole.len() - before;
    }
}

impl Serialize for Completion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("id", &self.reply_id.id)?;
        map.serialize_entry("object", "chat.completion")?;
        map.serialize_entry("created", &self.reply_id.created)?;
        map.serialize_entry("model", &self.model)?;
        map.serialize_entry("choices", &self.choices)?;
        if let Some(usage) = self.usage {
            map.serialize_entry("usage", &ChatUsage(usage))?;
        }
        map.serialize_entry("system_fingerprint", &())?;
        map.end()
    }
}

impl Serialize for Choice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("index", &self.index)?;
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("logprobs", &())?;
        map.serialize_entry("finish_reason", self.finish.as_str())?;
        map.end()
    }
}

/// A message always has `content` and `refusal`; the content is null next to tool calls only, as OpenAI does.
impl Serialize for ChoiceMessage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let speaks_otherwise = self.refusal.is_some() || !self.calls.is_empty() || self.function.is_some();
        let content = self.content.as_deref().or_else(|| (!speaks_otherwise).then_some(""));
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", "assistant")?;
        map.serialize_entry("content", &content)?;
        map.serialize_entry("refusal", &self.refusal)?;
        if let Some((key, text)) = &self.reasoning {
            map.serialize_entry(key.as_str(), text)?;
        }
        if !self.calls.is_empty() {
            map.serialize_entry("tool_calls", &self.calls)?;
        }
        if let Some((name, arguments)) = &self.function {
            map.serialize_entry("function_call", &CalledFunction { name, arguments })?;
        }
        if !self.citations.is_empty() {
            map.serialize_entry("annotations", &self.citations)?;
        }
        if !self.images.is_empty() {
            map.serialize_entry("images", &self.images)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Text;

    #[test]
    fn the_size_counts_all_texts_and_is_limited() {
        let mut message = ChoiceMessage::default();
        message.delta(Delta::Content(Text::Escaped("a\\nb")));
        message.delta(Delta::ToolCall { index: 0, id: "id", name: "name" });
        message.delta(Delta::Arguments { index: 0, text: Text::Plain("{}") });
        assert_eq!(message.bytes, 3 + 6 + 2);
        message.bytes = MAX_COMPLETION_BYTES - 1;
        message.delta(Delta::Content(Text::Plain("x")));
        assert!(message.check_size().is_ok());
        message.delta(Delta::Refusal(Text::Plain("x")));
        assert!(message.check_size().unwrap_err().message().contains("128 MiB"));
    }
}
