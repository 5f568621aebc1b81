//! Paths and their query parameters: every spelling of a served one, and what other servers have.

use http::Method;
use serde_json::{Value, json};

use crate::support::{Harness, ask, ask_streaming, backend};

const STRICT: (&str, &str) = ("x-codex-proxy-strict", "true");

#[tokio::test]
async fn a_path_is_served_however_its_base_url_ends() {
    let proxy = Harness::start().await;
    for path in [
        "/v1//chat/completions",
        "//v1/chat/completions",
        "//chat/completions",
        "/v1/chat/completions//",
        "/v1/./chat/completions",
        "/v1/%63hat/completions",
        "/openai/v1//chat/completions/",
    ] {
        assert_eq!(proxy.post(path, &ask("hi")).await.status, 200, "{path}");
    }
    for path in
        ["/v1//models", "//models//", "/openai/models", "/v1//models/openai%2Fgpt-5.5", "/v1/models//openai/gpt-5.5"]
    {
        assert_eq!(proxy.get(path).await.status, 200, "{path}");
    }
    let unknown = proxy.get("//v1//nowhere").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text.contains("`/v1/nowhere`") && unknown.text.contains("base URL"), "{}", unknown.text);
}

#[tokio::test]
async fn paths_of_other_servers_say_why_they_do_not_exist() {
    let proxy = Harness::start().await;
    for path in [
        "/v1/files/file-1/content",
        "/v1/responses/input_tokens",
        "/openai/assistants",
        "/v1/models/gemini:countTokens",
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let reply = proxy.send(method.clone(), path, &[], "").await;
            let error = &reply.json()["error"];
            assert_eq!((reply.status.as_u16(), &error["code"]), (404, &json!("unknown_url")), "{method} {path}");
            let message = error["message"].as_str().unwrap();
            assert!(
                message.contains(path) && message.contains("not supported") && !message.contains("base URL"),
                "{message}"
            );
            assert!(message.contains("/v1/chat/completions"), "{message}");
        }
    }
    // Ollama's clients show the error itself.
    let reply = proxy.post("/api/chat", &ask("hi")).await;
    assert_eq!(reply.status, 404);
    assert!(reply.json()["error"].as_str().unwrap().contains("Ollama"), "{}", reply.text);
    let closed = Harness::start_with(backend(), Some("secret")).await;
    assert_eq!(closed.post("/v1/embeddings", &json!({})).await.status, 401);
}

#[tokio::test]
async fn a_wrong_method_gets_the_methods_in_words() {
    let proxy = Harness::start().await;
    let reply = proxy.send(Method::PUT, "/v1/responses/resp_1", &[], "").await;
    assert_eq!((reply.status.as_u16(), reply.header("allow")), (405, Some("GET, HEAD, DELETE")));
    assert!(reply.text.contains("accepts GET, HEAD and DELETE, not PUT"), "{}", reply.text);
}

#[tokio::test]
async fn azures_deployments_are_models() {
    let proxy = Harness::start_with(backend(), Some("secret")).await;
    let key = ("api-key", "secret");
    let send = async |path: &str, body: &Value| {
        let path = format!("{path}?api-version=2026-10-01-preview");
        proxy.send(Method::POST, &path, &[key, STRICT], body.to_string()).await
    };
    let nameless = |mut body: Value| {
        body.as_object_mut().unwrap().remove("model");
        body
    };
    let input = json!({"input": "hi"});
    for (path, body) in [
        ("/openai/deployments/gpt-5.2/chat/completions", nameless(ask("hi"))),
        ("/openai/deployments/openai%2Fgpt-5.2/chat/completions", nameless(ask_streaming("hi"))),
        ("/openai/deployments/openai/gpt-5.2/responses", input.clone()),
        ("/openai/deployments/gpt-5.2/responses/compact", input),
        ("/openai/responses", json!({"model": "gpt-5.2", "input": "hi"})),
    ] {
        let reply = send(path, &body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("x-codex-proxy-dropped")),
            (200, None),
            "{path}: {}",
            reply.text
        );
        assert_eq!(proxy.turns().last().unwrap()["model"], "gpt-5.2", "{path}");
    }
    // At Azure, the path counts.
    let reply = send("/openai/deployments/gpt-5.2/chat/completions", &ask("hi")).await;
    assert_eq!((reply.status.as_u16(), &proxy.turns().last().unwrap()["model"]), (200, &json!("gpt-5.2")));
    assert!(reply.header("x-codex-proxy-dropped").unwrap().contains("model"));
    let reply = send("/openai/deployments/nowhere/chat/completions", &ask("hi")).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["error"]["code"]), (404, &json!("model_not_found")));
    let form = "--b\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\na fox\r\n\
        --b\r\ncontent-disposition: form-data; name=\"image\"; filename=\"a\"\r\n\r\n\u{89}PNG\r\n--b--\r\n";
    let headers = [key, ("content-type", "multipart/form-data; boundary=b")];
    let reply = proxy.send(Method::POST, "/openai/deployments/nowhere/images/edits", &headers, form).await;
    assert_eq!(reply.json()["error"]["param"], "image", "the form was read: {}", reply.text);
}

#[tokio::test]
async fn query_parameters_that_are_not_read_are_named() {
    let proxy = Harness::start().await;
    let dropped = async |path: &str, body: Option<Value>| {
        let reply = match &body {
            Some(body) => proxy.post(path, body).await,
            None => proxy.get(path).await,
        };
        assert!(reply.status == 200, "{path}: {}", reply.text);
        reply.header("x-codex-proxy-dropped").unwrap_or_default().to_owned()
    };
    assert_eq!(dropped("/v1/models?client_version=0.171.0&api-version=1&_=2", None).await, "");
    assert!(dropped("/v1/models?limit=2", None).await.contains("?limit dropped: "));
    assert!(dropped("/health?probe=1", None).await.contains("?probe dropped: "));
    let mut body = ask("hi");
    body["seed"] = 7.into();
    let both = dropped("/v1/chat/completions?beta=true&temperature=1", Some(body)).await;
    for name in ["seed", "?beta", "?temperature"] {
        assert!(both.contains(&format!("{name} dropped: ")), "{both}");
    }
    let odd = dropped("/v1/models?a%0d%0ab%2c%c3%a9=1&key=secret", None).await;
    assert!(odd.contains("?key dropped") && !odd.contains("secret"), "{odd}");

    let strict = async |path: &str| proxy.send(Method::POST, path, &[STRICT], ask("hi").to_string()).await;
    let reply = strict("/v1/chat/completions?temperature=1").await;
    let error = &reply.json()["error"];
    assert_eq!((reply.status.as_u16(), &error["param"]), (400, &json!("temperature")), "{error}");
    assert_eq!(error["code"], "unsupported_parameter");
    assert_eq!(strict("/v1/chat/completions?beta=true&key=x&api-version=1").await.status, 200);
}
