//! The events of one output item, in the order of `docs/backend.md` §3.2 and §3.4.

use std::iter::once;

use serde_json::{Map, Value, json};

use crate::ids::{ResponseIds, Rng};
use crate::recipe::event::Event;
use crate::recipe::outputs::{Citation, Output, Text};

/// Characters per delta of arguments and inputs.
const ARGUMENT_PIECE: usize = 6;

/// A one-pixel PNG.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

/// The events of one item, built on demand.
pub(crate) type Events = Box<dyn Iterator<Item = Event> + Send>;

/// An output with its index and its identifiers.
#[derive(Debug, Clone)]
pub(crate) struct OutputItem {
    output: Output,
    index: usize,
    id: String,
    call_id: String,
    /// `completed`, or `incomplete` for the last item of an incomplete reply.
    status: &'static str,
    padding: Option<Rng>,
}

impl OutputItem {
    pub(crate) fn new(output: Output, index: usize, ids: &mut ResponseIds, obfuscate: bool) -> Self {
        let prefix = match &output {
            Output::Reasoning { .. } => "rs",
            Output::Message { .. } | Output::Refusal(_) => "msg",
            Output::Call { .. } => "fc",
            Output::CustomCall { .. } => "ctc",
            Output::WebSearch { .. } => "ws",
            Output::Image { .. } => "ig",
            Output::Compaction { .. } => "cmp",
        };
        let (id, call_id) = (ids.item(prefix), ids.call());
        let padding = obfuscate.then(|| ids.rng().fork());
        Self { output, index, id, call_id, status: "completed", padding }
    }

    pub(crate) fn incomplete(mut self) -> Self {
        self.status = "incomplete";
        self
    }

    /// Returns whether the client must answer it before the turn continues.
    pub(crate) fn is_call(&self) -> bool {
        matches!(self.output, Output::Call { .. } | Output::CustomCall { .. })
    }

    pub(crate) fn is_image(&self) -> bool {
        matches!(self.output, Output::Image { .. })
    }

    /// Returns every event of the item, from `output_item.added` to `output_item.done`.
    pub(crate) fn events(&self) -> Events {
        let added = self.event("response.output_item.added", json!({"item": self.added()}));
        let done = self.event("response.output_item.done", json!({"item": self.done()}));
        let between: Events = match &self.output {
            Output::Reasoning { summary, raw, .. } => self.reasoning(summary, raw.as_deref()),
            Output::Message { text, citations, .. } => self.message(text, citations),
            Output::Refusal(text) => self.refusal(text),
            Output::Call { arguments, .. } => self.arguments(arguments),
            Output::CustomCall { input, .. } => self.input(input),
            Output::WebSearch { .. } => self.phases("web_search_call", &["in_progress", "searching", "completed"]),
            Output::Image { .. } => self.image(),
            Output::Compaction { .. } => Box::new(std::iter::empty()),
        };
        Box::new(once(added).chain(between).chain(once(done)))
    }

    /// Returns the finished item, as in `output_item.done` and in a full `output`.
    pub(crate) fn done(&self) -> Value {
        match &self.output {
            Output::Reasoning { summary, raw, encrypted } => self.reasoning_done(summary, raw.as_deref(), encrypted),
            Output::Message { text, phase, citations } => {
                self.message_item(self.status, json!([text_part(&text.whole(), citations)]), phase)
            }
            Output::Refusal(text) => {
                self.message_item(self.status, json!([{"type": "refusal", "refusal": text}]), "final_answer")
            }
            Output::Call { arguments, .. } => self.call_item(self.status, arguments),
            Output::CustomCall { input, .. } => self.call_item(self.status, input),
            Output::WebSearch { query } => json!({
                "id": self.id, "type": "web_search_call", "status": "completed",
                "action": {"type": "search", "query": query, "queries": [query]},
            }),
            Output::Image { prompt } => json!({
                "id": self.id, "type": "image_generation_call", "status": "completed", "action": "generate",
                "background": "opaque", "output_format": "png", "quality": "medium", "size": "1024x1024",
                "revised_prompt": prompt, "result": PIXEL,
            }),
            Output::Compaction { .. } => self.added(),
        }
    }

