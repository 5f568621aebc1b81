//! Compaction and images: the endpoints without a stream.

use codex_sim::{Outcome, SimConfig};
use http::Method;
use serde_json::{Value, json};

use crate::support::{Harness, Reply};

const COMPACT: &str = "/v1/responses/compact";
const GENERATIONS: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// Returns the bodies that reached the backend's endpoint of this name.
fn sent(proxy: &Harness, name: &str) -> Vec<Value> {
    let requests = proxy.sim.requests().into_iter().filter(|request| request.path.ends_with(name));
    requests.map(|request| request.body.map(|body| (*body).clone()).unwrap_or_default()).collect()
}

#[tokio::test]
async fn a_compacted_conversation_can_be_continued() {
    let proxy = Harness::start().await;
    let conversation = json!([
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the weather in Paris?"},
        {"type": "function_call", "call_id": "c", "name": "get weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "18 °C"},
    ]);
    let tools =
        json!([{"type": "function", "name": "get weather", "parameters": {"type": "object", "properties": {}}}]);
    let body = json!({"model": "work", "input": conversation, "tools": tools, "store": false, "temperature": 0.5,
        "text": {"verbosity": "low"}});
    let reply = proxy.post(COMPACT, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let dropped = reply.header("x-codex-proxy-dropped").unwrap();
    for name in ["temperature", "text.verbosity"] {
        assert!(dropped.contains(name), "{dropped}");
    }
    assert!(reply.header("x-codex-proxy-repaired").unwrap().contains("model"));
    assert!(reply.header("x-codex-primary-used-percent").is_some());
    let compaction = reply.json();
    assert_eq!(compaction["object"], "response.compaction");
    assert!(compaction["id"].is_string() && compaction["created_at"].is_u64() && compaction["usage"].is_object());

    let body = &sent(&proxy, "/codex/responses")[0];
    assert_eq!((&body["model"], &body["reasoning"]["effort"]), (&json!("gpt-5.5"), &json!("high")));
    assert_eq!((&body["store"], &body["stream"]), (&json!(false), &json!(true)));
    assert_eq!(body["input"].as_array().unwrap().last(), Some(&json!({"type": "compaction_trigger"})));
    let requests = proxy.sim.requests();
    let headers = &requests.iter().find(|request| request.path.ends_with("/codex/responses")).unwrap().headers;
    let session = headers.iter().find(|(name, _)| name == "session-id").unwrap();
    assert_eq!(body["prompt_cache_key"], session.1.as_str());

    let mut input = compaction["output"].as_array().unwrap().clone();
    assert_eq!(input.last().unwrap()["type"], "compaction");
    input.push(json!({"role": "user", "content": "And tomorrow?"}));
    let next = proxy.post("/v1/responses", &json!({"model": "work", "input": input})).await;
    assert_eq!(next.status, 200, "{}", next.text);
    assert!(next.text.contains("And tomorrow?"));
    assert_eq!(proxy.turns()[1]["input"][0]["type"], "compaction");
}

#[tokio::test]
async fn a_text_and_a_chat_body_are_compacted_too() {
    let proxy = Harness::start().await;
    for body in [json!({"model": "gpt-5.5", "input": "hi"}), crate::support::ask("hi")] {
        assert_eq!(proxy.post(COMPACT, &body).await.json()["output"][0]["type"], "compaction", "{body}");
    }
}

#[tokio::test]
async fn a_compaction_that_fails_or_contains_no_compaction_is_an_error() {
    let proxy = Harness::start().await;
    for (scenario, status, code) in [
        ("failed=context_length_exceeded", 400, json!("context_length_exceeded")),
        ("failed=cyber_policy", 400, json!("cyber_policy")),
        ("incomplete-max-tokens", 502, json!("stream_truncated")),
        ("no-items", 502, json!("upstream_protocol_error")),
    ] {
        let body = json!({"model": "gpt-5.5", "input": format!("[sim:{scenario}] hello")});
        let reply = proxy.post(COMPACT, &body).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (status, &code), "{scenario}");
    }
    let refused = proxy.post(COMPACT, &json!({"model": "gpt-5.5", "input": [{"type": "compaction_trigger"}]})).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["param"]), (400, &json!("input")));
}

