//! The strict checks of `docs/backend.md` §2.5-§2.7 and their error bodies.

use codex_sim::SimConfig;
use http::Method;
use http_body_util::Full;
use serde_json::{Value, json};

use crate::peer::{Peer, read, turn, turn_with, weather_tool};

const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAA\
                     AABJRU5ErkJggg==";

/// Sends each body, and compares the status and a text that identifies the refusal.
async fn refused(cases: Vec<(Value, u16, &str)>) {
    let peer = Peer::start().await;
    for (body, status, wanted) in cases {
        let reply = peer.turn(&body).await;
        assert_eq!(reply.status, status, "{body} -> {}", reply.text());
        assert!(reply.text().contains(wanted), "{body} -> {} lacks {wanted}", reply.text());
    }
}

async fn accepted(bodies: Vec<Value>) {
    let peer = Peer::start().await;
    for body in bodies {
        let reply = peer.turn(&body).await;
        assert_eq!(reply.status, 200, "{body} -> {}", reply.text());
        assert_eq!(reply.last()["type"], "response.completed");
    }
}

fn with(changes: Value) -> Value {
    turn_with("hello", changes)
}

fn without(key: &str) -> Value {
    let mut body = turn("hello");
    body.as_object_mut().expect("an object").remove(key);
    body
}

/// Returns a turn with `item` before the user's message.
fn item(item: Value) -> Value {
    let mut body = turn("hello");
    body["input"].as_array_mut().expect("a list").insert(0, item);
    body
}

fn part(role: &str, part: Value) -> Value {
    item(json!({"type": "message", "role": role, "content": [part]}))
}

fn tool(tool: Value) -> Value {
    with(json!({"tools": [tool]}))
}

#[tokio::test]
async fn gateway_checks_answer_with_a_detail() {
    let detail = |message: &str| json!({"detail": message}).to_string();
    let peer = Peer::start().await;
    let cases = [
        (with(json!({"temperature": 1})), "Unsupported parameter: temperature"),
        (with(json!({"max_output_tokens": 5, "user": "x"})), "Unsupported parameter: max_output_tokens"),
        (with(json!({"previous_response_id": "resp_1"})), "Unsupported parameter: previous_response_id"),
        (with(json!({"store": true})), "Store must be set to false"),
        (without("store"), "Store must be set to false"),
        (without("stream"), "Stream must be set to true"),
        (with(json!({"input": "hello"})), "Input must be a list"),
        (item(json!({"role": "system", "content": "x"})), "System messages are not allowed"),
        (with(json!({"service_tier": "flex"})), "Unsupported service_tier: flex"),
        (with(json!({"model": "gpt-5.1", "service_tier": "priority"})), "Unsupported service_tier: priority"),
        (
            with(json!({"model": "gpt-4o"})),
            "The 'gpt-4o' model is not supported when using Codex with a ChatGPT account.",
        ),
    ];
    for (body, message) in cases {
        let reply = peer.turn(&body).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (400, detail(message).as_str()));
    }
    let mut old = turn("hello");
    old["model"] = json!("gpt-5.1");
    old.as_object_mut().expect("an object").remove("instructions");
    assert_eq!(peer.turn(&old).await.text(), detail("Instructions are required"));
    assert_eq!(peer.turn(&without("instructions")).await.status, 200);
}

/// §2.5: each of these keys is refused, whatever its value.
#[tokio::test]
async fn every_key_outside_the_allow_list_is_refused() {
    let peer = Peer::start().await;
    let refused = "max_output_tokens max_tool_calls temperature top_p top_logprobs presence_penalty frequency_penalty seed \
                   metadata truncation user safety_identifier background previous_response_id prompt_cache_retention \
                   prompt_cache_options context_management max_completion_tokens generate anything";
    for key in refused.split_whitespace() {
        let reply = peer.turn(&with(json!({key: null}))).await;
        let wanted = json!({"detail": format!("Unsupported parameter: {key}")});
        assert_eq!((reply.status.as_u16(), reply.json()), (400, wanted));
    }
}

