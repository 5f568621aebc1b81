//! Responses requests, as clients send them and as they reach the backend.

use codex_translate::{NoticeKind, Options, Profile, Translated, compact, normalise, responses};
use serde_json::{Value, json};

use crate::backend;
use crate::chat_request::{notices, profile, sent};

#[track_caller]
fn normalised(body: &Value, profile: &Profile) -> Translated {
    let request = responses::ResponsesRequest::from_json(body.to_string().as_bytes()).unwrap();
    let translated = normalise(request, profile, &Options::default()).unwrap();
    let bytes = translated.request.to_json();
    let again =
        normalise(responses::ResponsesRequest::from_json(&bytes).unwrap(), profile, &Options::default()).unwrap();
    assert_eq!(again.request.to_json(), bytes, "normalising twice is normalising once");
    translated
}

#[track_caller]
fn check(mut body: Value, expected: Value, expected_notices: &[&str]) {
    let map = body.as_object_mut().unwrap();
    map.entry("model").or_insert(json!("caller-name"));
    map.entry("input").or_insert(json!("hi"));
    let translated = normalised(&body, &profile());
    let sent = sent(&translated);
    backend::accepts(&sent);
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(sent.get(key).unwrap_or(&Value::Null), value, "`{key}` of {sent:#}");
    }
    assert_eq!(notices(&translated), expected_notices);
}

#[track_caller]
fn check_rejected(body: Value, param: &str, code: Option<&str>) {
    let error = responses::ResponsesRequest::from_json(body.to_string().as_bytes())
        .and_then(|request| normalise(request, &profile(), &Options::default()))
        .expect_err("the request is rejected");
    assert_eq!((error.param(), error.status_hint(), error.code()), (Some(param), 400, code), "{error}");
}

fn said(role: &str, text: &str) -> Value {
    let kind = if role == "assistant" { "output_text" } else { "input_text" };
    json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]})
}

#[test]
fn text_becomes_a_list() {
    check(
        json!({"input": "hi"}),
        json!({
            "input": [said("user", "hi")], "instructions": "", "include": [], "reasoning": null,
            "tool_choice": "auto", "parallel_tool_calls": true, "text": {"verbosity": "medium"},
        }),
        &[],
    );
}

#[test]
fn messages_in_every_form() {
    check(
        json!({"input": [
            {"role": "system", "content": "a"},
            {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "b"}]},
            {"role": "user", "content": [{"type": "text", "text": "c"}, {"type": "image_url", "image_url": {"url": "data:,"}}]},
            {"type": "input_text", "text": "d"},
            {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "phase": "final_answer",
                "content": [{"type": "output_text", "text": "e", "annotations": [], "logprobs": []}]},
        ]}),
        json!({"input": [
            said("developer", "a"), said("developer", "b"),
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "c"}, {"type": "input_image", "image_url": "data:,"}]},
            said("user", "d"),
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "e"}], "phase": "final_answer"},
        ]}),
        &[],
    );
}

#[test]
fn items_are_cleaned() {
    check(
        json!({"input": [
            {"role": "user", "content": "x", "cache_control": {"type": "ephemeral"}},
            {"type": "item_reference", "id": "msg_1"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA", "status": null},
            {"type": "function_call", "id": "fc_1", "status": "completed", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "id": "fco_1", "call_id": "c", "output": [{"type": "input_text", "text": "r"}]},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
            {"type": "web_search_call", "id": "ws_2", "status": "completed", "action": {"type": "other"}},
            {"type": "something_new", "id": "sn_1", "payload": [1]},
            {"type": "reasoning", "id": "rs_2", "summary": []},
        ]}),
        json!({"input": [
            said("user", "x"),
            {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "r"}]},
            {"type": "web_search_call", "status": "completed", "action": {"type": "search", "query": "q"}},
            {"type": "something_new", "payload": [1]},
        ]}),
        &["input[].cache_control dropped", "input[] dropped", "input[] dropped", "input[] dropped"],
    );
}

