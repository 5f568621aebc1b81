//! Well-formed events in any order: both streams keep their invariants, and the chunks add up to the completion, unless
//! the backend has given a text another last value, which the summary counts, or has mixed the texts of items.
#![no_main]

mod common;

use arbitrary::Arbitrary;
use codex_translate::ReplyPlan;
use codex_translate::responses::TextKind;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[derive(Arbitrary, Debug)]
enum Op {
    Created,
    MessageAdded {
        index: u8,
        phase: u8,
    },
    CallAdded {
        index: u8,
        custom: bool,
    },
    ReasoningAdded {
        index: u8,
    },
    Text {
        index: u8,
        delta: String,
    },
    Refusal {
        index: u8,
        delta: String,
    },
    Summary {
        index: u8,
        part: u8,
        delta: String,
    },
    Arguments {
        index: u8,
        delta: String,
    },
    ArgumentsDone {
        index: u8,
        arguments: String,
    },
    ItemDone {
        index: u8,
        text: String,
    },
    CallDone {
        index: u8,
        custom: bool,
        arguments: String,
    },
    TextDone {
        index: u8,
        text: String,
    },
    PartAdded {
        index: u8,
        part: u8,
    },
    PartDone {
        index: u8,
        part: u8,
        text: String,
    },
    Citation {
        index: u8,
    },
    Completed,
    CompletedWith {
        index: u8,
        text: String,
    },
    /// The call of the index `of`, under the id of the item at `index`.
    CallAgain {
        index: u8,
        of: u8,
        arguments: String,
        done: bool,
    },
    /// The message at `index` has the id of the one at `of`.
    MessageAgain {
        index: u8,
        of: u8,
        text: String,
    },
    CompletedWithCall {
        index: u8,
        of: u8,
        arguments: String,
    },
    /// Two messages with one id.
    CompletedWithTwo {
        index: u8,
        first: String,
        second: String,
    },
    Incomplete {
        filter: bool,
    },
    Failed,
    Keepalive,
    Unknown {
        kind: String,
    },
}

