//! Increments: a request that continues the last response of its connection sends only its new input (`docs/backend.md
//! §4`).
//!
//! A request continues a response if all its settings are the same, and its input is the old input, then the answer,
//! then something new. Clients return items without members that they do not need, so items are compared without `id`,
//! `status`, `phase`, `annotations`, `logprobs` and the Codex CLI's own metadata, and arguments without their spacing.
//! Clients of Chat Completions cannot return reasoning, or commentary that was shown to them as such (docs/features.md
//! R4); if an input has none, that of the answers is ignored, and the backend, which still has it, knows more than from
//! a full input. If in doubt, the full input is sent, which is always correct.
//!
//! Only digests are stored, so the memory does not depend on the size of the conversation.

use bytes::Bytes;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

type Digest = [u8; 32];

/// The member that names the response to continue.
const PREVIOUS: &str = "previous_response_id";

/// Members that are not settings: the transport's own, and those that differ for each request.
const NO_SETTINGS: [&str; 6] = ["type", "input", "stream", "generate", PREVIOUS, "client_metadata"];

/// Members that the backend adds to its items, and the Codex CLI to its own.
const NOT_COMPARED: [&str; 6] =
    ["id", "status", "phase", "annotations", "logprobs", "internal_chat_message_metadata_passthrough"];

/// A `response.create` message, and the digests that are compared.
#[derive(Debug)]
pub(crate) struct CreateMessage {
    body: Map<String, Value>,
    settings: Digest,
    items: Vec<ItemDigest>,
}

#[derive(Debug, Clone, Copy)]
struct ItemDigest {
    digest: Digest,
    is_reasoning: bool,
    is_commentary: bool,
    /// Whether the model created it, and not the client.
    is_output: bool,
}

/// The last response of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PreviousResponse {
    response_id: String,
    settings: Digest,
    /// All input and output.
    all: ItemChain,
    /// The same without reasoning.
    without_reasoning: ItemChain,
    /// The same without commentary, either, unless it was the answer.
    without_commentary: ItemChain,
}

/// A list of items, as its length and a digest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct ItemChain {
    items: usize,
    digest: Digest,
}

/// A turn in flight, which becomes a [`PreviousResponse`].
#[derive(Debug)]
pub(crate) struct TurnRecord {
    settings: Digest,
    all: ItemChain,
    without_reasoning: ItemChain,
    without_commentary: ItemChain,
    /// Whether the answer has anything but reasoning and commentary.
    is_answered: bool,
    /// The number of items that were started and not finished; an answer with such items is incomplete.
    open: i64,
}

impl CreateMessage {
    /// Parses a message; `None` if it has no list of input, which the backend will report.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let body: Map<String, Value> = serde_json::from_slice(text).ok()?;
        let items = body.get("input")?.as_array()?.iter().map(ItemDigest::of).collect();
        let mut digest = Sha256::new();
        let mut settings: Vec<_> = body.iter().filter(|(key, _)| !NO_SETTINGS.contains(&key.as_str())).collect();
        settings.sort_by_key(|(key, _)| *key);
        for (key, value) in settings {
            feed_text(key, &mut digest);
            feed(value, &mut digest);
        }
        Some(Self { settings: digest.finalize().into(), items, body })
    }

    /// Returns the message that continues `previous`, with only the input from `start` on.
    pub(crate) fn after(&self, previous: &PreviousResponse, start: usize) -> Bytes {
        let rest = self.body.get("input").and_then(Value::as_array).and_then(|input| input.get(start..));
        let mut body = Map::with_capacity(self.body.len() + 1);
        for (key, value) in &self.body {
            if matches!(&**key, "instructions" | "input") && !body.contains_key(PREVIOUS) {
                // The position of the official client, which sends no instructions.
                body.insert(PREVIOUS.to_owned(), previous.response_id.clone().into());
            }
            let value = if key == "input" { rest.unwrap_or_default().into() } else { value.clone() };
            body.insert(key.clone(), value);
        }
        Value::Object(body).to_string().into()
    }

    /// Starts the record of this turn.
    pub(crate) fn begin(&self) -> TurnRecord {
        let mut exchange = TurnRecord {
            settings: self.settings,
            all: ItemChain::default(),
            without_reasoning: ItemChain::default(),
            without_commentary: ItemChain::default(),
            is_answered: false,
            open: 0,
        };
        self.items.iter().for_each(|item| exchange.push(item, true));
        exchange
    }
}