    /// Returns the item as it first appears: empty and in progress.
    fn added(&self) -> Value {
        match &self.output {
            Output::Reasoning { .. } => json!({"id": self.id, "type": "reasoning", "summary": []}),
            Output::Message { phase, .. } => self.message_item("in_progress", json!([]), phase),
            Output::Refusal(_) => self.message_item("in_progress", json!([]), "final_answer"),
            Output::Call { .. } | Output::CustomCall { .. } => self.call_item("in_progress", ""),
            Output::WebSearch { .. } => {
                json!({"id": self.id, "type": "web_search_call", "status": "in_progress"})
            }
            Output::Image { .. } => {
                json!({"id": self.id, "type": "image_generation_call", "status": "in_progress", "result": null})
            }
            Output::Compaction { encrypted } => {
                json!({"id": self.id, "type": "compaction", "encrypted_content": encrypted})
            }
        }
    }

    /// Newer reasoning items have no status, and have `content` only together with `encrypted_content`
    /// (`docs/backend.md` §3.3 item 3).
    fn reasoning_done(&self, summary: &[String], raw: Option<&str>, encrypted: &Option<String>) -> Value {
        let parts: Vec<Value> = summary.iter().map(|text| summary_part(text)).collect();
        let mut item = json!({"id": self.id, "type": "reasoning", "summary": parts});
        if let Some(text) = raw {
            item["content"] = json!([{"type": "reasoning_text", "text": text}]);
        } else if encrypted.is_some() {
            item["content"] = json!([]);
        }
        if let Some(encrypted) = encrypted {
            item["encrypted_content"] = Value::from(encrypted.as_str());
        }
        item
    }

    fn message_item(&self, status: &str, content: Value, phase: &str) -> Value {
        json!({
            "id": self.id, "type": "message", "status": status, "content": content, "phase": phase, "role": "assistant",
        })
    }

    fn call_item(&self, status: &str, text: &str) -> Value {
        let (mut item, namespace) = match &self.output {
            Output::CustomCall { name, namespace, .. } => {
                let item = json!({
                    "id": self.id, "type": "custom_tool_call", "status": status, "call_id": self.call_id, "name": name,
                    "input": text,
                });
                (item, namespace)
            }
            Output::Call { name, namespace, .. } => {
                let item = json!({
                    "id": self.id, "type": "function_call", "status": status, "arguments": text, "call_id": self.call_id,
                    "name": name,
                });
                (item, namespace)
            }
            Output::Reasoning { .. }
            | Output::Message { .. }
            | Output::Refusal(_)
            | Output::WebSearch { .. }
            | Output::Image { .. }
            | Output::Compaction { .. } => return Value::Null,
        };
        if let Some(namespace) = namespace {
            item["namespace"] = Value::from(namespace.as_str());
        }
        item
    }

    fn reasoning(&self, summary: &[String], raw: Option<&str>) -> Events {
        let mut events: Vec<Event> = Vec::new();
        for (index, text) in summary.iter().enumerate() {
            let at = json!({"item_id": self.id, "summary_index": index});
            let part = |text: &str| merged(&at, json!({"part": summary_part(text)}));
            events.push(self.event("response.reasoning_summary_part.added", part("")));
            let pieces = Text::Words(text.clone()).pieces();
            events.extend(self.deltas("response.reasoning_summary_text.delta", &at, index, pieces));
            events.push(self.event("response.reasoning_summary_text.done", merged(&at, json!({"text": text}))));
            events.push(self.event("response.reasoning_summary_part.done", part(text)));
        }
        if let Some(text) = raw {
            let at = json!({"item_id": self.id, "content_index": 0});
            let pieces = Text::Words(text.to_owned()).pieces();
            events.extend(self.deltas("response.reasoning_text.delta", &at, summary.len(), pieces));
            events.push(self.event("response.reasoning_text.done", merged(&at, json!({"text": text}))));
        }
        Box::new(events.into_iter())
    }

    fn message(&self, text: &Text, citations: &[Citation]) -> Events {
        let at = json!({"item_id": self.id, "content_index": 0});
        let whole = text.whole();
        let part = |text: &str, cited: &[Citation]| merged(&at, json!({"part": text_part(text, cited)}));
        let opened = self.event("response.content_part.added", part("", &[]));
        let deltas = self.deltas("response.output_text.delta", &at, 0, text.pieces());
        let mut closing: Vec<Event> = Vec::new();
        for (index, citation) in citations.iter().enumerate() {
            let fields = merged(&at, json!({"annotation_index": index, "annotation": citation.to_json()}));
            closing.push(self.event("response.output_text.annotation.added", fields));
        }
        closing.push(self.event("response.output_text.done", merged(&at, json!({"text": whole, "logprobs": []}))));
        closing.push(self.event("response.content_part.done", part(&whole, citations)));
        Box::new(once(opened).chain(deltas).chain(closing))
    }

