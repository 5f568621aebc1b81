//! Stored responses, and requests that continue or refer to them.

use http::Method;
use serde_json::{Value, json};

use crate::support::Harness;

fn ask(input: impl Into<Value>) -> Value {
    json!({"model": "gpt-5.1", "input": input.into()})
}

fn continuing(previous: &Value, input: impl Into<Value>) -> Value {
    json!({"model": "gpt-5.1", "previous_response_id": previous, "input": input.into()})
}

/// Returns the types of the items that reached the backend last, with the role instead of `message`.
fn sent(proxy: &Harness) -> Vec<String> {
    let turns = proxy.turns();
    let items = turns.last().unwrap()["input"].as_array().unwrap().clone();
    let kind = |item: &Value| item["role"].as_str().or_else(|| item["type"].as_str()).unwrap().to_owned();
    items.iter().map(kind).collect()
}

#[tokio::test]
async fn a_request_continues_a_response_streamed_or_not() {
    for stream in [false, true] {
        let proxy = Harness::start().await;
        let mut body = ask("My name is Ada.");
        body["stream"] = stream.into();
        let first = proxy.post("/v1/responses", &body).await;
        let first = if stream { first.events().last().unwrap()["response"].clone() } else { first.json() };
        assert_eq!(first["store"], true);
        let second = proxy.post("/v1/responses", &continuing(&first["id"], "Who am I?")).await.json();
        assert_eq!(second["previous_response_id"], first["id"], "{second}");
        let third = proxy.post("/v1/responses", &continuing(&second["id"], "Sure?")).await;
        assert_eq!(third.status, 200, "{}", third.text);
        let speakers: Vec<_> = sent(&proxy).into_iter().filter(|kind| kind != "reasoning").collect();
        assert_eq!(speakers, ["user", "assistant", "user", "assistant", "user"]);
        assert_eq!(third.header("x-codex-proxy-dropped"), None, "nothing was lost");
    }
}

#[tokio::test]
async fn a_tool_output_alone_finds_its_call() {
    let proxy = Harness::start().await;
    let tools = json!([{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]);
    let mut body = ask("[sim:tool-once]");
    body["tools"] = tools.clone();
    let first = proxy.post("/v1/responses", &body).await.json();
    let call = first["output"].as_array().unwrap().iter().find(|item| item["type"] == "function_call").unwrap();
    let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "18 °C"});
    let mut next = continuing(&first["id"], json!([output]));
    next["tools"] = tools;
    let reply = proxy.post("/v1/responses", &next).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(
        reply.text.contains("18 °C")
            && sent(&proxy).ends_with(&["function_call".into(), "function_call_output".into()])
    );
}

#[tokio::test]
async fn references_to_items_are_resolved() {
    let proxy = Harness::start().await;
    let first = proxy.post("/v1/responses", &ask("Hello!")).await.json();
    let message = first["output"].as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap();
    let input = json!([
        {"role": "user", "content": "Hello!"},
        {"type": "item_reference", "id": message["id"]},
        {"role": "user", "content": "And now?"},
    ]);
    let reply = proxy.post("/v1/responses", &ask(input)).await;
    assert!(reply.status == 200 && reply.header("x-codex-proxy-dropped").is_none(), "{}", reply.text);
    assert_eq!(sent(&proxy), ["user", "assistant", "user"]);
    let unknown = json!([{"type": "item_reference", "id": "msg_0"}, {"role": "user", "content": "Hello!"}]);
    let reply = proxy.post("/v1/responses", &ask(unknown)).await;
    assert!(reply.status == 404 && reply.text.contains("msg_0"), "{}", reply.text);
}

#[tokio::test]
async fn a_response_that_is_not_stored_cannot_be_continued() {
    let proxy = Harness::start().await;
    let mut body = ask("Hello!");
    body["store"] = false.into();
    let unkept = proxy.post("/v1/responses", &body).await.json();
    for id in [unkept["id"].clone(), json!("resp_0")] {
        let reply = proxy.post("/v1/responses", &continuing(&id, "And now?")).await;
        let error = reply.json()["error"].clone();
        assert!(reply.status == 400 && error["code"] == "previous_response_not_found", "{error}");
        assert_eq!(error["param"], "previous_response_id");
    }
    let failed = proxy.post("/v1/responses", &ask("[sim:text=Hello][sim:no-terminal]")).await;
    assert_eq!(failed.status, 502);
    let mistyped = proxy.post("/v1/responses", &continuing(&json!(7), "x")).await;
    assert!(mistyped.status == 400 && mistyped.json()["error"]["param"] == "previous_response_id", "{}", mistyped.text);
}

