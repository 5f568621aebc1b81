//! The Responses endpoint end to end.

use serde_json::{Value, json};

use crate::support::Harness;

fn ask(text: &str) -> Value {
    json!({"model": "gpt-5.1", "input": text})
}

#[tokio::test]
async fn a_stream_starts_with_created_and_ends_with_a_whole_response() {
    let proxy = Harness::start().await;
    let mut body = ask("[sim:text=Hello][sim:keepalive]");
    body["stream"] = true.into();
    let reply = proxy.post("/v1/responses", &body).await;
    let events = reply.events();
    assert_eq!(events[0]["type"], "response.created");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    // The backend leaves `output` empty (wire.md §3.3).
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], "Hello");
    assert!(events.iter().all(|event| event["type"] != "keepalive"));
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_whole_response_has_its_output() {
    let proxy = Harness::start().await;
    let reply = proxy.post("/v1/responses", &ask("[sim:text=Hello]")).await.json();
    assert_eq!((&reply["object"], &reply["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(reply["output"][0]["content"][0]["text"], "Hello");
    assert_eq!(reply["model"], "gpt-5.1");
}

#[tokio::test]
async fn litellms_variants_are_understood() {
    let proxy = Harness::start().await;
    let body = json!({"model": "gpt-5.1", "max_output_tokens": 500, "user": "u".repeat(80), "temperature": 0.5,
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "[sim:tool]", "id": "x_1"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}}});
    let reply = proxy.post("/v1/responses", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let call = &reply.json()["output"][0];
    assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!("f")));
    assert!(reply.header("x-codex-proxy-dropped").unwrap().contains("temperature"));
}

#[tokio::test]
async fn a_failure_within_the_stream_is_an_event_of_the_dialect() {
    let proxy = Harness::start().await;
    let mut body = ask("[sim:text=Hello][sim:no-terminal]");
    body["stream"] = true.into();
    let events = proxy.post("/v1/responses", &body).await.events();
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed", "{last}");
    assert_eq!(last["response"]["status"], "failed");
    assert!(last["response"]["error"]["message"].as_str().is_some_and(|message| !message.is_empty()));
}
