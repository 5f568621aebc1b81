//! Stored responses, and requests that continue or refer to them.

use http::Method;
use serde_json::{Value, json};

use crate::sockets::{Client, create};
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
        // Only once: what could not be read is no longer part of the conversation.
        let last = match stream {
            true => reply.events().pop().unwrap()["response"].take(),
            false => reply.json(),
        };
        if !path.ends_with("/compact") {
            let mut body = continuing(&last["id"], "And then? [sim:reasoning]");
            body["model"] = "gpt-6-sol".into();
            let next = proxy.post(path, &body).await;
            assert_eq!((next.status.as_u16(), proxy.turns().len()), (200, before + 3), "{}", next.text);
            assert_eq!(next.header("x-codex-proxy-repaired"), None, "{path}");
            // What the model has thought since is.
            body = continuing(&next.json()["id"], "And in the end?");
            body["model"] = "gpt-6-sol".into();
            proxy.post(path, &body).await;
            let is_kept = sent(&proxy).iter().any(|kind| kind == "reasoning");
            assert_eq!((is_kept, proxy.turns().len()), (true, before + 4), "{path}");
        }
    }
}

#[tokio::test]
async fn a_websocket_forgets_reasoning_that_the_backend_cannot_read() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    let mut frame = create("[sim:reasoning]");
    frame["include"] = json!(["reasoning.encrypted_content"]);
    client.send(&frame).await;
    let mut last = client.turn().await.pop().unwrap();
    for turns in [3, 4] {
        let mut frame = create("And now?");
        frame["model"] = "gpt-6-sol".into();
        frame["previous_response_id"] = last["response"]["id"].take();
        client.send(&frame).await;
        last = client.turn().await.pop().unwrap();
        assert_eq!((&last["type"], proxy.turns().len()), (&json!("response.completed"), turns), "{last}");
    }
}

#[tokio::test]
async fn a_response_that_was_deleted_cannot_be_continued_where_it_is_remembered() {
    let proxy = Harness::start().await;
    let mut client = Client::connect(&proxy).await;
    let mut frame = create("My name is Ada.");
    frame["store"] = true.into();
    client.send(&frame).await;
    let id = client.turn().await.pop().unwrap()["response"]["id"].take();
    let path = format!("/v1/responses/{}", id.as_str().unwrap());
    assert_eq!(proxy.send(Method::DELETE, &path, &[], "").await.status, 200);
    let mut next = create("What is my name?");
    next["previous_response_id"] = id;
    client.send(&next).await;
    assert_eq!(client.event().await["error"]["code"], "previous_response_not_found");
}

#[tokio::test]
async fn a_compaction_can_continue_a_stored_response() {
    let proxy = Harness::start().await;
    let first = proxy.post("/v1/responses", &ask("My name is Ada.")).await.json();
    let compacted = proxy.post("/v1/responses/compact", &continuing(&first["id"], "And now?")).await;
    assert_eq!(compacted.status, 200, "{}", compacted.text);
}

#[tokio::test]
async fn a_child_does_not_die_with_its_parent() {
    let proxy = Harness::start().await;
    let a = proxy.post("/v1/responses", &ask("My name is Ada.")).await.json();
    let b = proxy.post("/v1/responses", &continuing(&a["id"], "And yours?")).await.json();
    let [path_a, path_b] = [&a, &b].map(|response| format!("/v1/responses/{}", response["id"].as_str().unwrap()));
    let items = proxy.get(&format!("{path_b}/input_items")).await.json();
    assert_eq!(proxy.send(Method::DELETE, &path_a, &[], String::new()).await.status, 200);
    let c = proxy.post("/v1/responses", &continuing(&b["id"], "Well?")).await;
    assert_eq!(c.status, 200, "{}", c.text);
    assert!(proxy.turns().last().unwrap()["input"].to_string().contains("My name is Ada."));
    assert_eq!(proxy.get(&format!("{path_b}/input_items")).await.json(), items);
    let gone = proxy.post("/v1/responses", &continuing(&a["id"], "x")).await.json();
    assert!(gone["error"]["message"].as_str().unwrap().contains(a["id"].as_str().unwrap()));
    // An item that was listed can be referred to by its id.
    let listed = &items["data"].as_array().unwrap().iter().find(|item| item["role"] == "user").unwrap()["id"];
    let reply = proxy.post("/v1/responses", &ask(json!([{"type": "item_reference", "id": listed}]))).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(proxy.turns().last().unwrap()["input"].to_string().contains("And yours?"));
}

