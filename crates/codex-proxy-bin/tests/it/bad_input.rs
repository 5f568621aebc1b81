//! Invalid input: an error in OpenAI's shape, the right status, and nothing sent to the backend.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Harness, ask, backend};

#[tokio::test]
async fn malformed_bodies_get_an_error_that_names_the_parameter() {
    let proxy = Harness::start().await;
    for (path, body, param) in [
        ("/v1/chat/completions", "{\"model\": \"gpt-5.1\", ", Value::Null),
        ("/v1/chat/completions", "", Value::Null),
        ("/v1/chat/completions", "[]", Value::Null),
        ("/v1/chat/completions", "{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}", json!("model")),
        ("/v1/chat/completions", "{\"model\": \"gpt-5.1\"}", json!("messages")),
        ("/v1/chat/completions", "{\"model\": \"gpt-5.1\", \"messages\": []}", json!("messages")),
        ("/v1/chat/completions", "{\"model\": \"gpt-5.1\", \"messages\": \"hi\"}", json!("messages")),
        (
            "/v1/chat/completions",
            "{\"model\": 7, \"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}",
            json!("model"),
        ),
        (
            "/v1/chat/completions",
            "{\"model\": \"gpt-5.1\", \"messages\": [{\"role\": \"robot\", \"content\": \"x\"}]}",
            json!("messages[0].role"),
        ),
        ("/v1/responses", "{\"model\": \"gpt-5.1\"}", json!("input")),
        ("/v1/responses", "{\"model\": \"gpt-5.1\", \"input\": 7}", json!("input")),
    ] {
        let reply = proxy.send(Method::POST, path, &[], body.to_owned()).await;
        let error = &reply.json()["error"];
        assert_eq!(reply.status, 400, "{body}: {}", reply.text);
        assert_eq!((&error["type"], &error["param"]), (&json!("invalid_request_error"), &param), "{body}: {error}");
        assert!(error["message"].is_string(), "{body}");
    }
    assert_eq!(proxy.turns(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413() {
    let proxy = Harness::start().await;
    let large = format!("{{\"model\": \"{}\"}}", "x".repeat(codex_proxy::internal::MAX_BODY_BYTES));
    let reply = proxy.send(Method::POST, "/v1/chat/completions", &[], large).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (413, &json!("request_too_large")));
    assert_eq!(proxy.post("/v1/chat/completions", &ask("hi")).await.status, 200, "other requests are not affected");
}

#[tokio::test]
async fn a_zstd_body_is_decoded_and_a_bomb_rejected() {
    let proxy = Harness::start().await;
    let encoded = zstd::encode_all(ask("hi").to_string().as_bytes(), 3).unwrap();
    let reply = proxy.send(Method::POST, "/v1/chat/completions", &[("content-encoding", "zstd")], encoded).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let bomb = zstd::encode_all(&vec![b' '; codex_proxy::internal::MAX_BODY_BYTES + 1][..], 3).unwrap();
    let reply = proxy.send(Method::POST, "/v1/chat/completions", &[("content-encoding", "zstd")], bomb).await;
    assert_eq!(reply.status, 413);
    let reply = proxy.send(Method::POST, "/v1/chat/completions", &[("content-encoding", "br")], "x").await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn a_body_that_is_not_what_it_is_said_to_be_is_named() {
    let proxy = Harness::start().await;
    let text = ask("hi").to_string();
    let marked = format!("\u{feff}{text}");
    for path in ["/v1/chat/completions", "/v1/responses", "/v1/responses/compact"] {
        assert_eq!(proxy.send(Method::POST, path, &[], marked.clone()).await.status, 200, "{path}");
    }
    let search = "\u{feff}{\"id\": \"1\", \"model\": \"gpt-5.5\"}".to_owned();
    assert_eq!(proxy.send(Method::POST, "/v1/alpha/search", &[], search).await.status, 200);
    let zstd = zstd::encode_all(text.as_bytes(), 3).unwrap();
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (header, body, word) in [
        ("identity", zstd.clone(), "content-encoding: zstd"),
        ("identity", wide, "UTF-16"),
        ("zstd", text.into_bytes(), "not compressed"),
        ("zstd", zstd::encode_all(&zstd[..], 3).unwrap(), "compressed with zstd"),
    ] {
        for path in ["/v1/chat/completions", "/v1/responses", "/v1/images/edits", "/v1/alpha/search"] {
            let reply = proxy.send(Method::POST, path, &[("content-encoding", header)], body.clone()).await;
            let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
            assert!(reply.status == 400 && message.contains(word), "{path} {word}: {message}");
        }
    }
}

#[tokio::test]
async fn keys_are_required_everywhere_except_for_health() {
    let proxy = Harness::start_with(backend(), Some("secret")).await;
    assert_eq!(proxy.get("/health").await.status, 200);
    for (method, path) in
        [(Method::GET, "/v1/models"), (Method::POST, "/v1/chat/completions"), (Method::GET, "/nowhere")]
    {
        let reply = proxy.send(method.clone(), path, &[], "").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (401, &json!("missing_api_key")), "{path}");
        let reply = proxy.send(method, path, &[("authorization", "Bearer wrong")], "").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (401, &json!("invalid_api_key")), "{path}");
    }
    for header in [("authorization", "Bearer secret"), ("x-api-key", "secret"), ("api-key", "secret")] {
        assert_eq!(proxy.send(Method::GET, "/v1/models", &[header], "").await.status, 200);
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_get_different_errors() {
    let proxy = Harness::start().await;
    assert_eq!(proxy.get("/v1/nowhere").await.status, 404);
    for path in ["/v1/completions", "/v1/embeddings", "/v1/rerank"] {
        let reply = proxy.send(Method::POST, path, &[], "{}").await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status.as_u16(), &error["code"]), (404, &json!("unknown_url")), "{path}");
        // The message names an endpoint that exists.
        assert!(error["message"].as_str().unwrap().contains("/v1/chat/completions"), "{error}");
    }
    let reply = proxy.get("/v1/chat/completions").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("POST")));
}