    fn refusal(&self, text: &str) -> Events {
        let at = json!({"item_id": self.id, "content_index": 0});
        let part = |text: &str| merged(&at, json!({"part": {"type": "refusal", "refusal": text}}));
        let opened = self.event("response.content_part.added", part(""));
        let deltas = self.deltas("response.refusal.delta", &at, 0, Text::Words(text.to_owned()).pieces());
        let said = self.event("response.refusal.done", merged(&at, json!({"refusal": text})));
        let closed = self.event("response.content_part.done", part(text));
        Box::new(once(opened).chain(deltas).chain([said, closed]))
    }

    /// The deltas have neither `call_id` nor `name` (`docs/backend.md` §3.3 item 6).
    fn arguments(&self, arguments: &str) -> Events {
        let at = json!({"item_id": self.id});
        let deltas = self.deltas("response.function_call_arguments.delta", &at, 0, slices(arguments));
        let done = merged(&at, json!({"arguments": arguments}));
        Box::new(deltas.chain(once(self.event("response.function_call_arguments.done", done))))
    }

    fn input(&self, input: &str) -> Events {
        let at = json!({"item_id": self.id});
        let deltas = self.deltas("response.custom_tool_call_input.delta", &at, 0, slices(input));
        let done = merged(&at, json!({"input": input}));
        Box::new(deltas.chain(once(self.event("response.custom_tool_call_input.done", done))))
    }

    fn image(&self) -> Events {
        let fields = json!({
            "item_id": self.id, "partial_image_index": 0, "partial_image_b64": PIXEL, "output_format": "png",
            "size": "1024x1024", "quality": "medium", "background": "opaque",
        });
        let partial = self.event("response.image_generation_call.partial_image", fields);
        let before = self.phases("image_generation_call", &["in_progress", "generating"]);
        let after = self.phases("image_generation_call", &["completed"]);
        Box::new(before.chain(once(partial)).chain(after))
    }

    fn phases(&self, kind: &str, phases: &[&str]) -> Events {
        let make = |phase: &&str| self.event(format!("response.{kind}.{phase}"), json!({"item_id": self.id}));
        let events: Vec<Event> = phases.iter().map(make).collect();
        Box::new(events.into_iter())
    }

    /// Returns the deltas of part number `part` of the item. Each part is padded by its own generator.
    fn deltas(
        &self,
        kind: &'static str,
        at: &Value,
        part: usize,
        pieces: Box<dyn Iterator<Item = String> + Send>,
    ) -> Events {
        let of_part = |rng: &Rng| (0..part).fold(rng.clone(), |mut rng, _| rng.fork());
        let (index, at, mut padding) = (self.index, at.clone(), self.padding.as_ref().map(of_part));
        Box::new(pieces.map(move |piece| {
            let mut fields = merged(&at, json!({"delta": piece}));
            if kind == "response.output_text.delta" {
                fields["logprobs"] = json!([]);
            }
            if let Some(rng) = &mut padding {
                fields["obfuscation"] = Value::from(rng.obfuscation());
            }
            placed(kind, index, fields)
        }))
    }

    fn event(&self, kind: impl Into<std::borrow::Cow<'static, str>>, fields: Value) -> Event {
        placed(kind, self.index, fields)
    }
}

impl Citation {
    fn to_json(&self) -> Value {
        json!({
            "type": "url_citation", "start_index": self.start, "end_index": self.end, "url": self.url,
            "title": self.title,
        })
    }
}

/// Returns an event whose `output_index` comes after `item_id`, or first if there is none.
fn placed(kind: impl Into<std::borrow::Cow<'static, str>>, index: usize, fields: Value) -> Event {
    let mut ordered = Map::new();
    if let Value::Object(mut fields) = fields {
        if let Some(id) = fields.shift_remove("item_id") {
            ordered.insert("item_id".to_owned(), id);
        }
        ordered.insert("output_index".to_owned(), Value::from(index));
        ordered.extend(fields);
    }
    Event::new(kind, Value::Object(ordered))
}

fn merged(base: &Value, more: Value) -> Value {
    let mut out = base.clone();
    if let (Value::Object(out), Value::Object(more)) = (&mut out, more) {
        out.extend(more);
    }
    out
}

fn text_part(text: &str, citations: &[Citation]) -> Value {
    let annotations: Vec<Value> = citations.iter().map(Citation::to_json).collect();
    json!({"type": "output_text", "annotations": annotations, "logprobs": [], "text": text})
}

fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

fn slices(text: &str) -> Box<dyn Iterator<Item = String> + Send> {
    let characters: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = characters.chunks(ARGUMENT_PIECE).map(|piece| piece.iter().collect()).collect();
    Box::new(pieces.into_iter())
}