#[tokio::test]
async fn an_image_is_generated_by_the_backends_endpoint() {
    let proxy = Harness::start().await;
    let body = json!({"model": "dall-e-3", "prompt": "a fox", "size": "1024x1536", "quality": "hd", "style": "vivid",
        "response_format": "b64_json"});
    for path in [GENERATIONS, "/images/generations", "/backend-api/codex/images/generations"] {
        let reply = proxy.post(path, &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let images = reply.json();
        assert!(images["created"].is_u64() && images["usage"]["output_tokens"].as_u64() > Some(0));
        assert!(images["data"][0]["b64_json"].as_str().unwrap().starts_with("iVBOR"));
        let clamped = reply.header("x-codex-proxy-clamped").unwrap();
        for part in ["size clamped", "`1254x1254`", "quality clamped", "`hd`", "`high`"] {
            assert!(clamped.contains(part), "{part} in {clamped}");
        }
        assert!(reply.header("x-codex-proxy-dropped").unwrap().contains("style"));
        assert!(reply.header("x-codex-proxy-emulated").unwrap().contains("dall-e-3"));
        assert!(reply.header("x-codex-primary-used-percent").is_some());
    }
    let expected = json!({"prompt": "a fox", "background": "auto", "model": "gpt-image-2", "quality": "high",
        "size": "1024x1536"});
    assert_eq!(sent(&proxy, "/images/generations")[0], expected);
}

#[tokio::test]
async fn several_images_are_several_calls_and_one_reply() {
    let proxy = Harness::start().await;
    let one = proxy.post(GENERATIONS, &json!({"prompt": "a fox"})).await.json();
    let three = proxy.post(GENERATIONS, &json!({"prompt": "a fox", "n": 3, "response_format": "url"})).await;
    assert_eq!(three.header("x-codex-proxy-emulated").unwrap().matches("emulated").count(), 2);
    let three = three.json();
    assert_eq!(three["data"].as_array().unwrap().len(), 3);
    for image in three["data"].as_array().unwrap() {
        assert!(image["url"].as_str().unwrap().starts_with("data:image/png;base64,iVBOR"), "{image}");
        assert!(image.get("b64_json").is_none());
    }
    let tokens = |reply: &Value| reply["usage"]["output_tokens_details"]["image_tokens"].as_u64().unwrap();
    assert_eq!(tokens(&three), 3 * tokens(&one));
    assert_eq!(sent(&proxy, "/images/generations").len(), 4);
}

/// Sends a form as the SDKs do.
async fn edit(proxy: &Harness, parts: &[(&str, &[u8])]) -> Reply {
    let mut body = Vec::new();
    for (headers, data) in parts {
        body.extend_from_slice(format!("--b0\r\nContent-Disposition: form-data; {headers}\r\n\r\n").as_bytes());
        body.extend_from_slice(data);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b0--\r\n");
    let mut request = http::Request::post(format!("{}{EDITS}", proxy.base));
    request = request.header("content-type", "multipart/form-data; boundary=b0");
    proxy.fetch(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn images_are_edited_from_forms_and_from_json() {
    let proxy = Harness::start().await;
    let file = "name=\"image[]\"; filename=\"a.png\"\r\nContent-Type: image/png";
    let parts: [(&str, &[u8]); 5] =
        [("name=\"prompt\"", b"a hat"), (file, PNG), (file, PNG), ("name=\"n\"", b"1"), ("name=\"user\"", b"me")];
    let reply = edit(&proxy, &parts).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert!(reply.header("x-codex-proxy-dropped").unwrap().contains("user"));
    let url = "data:image/png;base64,iVBORw0KGgo=";
    let whole = json!({"prompt": "a hat", "images": [{"image_url": url}, {"image_url": url}]});
    let json = proxy.post(EDITS, &whole).await;
    assert_eq!(json.status, 200, "{}", json.text);
    let sent = sent(&proxy, "/images/edits");
    assert_eq!(sent[0]["images"], json!([{"image_url": url}, {"image_url": url}]));
    assert_eq!(sent[0], sent[1]);

    let mask = "name=\"mask\"; filename=\"m.png\"";
    let reply = edit(&proxy, &[("name=\"prompt\"", b"a hat"), (file, PNG), (mask, PNG)]).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["param"]), (400, &json!("mask")));
    let reply = edit(&proxy, &[("name=\"prompt\"", b"a hat")]).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["param"]), (400, &json!("image")));
}

