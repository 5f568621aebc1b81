//! Requests of the official CLI 0.169.0 in its captured shapes (`docs/backend.md` §9), with long texts shortened.

use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::peer::{Peer, Reply, read};

const THREAD: &str = "01a2062c-22de-7320-84ce-6a407485ff83";
const TURN: &str = "01a2062c-2357-7db1-a485-c28914d7ba3c";
const AGENT: &str = "codex_exec/0.169.0 (Debian 12.0.0; x86_64) xterm (codex_exec; 0.169.0)";

/// Sends a turn as the CLI does: its headers, without `version` and `openai-beta`, and a zstd-compressed body.
async fn send(peer: &Peer, body: &Value, lite: bool) -> Reply {
    let model = body["model"].as_str().expect("a model");
    let metadata = json!({"session_id": THREAD, "thread_id": THREAD, "turn_id": TURN, "request_kind": "turn",
                          "model": model, "workspaces": {}});
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{}/codex/responses", peer.sim.upstream_url()))
        .header("x-codex-beta-features", "remote_compaction_v2")
        .header("x-codex-window-id", format!("{THREAD}:0"))
        .header("x-codex-turn-metadata", metadata.to_string());
    if lite {
        request = request.header("x-openai-internal-codex-responses-lite", "true");
    }
    let request = request
        .header("x-codex-routing-hint", format!("model={model}"))
        .header("x-client-request-id", THREAD)
        .header("session-id", THREAD)
        .header("thread-id", THREAD)
        .header("accept", "text/event-stream")
        .header("content-encoding", "zstd")
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", peer.tokens.access_token))
        .header("chatgpt-account-id", &peer.tokens.account_id)
        .header("originator", "codex_exec")
        .header("user-agent", AGENT)
        .body(Full::from(zstd::encode_all(body.to_string().as_bytes(), 3).expect("packing")));
    read(peer.send(request.expect("a request")).await).await
}

fn metadata(kinds: &[&str]) -> Value {
    json!({"turn_id": TURN, "create_time": 1_795_399_885.884_594_5, "content_item_kinds": kinds})
}

fn message(id: &str, role: &str, text: &str, kind: &str) -> Value {
    json!({"type": "message", "id": format!("msg_{id}"), "role": role, "content": [{"type": "input_text", "text": text}],
           "internal_chat_message_metadata_passthrough": metadata(&[kind])})
}

fn function(name: &str, properties: Value, required: Value) -> Value {
    json!({"type": "function", "name": name, "description": "…", "strict": false, "parameters": {
        "type": "object", "properties": properties, "required": required, "additionalProperties": false}})
}

fn client_metadata() -> Value {
    json!({"x-codex-window-id": format!("{THREAD}:0"), "guardian_credits_requested": "true",
           "x-codex-installation-id": "63add870-f1fe-45f7-bc6b-491c5bc65dee", "turn_id": TURN, "root_turn_id": TURN,
           "x-codex-turn-metadata": "{}", "thread_id": THREAD, "session_id": THREAD})
}