#[tokio::test]
async fn models_can_be_listed_and_retrieved() {
    let proxy = Harness::start().await;
    let list = proxy.get("/v1/models").await.json();
    let ids: Vec<_> = list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    for name in [
        "gpt-5.1",
        "gpt-5.1-codex-max",
        "gpt-5.1-codex-mini",
        "gpt-5.2",
        "gpt-5.2-codex",
        "gpt-5.3-codex",
        "gpt-5.3-codex-spark",
    ] {
        assert!(ids.contains(&name), "{name} in {ids:?}");
    }
    assert!(list.get("models").is_none());
    let for_codex = proxy.get("/v1/models?client_version=0.171.0").await;
    assert!(for_codex.header("etag").unwrap().starts_with('"'));
    assert!(for_codex.json()["models"][0]["slug"].is_string() && for_codex.json()["data"][0]["id"].is_string());
    assert_eq!(proxy.get("/v1/models/gpt-5.1").await.json()["id"], "gpt-5.1");
    assert_eq!(proxy.get("/v1/models/nope").await.status, 404);
}

#[tokio::test]
async fn models_have_openais_members_first_and_then_what_the_catalogue_knows() {
    let proxy = Harness::start().await;
    let expected = json!({"id": "gpt-6.2-sol", "object": "model", "created": 0, "owned_by": "openai",
        "context_length": 500_000, "context_window": 500_000, "max_context_window": 872_000,
        "input_modalities": ["text", "image"],
        "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
        "supported_reasoning_efforts": ["low", "medium", "high", "xhigh", "max", "ultra"],
        "default_reasoning_effort": "low", "service_tiers": ["priority"]});
    let list = proxy.get("/v1/models").await.json();
    assert_eq!(list["data"][0].to_string(), expected.to_string());
    assert_eq!(proxy.get("/v1/models/gpt-6.2-sol").await.json(), expected);
    let mut named = proxy.get("/v1/models/openai%2Fgpt-6.2-sol-high").await.json();
    assert_eq!(named["id"], "openai/gpt-6.2-sol-high");
    named["id"] = "gpt-6.2-sol".into();
    assert_eq!(named, expected);
    // A model without tiers.
    let old = proxy.get("/v1/models/gpt-5.1").await.json();
    assert!(old["context_window"].is_u64() && old.get("service_tiers").is_none(), "{old}");
}
