//! Sequences of well-formed events in any order: the chat stream keeps its invariants.
#![no_main]

use arbitrary::Arbitrary;
use codex_translate::{ChatPipe, Flow, Identity, ReplyPlan};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};

#[derive(Arbitrary, Debug)]
enum Op {
    Created,
    MessageAdded { index: u8, phase: u8 },
    CallAdded { index: u8, custom: bool },
    ReasoningAdded { index: u8 },
    Text { index: u8, delta: String },
    Refusal { index: u8, delta: String },
    Summary { index: u8, part: u8, delta: String },
    Arguments { index: u8, delta: String },
    ArgumentsDone { index: u8, arguments: String },
    ItemDone { index: u8, text: String },
    Completed,
    Incomplete { filter: bool },
    Failed,
    Keepalive,
    Unknown { kind: String },
}

impl Op {
    fn to_event(&self) -> Value {
        let id = |index: &u8| format!("it_{index}");
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
            Self::Completed => json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed",
                "output": [], "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}}}),
            Self::Incomplete { filter } => json!({"type": "response.incomplete", "response": {"id": "resp_1",
                "status": "incomplete", "incomplete_details": {"reason":
                    if *filter { "content_filter" } else { "max_output_tokens" }}}}),
            Self::Failed => json!({"type": "response.failed", "response": {"id": "resp_1", "status": "failed",
                "error": {"code": "server_error", "message": "m"}}}),
            Self::Keepalive => json!({"type": "keepalive", "sequence_number": 1}),
            Self::Unknown { kind } => json!({"type": kind}),
        }
    }
}

fuzz_target!(|ops: Vec<Op>| {
    let plan = ReplyPlan { stream: true, include_usage: true, ..ReplyPlan::new("gpt-5.1") };
    let mut pipe = ChatPipe::new(plan, Identity { id: "chatcmpl-1".to_owned(), created: 1 });
    let mut out = Vec::new();
    for op in &ops {
        match pipe.feed(format!("data: {}\n\n", op.to_event()).as_bytes(), &mut out) {
            Ok(Flow::Continue) => {}
            Ok(Flow::Done) => break,
            Err(_) => return check(&out, false),
        }
    }
    let finished = pipe.finish(&mut out).is_ok();
    check(&out, finished);
});

/// One role, one finish and nothing but usage after it, every tool call announced once before its arguments.
fn check(out: &[u8], finished: bool) {
    let text = std::str::from_utf8(out).expect("chunks are UTF-8");
    let (mut roles, mut finishes, mut calls) = (0, 0, 0);
    for data in text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")) {
        if data == "[DONE]" {
            continue;
        }
        let chunk: Value = serde_json::from_str(data).expect("a chunk is JSON");
        let Some(choice) = chunk["choices"].get(0) else { continue };
        assert_eq!(finishes, 0, "a choice after the finish: {chunk}");
        let delta = &choice["delta"];
        roles += usize::from(!delta["role"].is_null());
        finishes += usize::from(choice["finish_reason"].is_string());
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            let index = call["index"].as_u64().expect("an index");
            if call["id"].is_string() {
                assert_eq!(index, calls, "indexes count up: {chunk}");
                calls += 1;
            } else {
                assert!(index < calls, "arguments before the call: {chunk}");
            }
        }
    }
    assert!(roles <= 1, "{text}");
    assert_eq!(finishes, usize::from(finished), "{text}");
}
