//! Generated turns of the backend: in the order of docs/backend.md §3.2, and in any order.

use proptest::prelude::*;
use serde_json::{Value, json};

/// A turn in order.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) items: Vec<Item>,
    /// Whether the terminal event repeats the items.
    full_output: bool,
    /// Which end events are missing: of texts, parts and items.
    ends: Ends,
    pub(crate) end: End,
    /// Heartbeats and unknown events, each before the event at its position.
    noise: Vec<(prop::sample::Index, bool)>,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    text: bool,
    part: bool,
    item: bool,
}

/// How a turn in order ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Completed,
    MaxOutputTokens,
    ContentFilter,
}

/// An item of a turn, with each text as the pieces of its deltas.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Reasoning(Vec<Vec<String>>),
    Message { phase: Option<&'static str>, pieces: Vec<String>, is_refusal: bool, citations: usize },
    Call { is_custom: bool, pieces: Vec<String> },
    Search,
    Image,
}

impl Turn {
    /// Returns the events of the turn.
    pub(crate) fn events(&self) -> Vec<Value> {
        let response = |status: &str| json!({"id": "resp_1", "object": "response", "status": status, "output": []});
        let mut events = vec![json!({"type": "response.created", "response": response("in_progress")})];
        for (index, item) in self.items.iter().enumerate() {
            events.extend(item.events(index, self.ends));
        }
        let (kind, reason) = match self.end {
            End::Completed => ("completed", Value::Null),
            End::MaxOutputTokens => ("incomplete", json!({"reason": "max_output_tokens"})),
            End::ContentFilter => ("incomplete", json!({"reason": "content_filter"})),
        };
        let mut response = response(kind);
        response["incomplete_details"] = reason;
        response["usage"] = json!({"input_tokens": 3, "output_tokens": 4, "total_tokens": 7});
        if self.full_output {
            response["output"] = self.items.iter().enumerate().map(|(index, item)| item.whole(index)).collect();
        }
        events.push(json!({"type": format!("response.{kind}"), "response": response}));
        for (at, is_known) in &self.noise {
            let noise = if *is_known { json!({"type": "keepalive"}) } else { json!({"type": "response.x.y", "z": 1}) };
            events.insert(at.index(events.len()), noise);
        }
        for (number, event) in events.iter_mut().enumerate() {
            event["sequence_number"] = json!(number);
        }
        events
    }
}

impl Item {
    fn id(&self, index: usize) -> String {
        let prefix = match self {
            Self::Reasoning(_) => "rs",
            Self::Message { .. } => "msg",
            Self::Call { .. } => "fc",
            Self::Search => "ws",
            Self::Image => "ig",
        };
        format!("{prefix}_{index}")
    }

    /// Returns the arguments of a call as clients get them: a function without any is called with `{}`.
    pub(crate) fn arguments(is_custom: bool, pieces: &[String]) -> String {
        let arguments = pieces.concat();
        if !is_custom && arguments.trim_ascii().is_empty() { arguments + "{}" } else { arguments }
    }

    /// Returns the completed item.
    pub(crate) fn whole(&self, index: usize) -> Value {
        let id = self.id(index);
        match self {
            Self::Reasoning(parts) => {
                let part = |pieces: &Vec<String>| json!({"type": "summary_text", "text": pieces.concat()});
                json!({"id": id, "type": "reasoning", "summary": parts.iter().map(part).collect::<Vec<_>>()})
            }
            Self::Message { phase, pieces, .. } => {
                let part = self.part(&pieces.concat());
                json!({"id": id, "type": "message", "status": "completed", "role": "assistant", "phase": phase,
                    "content": [part]})
            }
            Self::Call { is_custom: true, pieces } => json!({"id": id, "type": "custom_tool_call",
                "status": "completed", "call_id": format!("call_{index}"), "name": "c", "input": pieces.concat()}),
            Self::Call { is_custom: false, pieces } => json!({"id": id, "type": "function_call", "status": "completed",
                "call_id": format!("call_{index}"), "name": "f", "arguments": pieces.concat()}),
            Self::Search => json!({"id": id, "type": "web_search_call", "status": "completed"}),
            Self::Image => json!({"id": id, "type": "image_generation_call", "status": "completed",
                "output_format": "png", "result": "iVBOR"}),
        }
    }

    /// Returns the only part of a message.
    fn part(&self, text: &str) -> Value {
        if matches!(self, Self::Message { is_refusal: true, .. }) {
            return json!({"type": "refusal", "refusal": text});
        }
        json!({"type": "output_text", "annotations": self.citations(), "logprobs": [], "text": text})
    }

    fn citations(&self) -> Vec<Value> {
        let Self::Message { citations, .. } = self else { return Vec::new() };
        let citation = |at: usize| json!({"type": "url_citation", "start_index": at, "end_index": at + 1, "url": "https://x.y", "title": "t"});
        (0..*citations).map(citation).collect()
    }

