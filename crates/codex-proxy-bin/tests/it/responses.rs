//! The Responses endpoint end to end.

use http::Method;
use serde_json::{Value, json};

use crate::support::Harness;

fn ask(text: &str) -> Value {
    json!({"model": "gpt-5.1", "input": text})
}

/// Returns the one item of a type in a response's output; reasoning is first even if it is empty (docs/backend.md
/// §3.2).
#[track_caller]
fn item<'a>(response: &'a Value, kind: &str) -> &'a Value {
    let items = response["output"].as_array().unwrap();
    items.iter().find(|item| item["type"] == kind).unwrap_or_else(|| panic!("no {kind} in {response}"))
}

#[tokio::test]
async fn a_stream_starts_with_created_and_ends_with_the_complete_response() {
    let proxy = Harness::start().await;
    let mut body = ask("[sim:text=Hello][sim:keepalive]");
    body["stream"] = true.into();
    let reply = proxy.post("/v1/responses", &body).await;
    let events = reply.events();
    assert_eq!(events[0]["type"], "response.created");
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.completed");
    // The backend leaves `output` empty (docs/backend.md §3.3).
    assert_eq!(item(&last["response"], "message")["content"][0]["text"], "Hello");
    assert!(events.iter().all(|event| event["type"] != "keepalive"));
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn the_official_client_hears_the_backends_keepalives() {
    let proxy = Harness::start().await;
    for (name, value, expected) in [
        ("originator", "codex-tui", true),
        ("user-agent", "codex_exec/0.171.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.171.0)", true),
        ("user-agent", "OpenAI/Python 3.57.0", false),
    ] {
        let mut body = ask("[sim:text=Hello there][sim:keepalive]");
        body["stream"] = true.into();
        let reply = proxy.send(Method::POST, "/v1/responses", &[(name, value)], body.to_string()).await;
        let events = reply.events();
        assert_eq!(events.iter().any(|event| event["type"] == "keepalive"), expected, "{name}: {value}");
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number, "{event}");
        }
    }
}

#[tokio::test]
async fn a_unary_response_has_its_output() {
    let proxy = Harness::start().await;
    let reply = proxy.post("/v1/responses", &ask("[sim:text=Hello]")).await.json();
    assert_eq!((&reply["object"], &reply["status"]), (&json!("response"), &json!("completed")));
    assert_eq!(item(&reply, "message")["content"][0]["text"], "Hello");
    assert_eq!(reply["model"], "gpt-5.1");
}

#[tokio::test]
async fn litellms_variants_are_accepted() {
    let proxy = Harness::start().await;
    let body = json!({"model": "gpt-5.1", "max_output_tokens": 500, "user": "u".repeat(80), "temperature": 0.5,
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "[sim:tool]", "id": "x_1"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}}});
    let reply = proxy.post("/v1/responses", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(item(&reply.json(), "function_call")["name"], "f");
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

#[tokio::test]
async fn a_limit_of_tokens_ends_the_reply_as_incomplete() {
    let proxy = Harness::start().await;
    let mut body = ask("[sim:text=one two three four five six seven eight]");
    body["max_output_tokens"] = json!(3);
    let whole = proxy.post("/v1/responses", &body).await;
    body["stream"] = true.into();
    let streamed = proxy.post("/v1/responses", &body).await.events();
    for response in [&whole.json(), &streamed.last().unwrap()["response"]] {
        assert_eq!(response["status"], "incomplete", "{response}");
        assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
        assert_eq!(item(response, "message")["content"][0]["text"], "one two three");
        assert_eq!(response["usage"]["output_tokens"], 3);
    }
    assert!(whole.header("x-codex-proxy-emulated").unwrap().contains("max_output_tokens"));
}

#[tokio::test]
async fn a_chat_body_is_answered_in_the_shape_of_the_path() {
    let proxy = Harness::start().await;
    let reply = proxy.post("/v1/responses", &crate::support::ask("[sim:text=Hello]")).await.json();
    assert_eq!(item(&reply, "message")["content"][0]["text"], "Hello");
    let reply = proxy.post("/v1/chat/completions", &ask("[sim:text=Hello]")).await.json();
    assert_eq!(reply["choices"][0]["message"]["content"], "Hello");
}