impl PreviousResponse {
    /// Returns where the new input of `create` begins; `None` if it does not continue this response.
    pub(crate) fn extended_by(&self, create: &CreateMessage) -> Option<usize> {
        if self.settings != create.settings {
            return None;
        }
        let has_reasoning = create.items.iter().any(|item| item.is_reasoning);
        let trails =
            if has_reasoning { &[self.all][..] } else { &[self.all, self.without_reasoning, self.without_commentary] };
        let start = trails.iter().find(|trail| trail.starts(&create.items))?.items;
        // Output of the model cannot be the next item if the answer was complete.
        create.items.get(start).is_some_and(|next| !next.is_output).then_some(start)
    }
}

impl TurnRecord {
    /// Records that the answer has started an item.
    pub(crate) fn opened(&mut self) {
        self.open += 1;
    }

    /// Records a finished item of the answer.
    pub(crate) fn answered(&mut self, item: &Value) {
        self.open -= 1;
        let item = ItemDigest::of(item);
        self.push(&item, !item.is_commentary);
        self.is_answered |= !item.is_reasoning && !item.is_commentary;
    }

    /// Returns the response of an interrupted turn: its unfinished items are discarded.
    pub(crate) fn interrupted(self, response_id: &str) -> Option<PreviousResponse> {
        Self { open: 0, ..self }.completed(response_id)
    }

    /// Returns the response of the finished turn; `None` if part of its answer is unknown.
    pub(crate) fn completed(self, response_id: &str) -> Option<PreviousResponse> {
        let Self { settings, all, without_reasoning, without_commentary, is_answered, open } = self;
        (open == 0 && !response_id.is_empty()).then(|| PreviousResponse {
            response_id: response_id.to_owned(),
            settings,
            all,
            without_reasoning,
            without_commentary: if is_answered { without_commentary } else { without_reasoning },
        })
    }

    /// Adds an item, which a client returns unless it is reasoning or not `is_shown`.
    fn push(&mut self, item: &ItemDigest, is_shown: bool) {
        self.all.push(item);
        if !item.is_reasoning {
            self.without_reasoning.push(item);
        }
        if !item.is_reasoning && is_shown {
            self.without_commentary.push(item);
        }
    }
}

impl ItemChain {
    fn push(&mut self, item: &ItemDigest) {
        self.items += 1;
        let mut digest = Sha256::new();
        digest.update(self.digest);
        digest.update(item.digest);
        self.digest = digest.finalize().into();
    }

    fn starts(&self, items: &[ItemDigest]) -> bool {
        let mut trail = Self::default();
        items.get(..self.items).is_some_and(|start| {
            start.iter().for_each(|item| trail.push(item));
            trail == *self
        })
    }
}

impl ItemDigest {
    fn of(item: &Value) -> Self {
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
        let kind = text("type");
        let role = text("role");
        let is_reasoning = kind == "reasoning";
        let is_commentary = role == "assistant" && text("phase") == "commentary";
        let mut digest = Sha256::new();
        match item.as_object() {
            Some(item) => feed_item(item, kind, role, &mut digest),
            None => feed(item, &mut digest),
        }
        let is_output = is_reasoning || role == "assistant" || kind.ends_with("_call");
        Self { digest: digest.finalize().into(), is_reasoning, is_commentary, is_output }
    }
}

fn feed_item(item: &Map<String, Value>, kind: &str, role: &str, digest: &mut Sha256) {
    // Messages may omit their type.
    feed_text(if kind.is_empty() && !role.is_empty() { "message" } else { kind }, digest);
    for (key, value) in compared(item).filter(|(key, _)| *key != "type") {
        feed_text(key, digest);
        match (key, value) {
            ("content", Value::String(text)) => {
                feed_parts(&[part(if role == "assistant" { "output_text" } else { "input_text" }, text)], digest);
            }
            ("content", Value::Array(parts)) => feed_parts(parts, digest),
            ("arguments", Value::String(text)) => match serde_json::from_str(text) {
                Ok(arguments) => feed(&arguments, digest),
                Err(_) => feed(value, digest),
            },
            _ => feed(value, digest),
        }
    }
}

fn part(kind: &str, text: &str) -> Value {
    serde_json::json!({"type": kind, "text": text})
}

fn feed_parts(parts: &[Value], digest: &mut Sha256) {
    digest.update(parts.len().to_le_bytes());
    for part in parts {
        let Some(part) = part.as_object() else {
            feed(part, digest);
            continue;
        };
        for (key, value) in compared(part) {
            feed_text(key, digest);
            feed(value, digest);
        }
        digest.update(b";");
    }
}

