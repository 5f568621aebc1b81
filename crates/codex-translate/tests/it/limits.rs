//! Each limit at its boundary: the maximum is accepted, and one more is an error.

use codex_translate::ReplyPlan;
use codex_translate::bounds::{
    MAX_COMMENTARY_BYTES, MAX_EARLY_BYTES, MAX_EVENT_BYTES, MAX_OUTPUT_ITEMS, MAX_OUTPUT_TEXTS,
};
use serde_json::{Value, json};

use crate::fixtures::{Outcome, Way};
use crate::turns::to_bytes;

fn outcome(way: Way, bytes: &[u8]) -> Outcome {
    way.outcome(&ReplyPlan::new("m"), [bytes])
}

fn completed() -> Value {
    json!({"type": "response.completed", "response": {"id": "resp_1", "status": "completed"}})
}

/// Checks that `count` events of a kind are accepted and one more is an error.
#[track_caller]
fn check_count(count: usize, what: &str, event: impl Fn(usize) -> Value) {
    for way in [Way::ChatBody, Way::ResponsesBody] {
        let mut events: Vec<_> = (0..count).map(&event).collect();
        events.push(completed());
        assert_eq!(outcome(way, &to_bytes(&events)).error, None, "{way:?}");
        events.insert(count, event(count));
        let error = outcome(way, &to_bytes(&events)).error.expect("one too many");
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("more than {count} {what}")), "{way:?}: {message}");
    }
}

#[test]
fn output_items() {
    check_count(MAX_OUTPUT_ITEMS, "output items", |index| {
        json!({"type": "response.output_item.added", "output_index": index, "item": {"id": index.to_string(),
            "type": "message"}})
    });
}

#[test]
fn output_items_of_deltas() {
    check_count(
        MAX_OUTPUT_ITEMS,
        "output items",
        |index| json!({"type": "response.output_text.delta", "output_index": index, "delta": "x"}),
    );
}

#[test]
fn output_texts() {
    check_count(
        MAX_OUTPUT_TEXTS,
        "texts",
        |index| json!({"type": "response.output_text.delta", "output_index": index % 7, "content_index": index, "delta": "x"}),
    );
}

#[test]
fn calls_without_a_name() {
    let event =
        |index: usize| json!({"type": "response.function_call_arguments.delta", "output_index": index, "delta": "x"});
    for (count, code) in [(MAX_OUTPUT_ITEMS, "stream_truncated"), (MAX_OUTPUT_ITEMS + 1, "upstream_protocol_error")] {
        let events: Vec<_> = (0..count).map(event).chain([completed()]).collect();
        for way in [Way::ChatBody, Way::ResponsesBody] {
            let error = outcome(way, &to_bytes(&events)).error.expect("calls without an end");
            assert_eq!(error["error"]["code"], code, "{way:?}, {count}");
        }
    }
}

#[test]
fn event_bytes() {
    let (head, tail) = ("data: {\"type\":\"response.completed\",\"response\":{}}\n: ", "\n\n");
    let padding = "x".repeat(MAX_EVENT_BYTES - head.len() - tail.len());
    for way in Way::ALL {
        assert_eq!(outcome(way, format!("{head}{padding}{tail}").as_bytes()).error, None, "{way:?}");
        let error = outcome(way, format!("{head}x{padding}{tail}").as_bytes()).error.expect("too large");
        assert_eq!(error["error"]["code"], "upstream_protocol_error", "{way:?}");
    }
}

#[test]
fn commentary_bytes() {
    let added = |index: usize, phase: &str| {
        json!({"type": "response.output_item.added", "output_index": index,
            "item": {"id": index.to_string(), "type": "message", "phase": phase}})
    };
    let delta =
        |index: usize, text: &str| json!({"type": "response.output_text.delta", "output_index": index, "delta": text});
    for (more, content) in [(0, "answer".to_owned()), (1, "x".repeat(MAX_COMMENTARY_BYTES + 1) + "\n\nanswer")] {
        let events = [
            added(0, "commentary"),
            delta(0, &"x".repeat(MAX_COMMENTARY_BYTES + more)),
            added(1, "final_answer"),
            delta(1, "answer"),
            completed(),
        ];
        let body: Value = serde_json::from_str(&outcome(Way::ChatBody, &to_bytes(&events)).success.unwrap()).unwrap();
        let message = &body["choices"][0]["message"];
        assert!(message["content"] == content, "{more} more");
        // Commentary that has become the answer is written once.
        assert_eq!(message.get("reasoning_content").is_some(), more == 0);
    }
}

/// Too many events before the first output are written, so a status is no longer possible.
#[test]
fn early_bytes() {
    let failed = json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}});
    let event = |len: usize| json!({"type": "codex.rate_limits", "padding": "x".repeat(len)});
    let overhead = event(0).to_string().len() + size_of::<usize>();
    for (more, is_status) in [(0, true), (1, false)] {
        let early = event(MAX_EARLY_BYTES - overhead + more);
        let Outcome { success, error } = outcome(Way::ResponsesStream, &to_bytes(&[early, failed.clone()]));
        assert_eq!(success.is_none(), is_status, "{more} more");
        assert_eq!(error.unwrap()["status"], 502);
        if let Some(stream) = success {
            let kinds: Vec<_> = stream.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
            assert_eq!(kinds, ["response.created", "codex.rate_limits", "response.failed"]);
        }
    }
}