#[test]
fn unknown_items_and_interrupted_turns_are_forwarded() {
    let input = json!([
        said("user", "x"),
        {"type": "context_compaction", "encrypted_content": "gAAA"},
        {"type": "agent_message", "author": "a", "recipient": "b", "content": [{"type": "encrypted_content", "encrypted_content": "g"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "y"}], "phase": "partial_answer"},
        {"type": "image_generation_call", "status": "completed", "result": "iVBOR", "output_format": "png", "size": "auto"},
        said("user", "z"),
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"},
        {"type": "configuration_update", "reasoning": {"effort": "low"}, "text": {"format": {"type": "text"}}},
    ]);
    check(json!({"input": input}), json!({"input": input}), &[]);
    let lone = [&input.as_array().unwrap()[6..], &[said("user", "?")]].concat();
    check(json!({"input": lone}), json!({"input": [lone[1], lone[2]]}), &["input[] dropped"]);
}

#[test]
fn unknown_items_of_the_codex_cli_are_forwarded_unchanged() {
    let mut body = lite_body();
    let passthrough = json!({"turn_id": "x"});
    body["input"].as_array_mut().unwrap().extend([
        json!({"type": "agent_message", "id": "amsg_1", "author": "a", "recipient": "b", "content": [{"type": "encrypted_content", "encrypted_content": "g"}]}),
        json!({"type": "context_compaction", "id": "cmp_1", "encrypted_content": "g", "internal_chat_message_metadata_passthrough": passthrough}),
        json!({"type": "message", "id": "msg_9", "role": "assistant", "phase": "partial_answer", "content": [{"type": "output_text", "text": "So"}]}),
        json!({"type": "reasoning", "id": "rs_9", "summary": [], "encrypted_content": "g"}),
        json!({"type": "configuration_update", "reasoning": {"effort": "low"}}),
    ]);
    let translated = normalised(&body, &Profile { lite: true, ..profile() });
    assert_eq!(sent(&translated), body);
    assert!(translated.notices.is_empty() && translated.plan.keep_phases);
}