#[tokio::test]
async fn an_item_by_its_id_is_the_stored_item() {
    let proxy = Harness::start().await;
    let first = proxy.post("/v1/responses", &ask("Hello!")).await.json();
    let message = first["output"].as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap();
    for reference in [
        json!({"type": "message", "id": message["id"]}),
        json!({"type": "message", "id": message["id"], "content": [], "role": ""}),
        json!({"id": message["id"]}),
    ] {
        let reply = proxy.post("/v1/responses", &ask(json!([reference, {"role": "user", "content": "Go on."}]))).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(sent(&proxy), ["assistant", "user"]);
    }
    // Beside the response that contains it, it is there once; an unknown one has the error of an unknown response.
    let again = json!([{"type": "item_reference", "id": message["id"]}, {"role": "user", "content": "Go on."}]);
    assert_eq!(proxy.post("/v1/responses", &continuing(&first["id"], again)).await.status, 200);
    let speakers: Vec<_> = sent(&proxy).into_iter().filter(|kind| kind != "reasoning").collect();
    assert_eq!(speakers, ["user", "assistant", "user"]);
    let unknown = json!([{"type": "item_reference", "id": "msg_0"}, {"role": "user", "content": "Go on."}]);
    let reply = proxy.post("/v1/responses", &continuing(&first["id"], unknown)).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (400, &json!("previous_response_not_found")));
    // No failure forgets anything.
    assert_eq!(proxy.post("/v1/responses", &continuing(&first["id"], "Go on.")).await.status, 200);
}

#[tokio::test]
async fn a_reply_that_is_too_large_to_be_stored_says_so() {
    let proxy = Harness::start_storing(1 << 20).await;
    let large = "x".repeat(1 << 20);
    for (input, stream) in [(large.as_str(), false), (large.as_str(), true), ("[sim:single-delta=1100000]", false)] {
        let mut body = ask(input);
        body["stream"] = stream.into();
        let reply = proxy.post("/v1/responses", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let dropped = reply.header("x-codex-proxy-dropped").unwrap_or_default();
        assert!(dropped.contains("store dropped") && dropped.contains("1 MiB"), "{dropped}");
        let responses: Vec<_> = if stream {
            reply.events().iter().filter_map(|event| event.get("response").cloned()).collect()
        } else {
            vec![reply.json()]
        };
        assert!(responses.iter().all(|response| response["store"] == false));
        let id = responses[0]["id"].as_str().unwrap();
        assert_eq!(proxy.get(&format!("/v1/responses/{id}")).await.status, 404);
    }
    // A stream learns of it at its end.
    let mut body = ask("[sim:single-delta=1100000]");
    body["stream"] = true.into();
    let reply = proxy.post("/v1/responses", &body).await;
    let events = reply.events();
    assert_eq!(
        (&events[0]["response"]["store"], &events.last().unwrap()["response"]["store"]),
        (&json!(true), &json!(false))
    );
    // What fits is stored, however much of the limit it takes.
    let reply = proxy.post("/v1/responses", &ask("x".repeat(900_000))).await;
    assert!(reply.header("x-codex-proxy-dropped").is_none());
    let kept = reply.json();
    assert_eq!(kept["store"], true);
    assert_eq!(proxy.get(&format!("/v1/responses/{}", kept["id"].as_str().unwrap())).await.json(), kept);
}

#[tokio::test]
async fn a_stored_response_is_streamed_again() {
    let proxy = Harness::start().await;
    let first = proxy.post("/v1/responses", &ask("Hello!")).await.json();
    let path = format!("/v1/responses/{}", first["id"].as_str().unwrap());
    let reply = proxy.get(&format!("{path}?stream=true")).await;
    assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"));
    let events = reply.events();
    let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        (kinds[0], kinds[1], *kinds.last().unwrap()),
        ("response.created", "response.in_progress", "response.completed")
    );
    assert_eq!(events[0]["response"]["output"], json!([]));
    assert_eq!(events.last().unwrap()["response"], first);
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert!(first.to_string().contains(&text) && !text.is_empty());
    let last = events.len() - 1;
    for after in [0, 2, last] {
        let rest = proxy.get(&format!("{path}?stream=true&starting_after={after}")).await;
        assert_eq!(rest.status, 200);
        assert_eq!(rest.events(), events[after + 1..], "the same numbers each time");
    }
    for (query, param) in [
        ("stream=maybe".to_owned(), "stream"),
        ("stream=true&starting_after=x".to_owned(), "starting_after"),
        ("stream=true&starting_after=-1".to_owned(), "starting_after"),
        (format!("stream=true&starting_after={}", last + 1), "starting_after"),
        ("starting_after=1".to_owned(), "starting_after"),
        ("include=reasoning".to_owned(), "include"),
        ("include[]=message.output_text.logprobs&include[]=no".to_owned(), "include"),
    ] {
        let reply = proxy.get(&format!("{path}?{query}")).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["param"]), (400, &json!(param)), "{query}");
    }
    assert_eq!(proxy.get(&format!("{path}?stream=false&include[]=message.output_text.logprobs")).await.json(), first);
}