/// Returns the members of an item or a part that are compared, sorted by key. Null and empty arrays count as absent.
fn compared(object: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let says = |value: &Value| !value.is_null() && value.as_array().is_none_or(|list| !list.is_empty());
    let mut pairs: Vec<(&str, &Value)> = object.iter().map(|(key, value)| (key.as_str(), value)).collect();
    pairs.retain(|(key, value)| !NOT_COMPARED.contains(key) && says(value));
    pairs.sort_by_key(|(key, _)| *key);
    pairs.into_iter()
}

/// Feeds a value unambiguously, except for the order of keys. The parser limits the depth of the recursion.
fn feed(value: &Value, digest: &mut Sha256) {
    match value {
        Value::Null => digest.update(b"n"),
        Value::Bool(value) => digest.update(if *value { b"t" } else { b"f" }),
        Value::Number(number) => {
            digest.update(b"#");
            feed_text(&number.to_string(), digest);
        }
        Value::String(text) => {
            digest.update(b"s");
            feed_text(text, digest);
        }
        Value::Array(values) => {
            digest.update(b"a");
            digest.update(values.len().to_le_bytes());
            values.iter().for_each(|value| feed(value, digest));
        }
        Value::Object(map) => {
            digest.update(b"o");
            digest.update(map.len().to_le_bytes());
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            for (key, value) in pairs {
                feed_text(key, digest);
                feed(value, digest);
            }
        }
    }
}