/// §8: of several faults, the first in the order of checks is reported.
#[tokio::test]
async fn the_checks_are_made_in_order() {
    let peer = Peer::start().await;
    let mut body = json!({
        "unknown": 1, "store": true, "stream": false, "input": "x", "model": "gpt-6-sol", "service_tier": "flex",
        "reasoning": {"effort": "ultra"},
    });
    let system = json!([{"role": "system", "content": "[sim:500] hi"}]);
    let user = json!([{"role": "user", "content": "[sim:500] hi", "foo": 1}]);
    let steps: [(&str, &str, Value); 9] = [
        ("Unsupported parameter: unknown", "unknown", Value::Null),
        ("Store must be set to false", "store", json!(false)),
        ("Stream must be set to true", "stream", json!(true)),
        ("Input must be a list", "input", system),
        ("System messages are not allowed", "input", user),
        ("Unsupported service_tier: flex", "service_tier", json!("priority")),
        ("Unknown parameter: 'input[0].foo'.", "input", json!([{"role": "user", "content": "[sim:500] hi"}])),
        ("Invalid value: 'ultra'.", "reasoning", json!({})),
        ("server_error", "input", json!([{"role": "user", "content": "hi"}])),
    ];
    for (message, key, mended) in steps {
        let reply = peer.turn(&body).await;
        assert!(reply.text().contains(message), "{} lacks {message}", reply.text());
        let object = body.as_object_mut().expect("an object");
        if mended.is_null() {
            object.remove(key)
        } else {
            object.insert(key.to_owned(), mended)
        };
    }
    assert_eq!(peer.turn(&body).await.status, 200);
}

#[tokio::test]
async fn models_depend_on_the_plan_and_withdrawn_ones_can_be_refused() {
    let peer =
        Peer::with(SimConfig { retired_models: false, plan_type: "free".to_owned(), ..SimConfig::default() }).await;
    for model in ["gpt-5.1", "gpt-5.3-codex-spark"] {
        let wanted = format!("The '{model}' model is not supported when using Codex with a ChatGPT account.");
        assert_eq!(peer.turn(&with(json!({"model": model}))).await.json(), json!({"detail": wanted}));
    }
    let drawing = turn_with("[sim:image] a cat", json!({"tools": [{"type": "image_generation"}, weather_tool()]}));
    let reply = peer.turn(&drawing).await;
    assert_eq!(reply.events()[0]["response"]["tools"].as_array().map(Vec::len), Some(1));
    assert!(reply.items().iter().all(|item| item["type"] != "image_generation_call"));
}

#[tokio::test]
async fn a_gated_model_requires_a_recent_client() {
    let peer = Peer::start().await;
    let body = with(json!({"model": "gpt-6-sol"})).to_string();
    let send = |agent: &'static str, version: Option<&'static str>| {
        let mut request = peer.request(Method::POST, "/backend-api/codex/responses");
        let headers = request.headers_mut().expect("valid");
        headers.insert("user-agent", http::HeaderValue::from_static(agent));
        if let Some(version) = version {
            headers.insert("version", http::HeaderValue::from_static(version));
        }
        let request = request.body(Full::from(body.clone())).expect("a request");
        async { read(peer.send(request).await).await }
    };
    let old = send("codex_exec/0.154.9 (x)", None).await;
    assert_eq!(old.status, 400);
    let wanted = "The 'gpt-6-sol' model requires a newer version of Codex. Please upgrade to the latest app or CLI and try \
                  again.";
    assert_eq!(old.json()["detail"], wanted);
    assert_eq!(send("codex_exec/0.155.0 (x)", None).await.status, 200);
    assert_eq!(send("Mozilla/5.0 (X11)", Some("0.155.0")).await.status, 200);
    assert_eq!(send("Mozilla/5.0 (X11)", None).await.status, 404);
}