#[tokio::test]
async fn callers_do_not_see_each_others_responses() {
    let proxy = Harness::start().await;
    let (ada, bob) = ([("authorization", "Bearer ada")], [("authorization", "Bearer bob")]);
    let path = "/v1/responses";
    let first = proxy.send(Method::POST, path, &ada, ask("A secret.").to_string()).await.json();
    let id = first["id"].as_str().unwrap();
    let theirs = proxy.send(Method::POST, path, &bob, continuing(&first["id"], "x").to_string()).await;
    assert_eq!(theirs.status, 400);
    let one = format!("{path}/{id}");
    assert_eq!(proxy.send(Method::GET, &one, &bob, String::new()).await.status, 404);
    assert_eq!(proxy.send(Method::DELETE, &one, &bob, String::new()).await.status, 404);
    assert_eq!(proxy.send(Method::GET, &one, &ada, String::new()).await.json(), first);
}

#[tokio::test]
async fn a_response_and_its_input_can_be_retrieved_and_deleted() {
    let proxy = Harness::start().await;
    let first = proxy.post("/v1/responses", &ask("Hello!")).await.json();
    let second = proxy.post("/v1/responses", &continuing(&first["id"], "And now?")).await.json();
    let path = format!("/v1/responses/{}", second["id"].as_str().unwrap());
    assert_eq!(proxy.get(&path).await.json(), second);

    let items = proxy.get(&format!("{path}/input_items?order=asc")).await.json();
    let texts: Vec<_> = items["data"].as_array().unwrap().iter().filter(|item| item["type"] == "message").collect();
    assert_eq!(texts[0]["content"], json!([{"type": "input_text", "text": "Hello!"}]));
    assert_eq!(texts.last().unwrap()["content"][0]["text"], "And now?");
    let all = items["data"].as_array().unwrap().len();
    let page = proxy.get(&format!("{path}/input_items?limit=1")).await.json();
    assert_eq!((&page["has_more"], &page["last_id"]), (&json!(true), &items["last_id"]), "newest first");
    let after = page["last_id"].as_str().unwrap();
    let rest = proxy.get(&format!("{path}/input_items?after={after}")).await.json();
    assert_eq!(rest["data"].as_array().unwrap().len(), all - 1);
    for query in ["limit=0", "limit=x", "order=up", "after=nothing"] {
        assert_eq!(proxy.get(&format!("{path}/input_items?{query}")).await.status, 400, "{query}");
    }

    assert_eq!(proxy.send(Method::POST, &format!("{path}/cancel"), &[], String::new()).await.status, 400);
    let deleted = proxy.send(Method::DELETE, &path, &[], String::new()).await;
    assert_eq!(deleted.json(), json!({"id": second["id"], "object": "response", "deleted": true}));
    assert_eq!(proxy.get(&path).await.status, 404);
    assert_eq!(proxy.send(Method::PUT, &path, &[], String::new()).await.status, 405);
}

#[tokio::test]
async fn a_conversation_goes_on_when_the_backend_cannot_read_its_reasoning() {
    let proxy = Harness::start().await;
    let first = proxy.post("/v1/responses", &ask("[sim:reasoning]")).await.json();
    for (path, stream) in [("/v1/responses", false), ("/v1/responses", true), ("/v1/responses/compact", false)] {
        let mut body = continuing(&first["id"], "And now?");
        // Reasoning is bound to a family of models (docs/backend.md §2.7).
        body["model"] = "gpt-6-sol".into();
        if stream {
            body["stream"] = true.into();
        }
        let before = proxy.turns().len();
        let reply = proxy.post(path, &body).await;
        assert_eq!((reply.status.as_u16(), proxy.turns().len()), (200, before + 2), "{}", reply.text);
        assert!(reply.header("x-codex-proxy-repaired").unwrap().contains("reasoning"), "{path}");
    }
}

#[tokio::test]
async fn a_compaction_can_continue_a_stored_response() {
    let proxy = Harness::start().await;
    let first = proxy.post("/v1/responses", &ask("My name is Ada.")).await.json();
    let compacted = proxy.post("/v1/responses/compact", &continuing(&first["id"], "And now?")).await;
    assert_eq!(compacted.status, 200, "{}", compacted.text);
}