#[tokio::test]
async fn failures_have_the_same_errors_as_those_of_turns() {
    for (scenario, status, code) in [
        ("429-usage", 429, json!("usage_limit_reached")),
        ("cloudflare", 502, json!("cloudflare_challenge")),
        ("402", 403, json!("deactivated_workspace")),
        ("503", 503, json!("server_is_overloaded")),
        ("cut", 502, json!("stream_truncated")),
    ] {
        let text = format!("[sim:{scenario}] hello");
        let rows = [(COMPACT, json!({"model": "gpt-5.5", "input": text})), (GENERATIONS, json!({"prompt": text}))];
        for (path, body) in rows {
            let proxy = Harness::start().await;
            let reply = proxy.post(path, &body).await;
            assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (status, &code), "{path} {scenario}");
            if status == 429 {
                assert_eq!(reply.header("x-should-retry"), Some("false"));
                assert!(reply.header("retry-after").is_some() && reply.header("x-codex-plan-type").is_some());
            }
        }
    }
}

#[tokio::test]
async fn a_temporary_failure_and_a_revoked_token_are_retried() {
    let proxy = Harness::start().await;
    for (path, body) in [
        (COMPACT, json!({"model": "gpt-5.5", "input": "[sim:500-once] hello"})),
        (GENERATIONS, json!({"prompt": "[sim:503-once] a fox"})),
    ] {
        assert_eq!(proxy.post(path, &body).await.status, 200, "{path}");
    }
    proxy.sim.control().invalidate_access_tokens();
    let reply = proxy.post(GENERATIONS, &json!({"prompt": "a fox"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    proxy.sim.control().invalidate_access_tokens();
    assert_eq!(proxy.post(COMPACT, &json!({"model": "gpt-5.5", "input": "hi"})).await.status, 200);
    assert_eq!(proxy.sim.control().refreshes(), 2);
}

#[tokio::test]
async fn a_client_that_disconnects_ends_the_call() {
    for tls in [false, true] {
        let proxy = Harness::start_with(SimConfig { tls, ..SimConfig::default() }, None).await;
        let body = json!({"prompt": "[sim:stall=headers] a fox"}).to_string();
        let opened = proxy.open(Method::POST, GENERATIONS, &[], body);
        let waiting = proxy.sim.requests_until(|requests| requests.iter().any(|request| request.waiting));
        tokio::select! {
            _ = opened => panic!("the reply began before the client disconnected"),
            _ = waiting => {}
        }
        let left = |request: &codex_sim::RecordedRequest| request.outcome == Outcome::Disconnected;
        proxy.sim.requests_until(|requests| requests.iter().any(left)).await;
    }
}

#[tokio::test]
async fn strict_requests_reject_what_would_be_dropped() {
    let proxy = Harness::start().await;
    let rows = [
        (COMPACT, json!({"model": "gpt-5.5", "input": "hi", "temperature": 0.5}), "temperature"),
        (GENERATIONS, json!({"prompt": "a fox", "style": "vivid"}), "style"),
    ];
    for (path, body, param) in rows {
        let strict = [("x-codex-proxy-strict", "true")];
        let reply = proxy.send(Method::POST, path, &strict, body.to_string()).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["param"]), (400, &json!(param)));
    }
    assert!(proxy.sim.requests().is_empty());
}