impl Op {
    fn to_event(&self) -> Value {
        let id = |index: &u8| format!("it_{index}");
        let call = |index: &u8, of: &u8, arguments: &str| {
            json!({"id": id(index), "type": "function_call", "call_id": format!("call_{of}"), "name": "f",
                "arguments": arguments})
        };
        let message = |index: &u8, text: &str| {
            json!({"id": id(index), "type": "message", "role": "assistant",
                "content": [{"type": "output_text", "text": text, "annotations": []}]})
        };
        let completed = |output: &[Value]| json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": output}});
        match self {
            Self::Created => json!({"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}),
            Self::MessageAdded { index, phase } => {
                let phase = [None, Some("commentary"), Some("final_answer")][usize::from(phase % 3)];
                json!({"type": "response.output_item.added", "output_index": index, "item": {"id": id(index),
                    "type": "message", "role": "assistant", "status": "in_progress", "content": [], "phase": phase}})
            }
            Self::CallAdded { index, custom } => {
                let kind = if *custom { "custom_tool_call" } else { "function_call" };
                json!({"type": "response.output_item.added", "output_index": index, "item": {"id": id(index),
                    "type": kind, "call_id": format!("call_{index}"), "name": "f", "arguments": "", "input": ""}})
            }
            Self::ReasoningAdded { index } => json!({"type": "response.output_item.added", "output_index": index,
                "item": {"id": id(index), "type": "reasoning", "summary": []}}),
            Self::Text { index, delta } => json!({"type": "response.output_text.delta", "item_id": id(index),
                "output_index": index, "content_index": 0, "delta": delta}),
            Self::Refusal { index, delta } => json!({"type": "response.refusal.delta", "item_id": id(index),
                "output_index": index, "content_index": 0, "delta": delta}),
            Self::Summary { index, part, delta } => json!({"type": "response.reasoning_summary_text.delta",
                "item_id": id(index), "output_index": index, "summary_index": part, "delta": delta}),
            Self::Arguments { index, delta } => json!({"type": "response.function_call_arguments.delta",
                "item_id": id(index), "output_index": index, "delta": delta}),
            Self::ArgumentsDone { index, arguments } => json!({"type": "response.function_call_arguments.done",
                "item_id": id(index), "output_index": index, "arguments": arguments}),
            Self::ItemDone { index, text } => json!({"type": "response.output_item.done", "output_index": index,
                "item": {"id": id(index), "type": "message", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": text, "annotations": []}]}}),
            Self::CallDone { index, custom, arguments } => {
                let kind = if *custom { "custom_tool_call" } else { "function_call" };
                json!({"type": "response.output_item.done", "output_index": index, "item": {"id": id(index),
                    "type": kind, "call_id": format!("call_{index}"), "name": "f", "arguments": arguments,
                    "input": arguments}})
            }
            Self::TextDone { index, text } => json!({"type": "response.output_text.done", "item_id": id(index),
                "output_index": index, "content_index": 0, "text": text}),
            Self::PartAdded { index, part } => json!({"type": "response.content_part.added", "item_id": id(index),
                "output_index": index, "content_index": part, "part": {"type": "output_text", "text": ""}}),
            Self::PartDone { index, part, text } => json!({"type": "response.content_part.done", "item_id": id(index),
                "output_index": index, "content_index": part, "part": {"type": "output_text", "text": text}}),
            Self::Citation { index } => json!({"type": "response.output_text.annotation.added", "item_id": id(index),
                "output_index": index, "content_index": 0, "annotation_index": 0, "annotation":
                {"type": "url_citation", "start_index": 0, "end_index": 1, "url": "u", "title": "t"}}),
            Self::CompletedWith { index, text } => completed(&[message(index, text)]),
            Self::CallAgain { index, of, arguments, done } => {
                let (event, arguments) = if *done { ("done", arguments.as_str()) } else { ("added", "") };
                json!({"type": format!("response.output_item.{event}"), "output_index": index,
                    "item": call(index, of, arguments)})
            }
            Self::MessageAgain { index, of, text } => {
                json!({"type": "response.output_item.done", "output_index": index,
                "item": message(of, text)})
            }
            Self::CompletedWithCall { index, of, arguments } => completed(&[call(index, of, arguments)]),
            Self::CompletedWithTwo { index, first, second } => {
                completed(&[message(index, first), message(index, second)])
            }
            Self::Completed => json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed",
                "output": [], "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}}),
            Self::Incomplete { filter } => json!({"type": "response.incomplete", "response": {"id": "resp_1",
                "status": "incomplete", "incomplete_details": {"reason":
                    if *filter { "content_filter" } else { "max_output_tokens" }}}}),
            Self::Failed => json!({"type": "response.failed", "response": {"id": "resp_1", "status": "failed",
                "error": {"code": "server_error", "message": "m"}}}),
            Self::Keepalive => json!({"type": "keepalive", "sequence_number": 1}),
            Self::Unknown { kind } => json!({"type": format!("mystery.{kind}")}),
        }
    }
}

impl Op {
    /// Returns the place of the text that the event is about: its item, its kind and its part.
    fn place(&self) -> Option<(u8, TextKind, u8)> {
        match self {
            Self::MessageAdded { index, .. }
            | Self::Text { index, .. }
            | Self::ItemDone { index, .. }
            | Self::TextDone { index, .. }
            | Self::MessageAgain { index, .. }
            | Self::Citation { index } => Some((*index, TextKind::Text, 0)),
            Self::PartAdded { index, part } | Self::PartDone { index, part, .. } => {
                Some((*index, TextKind::Text, *part))
            }
            Self::Refusal { index, .. } => Some((*index, TextKind::Refusal, 0)),
            Self::Summary { index, part, .. } => Some((*index, TextKind::Summary, *part)),
            _ => None,
        }
    }
}

/// Returns whether the texts of these kinds come in the order in which a whole reply has them.
fn is_in_order(ops: &[Op], kinds: &[TextKind]) -> bool {
    let places: Vec<_> = ops.iter().filter_map(Op::place).collect();
    if ops.iter().any(|op| matches!(op, Op::CompletedWith { .. } | Op::CompletedWithTwo { .. })) {
        // The last event has the first part of a message, which may be that of an earlier one.
        return places.iter().all(|(index, _, part)| (*index, *part) == (places[0].0, 0));
    }
    places.iter().filter(|(_, kind, _)| kinds.contains(kind)).is_sorted()
}

fuzz_target!(|ops: Vec<Op>| {
    let plan = ReplyPlan { stream: true, include_usage: true, ..ReplyPlan::new("gpt-5.1") };
    let bytes: String = ops.iter().map(|op| format!("data: {}\n\n", op.to_event())).collect();
    let bytes = [bytes.as_bytes()];

    let (stream, body) = (common::chat_stream(&plan, bytes), common::chat_body(&plan, bytes));
    common::same_end(&stream, &body, false);
    let chunks = common::invariants::chunks(&stream.text, true, stream.error.is_none());
    if stream.error.is_none() {
        let body: Value = serde_json::from_str(&body.text).expect("JSON");
        let message = &body["choices"][0]["message"];
        let said = |key: &str| {
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"][key].as_str()).collect::<String>()
        };
        common::invariants::same_calls(&chunks, message);
        for (key, kinds) in [
            ("content", &[TextKind::Text][..]),
            ("refusal", &[TextKind::Refusal]),
            // Commentary is reasoning, too.
            ("reasoning_content", &[TextKind::Text, TextKind::Summary]),
        ] {
            let last = message[key].as_str().unwrap_or_default();
            let may_differ = stream.is_revised || !is_in_order(&ops, kinds);
            assert!(may_differ || said(key) == last, "{key}: {:?} is not {last:?}", said(key));
        }
    }
    common::invariants::response_events(&common::responses_stream(&plan, bytes).text);
});