#[test]
fn chat_shapes_on_the_responses_path() {
    check(
        json!({
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}},
            "text": {"format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "properties": {}}}}},
            "reasoning_effort": "minimal", "max_tokens": 5,
            "input": [{"role": "user", "content": "x"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c", "content": "y"}],
        }),
        json!({
            "tools": [{"type": "function", "name": "f", "strict": false, "parameters": {"type": "object", "properties": {}}}],
            "tool_choice": {"type": "function", "name": "f"},
            "text": {"verbosity": "medium", "format": {"type": "json_schema", "name": "s", "strict": false, "schema": {"type": "object", "properties": {}}}},
            "reasoning": {"effort": "low"},
            "input": [said("user", "x"), {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "y"}],
        }),
        &["max_tokens emulated", "reasoning.effort clamped"],
    );
    let body = json!({"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}], "n": 2, "stream": true});
    let translated = normalised(&body, &profile());
    let sent = sent(&translated);
    assert_eq!((&sent["instructions"], &sent["input"]), (&json!("s"), &json!([said("user", "u")])));
    assert_eq!((translated.plan.n, translated.plan.stream), (1, true));
    assert_eq!(notices(&translated), ["n dropped"]);
}

#[test]
fn settings() {
    check(
        json!({
            "include": ["reasoning.encrypted_content", "made.up"], "reasoning": {"effort": "xhigh", "summary": "auto", "context": "all_turns"},
            "text": {"verbosity": "low", "format": {"type": "text"}}, "service_tier": "flex", "temperature": 0, "max_output_tokens": 9, "truncation": "auto",
            "store": true, "metadata": {}, "prompt_cache_retention": "24h", "user": "u", "safety_identifier": "s", "top_logprobs": 0, "parallel_tool_calls": true,
        }),
        json!({
            "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "xhigh", "summary": "auto"}, "text": {"verbosity": "low"},
            "service_tier": null, "store": false, "parallel_tool_calls": true,
        }),
        &[
            "temperature dropped",
            "max_output_tokens emulated",
            "truncation dropped",
            "prompt_cache_retention dropped",
            "user dropped",
            "safety_identifier dropped",
            "store dropped",
            "reasoning.context dropped",
            "service_tier dropped",
            "include[] dropped",
        ],
    );
    let body = json!({"model": "m", "input": "x", "max_output_tokens": 9, "stream": true});
    let plan = normalised(&body, &profile()).plan;
    assert_eq!((plan.max_tokens, plan.stream, &*plan.model), (Some(9), true, "m"));
}

#[test]
fn new_members_of_the_public_api_are_forwarded_or_dropped() {
    let tool = json!({"type": "custom", "name": "f", "defer_loading": true});
    let image = json!({"type": "image_generation_call", "status": "failed", "result": ""});
    let mut replayed = image.clone();
    replayed["error"] = json!({"code": "image_too_large"});
    replayed["svg_usage"] = json!({"svg_tokens": 1});
    check(
        json!({"input": [replayed], "tools": [tool], "access_programs": {"cyber": "standard"},
            "reasoning": {"mode": "standard", "effort": "low"}}),
        json!({"input": [image], "tools": [tool], "access_programs": {"cyber": "standard"}, "reasoning": {"effort": "low"}}),
        &[],
    );
    check(
        json!({"input": [said("user", "x")], "background_options": {"completion_window": "2h"},
            "image": {"context_compression": "auto"}, "reasoning": {"mode": "pro"}}),
        json!({"input": [said("user", "x")]}),
        &["background_options dropped", "image dropped", "reasoning.mode dropped"],
    );
    check_rejected(json!({"model": "m", "input": "x", "access_programs": []}), "access_programs", Some("invalid_type"));
}

#[test]
fn unsupported_requests_are_rejected() {
    let and = |key: &str, value: Value| json!({"model": "m", "input": "x", key: value});
    check_rejected(and("previous_response_id", json!("resp_1")), "previous_response_id", Some("unsupported_parameter"));
    check_rejected(and("conversation", json!("conv_1")), "conversation", Some("unsupported_parameter"));
    check_rejected(and("background", json!(true)), "background", Some("unsupported_parameter"));
    check_rejected(and("prompt", json!({"id": "p"})), "prompt", Some("unsupported_parameter"));
    check_rejected(json!({"model": "m"}), "input", Some("missing_required_parameter"));
    check_rejected(json!({"model": "m", "input": []}), "input", None);
    check_rejected(json!({"model": "m", "input": [{"type": "item_reference", "id": "x"}]}), "input", None);
    check_rejected(
        json!({"model": "m", "input": [{"type": "function_call", "name": "f"}]}),
        "input[0].call_id",
        Some("missing_required_parameter"),
    );
    check_rejected(
        json!({"model": "m", "input": [{"content": "x"}]}),
        "input[0].type",
        Some("missing_required_parameter"),
    );
    check(and("background", json!(false)), json!({"background": null}), &[]);
}

/// The body of the Codex CLI's own request (docs/backend.md §9).
fn cli_body() -> Value {
    json!({
        "model": "gpt-5.5", "stream": true,
        "input": [
            {"type": "message", "id": "msg_a1", "role": "developer", "content": [{"type": "input_text", "text": "t"}],
                "internal_chat_message_metadata_passthrough": {"content_item_kinds": ["model.base_instructions"]}},
            {"type": "message", "id": "msg_a2", "role": "user", "content": [{"type": "input_text", "text": "t", "odd": 1}], "internal_chat_message_metadata_passthrough": {"turn_id": "x"}},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"},
            {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "exec_command", "arguments": "{}", "namespace": "functions", "status": "completed"},
        ],
        "tools": [{"type": "function", "name": "exec_command", "strict": false, "parameters": {"type": "object"}, "odd": true}],
        "tool_choice": "auto", "parallel_tool_calls": true, "reasoning": {"effort": "medium"}, "store": false,
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "01a2062c-22de-7320-84ce-6a407485ff83",
        "text": {"verbosity": "low"}, "client_metadata": {"turn_id": "x"},
    })
}

#[test]
fn a_body_of_the_codex_cli_is_forwarded_unchanged() {
    let body = cli_body();
    let translated = normalised(&body, &profile());
    let mut expected = body;
    expected["instructions"] = json!("");
    assert_eq!(sent(&translated), expected);
    assert!(translated.notices.is_empty(), "{:?}", translated.notices);
}

#[test]
fn the_passthrough_key_alone_marks_the_codex_cli() {
    let mut body = cli_body();
    body.as_object_mut().unwrap().remove("client_metadata");
    body["input"][0]["role"] = json!("system");
    let sent = sent(&normalised(&body, &profile()));
    assert_eq!(sent["input"][0]["role"], "developer");
    assert_eq!(sent["input"][0]["id"], "msg_a1");
    assert_eq!(sent["tools"], body["tools"]);
}

fn lite_body() -> Value {
    let mut body = cli_body();
    let tools = body.as_object_mut().unwrap().remove("tools").unwrap();
    let item = json!({"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [
        {"type": "namespace", "name": "functions", "description": "d", "tools": tools},
        {"type": "namespace", "name": "clock", "tools": []}]});
    body["input"].as_array_mut().unwrap().insert(0, item);
    body["parallel_tool_calls"] = json!(false);
    body["reasoning"] = json!({"effort": "low", "context": "all_turns"});
    body
}

#[test]
fn a_lite_body_stays_lite_for_a_model_that_accepts_it() {
    let profile = Profile { lite: true, ..profile() };
    let translated = normalised(&lite_body(), &profile);
    assert_eq!(sent(&translated), lite_body());
    assert!(translated.request.is_lite() && translated.notices.is_empty());
}

#[test]
fn a_lite_body_becomes_ordinary_for_other_models() {
    let translated = normalised(&lite_body(), &profile());
    let sent = sent(&translated);
    assert!(!translated.request.is_lite());
    assert_eq!(sent["input"], cli_body()["input"]);
    assert_eq!(sent["tools"], json!([cli_body()["tools"][0], {"type": "namespace", "name": "clock", "tools": []}]));
    assert_eq!(sent["reasoning"], json!({"effort": "low"}));
    assert_eq!(notices(&translated).len(), 1);
}

#[test]
fn lite_and_back_is_the_same_request() {
    let body = json!({"model": "gpt-5.5", "instructions": "be kind", "input": [{"role": "user", "content": "x"}], "parallel_tool_calls": false,
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}, {"type": "custom", "name": "g"}, {"type": "web_search"}]});
    let ordinary = normalised(&body, &profile());
    let mut lite = ordinary.request.clone();
    codex_translate::to_lite(&mut lite).unwrap();
    let written: Value = serde_json::from_slice(&lite.to_json()).unwrap();
    assert!(lite.is_lite() && written.get("tools").is_none() && written.get("instructions").is_none());
    assert_eq!(written["input"][0]["tools"][0]["tools"][0]["name"], "f");
    assert_eq!(written["input"][0]["tools"][1], json!({"type": "web_search"}));
    assert_eq!(written["reasoning"]["context"], "all_turns");
    let back = sent(&normalised(&written, &profile()));
    let mut expected = sent(&ordinary);
    expected["instructions"] = json!("");
    expected["input"].as_array_mut().unwrap().insert(0, said("developer", "be kind"));
    assert_eq!(back, expected);
}

