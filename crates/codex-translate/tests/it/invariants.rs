//! Invariants of every stream that is written, whatever the backend sends.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serde_json::value::RawValue;

/// Returns the data of the events in a stream, including `[DONE]`.
pub(crate) fn data(stream: &str) -> Vec<&str> {
    fn of_event(event: &str) -> &str {
        event.lines().find_map(|line| line.strip_prefix("data: ")).expect("data in every event")
    }
    stream.split_terminator("\n\n").map(of_event).collect()
}

/// Returns the chunks of a chat stream, which follows the rules of docs/clients/quirks.md.
///
/// # Panics
/// The stream breaks a rule.
#[track_caller]
pub(crate) fn chunks(stream: &str, include_usage: bool, is_whole: bool) -> Vec<Value> {
    let mut data = data(stream);
    if is_whole {
        assert_eq!(data.pop(), Some("[DONE]"), "{stream}");
    }
    let chunks: Vec<Value> = data.iter().map(|data| serde_json::from_str(data).expect("JSON")).collect();
    let (mut roles, mut finishes, mut usages, mut calls) = (0, 0, 0, 0);
    for (number, chunk) in chunks.iter().enumerate() {
        assert!(chunk.get("error").is_none(), "rule 6: {chunk}");
        let choices = chunk["choices"].as_array().expect("rule 2: choices");
        if let Some(usage) = chunk.get("usage") {
            usages += 1;
            assert!(usage.is_object() && choices.is_empty() && number + 1 == chunks.len(), "rule 2: {chunk}");
        }
        let Some(choice) = choices.first() else { continue };
        assert_eq!(finishes, 0, "rule 3, nothing after the finish: {chunk}");
        let delta = choice["delta"].as_object().expect("a delta");
        let has_role = delta.get("role") == Some(&Value::from("assistant"));
        assert_eq!(has_role, number == 0, "rule 1: {chunk}");
        roles += usize::from(has_role);
        finishes += usize::from(choice["finish_reason"].is_string());
        for call in delta.get("tool_calls").into_iter().flat_map(|calls| calls.as_array().unwrap()) {
            let index = call["index"].as_u64().expect("rule 4: an index");
            let is_new = call.get("id").is_some();
            assert_eq!(is_new, call.get("type").is_some() && call["function"].get("name").is_some(), "rule 4: {chunk}");
            assert!(if is_new { index == calls } else { index < calls }, "rule 4, indexes count up: {chunk}");
            calls += u64::from(is_new);
        }
    }
    assert_eq!(finishes, usize::from(is_whole), "a reply is finished if it is whole: {stream}");
    assert!(roles == 1 || chunks.is_empty() && !is_whole, "rule 1: {stream}");
    assert!(usages <= usize::from(include_usage && is_whole), "rule 2: {stream}");
    chunks
}

/// The state of an item while a stream is checked.
#[derive(Default)]
struct Open {
    /// Open and ended parts, by kind and index.
    parts: BTreeMap<(bool, u64), bool>,
}

/// The events about an item and its parts.
const KNOWN: [&str; 17] = [
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.output_text.delta",
    "response.output_text.done",
    "response.output_text.annotation.added",
    "response.refusal.delta",
    "response.refusal.done",
    "response.reasoning_summary_part.added",
    "response.reasoning_summary_part.done",
    "response.reasoning_summary_text.delta",
    "response.reasoning_summary_text.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.custom_tool_call_input.delta",
    "response.custom_tool_call_input.done",
];

const TERMINAL: [&str; 3] = ["response.completed", "response.incomplete", "response.failed"];

