//! Chat completions end to end: what the client sees, and what reaches the backend.

use serde_json::{Value, json};

use crate::support::{Harness, ask, ask_streaming, backend};

#[tokio::test]
async fn a_stream_has_one_role_one_finish_and_a_done() {
    let proxy = Harness::start().await;
    let reply = proxy.post("/v1/chat/completions", &ask_streaming("[sim:text=Hello]")).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = reply.events();
    assert_eq!(events[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(events.last(), Some(&json!("[DONE]")));
    let finishes: Vec<_> = events.iter().filter(|chunk| chunk["choices"][0]["finish_reason"].is_string()).collect();
    assert_eq!(finishes.len(), 1);
    assert_eq!(finishes[0]["choices"][0]["finish_reason"], "stop");
    assert!(events.iter().all(|chunk| chunk["usage"].is_null()), "no usage unless requested");
    assert_eq!(reply.streamed_text(), "Hello");
}

#[tokio::test]
async fn usage_is_the_last_chunk_if_requested() {
    let proxy = Harness::start().await;
    let mut body = ask_streaming("hi");
    body["stream_options"] = json!({"include_usage": true});
    let events = proxy.post("/v1/chat/completions", &body).await.events();
    let usage = &events[events.len() - 2];
    assert_eq!(usage["choices"], json!([]));
    let count = |key: &str| usage["usage"][key].as_u64().unwrap();
    assert_eq!(count("total_tokens"), count("prompt_tokens") + count("completion_tokens"));
    assert!(events[..events.len() - 2].iter().all(|chunk| chunk["usage"].is_null()));
}

#[tokio::test]
async fn streamed_and_unary_replies_have_the_same_content() {
    let proxy = Harness::start().await;
    for scenario in [
        "text=Grüße 👋",
        "reasoning",
        "commentary",
        "web-search",
        "line-separators",
        "split",
        "crlf",
        "keepalive",
        "unknown",
        "full-output",
        "trailing",
        "no-item-done",
        "legacy-delta",
        "single-delta=100000",
        "refusal",
    ] {
        let text = format!("[sim:{scenario}]");
        let whole = proxy.post("/v1/chat/completions", &ask(&text)).await;
        assert_eq!(whole.status, 200, "{scenario}: {}", whole.text);
        let streamed = proxy.post("/v1/chat/completions", &ask_streaming(&text)).await;
        let message = whole.json()["choices"][0]["message"].clone();
        assert_eq!(message["content"].as_str().unwrap_or_default(), streamed.streamed_text(), "{scenario}");
        let refusal: String =
            streamed.events().iter().filter_map(|chunk| chunk["choices"][0]["delta"]["refusal"].as_str()).collect();
        assert_eq!(message["refusal"].as_str().unwrap_or_default(), refusal, "{scenario}");
    }
}

fn weather() -> Value {
    json!({"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object",
        "properties": {"location": {"type": "string"}, "unit": {"type": "string"}}, "required": ["location"]}}})
}

#[tokio::test]
async fn a_tool_call_makes_the_round_trip() {
    let proxy = Harness::start().await;
    let mut body = ask("What is the weather in Paris? [sim:tool]");
    body["tools"] = json!([weather()]);
    let reply = proxy.post("/v1/chat/completions", &body).await.json();
    let choice = &reply["choices"][0];
    assert_eq!((&choice["finish_reason"], &choice["message"]["content"]), (&json!("tool_calls"), &Value::Null));
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("get_weather")));
    assert!(call["id"].as_str().unwrap().starts_with("call_"));
    serde_json::from_str::<Value>(call["function"]["arguments"].as_str().unwrap()).unwrap();

    let result = json!({"role": "tool", "tool_call_id": call["id"], "content": "18 degrees and rain"});
    body["messages"] = json!([{"role": "user", "content": "What is the weather in Paris?"}, choice["message"], result]);
    let reply = proxy.post("/v1/chat/completions", &body).await.json();
    let text = reply["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(text.contains("18 degrees and rain"), "{text}");

    let sent = &proxy.turns()[1];
    assert_eq!(sent["tools"][0]["strict"], false, "an absent strict means false: {sent}");
    let output = sent["input"].as_array().unwrap().iter().find(|item| item["type"] == "function_call_output").unwrap();
    assert_eq!(output["call_id"], call["id"], "the id is unchanged");
}