#[tokio::test]
async fn encrypted_reasoning_is_given_to_those_who_ask() {
    let proxy = Harness::start().await;
    let has = |text: &str| text.contains("encrypted_content");
    let mut body = ask("[sim:reasoning] Hello!");
    let hidden = proxy.post("/v1/responses", &body).await;
    body["include"] = json!(["reasoning.encrypted_content"]);
    let shown = proxy.post("/v1/responses", &body).await;
    assert!(!has(&hidden.text) && has(&shown.text), "{} {}", hidden.text, shown.text);
    for (reply, shows) in [(hidden.json(), false), (shown.json(), true)] {
        let path = format!("/v1/responses/{}", reply["id"].as_str().unwrap());
        assert_eq!(proxy.get(&path).await.json(), reply);
        assert_eq!(has(&proxy.get(&format!("{path}?stream=true")).await.text), shows);
        assert!(has(&proxy.get(&format!("{path}?include[]=reasoning.encrypted_content")).await.text));
        // The model gets it in any case.
        let next = proxy.post("/v1/responses", &continuing(&reply["id"], "And now?")).await.json();
        assert!(has(&proxy.turns().last().unwrap()["input"].to_string()));
        let items = format!("/v1/responses/{}/input_items", next["id"].as_str().unwrap());
        assert!(!has(&proxy.get(&items).await.text));
        assert!(has(&proxy.get(&format!("{items}?include=reasoning.encrypted_content")).await.text));
    }
}

#[tokio::test]
async fn a_stored_response_repeats_the_callers_request() {
    let proxy = Harness::start().await;
    let long = "weather in the town of ".repeat(4);
    let mut body = ask("Hello!");
    let given = json!({"metadata": {"trace": "1"}, "max_output_tokens": 500, "prompt_cache_key": "mine", "user": "ada",
        "tool_choice": {"type": "function", "name": long},
        "tools": [{"type": "function", "name": long, "strict": false, "parameters": {"type": "object", "properties": {}}}]});
    body.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
    body["input"] = "[sim:text=Hi] Hello!".into();
    let reply = proxy.post("/v1/responses", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let response = reply.json();
    for (key, value) in given.as_object().unwrap() {
        assert_eq!(response.get(key), Some(value), "{key}");
    }
    assert_eq!((&response["safety_identifier"], &response["instructions"]), (&Value::Null, &Value::Null));
    assert_eq!(proxy.get(&format!("/v1/responses/{}", response["id"].as_str().unwrap())).await.json(), response);
    assert!(!reply.header("x-codex-proxy-dropped").unwrap_or_default().contains("metadata"));
}
