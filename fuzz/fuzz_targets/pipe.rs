//! All four kinds of replies from arbitrary bytes: the output does not depend on how the input is split, clients can
//! parse it, it has a finish only after a terminal event, and what a stream has said is what a body says: the same
//! text, unless the summary counts it, and the same value of every call, or the stream ends in an error. The content
//! of the input selects one of two plans, so each run costs half; the next mutation tests the other plan.
#![no_main]

mod common;

use codex_translate::{ReasoningStyle, ReplyPlan};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use serde_json::value::RawValue;

fuzz_target!(|bytes: &[u8]| {
    let mut plan = ReplyPlan { stream: true, include_usage: true, ..ReplyPlan::new("caller/model") };
    if common::hash(bytes).is_multiple_of(2) {
        plan.stop = vec!["\n\n".to_owned(), "e!".to_owned()];
        plan.max_tokens = Some(5);
        plan.reasoning = ReasoningStyle::Think;
    }
    let (stream, body) = (common::chat_stream(&plan, [bytes]), common::chat_body(&plan, [bytes]));
    assert_eq!(stream, common::chat_stream(&plan, common::pieces(bytes)));
    assert_eq!(stream, common::chat_stream(&plan, bytes.chunks(1)));
    assert_eq!(body, common::chat_body(&plan, common::pieces(bytes)));
    let is_limited = plan.is_cut();
    common::same_end(&stream, &body, is_limited);
    let chunks = common::invariants::chunks(&stream.text, true, stream.error.is_none());
    if !is_limited && stream.error.is_none() {
        let body: Value = serde_json::from_str(&body.text).expect("JSON");
        common::invariants::same_calls(&chunks, &body["choices"][0]["message"]);
    }

    let (stream, body) = (common::responses_stream(&plan, [bytes]), common::responses_body(&plan, [bytes]));
    assert_eq!(stream, common::responses_stream(&plan, common::pieces(bytes)));
    assert_eq!(stream, common::responses_stream(&plan, bytes.chunks(1)));
    assert_eq!(body, common::responses_body(&plan, common::pieces(bytes)));
    common::same_end(&stream, &body, is_limited);
    if !is_plain(&stream.text) {
        return;
    }
    let events = common::invariants::response_events(&stream.text);
    let last = events.last().expect("an event");
    assert_eq!(stream.error.is_some(), last["type"] == "response.failed");
    if !is_limited
        && stream.error.is_none()
        && !stream.is_revised
        && let Ok(body) = serde_json::from_str::<Value>(&body.text)
    {
        common::invariants::same_output(&last["response"], &body);
    }
});

/// Returns whether `serde_json::Value` can hold every event. It cannot hold deep nesting or huge numbers, which are
/// valid JSON and pass through unchanged; unpaired surrogates do not.
fn is_plain(stream: &str) -> bool {
    common::invariants::data(stream).into_iter().all(|data| {
        serde_json::from_str::<&RawValue>(data).expect("JSON");
        match serde_json::from_str::<Value>(data) {
            Ok(_) => true,
            Err(error) => {
                assert!(!error.to_string().contains("surrogate"), "{data}");
                false
            }
        }
    })
}