#[tokio::test]
async fn parallel_tool_calls_keep_their_indexes() {
    let proxy = Harness::start().await;
    let mut body = ask_streaming("[sim:parallel-tools]");
    body["tools"] = json!([weather()]);
    let events = proxy.post("/v1/chat/completions", &body).await.events();
    let mut calls: Vec<(Value, String)> = Vec::new();
    for delta in
        events.iter().flat_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten())
    {
        let index = usize::try_from(delta["index"].as_u64().unwrap()).unwrap();
        if delta["id"].is_string() {
            assert_eq!(index, calls.len());
            calls.push((delta["id"].clone(), String::new()));
        }
        calls[index].1.push_str(delta["function"]["arguments"].as_str().unwrap_or_default());
    }
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0].0, calls[1].0);
    for (_, arguments) in &calls {
        assert!(serde_json::from_str::<Value>(arguments).unwrap().is_object());
    }
}

#[tokio::test]
async fn a_stop_string_and_a_token_limit_cut_off_the_reply() {
    let proxy = Harness::start().await;
    for (key, value, text, finish) in
        [("stop", json!(["r si"]), "one two three fou", "stop"), ("max_tokens", json!(3), "one two three", "length")]
    {
        let text_word = "[sim:text=one two three four six]";
        let (mut whole, mut stream) = (ask(text_word), ask_streaming(text_word));
        whole[key] = value.clone();
        stream[key] = value;
        let reply = proxy.post("/v1/chat/completions", &whole).await;
        let choice = &reply.json()["choices"][0];
        assert_eq!((&choice["message"]["content"], &choice["finish_reason"]), (&json!(text), &json!(finish)));
        assert_eq!(reply.json()["usage"]["estimated"], true);
        assert!(reply.header("x-codex-proxy-emulated").unwrap().contains(key));
        let reply = proxy.post("/v1/chat/completions", &stream).await;
        assert_eq!(reply.streamed_text(), text);
        let events = reply.events();
        assert_eq!(events[events.len() - 2]["choices"][0]["finish_reason"], finish);
    }
}

#[tokio::test]
async fn several_choices_are_several_turns() {
    let proxy = Harness::start().await;
    let (mut whole, mut stream) = (ask("[sim:text=Hello]"), ask_streaming("[sim:text=Hello]"));
    whole["n"] = json!(3);
    stream["n"] = json!(3);
    stream["stream_options"] = json!({"include_usage": true});
    let reply = proxy.post("/v1/chat/completions", &whole).await.json();
    let indexes: Vec<_> = reply["choices"].as_array().unwrap().iter().map(|choice| choice["index"].clone()).collect();
    assert_eq!(indexes, [0, 1, 2]);
    assert_eq!(proxy.turns().len(), 3);

    let events = proxy.post("/v1/chat/completions", &stream).await.events();
    for index in 0..3 {
        let of_choice =
            events.iter().filter_map(|chunk| chunk["choices"].get(0)).filter(|choice| choice["index"] == index);
        let text: String = of_choice.clone().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!(text, "Hello", "choice {index}");
        assert_eq!(of_choice.filter(|choice| choice["finish_reason"] == "stop").count(), 1, "choice {index}");
    }
    let usages: Vec<_> = events.iter().filter(|chunk| chunk["usage"].is_object()).collect();
    assert_eq!(usages.len(), 1, "one usage for all");
    assert_eq!(events.iter().filter(|event| **event == json!("[DONE]")).count(), 1);

    whole["n"] = json!(9);
    assert_eq!(proxy.post("/v1/chat/completions", &whole).await.json()["error"]["param"], "n");
}

