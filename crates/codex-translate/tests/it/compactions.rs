//! Replies to compactions.

use codex_translate::{
    Chunk, CompactionFold, CompactionReply, Error, ErrorKind, EventReader, Fold, ReplyId, ReplyPlan,
};
use serde_json::{Value, json};

const COMPACTION: &str = r#"{"type":"compaction","id":"cmp_1","encrypted_content":"gAAAA"}"#;

fn folded(events: &[Value]) -> Result<CompactionReply, Error> {
    let reply_id = ReplyId { id: "resp_0".to_owned(), created: 7 };
    let mut fold = CompactionFold::new(&ReplyPlan::new("m"), &reply_id);
    for event in events {
        let _flow = fold.feed(&mut EventReader::new(), &Chunk::Message(event.to_string()))?;
    }
    fold.end()
}

fn done(index: usize, item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

fn ended(kind: &str, response: &Value) -> Value {
    json!({"type": format!("response.{kind}"), "response": response})
}

#[test]
fn all_items_of_the_reply_are_its_output() {
    let compaction: Value = serde_json::from_str(COMPACTION).unwrap();
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAB"});
    let response = json!({"id": "resp_1", "created_at": 5, "status": "completed", "output": [],
        "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}});
    let created = ended("created", &json!({"id": "resp_1", "status": "in_progress"}));
    let compacting = json!({"type": "response.compaction.compacting", "output_index": 1});
    let events = [created, done(0, &reasoning), compacting, done(1, &compaction), ended("completed", &response)];
    let reply = serde_json::to_value(folded(&events).unwrap()).unwrap();
    let expected = json!({"id": "resp_1", "object": "response.compaction", "created_at": 5,
        "output": [reasoning, compaction], "usage": response["usage"]});
    assert_eq!(reply, expected);
}

#[test]
fn what_the_backend_leaves_out_is_added_and_usage_is_not_invented() {
    let compaction: Value = serde_json::from_str(COMPACTION).unwrap();
    let response = json!({"status": "completed", "output": [compaction]});
    let reply = folded(&[ended("completed", &response)]).unwrap();
    assert_eq!(
        serde_json::to_value(reply).unwrap(),
        json!({"id": "resp_0", "object": "response.compaction", "created_at": 7, "output": [compaction]})
    );
}

#[test]
fn a_reply_without_a_usable_compaction_is_an_error() {
    let compaction: Value = serde_json::from_str(COMPACTION).unwrap();
    let message = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]});
    let empty = json!({"type": "compaction", "id": "cmp_1"});
    let completed = ended("completed", &json!({"id": "r", "status": "completed"}));
    let incomplete = |reason: &str| {
        ended("incomplete", &json!({"id": "r", "status": "incomplete", "incomplete_details": {"reason": reason}}))
    };
    let failed = ended("failed", &json!({"id": "r", "error": {"code": "context_length_exceeded", "message": "m"}}));
    let rows = [
        (vec![completed.clone()], ErrorKind::Protocol),
        (vec![done(0, &message), completed.clone()], ErrorKind::Protocol),
        (vec![done(0, &empty), completed], ErrorKind::Protocol),
        (vec![done(0, &compaction)], ErrorKind::Truncated),
        (vec![done(0, &compaction), incomplete("max_output_tokens")], ErrorKind::Truncated),
        (vec![incomplete("content_filter")], ErrorKind::PolicyRefused),
        (vec![failed], ErrorKind::ContextLengthExceeded),
    ];
    for (events, kind) in rows {
        assert_eq!(folded(&events).unwrap_err().kind(), kind, "{events:?}");
    }
}
