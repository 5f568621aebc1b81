//! How far a turn on a WebSocket has come, read from the messages that were sent.

use serde_json::{Map, Value, json};

use crate::recipe::echo;
use crate::recipe::event::Event;
use crate::recipe::usage::Usage;

pub(crate) const LIMIT_REACHED: &str = "websocket_connection_limit_reached";

/// What the messages of a turn contained so far.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The usage of the turn without any output.
    usage: Usage,
    /// Whether the scenario ignores interrupts.
    ignores_interrupts: bool,
    /// The response of `response.created`; empty before it.
    response: Map<String, Value>,
    next_sequence_number: u64,
    messages: u64,
    /// The items that were begun and are not finished: output index and id.
    open: Vec<(u64, String)>,
    finished: Vec<Value>,
    /// The bytes of deltas: those of reasoning, and the others.
    output: (usize, usize),
    ending: Option<TurnEnding>,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnEnding {
    Completed,
    /// Incomplete, failed, or an `error` event.
    Otherwise,
    /// An `error` event that says that the connection is too old.
    LimitReached,
}

impl Progress {
    pub(crate) fn new(usage: Usage, ignores_interrupts: bool) -> Self {
        Self {
            usage,
            ignores_interrupts,
            response: Map::new(),
            next_sequence_number: 0,
            messages: 0,
            open: Vec::new(),
            finished: Vec::new(),
            output: (0, 0),
            ending: None,
        }
    }

    /// Notes a message that is sent.
    pub(crate) fn observe(&mut self, message: &str) {
        let mut event: Value = serde_json::from_str(message).unwrap_or_default();
        self.messages += 1;
        if let Some(number) = event["sequence_number"].as_u64() {
            self.next_sequence_number = number + 1;
        }
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        match kind.as_str() {
            "response.created" => self.response = event["response"].as_object().cloned().unwrap_or_default(),
            "response.output_item.added" => {
                let id = event["item"]["id"].as_str().unwrap_or_default().to_owned();
                self.open.push((event["output_index"].as_u64().unwrap_or_default(), id));
            }
            "response.output_item.done" => {
                self.open.retain(|(index, _)| event["output_index"] != *index);
                self.finished.push(event["item"].take());
            }
            "response.completed" => self.ending = Some(TurnEnding::Completed),
            "response.incomplete" | "response.failed" => self.ending = Some(TurnEnding::Otherwise),
            "error" if event.pointer("/error/code") == Some(&Value::from(LIMIT_REACHED)) => {
                self.ending = Some(TurnEnding::LimitReached);
            }
            "error" => self.ending = Some(TurnEnding::Otherwise),
            _ => {
                let length = event["delta"].as_str().map_or(0, str::len);
                let is_reasoning = kind.starts_with("response.reasoning");
                *(if is_reasoning { &mut self.output.0 } else { &mut self.output.1 }) += length;
            }
        }
    }

    /// Returns the number of messages so far.
    pub(crate) fn messages(&self) -> u64 {
        self.messages
    }

    pub(crate) fn next_sequence_number(&self) -> u64 {
        self.next_sequence_number
    }

    pub(crate) fn ending(&self) -> Option<TurnEnding> {
        self.ending
    }

    /// Returns the response's id; `None` before `response.created`.
    pub(crate) fn response_id(&self) -> Option<&str> {
        self.response.get("id").and_then(Value::as_str)
    }

    /// Returns whether the response is running and called `id`.
    pub(crate) fn is_running(&self, id: &str) -> bool {
        self.ending.is_none() && self.response_id() == Some(id)
    }

    pub(crate) fn ignores_interrupts(&self) -> bool {
        self.ignores_interrupts
    }

    /// Returns whether the model stops on an interrupt (`docs/backend.md` §4): gpt-6 does, gpt-5.6 does not, and of
    /// older ones nothing else is known.
    pub(crate) fn can_be_interrupted(&self) -> bool {
        self.response.get("model").and_then(Value::as_str).is_some_and(|model| model.starts_with("gpt-6"))
    }

    /// Returns the messages that end the turn after an interrupt. The items that are not finished are discarded.
    pub(crate) fn interruption(&self, now: u64) -> Vec<String> {
        let id = self.response_id().unwrap_or_default();
        let accepted = Event::new("response.interrupt.accepted", json!({"response_id": id}));
        let discarded = self.open.iter().map(|(index, item_id)| {
            let fields = json!({"response_id": id, "item_id": item_id, "output_index": index});
            Event::new("response.output_item.interrupted", fields)
        });
        let (reasoning, spoken) = self.output;
        let usage = self.usage.with_output(reasoning, spoken);
        let ending = json!({"reason": "interrupted"});
        let response = echo::finished(&self.response, "incomplete", ending, json!([]), usage, false, now);
        let ended = Event::new("response.incomplete", json!({"response": response}));
        let events = std::iter::once(accepted).chain(discarded).chain([ended]);
        (self.next_sequence_number..).zip(events).map(|(number, event)| event.to_json(number)).collect()
    }

    /// Returns what a request that continues the response starts with: `input` and the finished items.
    pub(crate) fn into_context(self, input: &[Value]) -> Vec<Value> {
        // Stored reasoning needs no encrypted content to be known again.
        let usable = |item: &Value| item["type"] != "reasoning" || item.get("encrypted_content").is_some();
        input.iter().cloned().chain(self.finished.into_iter().filter(usable)).collect()
    }
}