/// Returns the events of a Responses stream, which SDKs can read.
///
/// # Panics
/// SDKs could not read the stream.
#[track_caller]
pub(crate) fn response_events(stream: &str) -> Vec<Value> {
    let events: Vec<Value> = data(stream).iter().map(|data| serde_json::from_str(data).expect("JSON")).collect();
    let kind = |event: &Value| event["type"].as_str().expect("a type").to_owned();
    let numbers: Vec<_> = events.iter().filter_map(|event| event.get("sequence_number")).collect();
    assert!(numbers.iter().enumerate().all(|(at, number)| **number == at), "numbers without gaps: {numbers:?}");
    assert_eq!(kind(&events[0]), "response.created", "{stream}");
    assert_eq!(events.iter().filter(|event| kind(event) == "response.created").count(), 1, "{stream}");
    let terminal: Vec<_> = (0..events.len()).filter(|at| TERMINAL.contains(&&*kind(&events[*at]))).collect();
    assert_eq!(terminal, [events.len() - 1], "one terminal event, the last: {stream}");

    let mut items: BTreeMap<u64, Open> = BTreeMap::new();
    let mut ids: BTreeMap<u64, Value> = BTreeMap::new();
    let mut done: BTreeMap<u64, Value> = BTreeMap::new();
    for event in &events {
        let (kind, Some(index)) = (kind(event), event["output_index"].as_u64()) else { continue };
        if kind == "response.output_item.added" {
            assert_eq!(index, items.len() as u64, "indexes without gaps: {event}");
            items.insert(index, Open::default());
            let id = &event["item"]["id"];
            assert!(id.as_str().is_some_and(|id| !id.is_empty()), "an id: {event}");
            ids.insert(index, id.clone());
        }
        if !KNOWN.contains(&&*kind) {
            continue;
        }
        let item = items.get_mut(&index).unwrap_or_else(|| panic!("the item was announced: {event}"));
        assert!(!done.contains_key(&index), "the item is open: {event}");
        let is_summary = event.get("summary_index").is_some() && kind.contains("summary");
        let part =
            (is_summary, event[if is_summary { "summary_index" } else { "content_index" }].as_u64().unwrap_or(0));
        match kind.as_str() {
            "response.output_item.done" => {
                assert!(item.parts.values().all(|is_open| !is_open), "its parts are closed: {event}");
                assert_eq!(event["item"].get("id"), ids.get(&index), "the id stays");
                done.insert(index, event["item"].clone());
            }
            "response.content_part.added" | "response.reasoning_summary_part.added"
                if is_summary || is_text(&event["part"]) =>
            {
                item.parts.insert(part, true);
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                item.parts.entry(part).and_modify(|is_open| *is_open = false);
            }
            "response.output_text.delta" | "response.refusal.delta" | "response.reasoning_summary_text.delta" => {
                assert!(item.parts.contains_key(&part), "the part was announced: {event}");
            }
            _ => {}
        }
    }
    let last = &events[events.len() - 1];
    let output = last["response"]["output"].as_array().expect("an output");
    let done: Vec<_> = done.into_values().collect();
    assert_eq!(output, &done, "the output is what was said to be done");
    if kind(last) != "response.failed" {
        let unfinished: BTreeSet<_> = items.keys().skip(done.len()).collect();
        assert!(unfinished.is_empty(), "items without an end: {unfinished:?} in {stream}");
    }
    events
}

/// Returns whether parts of this type have end events.
fn is_text(part: &Value) -> bool {
    matches!(part["type"].as_str(), Some("output_text" | "text" | "refusal"))
}

/// Checks that the calls of a chat stream are those of the body.
///
/// # Panics
/// A client of the stream would run another call.
#[track_caller]
pub(crate) fn same_calls(chunks: &[Value], message: &Value) {
    let mut read: BTreeMap<u64, (String, String)> = BTreeMap::new();
    for call in chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array()).flatten() {
        let (id, arguments) = read.entry(call["index"].as_u64().expect("an index")).or_default();
        id.push_str(call["id"].as_str().unwrap_or_default());
        arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
    }
    let calls = || message["tool_calls"].as_array().into_iter().flatten();
    assert_eq!(read.len(), calls().count(), "as many calls: {chunks:?} and {message}");
    let ids: BTreeSet<_> = read.values().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), read.len(), "each call once: {chunks:?}");
    for (id, arguments) in read.into_values() {
        let is_same = |call: &Value| {
            call["id"] == id.as_str() && is_same_text(&Value::from(&*arguments), &call["function"]["arguments"])
        };
        assert!(calls().any(is_same), "{id} with {arguments}: {message}");
    }
}

/// Checks that the last response of a stream says what the body says.
///
/// # Panics
/// A text is another, or a call.
#[track_caller]
pub(crate) fn same_output(response: &Value, body: &Value) {
    let items = |response: &Value| response["output"].as_array().expect("an output").clone();
    let (said, whole) = (items(response), items(body));
    assert_eq!(said.len(), whole.len(), "as many items: {response} and {body}");
    for (said, whole) in said.iter().zip(&whole) {
        assert_eq!((&said["type"], &said["id"]), (&whole["type"], &whole["id"]));
        for (key, parts) in [("content", "text"), ("content", "refusal"), ("summary", "text")] {
            let texts = |item: &Value| -> Vec<Value> {
                item[key].as_array().into_iter().flatten().map(|part| part[parts].clone()).collect()
            };
            assert_eq!(texts(said), texts(whole), "{said} and {whole}");
        }
        for key in ["arguments", "input"] {
            assert!(is_same_text(&said[key], &whole[key]), "{said} and {whole}");
        }
    }
}

/// Returns whether two texts are the same, or the same JSON. Whether JSON that no tree can hold is the same is not told
/// here.
fn is_same_text(a: &Value, b: &Value) -> bool {
    let is_json = |text: &Value| text.as_str().is_some_and(|text| serde_json::from_str::<&RawValue>(text).is_ok());
    let value = |text: &Value| serde_json::from_str::<Value>(text.as_str()?).ok().map(with_floats);
    a == b || is_json(a) && is_json(b) && (value(a).is_none() || value(b).is_none() || value(a) == value(b))
}

/// Returns a value with all numbers as floats.
pub(crate) fn with_floats(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::from(number.as_f64()),
        Value::Array(values) => values.into_iter().map(with_floats).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (key, with_floats(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) => value,
    }
}