/// `http-responses-gpt-5.5.json`: no `instructions`; they are in the first developer message.
fn ordinary(text: &str) -> Value {
    let mut bare = function("list_mcp_resources", json!({"cursor": {"type": "string"}}), json!([]));
    bare["parameters"].as_object_mut().expect("an object").remove("required");
    json!({
        "model": "gpt-5.5",
        "stream": true,
        "input": [
            message("a1f91dc7-85f8-534e-a1a0-f12910d30302", "developer", "Be a coding agent.", "model.base_instructions"),
            message("01a2062c-243c-72c3-bb9c-56e43e71b7e4", "developer", "…", "permissions.instructions"),
            message("01a2062c-243c-72c3-bb9c-56fcfd3d0935", "user", "…", "environments.environment_context"),
            message("01a2062c-243c-72c3-bb9c-56fcfd3d0936", "user", text, "user.text"),
        ],
        "tools": [
            function("exec_command", json!({
                "cmd": {"type": "string", "description": "…"},
                "prefix_rule": {"type": "array", "description": "…", "items": {"type": "string"}},
                "sandbox_permissions": {"type": "string", "enum": ["use_default", "require_escalated"]},
                "tty": {"type": "boolean"}, "yield_time_ms": {"type": "number"}}), json!(["cmd"])),
            bare,
            {"type": "custom", "name": "apply_patch", "description": "…",
             "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"x\""}},
            {"type": "namespace", "name": "image_gen", "description": "…", "tools": [
                function("imagegen", json!({"prompt": {"type": "string"}}), json!(["prompt"]))]},
            {"type": "tool_search", "execution": "client", "description": "…",
             "parameters": {"type": "object", "properties": {"query": {"type": "string"}}}},
            {"type": "web_search", "external_web_access": false, "search_content_types": ["text", "image"]},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": true,
        "reasoning": {"effort": "medium"},
        "store": false,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": THREAD,
        "text": {"verbosity": "low"},
        "client_metadata": client_metadata(),
    })
}

/// `http-responses-lite-gpt-6.1-sol.json`: the tools are an input item, and the last item sets the effort.
fn lite(text: &str) -> Value {
    let encrypted = json!({"message": {"type": "string", "encrypted": true}, "target": {"type": "string"}});
    let mut base = message("01a2063a-5024-77a1-b30e-fe9c014253e9", "developer", "…", "model.base_instructions");
    base["internal_chat_message_metadata_passthrough"]["content_item_metadata"] =
        json!([{"provenance": {"type": "harness", "hook": false}}]);
    json!({
        "model": "gpt-6.1-sol",
        "stream": true,
        "input": [
            {"type": "additional_tools", "id": "at_01a2063a-5024-77a1-b30e-fe83c0e843ef", "role": "developer", "tools": [
                {"type": "namespace", "name": "functions", "description": "…", "tools": [
                    {"type": "custom", "name": "exec", "description": "…",
                     "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"x\""}},
                    function("wait", json!({"cell_id": {"type": "string"}}), json!(["cell_id"]))]},
                {"type": "namespace", "name": "collaboration", "description": "…", "tools": [
                    function("followup_task", encrypted, json!(["target", "message"]))]},
            ]},
            base,
            message("01a2063a-5024-77a1-b30e-feafee64cd3a", "user", text, "user.text"),
            {"type": "configuration_update", "reasoning": {"effort": "low"}},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": false,
        "reasoning": {"effort": "low", "context": "all_turns"},
        "store": false,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": THREAD,
        "text": {"verbosity": "low"},
        "client_metadata": client_metadata(),
    })
}

/// Returns an item as the CLI sends it back: with some keys added, and without the `content` of reasoning.
fn replayed(mut item: Value) -> Value {
    let object = item.as_object_mut().expect("an object");
    if object["type"] == "reasoning" {
        object.remove("content");
    }
    object.insert("internal_chat_message_metadata_passthrough".to_owned(), json!({"turn_id": TURN}));
    item
}

#[tokio::test]
async fn the_ordinary_shape_is_accepted() {
    let peer = Peer::start().await;
    let reply = send(&peer, &ordinary("hello"), false).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.answer().contains("hello"));
    let last = reply.last();
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["prompt_cache_key"], THREAD);
    let recorded = peer.sim.requests().remove(0);
    assert_eq!(recorded.body.as_deref(), Some(&ordinary("hello")));
}

#[tokio::test]
async fn the_lite_shape_is_accepted() {
    let peer = Peer::start().await;
    let reply = send(&peer, &lite("hello"), true).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.answer().contains("hello"));
    let mut dear = lite("hello");
    dear["input"][3]["reasoning"]["effort"] = json!("ultra");
    assert_eq!(send(&peer, &dear, true).await.json()["error"]["param"], "input[3].reasoning.effort");
}

