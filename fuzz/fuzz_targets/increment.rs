//! A message of a turn continues the previous one only if it repeats its input and its output and adds something; then
//! exactly the addition is sent. The input is a message, a list of output items, and the next message, each on a line.
#![no_main]

use codex_upstream::fuzzing::continued;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let (Some(previous), Some(output)) = (lines.next(), lines.next()) else { return };
    let next = lines.next().unwrap_or_default();
    let Ok(Value::Array(output)) = serde_json::from_str(output) else { return };
    check(previous, &output, next);

    // A client that hands back everything and adds a message continues the turn.
    let Ok(Value::Object(body)) = serde_json::from_str(previous) else { return };
    let Some(Value::Array(input)) = body.get("input") else { return };
    let with_input = |items: &[Value]| {
        let mut next = body.clone();
        let question = json!({"role": "user", "content": "and then?"});
        next.insert("input".to_owned(), input.iter().chain(items).cloned().chain([question]).collect());
        next
    };
    let next = with_input(&output);
    assert_eq!(check(previous, &output, &to_json(&next)), Some(input.len() + output.len()));
    // Another setting does not.
    let mut changed = next;
    if changed.insert("x_changed".to_owned(), json!("by the test")) != Some(json!("by the test")) {
        assert_eq!(check(previous, &output, &to_json(&changed)), None);
    }
    // Nor does one that leaves out the last item, unless that was reasoning or commentary.
    if let Some((last, rest)) = output.split_last()
        && last.get("type") != Some(&json!("reasoning"))
        && last.get("phase") != Some(&json!("commentary"))
    {
        assert_eq!(check(previous, &output, &to_json(&with_input(rest))), None);
    }
});

/// Returns where the new items begin, after checking the message that is sent.
fn check(previous: &str, output: &[Value], next: &str) -> Option<usize> {
    let (start, sent) = continued(previous.as_bytes(), output, next.as_bytes())?;
    let next: Map<String, Value> = serde_json::from_str(next).expect("the message was read");
    let mut sent: Map<String, Value> = serde_json::from_slice(&sent).expect("the sent message is JSON");
    assert_eq!(sent.remove("previous_response_id"), Some(json!("resp_1")));
    let (sent_input, next_input) = (sent.remove("input"), next["input"].as_array().expect("a list"));
    assert!(start < next_input.len());
    assert_eq!(sent_input.as_ref().and_then(Value::as_array).map(Vec::as_slice), Some(&next_input[start..]));
    for (key, value) in next.iter().filter(|(key, _)| !["input", "previous_response_id"].contains(&key.as_str())) {
        assert_eq!(sent.get(key), Some(value), "{key}");
    }
    Some(start)
}

fn to_json(message: &Map<String, Value>) -> String {
    serde_json::to_string(message).expect("JSON")
}
