//! A whole chat reply, made of the same deltas as a stream.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::value::RawValue;

use super::delta::{Delta, DeltaSink, ReasoningKey};
use crate::bounds::MAX_COMPLETION_BYTES;
use crate::error::{Error, ErrorKind};
use crate::outcome::{Finish, ReplyId};
use crate::usage::{ChatUsage, Usage};

/// The body of the reply to a chat request without `stream`.
#[derive(Clone, Debug)]
pub struct Completion {
    reply_id: ReplyId,
    model: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
}

/// One choice, collected from deltas.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    index: u32,
    content: Option<String>,
    refusal: Option<String>,
    reasoning: Option<(ReasoningKey, String)>,
    calls: Vec<MessageToolCall>,
    function: Option<MessageFunction>,
    citations: Vec<Box<RawValue>>,
    images: Vec<Box<RawValue>>,
    finish: Option<Finish>,
    bytes: usize,
}

#[derive(Clone, Debug, Serialize)]
struct MessageToolCall {
    id: String,
    #[serde(rename = "type")]
    kind: &'static str,
    function: MessageFunction,
}

#[derive(Clone, Debug, Serialize)]
struct MessageFunction {
    name: String,
    arguments: String,
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
}

impl Choice {
    pub(crate) fn new(index: u32) -> Self {
        Self { index, ..Self::default() }
    }

    /// Completes the choice.
    pub(crate) fn finish(&mut self, finish: Finish) {
        self.finish = Some(finish);
    }

    /// Checks the size of the choice.
    ///
    /// # Errors
    /// The choice is larger than [`MAX_COMPLETION_BYTES`].
    pub(crate) fn check_size(&self) -> Result<(), Error> {
        if self.bytes <= MAX_COMPLETION_BYTES {
            return Ok(());
        }
        let message = format!("the reply is larger than {} MiB; ask for a stream", MAX_COMPLETION_BYTES >> 20);
        Err(Error::new(ErrorKind::Protocol, message))
    }
}

impl DeltaSink for Choice {
    fn delta(&mut self, delta: Delta<'_>) {
        let text = match delta {
            Delta::Role => return,
            Delta::Content(text) => (self.content.get_or_insert_default(), text),
            Delta::Refusal(text) => (self.refusal.get_or_insert_default(), text),
            Delta::Reasoning { key, text } => (&mut self.reasoning.get_or_insert((key, String::new())).1, text),
            Delta::ToolCall { id, name, .. } => {
                self.bytes += id.len() + name.len();
                let function = MessageFunction { name: name.to_owned(), arguments: String::new() };
                self.calls.push(MessageToolCall { id: id.to_owned(), kind: "function", function });
                return;
            }
            Delta::Arguments { index, text } => match self.calls.get_mut(index as usize) {
                Some(call) => (&mut call.function.arguments, text),
                None => return,
            },
            Delta::FunctionCall { name } => {
                self.function = Some(MessageFunction { name: name.to_owned(), arguments: String::new() });
                return;
            }
            Delta::FunctionArguments(text) => match &mut self.function {
                Some(function) => (&mut function.arguments, text),
                None => return,
            },
            Delta::Citation(citation) => {
                return self.push_json(|out| citation.write(out), |choice| &mut choice.citations);
            }
            Delta::Image(image) => return self.push_json(|out| image.write(out), |choice| &mut choice.images),
        };
        let (whole, more) = text;
        let before = whole.len();
        more.push_to(whole);
        self.bytes += whole.len() - before;
    }
}

impl Choice {
    /// Adds JSON that `write` writes; it is valid, because it is made of valid parts.
    fn push_json(&mut self, write: impl FnOnce(&mut Vec<u8>), list: impl FnOnce(&mut Self) -> &mut Vec<Box<RawValue>>) {
        let mut json = Vec::new();
        write(&mut json);
        self.bytes += json.len();
        let raw = String::from_utf8(json).ok().and_then(|json| RawValue::from_string(json).ok());
        list(self).extend(raw);
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
        map.end()
    }
}

impl Serialize for Choice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("index", &self.index)?;
        map.serialize_entry("message", &ChoiceMessage(self))?;
        map.serialize_entry("logprobs", &())?;
        map.serialize_entry("finish_reason", &self.finish.map(Finish::as_str))?;
        map.end()
    }
}

/// The message of a choice. It always has `content` and `refusal`; the content is null next to tool calls only, as
/// OpenAI does.
struct ChoiceMessage<'a>(&'a Choice);

impl Serialize for ChoiceMessage<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let choice = self.0;
        let speaks_otherwise = choice.refusal.is_some() || !choice.calls.is_empty() || choice.function.is_some();
        let content = choice.content.as_deref().or_else(|| (!speaks_otherwise).then_some(""));
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("role", "assistant")?;
        map.serialize_entry("content", &content)?;
        map.serialize_entry("refusal", &choice.refusal)?;
        if let Some((key, text)) = &choice.reasoning {
            map.serialize_entry(key.as_str(), text)?;
        }
        if !choice.calls.is_empty() {
            map.serialize_entry("tool_calls", &choice.calls)?;
        }
        if let Some(function) = &choice.function {
            map.serialize_entry("function_call", function)?;
        }
        if !choice.citations.is_empty() {
            map.serialize_entry("annotations", &choice.citations)?;
        }
        if !choice.images.is_empty() {
            map.serialize_entry("images", &choice.images)?;
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
        let mut choice = Choice::new(0);
        choice.delta(Delta::Content(Text::Escaped("a\\nb")));
        choice.delta(Delta::ToolCall { index: 0, id: "id", name: "name" });
        choice.delta(Delta::Arguments { index: 0, text: Text::Plain("{}") });
        assert_eq!(choice.bytes, 3 + 6 + 2);
        choice.bytes = MAX_COMPLETION_BYTES - 1;
        choice.delta(Delta::Content(Text::Plain("x")));
        assert!(choice.check_size().is_ok());
        choice.delta(Delta::Refusal(Text::Plain("x")));
        assert!(choice.check_size().unwrap_err().message().contains("128 MiB"));
    }
}