#[tokio::test]
async fn dropped_parameters_are_listed_in_the_headers() {
    let proxy = Harness::start().await;
    let mut body = ask("hi");
    body["temperature"] = json!(0.2);
    body["seed"] = json!(7);
    let reply = proxy.post("/v1/chat/completions", &body).await;
    assert_eq!(reply.status, 200);
    let dropped = reply.header("x-codex-proxy-dropped").unwrap();
    assert!(dropped.contains("temperature") && dropped.contains("seed"), "{dropped}");
    assert!(proxy.turns()[0].get("temperature").is_none());

    let strict =
        proxy.send(http::Method::POST, "/v1/chat/completions", &[("x-codex-proxy-strict", "true")], body.to_string());
    let strict = strict.await;
    assert_eq!((strict.status.as_u16(), &strict.json()["error"]["param"]), (400, &json!("temperature")));
    assert_eq!(proxy.turns().len(), 1, "a rejected request never reaches the backend");
}

#[tokio::test]
async fn roles_and_images_reach_the_backend() {
    let proxy = Harness::start().await;
    let pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let body = json!({"model": "gpt-5.1", "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": pixel, "detail": "low"}}]},
        {"role": "assistant", "content": "A pixel."},
        {"role": "developer", "content": "Answer in French."},
        {"role": "user", "content": "And its colour?"}]});
    let reply = proxy.post("/v1/chat/completions", &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let sent = &proxy.turns()[0];
    assert!(sent["instructions"].as_str().unwrap().contains("Be brief."));
    let input = sent["input"].as_array().unwrap();
    let image = &input[0]["content"][1];
    assert_eq!((&image["type"], &image["image_url"]), (&json!("input_image"), &json!(pixel)));
    let developer = input.iter().find(|item| item["role"] == "developer").unwrap();
    assert!(developer.to_string().contains("Answer in French."));
}

#[tokio::test]
async fn a_conversation_keeps_one_id_and_callers_never_share_one() {
    let proxy = Harness::start_with(backend(), Some("k")).await;
    let first = ask("Tell me about whales");
    let mut second = first.clone();
    second["messages"] = json!([first["messages"][0], {"role": "assistant", "content": "They are large."},
        {"role": "user", "content": "How large?"}]);
    let key = [("authorization", "Bearer k")];
    for body in [&first, &second, &ask("Something else")] {
        proxy.send(http::Method::POST, "/v1/chat/completions", &key, body.to_string()).await;
    }
    let requests: Vec<_> = proxy.sim.requests().into_iter().filter(|r| r.path.ends_with("/codex/responses")).collect();
    let id = |index: usize| requests[index].body.as_ref().unwrap()["prompt_cache_key"].as_str().unwrap().to_owned();
    assert_eq!(id(0), id(1), "a conversation keeps its id");
    assert_ne!(id(0), id(2), "another conversation has another");
    for name in ["session-id", "thread-id", "x-client-request-id"] {
        assert_eq!(requests[0].header(name), Some(&*id(0)), "{name}");
    }
}

#[tokio::test]
async fn a_conversation_named_by_the_client_keeps_its_id() {
    let proxy = Harness::start().await;
    let uuid = "01a2062c-22de-7320-84ce-6a407485ff83";
    let mut named = ask("hi");
    named["prompt_cache_key"] = json!("my-thread");
    for (headers, body) in [
        (vec![("session-id", uuid)], ask("hi")),
        (vec![("session-id", uuid)], named.clone()),
        (vec![], named.clone()),
        (vec![("session-id", "my-thread")], ask("something else")),
    ] {
        let reply = proxy.send(http::Method::POST, "/v1/chat/completions", &headers, body.to_string()).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let ids: Vec<_> = proxy.turns().iter().map(|turn| turn["prompt_cache_key"].as_str().unwrap().to_owned()).collect();
    assert_eq!((&*ids[0], &*ids[1]), (uuid, uuid));
    assert_eq!(ids[2], ids[3], "both headers name the same conversation");
    assert_ne!(ids[2], uuid);
}

#[tokio::test]
async fn the_real_client_speaks_http2_over_tls() {
    let proxy = Harness::start_with(backend(), None).await;
    let reply = proxy.post("/v1/chat/completions", &ask("hi")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let turn = proxy.sim.requests().into_iter().find(|request| request.path.ends_with("/codex/responses")).unwrap();
    assert_eq!(turn.version, "HTTP/2.0");
    assert_eq!(turn.header("content-encoding"), Some("zstd"));
    assert!(turn.header("user-agent").unwrap().starts_with("codex-tui/"));
}