#[test]
fn a_compaction_drops_parameters_about_the_reply() {
    let body = json!({"model": "caller-name", "input": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi", "id": "msg_1"},
            {"type": "function_call", "call_id": "c", "name": "a.b", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "x"},
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"}],
        "tools": [{"type": "function", "name": "a.b", "parameters": {}}], "tool_choice": "auto", "store": false,
        "parallel_tool_calls": true, "text": {"verbosity": "low"}, "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "high"}, "prompt_cache_key": "k", "temperature": 0.5});
    let request = responses::ResponsesRequest::from_json(body.to_string().as_bytes()).unwrap();
    let translated = compact(request, &profile(), &Options::default()).unwrap();
    let sent = sent(&translated);
    let keys: Vec<_> = sent.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "model",
            "stream",
            "instructions",
            "input",
            "tools",
            "tool_choice",
            "parallel_tool_calls",
            "reasoning",
            "store",
            "include",
            "prompt_cache_key",
            "text"
        ]
    );
    assert_eq!((&sent["store"], &sent["stream"]), (&json!(false), &json!(true)));
    assert_eq!(sent["input"][0]["role"], "developer");
    assert_ne!(sent["input"][2]["name"], "a.b", "the backend does not accept that name");
    assert_eq!(sent["input"][2]["name"], sent["tools"][0]["name"]);
    assert_eq!(sent["input"][4], json!({"type": "compaction", "encrypted_content": "gAAAA"}));
    assert_eq!(sent["input"][5], json!({"type": "compaction_trigger"}));
    let dropped: Vec<_> =
        translated.notices.iter().filter(|n| n.kind == NoticeKind::Dropped).map(|n| &*n.parameter).collect();
    assert_eq!(dropped, ["temperature", "tool_choice", "text.verbosity", "include"]);

    let strict = Options { strict: true, ..Options::default() };
    let request = responses::ResponsesRequest::from_json(br#"{"model": "m", "input": "x", "stream": true}"#).unwrap();
    assert_eq!(compact(request, &profile(), &strict).unwrap_err().param(), Some("stream"));
}

#[test]
fn the_trigger_of_a_compaction_is_its_last_item_and_the_only_one() {
    let compacted = |input: &Value, profile: &Profile| {
        let body = json!({"model": "m", "input": input}).to_string();
        let request = responses::ResponsesRequest::from_json(body.as_bytes()).unwrap();
        compact(request, profile, &Options::default())
    };
    let trigger = json!({"type": "compaction_trigger"});
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let tools = json!({"type": "additional_tools", "role": "developer", "tools": []});
    let reasoning = json!({"type": "reasoning", "summary": [], "encrypted_content": "gAAA"});
    let user = said("user", "hi");
    let update = json!({"type": "configuration_update", "reasoning": {"effort": "low"}});
    let with_lite = Profile { lite: true, ..profile() };
    let rows = [
        (json!([user]), vec!["message"]),
        (json!([user, trigger]), vec!["message"]),
        // A call without an output gets one, and lone reasoning is dropped, as in any other turn.
        (json!([user, call]), vec!["message", "function_call", "function_call_output"]),
        (json!([user, reasoning]), vec!["message"]),
        (json!([tools, user, update]), vec!["additional_tools", "message", "configuration_update"]),
    ];
    for (input, expected) in rows {
        let sent = sent(&compacted(&input, &with_lite).unwrap());
        let kinds: Vec<_> =
            sent["input"].as_array().unwrap().iter().map(|item| item["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, [expected, vec!["compaction_trigger"]].concat(), "{input}");
    }
    let ordinary = sent(&compacted(&json!([tools, user]), &profile()).unwrap());
    assert_eq!(ordinary["input"], json!([user, trigger]));
    for input in [json!([trigger]), json!([reasoning, trigger]), json!([{"type": "item_reference", "id": "x"}])] {
        assert_eq!(compacted(&input, &profile()).unwrap_err().param(), Some("input"), "{input}");
    }
}

#[test]
fn lone_surrogates_are_replaced() {
    let body = br#"{"model": "m", "input": "hi", "tools": [{"type": "custom", "name": "patch",
        "format": {"type": "grammar", "syntax": "lark", "definition": "start: \"x\ud42d\udc4b\""}}]}"#;
    let request = responses::ResponsesRequest::from_json(body).unwrap();
    let translated = normalise(request, &profile(), &Options::default()).unwrap();
    assert_eq!(sent(&translated)["tools"][0]["format"]["definition"], "start: \"x\u{d42d}\u{fffd}\"");
    assert_eq!(notices(&translated), ["* repaired"]);
}

#[test]
fn responses_are_stored_by_default_if_the_embedder_stores_them() {
    let plan = |stores, body: Value| {
        let request = responses::ResponsesRequest::from_json(body.to_string().as_bytes()).unwrap();
        let Translated { plan, request, .. } =
            normalise(request, &profile(), &Options { stores, ..Options::default() }).unwrap();
        // A stored response can be continued only with its encrypted reasoning.
        assert!(!plan.store || request.include == ["reasoning.encrypted_content"]);
        plan
    };
    for (body, store) in [
        (json!({"model": "m", "input": "x"}), true),
        (json!({"model": "m", "input": "x", "store": true}), true),
        (json!({"model": "m", "input": "x", "store": false}), false),
        // Chat requests are not stored.
        (json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}), false),
    ] {
        assert_eq!(plan(true, body.clone()).store, store, "{body}");
        assert!(!plan(false, body).store, "the embedder stores nothing");
    }
}