#[tokio::test]
async fn bearer_and_account_come_before_the_body() {
    let peer = Peer::start().await;
    let send = |token: Option<String>, account: &'static str| {
        let mut request = peer.request(Method::POST, "/backend-api/codex/responses");
        let headers = request.headers_mut().expect("valid");
        headers.remove("authorization");
        if let Some(token) = token {
            headers.insert("authorization", token.parse().expect("valid"));
        }
        headers.insert("chatgpt-account-id", http::HeaderValue::from_static(account));
        let request = request.body(Full::from("not json")).expect("a request");
        async { read(peer.send(request).await).await }
    };
    let account = "123e4567-e89b-42d3-a456-426614174000";
    let anonymous = send(None, account).await;
    assert_eq!(anonymous.status, 401);
    assert_eq!(anonymous.json(), json!({"detail": "Unauthorized"}));
    assert_eq!(anonymous.header("x-openai-authorization-error"), Some("missing_authorization_header"));

    let unknown = send(Some("Bearer x.y.z".to_owned()), account).await;
    assert_eq!((unknown.status.as_u16(), &unknown.json()["error"]["code"]), (401, &json!("token_invalidated")));

    let bearer = format!("Bearer {}", peer.tokens.access_token);
    let other = send(Some(bearer.clone()), "another-account").await;
    assert_eq!(other.status, 403);
    assert_eq!(other.json(), json!({"detail": {"code": "invalid_workspace_selected"}}));

    let broken = send(Some(bearer), account).await;
    assert_eq!(broken.status, 400);
    assert!(broken.text().contains("Invalid JSON"));
}

#[tokio::test]
async fn items_are_checked() {
    let call = json!({"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"});
    let mut renamed = call.clone();
    renamed["name"] = json!("");
    let long = "x".repeat(70);
    refused(vec![
        (
            item(json!({"id": "019f", "role": "assistant", "content": "x"})),
            400,
            "Invalid 'input[0].id': '019f'. Expected an ID that begins with 'msg'.",
        ),
        (
            item(json!({"id": format!("msg_{long}"), "role": "user", "content": "x"})),
            400,
            "got a string with length 74",
        ),
        (item(json!({"type": "item_reference", "id": "rs_1"})), 404, "Item with id 'rs_1' not found."),
        (item(json!({"type": "reasoning", "id": "rs_2", "summary": []})), 404, "Item with id 'rs_2' not found."),
        (
            item(json!({"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": ""})),
            404,
            "Item with id 'rs_2' not found.",
        ),
        (
            item(json!({"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]})),
            400,
            "Invalid 'input[0].content': array too long. Expected an array with maximum length 0,",
        ),
        (item(json!({"role": "user", "content": "x", "foo": 1})), 400, "Unknown parameter: 'input[0].foo'."),
        (item(json!({"role": "user"})), 400, "Missing required parameter: 'input[0].content'."),
        (item(json!({"role": "assistant", "content": null})), 400, "but got null instead"),
        (item(json!({"role": "tool", "content": "x"})), 400, "Invalid value: 'tool'."),
        (item(json!({"type": "teapot"})), 400, "Invalid value: 'teapot'."),
        (
            item(json!({"type": "function_call_output", "call_id": "call_9", "output": "x"})),
            400,
            "No tool call found for function call output with call_id call_9.",
        ),
        (item(call), 400, "No tool output found for function call call_1."),
        (item(renamed), 400, "Invalid 'input[0].name': empty string."),
        (
            item(json!({"type": "function_call_output", "call_id": long, "output": "x"})),
            400,
            "Invalid 'input[0].call_id': string too long.",
        ),
        (
            item(json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABforeign=="})),
            400,
            "invalid_encrypted_content",
        ),
        (
            item(json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "other"}})),
            400,
            "Supported values are: 'search', 'open_page', and 'find_in_page'.",
        ),
        (with(json!({"input": []})), 400, "Missing required parameter: 'input'."),
        (item(json!("hello")), 400, "Invalid type for 'input[0]': expected an object, but got a string instead."),
        (item(json!({"content": "x"})), 400, "Missing required parameter: 'input[0].type'."),
        (
            item(json!({"id": "msg_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"})),
            400,
            "'fc'",
        ),
        (
            item(json!({"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"})),
            400,
            "No tool output found for custom tool call c.",
        ),
        (
            item(json!({"type": "custom_tool_call_output", "call_id": "c", "output": "x"})),
            400,
            "No tool call found for custom tool call output with call_id c.",
        ),
        (
            item(json!({"type": "local_shell_call", "call_id": "c", "action": {}})),
            400,
            "No tool output found for function call c.",
        ),
        (
            item(json!({"type": "function_call", "name": "f", "arguments": "{}"})),
            400,
            "Missing required parameter: 'input[0].call_id'.",
        ),
        (
            item(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}})),
            400,
            "Invalid type for 'input[0].arguments': expected a string, but got an object instead.",
        ),
        (item(json!({"type": "reasoning", "summary": ["x"]})), 400, "Invalid type for 'input[0].summary[0]'"),
        (
            item(json!({"type": "reasoning", "summary": [{"type": "text", "text": "x"}]})),
            400,
            "Invalid value: 'text'. Supported values are: 'summary_text'.",
        ),
        (item(json!({"type": "reasoning", "summary": []})), 400, "without its required following item"),
        (item(json!({"role": "assistant", "content": "x", "phase": "final"})), 400, "Invalid value: 'final'."),
        (
            item(json!({"type": "configuration_update", "reasoning": {"effort": "minimal"}})),
            400,
            "Unsupported value: 'minimal' is not supported with the 'gpt-5.5' model.",
        ),
        (
            item(json!({"type": "agent_message", "author": "/lead", "recipient": "/lead/helper",
            "content": [{"type": "output_text", "text": "x"}]})),
            400,
            "Invalid value: 'output_text'.",
        ),
    ])
    .await;
}