    fn events(&self, index: usize, ends: Ends) -> Vec<Value> {
        let mut events = Vec::new();
        let mut begun = self.whole(index);
        for (key, value) in [
            ("status", json!("in_progress")),
            ("summary", json!([])),
            ("content", json!([])),
            ("arguments", json!("")),
            ("input", json!("")),
            ("result", Value::Null),
        ] {
            if let Some(found) = begun.get_mut(key) {
                *found = value;
            }
        }
        events.push(json!({"type": "response.output_item.added", "item": begun}));
        match self {
            Self::Reasoning(parts) => {
                for (part, pieces) in parts.iter().enumerate() {
                    let mut of_part = text_events(
                        "response.reasoning_summary_text",
                        "response.reasoning_summary_part",
                        pieces,
                        |text| json!({"type": "summary_text", "text": text}),
                        ends,
                    );
                    of_part.iter_mut().for_each(|event| event["summary_index"] = json!(part));
                    events.extend(of_part);
                }
            }
            Self::Message { pieces, is_refusal, .. } => {
                let kind = if *is_refusal { "response.refusal" } else { "response.output_text" };
                let mut of_part = text_events(kind, "response.content_part", pieces, |text| self.part(text), ends);
                of_part[0]["part"]["annotations"] = json!([]);
                for (number, annotation) in self.citations().into_iter().enumerate() {
                    let event = json!({"type": "response.output_text.annotation.added", "annotation_index": number,
                        "annotation": annotation});
                    of_part.insert(1 + pieces.len() + number, event);
                }
                of_part.iter_mut().for_each(|event| event["content_index"] = json!(0));
                events.extend(of_part);
            }
            Self::Call { is_custom, pieces } => {
                let (kind, key) = if *is_custom {
                    ("response.custom_tool_call_input", "input")
                } else {
                    ("response.function_call_arguments", "arguments")
                };
                events.extend(pieces.iter().map(|piece| json!({"type": format!("{kind}.delta"), "delta": piece})));
                events.push(json!({"type": format!("{kind}.done"), key: pieces.concat()}));
            }
            Self::Search => events.push(json!({"type": "response.web_search_call.searching"})),
            Self::Image => events.push(json!({"type": "response.image_generation_call.generating"})),
        }
        for event in &mut events[1..] {
            event["item_id"] = json!(self.id(index));
        }
        if ends.item {
            events.push(json!({"type": "response.output_item.done", "item": self.whole(index)}));
        }
        events.iter_mut().for_each(|event| event["output_index"] = json!(index));
        events
    }
}

fn text_events(kind: &str, part_kind: &str, pieces: &[String], part: impl Fn(&str) -> Value, ends: Ends) -> Vec<Value> {
    let mut events = vec![json!({"type": format!("{part_kind}.added"), "part": part("")})];
    events.extend(pieces.iter().map(|piece| json!({"type": format!("{kind}.delta"), "delta": piece})));
    if ends.text {
        let key = if kind == "response.refusal" { "refusal" } else { "text" };
        events.push(json!({"type": format!("{kind}.done"), key: pieces.concat()}));
    }
    if ends.part {
        events.push(json!({"type": format!("{part_kind}.done"), "part": part(&pieces.concat())}));
    }
    events
}

/// Writes events as server-sent events.
pub(crate) fn to_bytes(events: &[Value]) -> Vec<u8> {
    let frame = |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    events.iter().map(frame).collect::<String>().into_bytes()
}

fn pieces() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec("[a-z \"\\\\\n👋é\u{2028}]{1,5}", 0..4)
}

fn item() -> impl Strategy<Value = Item> {
    let phase = prop_oneof![Just(None), Just(Some("final_answer")), Just(Some("commentary"))];
    prop_oneof![
        2 => prop::collection::vec(pieces(), 0..3).prop_map(Item::Reasoning),
        4 => (phase, pieces(), prop::bool::weighted(0.2), 0_usize..3).prop_map(
            |(phase, pieces, is_refusal, citations)| {
                let citations = if pieces.is_empty() || is_refusal { 0 } else { citations };
                Item::Message { phase, pieces, is_refusal, citations }
            }
        ),
        3 => (any::<bool>(), pieces()).prop_map(|(is_custom, pieces)| Item::Call { is_custom, pieces }),
        1 => Just(Item::Search),
        1 => Just(Item::Image),
    ]
}

/// Generates any turn in order.
pub(crate) fn turn() -> impl Strategy<Value = Turn> {
    let ends = (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(text, part, item)| Ends { text, part, item });
    let end = prop_oneof![4 => Just(End::Completed), 1 => Just(End::MaxOutputTokens), 1 => Just(End::ContentFilter)];
    let noise = prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..3);
    (prop::collection::vec(item(), 0..5), any::<bool>(), ends, end, noise).prop_map(
        |(items, full_output, mut ends, end, noise)| {
            // An image is in the end of its item, or in the whole output.
            ends.item |= !full_output && items.iter().any(|item| matches!(item, Item::Image));
            Turn { items, full_output, ends, end, noise }
        },
    )
}