fn feed_text(text: &str, digest: &mut Sha256) {
    digest.update(text.len().to_le_bytes());
    digest.update(text);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn create(changes: Value, input: &[Value]) -> CreateMessage {
        let mut body = json!({"type": "response.create", "model": "m", "instructions": "be", "stream": true});
        for (key, value) in changes.as_object().unwrap() {
            body[key] = value.clone();
        }
        body["input"] = input.into();
        CreateMessage::parse(body.to_string().as_bytes()).unwrap()
    }

    fn user(text: &str) -> Value {
        json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]})
    }

    fn thought() -> Value {
        json!({"id": "rs_1", "type": "reasoning", "summary": [], "content": [], "encrypted_content": "gAAA"})
    }

    fn said() -> Value {
        json!({"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "phase": "commentary",
            "content": [{"type": "output_text", "annotations": [], "logprobs": [], "text": "Let me see."}]})
    }

    fn call() -> Value {
        json!({"id": "fc_1", "type": "function_call", "status": "completed", "arguments": "{\"a\": 1, \"b\": [2]}",
            "call_id": "call_1", "name": "f"})
    }

    fn output() -> Value {
        json!({"type": "function_call_output", "call_id": "call_1", "output": "3"})
    }

    /// A conversation whose first turn was answered with a thought, some words and a call.
    fn previous() -> PreviousResponse {
        let mut exchange = create(json!({}), &[user("hi")]).begin();
        for item in [thought(), said(), call()] {
            exchange.opened();
            exchange.answered(&item);
        }
        exchange.completed("resp_1").unwrap()
    }

    #[test]
    fn the_previous_response_stands_before_instructions_and_input() {
        for beginning in [r#""model":"m","stream":true"#, r#""model":"m","stream":true,"instructions":"be""#] {
            let text = format!(r#"{{"type":"response.create",{beginning},"input":["a","b"],"store":false}}"#);
            let create = CreateMessage::parse(text.as_bytes()).unwrap();
            let sent: Value = serde_json::from_slice(&create.after(&previous(), 1)).unwrap();
            let members: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(members[..4], ["type", "model", "stream", "previous_response_id"]);
            assert_eq!((members[members.len() - 2], &sent["input"]), ("input", &json!(["b"])));
        }
    }

    #[test]
    fn returned_items_are_recognised() {
        // As clients of the Responses API and the CLI return it, and as Chat Completions are translated.
        let bare_thought = json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAA"});
        let bare_words = json!({"role": "assistant", "content": "Let me see."});
        let bare_call =
            json!({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1,\"b\":[2]}"});
        let cli = json!({"internal_chat_message_metadata_passthrough": {"turn_id": "t"}});
        let mut own = said();
        own.as_object_mut().unwrap().extend(cli.as_object().unwrap().clone());
        let rows = [
            (vec![user("hi"), thought(), said(), call(), output()], 4),
            (vec![user("hi"), thought(), own, call(), output(), user("and?")], 4),
            (vec![user("hi"), bare_thought, bare_words.clone(), bare_call.clone(), output()], 4),
            (vec![user("hi"), bare_words, bare_call.clone(), output()], 3),
            (vec![user("hi"), bare_call, output()], 2),
        ];
        for (input, start) in rows {
            let next = create(json!({"client_metadata": {"turn_id": "2"}}), &input);
            assert_eq!(previous().extended_by(&next), Some(start), "{input:?}");
            let sent: Value = serde_json::from_slice(&next.after(&previous(), start)).unwrap();
            assert_eq!(sent["input"].as_array().unwrap(), &input[start..]);
            assert_eq!((&sent["previous_response_id"], &sent["model"]), (&json!("resp_1"), &json!("m")));
        }
    }

    /// Commentary that is all of the answer is shown as such, so a client that leaves it out has discarded it.
    #[test]
    fn an_answer_of_commentary_is_returned() {
        let mut exchange = create(json!({}), &[user("hi")]).begin();
        for item in [thought(), said()] {
            exchange.opened();
            exchange.answered(&item);
        }
        let previous = exchange.completed("resp_1").unwrap();
        let extended = |input: &[Value]| previous.extended_by(&create(json!({}), input));
        assert_eq!(extended(&[user("hi"), said(), user("and?")]), Some(2));
        assert_eq!(extended(&[user("hi"), user("and?")]), None);
    }

    #[test]
    fn in_doubt_the_whole_input_is_sent() {
        let mut words = said();
        words["content"][0]["text"] = json!("Let me see!");
        let mut arguments = call();
        arguments["arguments"] = json!("{\"a\":1,\"b\":[3]}");
        let mut other_thought = thought();
        other_thought["encrypted_content"] = json!("gBBB");
        let rows = [
            // Nothing new.
            vec![user("hi"), thought(), said(), call()],
            vec![user("hi"), said(), call()],
            // An item that is missing, different, in another place, or added.
            vec![user("hi"), thought(), call(), output()],
            vec![user("hi"), said(), output()],
            vec![user("ho"), said(), call(), output()],
            vec![user("hi"), words, call(), output()],
            vec![user("hi"), said(), arguments, output()],
            vec![user("hi"), other_thought.clone(), said(), call(), output()],
            vec![user("hi"), call(), said(), output()],
            vec![user("hi"), said(), call(), call(), output()],
            vec![user("hi"), said(), call(), other_thought, output()],
            vec![user("hi")],
            vec![],
        ];
        for input in rows {
            assert_eq!(previous().extended_by(&create(json!({}), &input)), None, "{input:?}");
        }
    }

    #[test]
    fn every_setting_must_be_the_same() {
        let input = [user("hi"), said(), call(), output()];
        let changes = [
            json!({"model": "n"}),
            json!({"instructions": "be good"}),
            json!({"tools": []}),
            json!({"reasoning": {"effort": "low"}}),
            json!({"service_tier": null}),
            json!({"x_unheard_of": 1}),
        ];
        for change in changes {
            assert_eq!(previous().extended_by(&create(change.clone(), &input)), None, "{change}");
        }
        for same in [json!({"stream": false}), json!({"client_metadata": {"a": "b"}}), json!({})] {
            assert_eq!(previous().extended_by(&create(same.clone(), &input)), Some(3), "{same}");
        }
    }

    #[test]
    fn an_answer_that_is_only_partly_known_is_not_remembered() {
        let start = || create(json!({}), &[user("hi")]).begin();
        assert!(start().completed("resp_1").is_some() && start().completed("").is_none());
        let mut exchange = start();
        exchange.opened();
        assert_eq!(exchange.completed("resp_1"), None);
        let mut exchange = start();
        exchange.answered(&said());
        assert_eq!(exchange.completed("resp_1"), None);
    }

    #[test]
    fn a_message_without_a_list_of_input_is_not_examined() {
        for text in ["", "7", "{}", r#"{"input":"hi"}"#, r#"{"input":["#] {
            assert!(CreateMessage::parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(CreateMessage::parse(br#"{"input":[7,null,"x",{"content":[1]}]}"#).is_some());
    }

    #[test]
    fn memory_does_not_grow_with_the_conversation() {
        let input: Vec<_> = (0..1000).map(|turn| user(&format!("{turn}"))).collect();
        let previous = create(json!({}), &input).begin().completed("resp_1").unwrap();
        assert_eq!((previous.all.items, size_of::<PreviousResponse>() < 256), (1000, true));
    }
}