#[tokio::test]
async fn parts_are_checked_by_role() {
    refused(vec![
        (
            part("assistant", json!({"type": "input_text", "text": "x"})),
            400,
            "Invalid value: 'input_text'. Supported values are: 'output_text' and 'refusal'.",
        ),
        (part("user", json!({"type": "output_text", "text": "x"})), 400, "Invalid value: 'output_text'."),
        (part("user", json!({"type": "text", "text": "x"})), 400, "Invalid value: 'text'."),
        (
            part("user", json!({"type": "input_image", "image_url": {"url": "https://x/y.png"}})),
            400,
            "expected an image URL, but got an object instead",
        ),
        (part("user", json!({"type": "input_image", "url": "https://x/y.png"})), 400, "'input[0].content[0].url'"),
        (
            part("user", json!({"type": "input_image", "image_url": "data:image/png;base64,%%%"})),
            400,
            "does not represent a valid image",
        ),
        (
            // Base64 of "hello".
            part("user", json!({"type": "input_image", "image_url": "data:image/png;base64,aGVsbG8="})),
            400,
            "does not represent a valid image",
        ),
        (part("user", json!({"type": "input_image", "image_url": "sediment://file_1"})), 400, "Expected a valid URL"),
        (
            part("user", json!({"type": "input_image", "file_id": "file_1"})),
            400,
            "Unknown parameter: 'input[0].content[0].file_id'.",
        ),
        (
            with(json!({"model": "gpt-5.3-codex-spark", "input": [{"role": "user", "content": [
                {"type": "input_image", "image_url": PIXEL}]}]})),
            400,
            "does not support image inputs",
        ),
        (
            part("user", json!({"type": "input_text", "text": "x", "prompt_cache_breakpoint": {}})),
            400,
            "prompt_cache_breakpoint is not supported on this model",
        ),
        (
            part("user", json!({"type": "input_text", "text": "x", "cache_control": {}})),
            400,
            "Unknown parameter: 'input[0].content[0].cache_control'.",
        ),
        (part("user", json!({"type": "input_text"})), 400, "Missing required parameter: 'input[0].content[0].text'."),
    ])
    .await;
}