/// Generates events of a turn in any order. Items may be said again, under other ids or with the same.
pub(crate) fn any_events() -> impl Strategy<Value = Vec<Value>> {
    let index = || 0_u64..4;
    let text = || "[a-z\"é]{0,4}";
    let id = |index: u64| format!("it_{index}");
    let phase = prop_oneof![Just(None), Just(Some("final_answer")), Just(Some("commentary"))];
    let names = || prop_oneof![4 => Just(None), 1 => (index(), index()).prop_map(Some)];
    let item = move |index: u64, names: Option<(u64, u64)>, kind: &str, text: &str| {
        let (index, call) = names.unwrap_or((index, index));
        match kind {
            "message" => {
                json!({"id": id(index), "type": kind, "role": "assistant", "content": if text.is_empty() { json!([]) }
            else { json!([{"type": "output_text", "text": text, "annotations": []}]) }})
            }
            "reasoning" => json!({"id": id(index), "type": kind, "summary": [{"type": "summary_text", "text": text}]}),
            "unnamed" => json!({"id": id(index), "type": "function_call", "arguments": text}),
            _ => {
                json!({"id": id(index), "type": kind, "call_id": format!("call_{call}"), "name": "f", "arguments": text,
            "input": text})
            }
        }
    };
    let kind = || {
        prop_oneof![
            Just("message"),
            Just("reasoning"),
            Just("function_call"),
            Just("custom_tool_call"),
            Just("unnamed"),
            Just("mystery")
        ]
    };
    let of_text = prop_oneof![
        Just(("response.output_text", "text")),
        Just(("response.refusal", "refusal")),
        Just(("response.reasoning_summary_text", "text")),
        Just(("response.reasoning_text", "text")),
        Just(("response.function_call_arguments", "arguments")),
        Just(("response.custom_tool_call_input", "input")),
    ];
    let event = prop_oneof![
        2 => (index(), phase).prop_map(move |(index, phase)| json!({"type": "response.output_item.added",
            "output_index": index, "item": {"id": format!("it_{index}"), "type": "message", "phase": phase,
            "role": "assistant", "content": []}})),
        3 => (index(), names(), kind(), text(), any::<bool>()).prop_map(move |(index, names, kind, text, is_done)| {
            let (event, text) = if is_done { ("done", text) } else { ("added", String::new()) };
            json!({"type": format!("response.output_item.{event}"), "output_index": index,
                "item": item(index, names, kind, &text)})
        }),
        6 => (of_text, index(), 0_u64..2, text(), any::<bool>()).prop_map(|((kind, key), index, part, text, is_done)| {
            let (kind, key) = if is_done { (format!("{kind}.done"), key) } else { (format!("{kind}.delta"), "delta") };
            json!({"type": kind, "item_id": format!("it_{index}"), "output_index": index, "content_index": part,
                "summary_index": part, key: text})
        }),
        1 => (index(), 0_u64..2, text(), any::<bool>(), any::<bool>()).prop_map(|(index, part, text, is_done, is_text)| {
            let end = if is_done { "done" } else { "added" };
            let body = if is_text { json!({"type": "output_text", "text": text}) }
                else { json!({"type": "refusal", "refusal": text}) };
            json!({"type": format!("response.content_part.{end}"), "item_id": format!("it_{index}"),
                "output_index": index, "content_index": part, "part": body})
        }),
        1 => (index(), 0_u64..2).prop_map(|(index, part)| json!({"type": "response.output_text.annotation.added",
            "item_id": format!("it_{index}"), "output_index": index, "content_index": part, "annotation_index": 0,
            "annotation": {"type": "url_citation", "start_index": 0, "end_index": 1, "url": "u", "title": "t"}})),
        1 => Just(json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}})),
        1 => Just(json!({"type": "response.in_progress", "response": {"id": "resp_1", "status": "in_progress"}})),
        1 => Just(json!({"type": "keepalive"})),
        1 => index().prop_map(|index| json!({"type": "response.mystery.delta", "output_index": index, "delta": "x"})),
        1 => Just(json!({"type": "codex.rate_limits"})),
        1 => Just(json!({"type": "response.incomplete", "response": {"incomplete_details": {"reason": "other"}}})),
        1 => Just(json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}})),
        2 => prop::collection::vec((index(), names(), kind(), text()), 1..3).prop_map(move |items| {
            let output: Vec<_> =
                items.into_iter().map(|(index, names, kind, text)| item(index, names, kind, &text)).collect();
            json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": output,
                "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}})
        }),
        1 => Just(json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}})),
    ];
    prop::collection::vec(event, 0..16).prop_map(|mut events| {
        for (number, event) in events.iter_mut().enumerate() {
            event["sequence_number"] = json!(number);
        }
        events
    })
}