#[tokio::test]
async fn a_tool_is_called_and_its_output_ends_the_turn_in_both_shapes() {
    let peer = Peer::start().await;
    let function = ordinary("[sim:reasoning=always][sim:commentary][sim:tool=exec_command] run it");
    let custom = lite("[sim:custom-tool] go");
    for (mut body, is_lite, output) in
        [(function, false, "function_call_output"), (custom, true, "custom_tool_call_output")]
    {
        let first = send(&peer, &body, is_lite).await;
        assert_eq!(first.status, 200, "{}", first.text());
        let items = first.items();
        let call = items.last().expect("a call").clone();
        let input = body["input"].as_array_mut().expect("a list");
        input.extend(items.into_iter().map(replayed));
        let prefix = if is_lite { "ctco" } else { "fco" };
        input.push(json!({"type": output, "id": format!("{prefix}_{TURN}"), "call_id": call["call_id"], "output": "done by hand",
                          "internal_chat_message_metadata_passthrough": metadata(&[])}));
        if is_lite {
            assert_eq!((&call["name"], &call["namespace"]), (&json!("exec"), &json!("functions")));
            input.push(json!({"type": "configuration_update", "reasoning": {"effort": "low"}}));
        }
        let second = send(&peer, &body, is_lite).await;
        assert!(second.answer().contains("done by hand"), "{}", second.text());
        assert!(second.last()["response"]["usage"]["input_tokens_details"]["cached_tokens"].as_u64() > Some(0));
    }
}

/// The items received before a cut are sent back, even a reasoning item without an answer.
#[tokio::test]
async fn the_retry_after_a_cut_is_accepted() {
    let peer = Peer::start().await;
    for (mut body, is_lite) in [(ordinary("[sim:cut-once] hi"), false), (lite("[sim:cut-once] hi"), true)] {
        let cut = send(&peer, &body, is_lite).await;
        assert!(cut.broken);
        let thought = cut.items();
        assert_eq!((thought.len(), &thought[0]["type"]), (1, &json!("reasoning")));
        body["input"].as_array_mut().expect("a list").extend(thought.into_iter().map(replayed));
        let again = send(&peer, &body, is_lite).await;
        assert_eq!(again.last()["type"], "response.completed", "{}", again.text());
        // The user may say something else instead.
        let steered = json!({"type": "message", "role": "user", "content": "and?"});
        body["input"].as_array_mut().expect("a list").push(steered);
        let after = send(&peer, &body, is_lite).await;
        assert_eq!(after.last()["type"], "response.completed", "{}", after.text());
    }
}

/// `websocket-responses-gpt-5.5.json`: keys that only a WebSocket accepts are refused over HTTP.
#[tokio::test]
async fn a_warm_up_frame_is_refused_over_http() {
    let peer = Peer::start().await;
    for (key, value) in [("type", json!("response.create")), ("generate", json!(false))] {
        let mut body = ordinary("hello");
        body[key] = value;
        let wanted = json!({"detail": format!("Unsupported parameter: {key}")});
        assert_eq!(send(&peer, &body, false).await.json(), wanted);
    }
}

/// `other-endpoints.json`: `wham/settings/user` does not exist here, which the CLI tolerates.
#[tokio::test]
async fn the_other_endpoints_answer_the_cli() {
    let peer = Peer::start().await;
    let paths =
        [("/wham/accounts/check", 200), ("/codex/models?client_version=0.169.0", 200), ("/wham/settings/user", 404)];
    for (path, status) in paths {
        let request = Request::get(format!("{}{path}", peer.sim.upstream_url()))
            .header("user-agent", AGENT)
            .header("authorization", format!("Bearer {}", peer.tokens.access_token))
            .header("chatgpt-account-id", &peer.tokens.account_id)
            .header("accept", "*/*")
            .body(Full::default());
        let reply = read(peer.send(request.expect("a request")).await).await;
        assert_eq!(reply.status, status, "{path}");
    }
}