#[tokio::test]
async fn tools_are_checked() {
    let object = |schema: Value| json!({"type": "function", "name": "f", "parameters": schema});
    let strict = |schema: Value| json!({"type": "function", "name": "f", "strict": true, "parameters": schema});
    refused(vec![
        (
            tool(json!({"type": "function", "function": {"name": "f"}})),
            400,
            "Missing required parameter: 'tools[0].name'.",
        ),
        (tool(json!({"type": "function", "name": "x".repeat(65)})), 400, "maximum length 64"),
        (tool(json!({"type": "function", "name": "a.b"})), 400, "'^[a-zA-Z0-9_-]+$'"),
        (tool(json!({"type": "web_search_preview"})), 400, "Invalid value: 'web_search_preview'."),
        (tool(json!({"type": "function", "name": "f", "cache_control": {}})), 400, "'tools[0].cache_control'"),
        (
            tool(object(json!({"type": "object"}))),
            400,
            "Invalid schema for function 'f': In context=(), object schema missing properties.",
        ),
        (
            tool(strict(json!({"type": "object", "properties": {}}))),
            400,
            "'additionalProperties' is required to be supplied and to be false.",
        ),
        (
            tool(strict(
                json!({"type": "object", "additionalProperties": false, "properties": {"a": {"type": "string"}}}),
            )),
            400,
            "'required' is required to be supplied and to be an array including every key in properties.",
        ),
        (
            with(json!({"tools": [{"type": "image_generation"}], "tool_choice": {"type": "image_generation"}})),
            400,
            "Tool choice 'image_generation' not found in 'tools' parameter.",
        ),
        (
            with(json!({"tools": [weather_tool()], "tool_choice": {"type": "function", "function": {"name": "x"}}})),
            400,
            "Missing required parameter: 'tool_choice.name'.",
        ),
        (with(json!({"model": "gpt-5.3-codex-spark", "tools": [{"type": "image_generation"}]})), 400, "spark"),
        (with(json!({"tools": {}})), 400, "Invalid type for 'tools': expected an array, but got an object instead."),
        (tool(json!({"name": "f"})), 400, "Missing required parameter: 'tools[0].type'."),
        (tool(json!({"type": "function", "name": ""})), 400, "Invalid 'tools[0].name': empty string."),
        (tool(json!({"type": "function", "name": "f", "strict": "yes"})), 400, "Invalid type for 'tools[0].strict'"),
        (tool(json!({"type": "file_search", "vector_store_ids": []})), 400, "Invalid value: 'file_search'."),
        (tool(json!({"type": "image_generation", "n": 2})), 400, "Invalid value: '2'."),
        (tool(json!({"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "peg", "definition": ""}})), 400,
            "Invalid value: 'peg'. Supported values are: 'lark' and 'regex'."),
        (tool(json!({"type": "namespace", "name": "n", "tools": [{"type": "function"}]})), 400,
            "Missing required parameter: 'tools[0].tools[0].name'."),
        (item(json!({"type": "additional_tools", "role": "developer", "tools": [{"type": "function"}]})), 400,
            "Missing required parameter: 'input[0].tools[0].name'."),
        (tool(object(json!({"type": "array"}))), 400, "got 'type: \\\"array\\\"'"),
        (tool(object(json!({"anyOf": [{"type": "object", "properties": {}}]}))), 400, "got 'type: \\\"None\\\"'"),
        (tool(object(json!({"type": "object", "properties": {}, "anyOf": [{}]}))), 400, "at the top level."),
        (tool(object(json!({"type": "object", "properties": {}, "required": null}))), 400, "None is not of type 'array'."),
        (tool(object(json!({"type": "OBJECT"}))), 400, "'OBJECT' is not valid under any of the given schemas."),
        (tool(object(json!({"type": "object", "properties": {"a": {"type": "array"}}}))), 400,
            "In context=('properties', 'a'), array schema missing items."),
        (tool(object(json!({"type": "object", "properties": {"a": []}}))), 400, "[] is not of type 'object', 'boolean'."),
        (tool(json!({"type": "namespace", "name": "n", "tools": [object(json!({"type": "array"}))]})), 400,
            "Invalid schema for function 'f'"),
        (tool(strict(json!({"type": "object", "additionalProperties": false, "required": ["a"],
            "properties": {"a": {}}}))), 400, "In context=('properties', 'a'), schema must have a 'type' key."),
        (with(json!({"tools": [weather_tool()], "tool_choice": "any"})), 400, "Invalid value: 'any'."),
        (with(json!({"tools": [weather_tool()], "tool_choice": {"type": "function", "name": "other"}})), 400,
            "not found in 'tools' parameter"),
        (with(json!({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}})), 400,
            "Tool choice 'web_search' not found in 'tools' parameter."),
    ])
    .await;
}

#[tokio::test]
async fn parameters_are_checked_against_the_catalogue() {
    refused(vec![
        (
            with(json!({"model": "gpt-5.2", "reasoning": {"effort": "minimal"}})),
            400,
            "Unsupported value: 'minimal' is not supported with the 'gpt-5.2' model. Supported values are: 'none', 'low', \
             'medium', 'high', and 'xhigh'.",
        ),
        (with(json!({"reasoning": {"effort": "ultra"}})), 400, "Invalid value: 'ultra'."),
        (
            with(json!({"model": "gpt-5.3-codex-spark", "reasoning": {"summary": "auto"}})),
            400,
            "Unsupported parameter: 'reasoning.summary' is not supported with the 'gpt-5.3-codex-spark' model.",
        ),
        (with(json!({"model": "gpt-5.2-codex", "text": {"verbosity": "low"}})), 400, "Supported value is: 'medium'."),
        (
            with(json!({"text": {"format": {"type": "json_object"}}, "instructions": "answer in JSON"})),
            400,
            "must contain the word 'json'",
        ),
        (
            with(json!({"text": {"format": {"type": "json_schema", "name": "r", "strict": true,
                "schema": {"type": "object", "properties": {}}}}})),
            400,
            "Invalid schema for response_format 'r': In context=()",
        ),
        (with(json!({"stream_options": {"include_usage": true}})), 400, "'stream_options.include_usage'"),
        (with(json!({"include": ["everything"]})), 400, "Invalid value: 'everything'."),
        (with(json!({"prompt_cache_key": "k".repeat(65)})), 400, "Invalid 'prompt_cache_key': string too long."),
        (with(json!({"reasoning": {"effort": "max"}})), 400, "'max' is not supported with the 'gpt-5.5' model"),
        (with(json!({"reasoning": {"depth": 1}})), 400, "Unknown parameter: 'reasoning.depth'."),
        (with(json!({"reasoning": {"summary": "none"}})), 400, "Invalid value: 'none'."),
        (with(json!({"text": {"verbosity": "loud"}})), 400, "Invalid value: 'loud'."),
        (with(json!({"text": {"format": {"type": "json_schema", "json_schema": {"name": "r", "schema": {}}}}})), 400,
            "Missing required parameter: 'text.format.name'."),
        (with(json!({"text": {"format": {"type": "json_schema", "name": "r", "schema": {}, "x": 1}}})), 400,
            "Unknown parameter: 'text.format.x'."),
        (with(json!({"text": {"format": {"type": "json_schema", "name": "r", "strict": true, "schema": {"type": "array"}}}})),
            400, "Invalid schema for response_format 'r': schema must be a JSON Schema of"),
        (with(json!({"text": {"format": {"type": "xml"}}})), 400, "Invalid value: 'xml'."),
        (with(json!({"parallel_tool_calls": "no"})), 400, "Invalid type for 'parallel_tool_calls'"),
        (with(json!({"client_metadata": {"turn_id": 1}})), 400, "Invalid type for 'client_metadata.turn_id'"),
    ])
    .await;
}

#[tokio::test]
async fn lite_requires_serial_calls() {
    let peer = Peer::start().await;
    let send = |parallel: bool| {
        let body = with(json!({"model": "gpt-6.1-sol", "parallel_tool_calls": parallel}));
        let request = peer
            .request(Method::POST, "/backend-api/codex/responses")
            .header("x-openai-internal-codex-responses-lite", "true")
            .body(Full::from(body.to_string()))
            .expect("a request");
        async { read(peer.send(request).await).await }
    };
    let refused = send(true).await;
    let wanted = "X-OpenAI-Internal-Codex-Responses-Lite requires `parallel_tool_calls` to be false.";
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["message"]), (400, &json!(wanted)));
    assert_eq!(send(false).await.status, 200);
}

