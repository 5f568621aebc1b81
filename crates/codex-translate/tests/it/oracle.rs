//! A simple second implementation of the replies, from completed items and whole JSON values.

use serde_json::{Map, Value, json};

use crate::turns::{End, Item, Turn};

const DIVIDER: &str = "\n\n";

/// Returns the message and the finish that a chat client gets for a turn, from its completed items.
pub(crate) fn choice_of(turn: &Turn) -> (Value, &'static str) {
    let (mut answer, mut commentary, mut refusal) = (Vec::new(), Vec::new(), String::new());
    let (mut reasoning, mut calls, mut images) = (Vec::new(), Vec::new(), Vec::new());
    let (mut of_answer, mut of_commentary) = (Vec::new(), Vec::new());
    // What the model calls commentary is the answer of a reply without any, and otherwise reasoning.
    let is_answered = turn.items.iter().any(|item| match item {
        Item::Message { phase: Some("commentary"), is_refusal: false, .. } => false,
        Item::Message { pieces, .. } => !pieces.is_empty(),
        Item::Call { .. } => true,
        Item::Reasoning(_) | Item::Search | Item::Image => false,
    });
    for (index, item) in turn.items.iter().enumerate() {
        match item {
            Item::Reasoning(parts) => reasoning.extend(parts.iter().map(|pieces| pieces.concat())),
            Item::Message { is_refusal: true, pieces, .. } => refusal.push_str(&pieces.concat()),
            Item::Message { phase: Some("commentary"), pieces, citations, .. } => {
                let text = pieces.concat();
                of_commentary.extend(moved(*citations, &commentary, &text));
                if is_answered { &mut reasoning } else { &mut commentary }.push(text);
            }
            Item::Message { pieces, citations, .. } => {
                let text = pieces.concat();
                of_answer.extend(moved(*citations, &answer, &text));
                answer.push(text);
            }
            Item::Call { pieces, is_custom } => calls.push(json!({"id": format!("call_{index}"), "type": "function",
                "function": {"name": if *is_custom { "c" } else { "f" }, "arguments": Item::arguments(*is_custom, pieces)}})),
            Item::Search => {}
            Item::Image => images.push(json!({"type": "image_url", "index": images.len(),
                "image_url": {"url": "data:image/png;base64,iVBOR"}})),
        }
    }
    let (said, citations) = if is_answered { (answer, of_answer) } else { (commentary, of_commentary) };
    let (said, reasoning) = (joined(&said), joined(&reasoning));
    let finish = match turn.end {
        End::Completed if calls.is_empty() => "stop",
        End::Completed => "tool_calls",
        End::MaxOutputTokens => "length",
        End::ContentFilter => "content_filter",
    };

    let speaks_otherwise = !refusal.is_empty() || !calls.is_empty();
    let mut message = Map::new();
    message.insert("role".into(), json!("assistant"));
    message.insert("content".into(), if said.is_empty() && speaks_otherwise { Value::Null } else { json!(said) });
    message.insert("refusal".into(), if refusal.is_empty() { Value::Null } else { json!(refusal) });
    for (key, list) in [("tool_calls", calls), ("annotations", citations), ("images", images)] {
        if !list.is_empty() {
            message.insert(key.into(), Value::Array(list));
        }
    }
    if !reasoning.is_empty() {
        message.insert("reasoning_content".into(), json!(reasoning));
    }
    (Value::Object(message), finish)
}

/// Joins the texts that are not empty with blank lines.
fn joined(texts: &[String]) -> String {
    let texts: Vec<_> = texts.iter().filter(|text| !text.is_empty()).map(String::as_str).collect();
    texts.join(DIVIDER)
}

/// Returns the citations of a text that follows others.
fn moved(citations: usize, before: &[String], text: &str) -> Vec<Value> {
    let before = joined(before);
    let divider = if before.is_empty() || text.is_empty() { 0 } else { DIVIDER.len() };
    let offset = before.chars().count() + divider;
    let citation = |at: usize| {
        json!({"type": "url_citation", "url_citation": {"start_index": at + offset, "end_index": at + 1 + offset,
            "url": "https://x.y", "title": "t"}})
    };
    (0..citations).map(citation).collect()
}

/// Builds a body from the chunks of a stream, as a client does.
pub(crate) fn completion_of(chunks: &[Value]) -> Value {
    let mut message = Map::new();
    let (mut finish, mut usage) = (Value::Null, None);
    for chunk in chunks {
        usage = chunk.get("usage").cloned().or(usage);
        let Some(choice) = chunk["choices"].get(0) else { continue };
        if choice["finish_reason"].is_string() {
            finish = choice["finish_reason"].clone();
        }
        for (key, value) in choice["delta"].as_object().expect("a delta") {
            add(&mut message, key, value);
        }
    }
    for key in ["tool_calls", "annotations"] {
        for entry in message.get_mut(key).into_iter().flat_map(|entries| entries.as_array_mut().unwrap()) {
            entry.as_object_mut().unwrap().remove("index");
        }
    }
    let speaks_otherwise = ["refusal", "tool_calls", "function_call"].iter().any(|key| message.contains_key(*key));
    if speaks_otherwise && message["content"] == "" {
        message.insert("content".into(), Value::Null);
    }
    message.entry("refusal").or_insert(Value::Null);
    let first = &chunks[0];
    let mut whole = json!({"id": first["id"], "object": "chat.completion", "created": first["created"],
        "model": first["model"], "choices": [{"index": 0, "message": message, "logprobs": null,
        "finish_reason": finish}]});
    if let Some(usage) = usage {
        whole["usage"] = usage;
    }
    whole["system_fingerprint"] = first["system_fingerprint"].clone();
    whole
}

fn add(message: &mut Map<String, Value>, key: &str, value: &Value) {
    match (key, value) {
        ("role", _) => drop(message.insert(key.into(), value.clone())),
        ("tool_calls", _) => {
            let calls = message.entry(key).or_insert(json!([])).as_array_mut().unwrap();
            for delta in value.as_array().unwrap() {
                let index = usize::try_from(delta["index"].as_u64().unwrap()).unwrap();
                match calls.get_mut(index) {
                    Some(call) => append(&mut call["function"]["arguments"], &delta["function"]["arguments"]),
                    None => calls.push(delta.clone()),
                }
            }
        }
        ("function_call", _) => match message.get_mut(key) {
            Some(call) => append(&mut call["arguments"], &value["arguments"]),
            None => drop(message.insert(key.into(), value.clone())),
        },
        (_, Value::Array(more)) => {
            message.entry(key).or_insert(json!([])).as_array_mut().unwrap().extend(more.iter().cloned());
        }
        _ => append(message.entry(key).or_insert(json!("")), value),
    }
}

fn append(whole: &mut Value, more: &Value) {
    *whole = Value::String(whole.as_str().unwrap().to_owned() + more.as_str().unwrap());
}