#[tokio::test]
async fn requests_of_real_clients_are_accepted() {
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}",
                      "status": "completed", "namespace": "functions"});
    let output =
        json!({"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "ok"}]});
    let cli = json!({
        "input": [
            {"type": "message", "id": "msg_1", "role": "developer", "content": [{"type": "input_text", "text": "x"}],
             "internal_chat_message_metadata_passthrough": {"turn_id": "1"}},
            {"role": "user", "content": "hello"},
            {"type": "message", "role": "assistant", "phase": "commentary",
             "content": [{"type": "output_text", "text": "x", "annotations": [], "logprobs": []}]},
            call, output,
        ],
        "tools": [
            {"type": "function", "name": "exec", "strict": false, "parameters": {"type": "object", "properties": {}}},
            {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"a\""}},
            {"type": "web_search", "external_web_access": true},
            {"type": "namespace", "name": "n", "tools": [weather_tool()]},
        ],
        "tool_choice": "auto", "parallel_tool_calls": true, "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "text": {"verbosity": "low"},
        "client_metadata": {"turn_id": "1"}, "service_tier": "priority",
        "stream_options": {"include_obfuscation": false},
    });
    accepted(vec![
        with(cli),
        with(json!({"service_tier": "default"})),
        with(json!({"model": "gpt-5.1", "instructions": ""})),
        part("user", json!({"type": "input_image", "image_url": PIXEL, "detail": "low"})),
        part("user", json!({"type": "input_image", "image_url": "https://example.com/a.png"})),
        turn_with("in json please", json!({"text": {"format": {"type": "json_object"}}})),
        with(json!({"reasoning": {"effort": "none"}})),
        with(json!({"input": [
            {"role": "user", "content": "hello"},
            {"type": "local_shell_call", "call_id": "c1", "status": "completed", "action": {"type": "exec", "command": ["ls"]}},
            {"type": "function_call_output", "call_id": "c1", "output": "x"},
            {"type": "tool_search_call", "execution": "server", "call_id": null, "arguments": {}},
            {"type": "agent_message", "id": "amsg_1", "author": "/lead", "recipient": "/lead/helper",
             "content": [{"type": "encrypted_content", "encrypted_content": "gAAAA"}]},
            {"type": "configuration_update", "reasoning": {"effort": "low"}},
        ]})),
    ])
    .await;
}

#[tokio::test]
async fn encrypted_reasoning_is_accepted_only_by_its_account_and_family() {
    let peer = Peer::start().await;
    let ask = json!({"include": ["reasoning.encrypted_content"]});
    let reply = peer.turn(&turn_with("[sim:reasoning]", ask)).await;
    let mut items = reply.items();
    assert_eq!(items[0]["type"], "reasoning");
    assert!(items[0]["encrypted_content"].as_str().is_some_and(|text| text.starts_with("gAAAAA")));
    items.push(json!({"role": "user", "content": "go on"}));
    let again = peer.turn(&with(json!({"input": items}))).await;
    assert_eq!(again.status, 200, "{}", again.text());
    let other = peer.turn(&with(json!({"input": items, "model": "gpt-6-sol"}))).await;
    assert_eq!(other.json()["error"]["code"], "invalid_encrypted_content");
    // An interrupted reply leaves its reasoning without an answer.
    items.remove(1);
    assert_eq!(peer.turn(&with(json!({"input": items}))).await.status, 200);
}
