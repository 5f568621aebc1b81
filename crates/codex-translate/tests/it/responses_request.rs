//! Responses requests, as clients send them and as they reach the backend.

use codex_translate::{
    BodyOrigin, Dialect, Error, ItemOrigin, NoticeKind, Options, Profile, Sender, Storage, Translated, compact,
    normalise, responses,
};
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
    let error = rejected(body);
    assert_eq!((error.param(), error.status_hint(), error.code()), (Some(param), 400, code), "{error}");
}

fn rejected(body: Value) -> Error {
    responses::ResponsesRequest::from_json(body.to_string().as_bytes())
        .and_then(|request| normalise(request, &profile(), &Options::default()))
        .expect_err("the request is rejected")
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
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA", "status": null,
                "content": [{"type": "reasoning_text", "text": "t"}]},
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
        &["input[].cache_control dropped", "input[] repaired", "input[] repaired"],
    );
}

#[test]
fn an_item_that_is_given_by_its_id_alone_is_named_if_it_is_not_here() {
    let rows = [
        json!({"type": "item_reference", "id": "x_1"}),
        json!({"type": "item_reference", "id": "x_1", "status": "completed"}),
        json!({"id": "x_1"}),
        json!({"type": null, "id": "x_1"}),
        json!({"type": "image_generation_call", "id": "x_1"}),
        json!({"type": "image_generation_call", "id": "x_1", "status": "completed", "result": null}),
        json!({"type": "message", "id": "x_1", "content": []}),
        json!({"type": "function_call", "id": "x_1", "call_id": "", "name": "", "arguments": null}),
        json!({"type": "web_search_call", "id": "x_1"}),
        json!({"type": "compaction", "id": "x_1", "encrypted_content": ""}),
        json!({"type": "something_new", "id": "x_1", "payload": {}}),
    ];
    for item in rows {
        for more in [json!([]), json!([said("user", "x")])] {
            let input = [more.as_array().unwrap().clone(), vec![item.clone()]].concat();
            let error = rejected(json!({"model": "m", "input": input}));
            assert_eq!((error.status_hint(), error.param(), error.code()), (404, Some("input"), None), "{item}");
            assert!(error.message().starts_with("Item with id 'x_1' not found. Items are not persisted"), "{error}");
        }
    }
    for kind in ["compaction", "compaction_summary", "context_compaction"] {
        let body = json!({"model": "m", "input": [{"type": kind, "encrypted_content": ""}]});
        check_rejected(body, "input[0].encrypted_content", Some("missing_required_parameter"));
    }
    check_rejected(
        json!({"model": "m", "input": [{"type": "item_reference", "id": ""}]}),
        "input[0].id",
        Some("missing_required_parameter"),
    );
    // The model can do without its reasoning.
    for reasoning in [
        json!({"type": "reasoning", "id": "rs_1"}),
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": ""}),
        json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}], "encrypted_content": null}),
    ] {
        check(
            json!({"input": [said("user", "x"), reasoning, said("assistant", "y")]}),
            json!({"input": [said("user", "x"), said("assistant", "y")]}),
            &["input[] repaired"],
        );
    }
    // An image that was never made is nothing to send, and nothing of the caller's is lost.
    for status in ["failed", "in_progress", "incomplete"] {
        let image = json!({"type": "image_generation_call", "id": "ig_1", "status": status, "result": null});
        let rest = json!([said("user", "x"), said("assistant", "y")]);
        check(
            json!({"input": [said("user", "x"), image, said("assistant", "y")]}),
            json!({"input": rest}),
            &["input[] repaired"],
        );
    }
    // The assistant has said nothing.
    let empty = json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []});
    check(
        json!({"input": [said("user", "x"), empty]}),
        json!({"input": [said("user", "x")]}),
        &["input[].content repaired"],
    );
    // Complete without content.
    let input = json!([said("user", "x"), {"type": "web_search_call", "id": "ws_1", "status": "completed"}]);
    let sent = json!([said("user", "x"), {"type": "web_search_call", "status": "completed"}]);
    check(json!({"input": input}), json!({"input": sent}), &[]);
}

fn without_ids(input: &Value) -> Value {
    let mut input = input.clone();
    input.as_array_mut().unwrap().iter_mut().for_each(|item| drop(item.as_object_mut().unwrap().remove("id")));
    input
}

#[test]
fn items_with_one_id_are_one_item() {
    let reasoning = json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "g"});
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{\"a\":1}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "sunny"});
    let mut spaced = call.clone();
    spaced["arguments"] = json!("{\"a\": 1}");
    spaced["status"] = json!("completed");
    let search = json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}});
    let mut running = search.clone();
    running["status"] = json!("in_progress");
    let mut summarised = reasoning.clone();
    summarised["summary"] = json!([{"type": "summary_text", "text": "t"}]);
    let mut message = said("assistant", "é");
    message["id"] = json!("msg_1");
    let once = json!([said("user", "x"), reasoning, call, search, message, output]);
    let twice = json!([
        said("user", "x"),
        reasoning,
        summarised,
        call,
        spaced,
        search,
        running,
        message,
        message,
        output,
        call
    ]);
    check(json!({"input": twice}), json!({"input": without_ids(&once)}), &["input[] repaired"]);
    // Reasoning is kept in the form that the model can read.
    let mut unreadable = reasoning.clone();
    unreadable["encrypted_content"] = Value::Null;
    check(
        json!({"input": [said("user", "x"), unreadable, reasoning, said("assistant", "y")]}),
        json!({"input": without_ids(&json!([said("user", "x"), reasoning, said("assistant", "y")]))}),
        &["input[] repaired"],
    );
}

#[test]
fn other_items_with_one_id_are_items_of_their_own() {
    let message = |id: &str, text: &str| {
        let mut message = said("assistant", text);
        message["id"] = json!(id);
        message
    };
    let call = |call_id: &str, arguments: &str| json!({"type": "function_call", "id": "fc_1", "call_id": call_id, "name": "f", "arguments": arguments});
    let output = |call_id: &str| json!({"type": "function_call_output", "call_id": call_id, "output": "y"});
    let reasoning =
        |content: &str| json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": content});
    for input in [
        // openai-agents gives all items of other providers one id; the AI SDK makes a message of each part of one.
        json!([message("__fake_id__", "a"), said("user", "x"), message("__fake_id__", "b")]),
        json!([message("msg_1", "a"), message("msg_1", "b"), said("user", "x"), message("msg_1", "c")]),
        json!([call("c", "{}"), output("c"), call("d", "{}"), output("d")]),
        json!([reasoning("a"), said("assistant", "y"), reasoning("b"), said("assistant", "z")]),
    ] {
        check(json!({"input": input}), json!({"input": without_ids(&input)}), &[]);
    }
    // The arguments differ.
    let input = json!([call("c", "{\"a\":1}"), output("c"), call("c", "{\"a\":2}"), output("c")]);
    let mut sent = without_ids(&input);
    sent[2]["call_id"] = json!("c_2");
    sent[3]["call_id"] = json!("c_2");
    check(json!({"input": input}), json!({"input": sent}), &["input repaired"]);
}

#[test]
fn an_output_may_name_the_item_of_its_call() {
    let input = json!([
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "fc_1", "output": "o"},
    ]);
    let sent = completed(&input, &[ItemOrigin::Sent(0), ItemOrigin::Sent(1)]).unwrap();
    assert_eq!(sent.notices.len(), 1);
    let sent: Value = serde_json::from_slice(&sent.request.to_json()).unwrap();
    assert_eq!(sent["input"].as_array().unwrap().len(), 2, "{sent}");
    assert_eq!(sent["input"][1]["call_id"], "call_1");
}

#[test]
fn what_an_embedder_left_out_is_told() {
    let body = json!({"model": "m", "input": [{"role": "user", "content": "x"}]}).to_string();
    for has_repeats in [false, true] {
        let origin = BodyOrigin { has_repeats, ..BodyOrigin::default() };
        let request = responses::ResponsesRequest::from_json_of(origin, body.as_bytes()).unwrap();
        let translated = normalise(request, &Profile::permissive("gpt-5.1"), &Options::default()).unwrap();
        assert_eq!(translated.notices.iter().any(|notice| notice.parameter == "input[]"), has_repeats);
    }
}

/// Translates a body whose `input` was completed.
fn completed(input: &Value, origins: &[ItemOrigin]) -> Result<Translated, Error> {
    let origin = BodyOrigin { items: Some(origins), ..BodyOrigin::default() };
    let body = json!({"model": "m", "input": input}).to_string();
    let request = responses::ResponsesRequest::from_json_of(origin, body.as_bytes())?;
    normalise(request, &Profile::permissive("m"), &Options::default())
}

#[test]
fn a_stored_item_is_never_a_reference_and_never_an_error() {
    let user = said("user", "x");
    for (item, is_sent) in [
        (json!({"type": "image_generation_call", "id": "ig_1", "status": "failed", "result": null}), false),
        (json!({"type": "image_generation_call", "id": "ig_1", "status": "completed"}), false),
        (json!({"type": "message", "id": "msg_1", "role": "assistant", "content": []}), false),
        (json!({"type": "message", "id": "msg_1"}), false),
        (json!({"type": "compaction", "id": "cmp_1", "encrypted_content": ""}), false),
        (json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "", "arguments": ""}), true),
        (json!({"type": "function_call", "id": "fc_1", "call_id": "", "name": "", "arguments": ""}), true),
        (json!({"type": "item_reference", "id": "x_1"}), false),
        (json!({"id": "x_1"}), false),
        (json!({"type": "something_new", "id": "x_1"}), true),
    ] {
        for origin in [ItemOrigin::Stored, ItemOrigin::Referred(0)] {
            let origins = [origin, ItemOrigin::Sent(1)];
            let translated = completed(&json!([item, user]), &origins).unwrap();
            let sent = sent(&translated)["input"].as_array().unwrap().clone();
            assert_eq!((sent.len() > 1, sent.last()), (is_sent, Some(&user)), "{item}");
            assert!(is_sent || !translated.notices.is_empty(), "{item} is left out with a notice");
        }
    }
}

#[test]
fn stored_items_with_one_id_are_each_an_item() {
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "y"});
    let message = json!({"type": "message", "id": "msg_0", "role": "assistant", "content": [{"type": "output_text", "text": "Hi"}]});
    let input = json!([call, output, message, call, output, message, message]);
    use ItemOrigin::{Sent, Stored};
    let origins = [Stored, Stored, Stored, Stored, Stored, Sent(0), Sent(1)];
    let translated = completed(&input, &origins).unwrap();
    let kinds: Vec<_> =
        sent(&translated)["input"].as_array().unwrap().iter().map(|item| item["type"].clone()).collect();
    // Of its own items, the caller has sent one twice.
    let (call, output) = ("function_call", "function_call_output");
    assert_eq!(kinds, [call, output, "message", call, output, "message"]);
}

#[test]
fn an_output_finds_its_call_by_any_id() {
    let action = json!({"type": "exec", "command": ["ls"], "env": {}});
    let sent = json!([
        said("user", "x"),
        {"type": "local_shell_call", "status": "completed", "action": action, "call_id": "call_s"},
        {"type": "function_call_output", "call_id": "call_s", "output": "y"},
    ]);
    let call = json!({"type": "local_shell_call", "id": "lsh_1", "status": "completed", "action": action, "call_id": "call_s"});
    let mut nameless = call.clone();
    nameless.as_object_mut().unwrap().remove("call_id");
    nameless["id"] = json!("call_s");
    for (call, output) in [
        (&call, json!({"type": "local_shell_call_output", "id": "call_s", "output": "y"})),
        (&call, json!({"type": "local_shell_call_output", "id": "lsh_1", "output": "y", "status": "completed"})),
        (&call, json!({"type": "local_shell_call_output", "id": "o_1", "call_id": "call_s", "output": "y"})),
        (&call, json!({"type": "function_call_output", "id": "lsh_1", "call_id": null, "output": "y"})),
        (&nameless, json!({"type": "local_shell_call_output", "id": "call_s", "output": "y"})),
        (&nameless, json!({"type": "function_call_output", "call_id": "call_s", "output": "y"})),
    ] {
        check(json!({"input": [said("user", "x"), call, output]}), json!({"input": sent}), &[]);
    }
    for call in ["shell_call", "apply_patch_call", "computer_call"] {
        let kind = format!("{call}_output");
        check(
            json!({"input": [{"type": call, "id": "s_1", "call_id": "c", "action": 1}, {"type": kind, "id": "s_1", "output": "y"}]}),
            json!({"input": [{"type": call, "call_id": "c", "action": 1}, {"type": kind, "output": "y", "call_id": "c"}]}),
            &[],
        );
    }
    check_rejected(
        json!({"model": "m", "input": [{"type": "function_call_output", "id": "fco_1", "output": "y"}]}),
        "input[0].call_id",
        Some("missing_required_parameter"),
    );
}

#[test]
fn no_output_is_made_up_for_a_call_that_ran() {
    let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "y"});
    let shell = json!({"type": "local_shell_call", "call_id": "c", "status": "completed", "action": {}});
    for call in [&call, &shell] {
        for input in [json!([call, call, output]), json!([call, output, call]), json!([output, call])] {
            check(json!({"input": input}), json!({"input": [call, output]}), &["input repaired"]);
        }
    }
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
    // The official client sends what was finished of an interrupted reply, and then the next message of the user.
    let interrupted = [&input.as_array().unwrap()[6..], &[said("user", "?")]].concat();
    check(json!({"input": interrupted}), json!({"input": interrupted}), &[]);
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
        &["max_tokens emulated", "reasoning_effort clamped"],
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
    let image = json!({"type": "image_generation_call", "status": "completed", "result": "iVBO"});
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
    check_rejected(
        json!({"model": "m", "input": "x", "access_programs": [1]}),
        "access_programs",
        Some("invalid_type"),
    );
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
fn the_codex_cli_is_known_by_its_headers_or_by_its_own_key_and_not_by_an_optional_member() {
    let mut body = cli_body();
    for item in body["input"].as_array_mut().unwrap() {
        item.as_object_mut().unwrap().remove("internal_chat_message_metadata_passthrough");
    }
    let read = |sender| {
        let request = responses::ResponsesRequest::from_json_of(sender, body.to_string().as_bytes()).unwrap();
        normalise(request, &profile(), &Options::default()).unwrap()
    };
    let mut expected = body.clone();
    expected["instructions"] = json!("");
    let of_cli = read(Sender::CodexCli);
    assert_eq!(sent(&of_cli), expected);
    assert!(of_cli.notices.is_empty() && of_cli.plan.keep_phases);
    let of_other = read(Sender::Unknown);
    backend::accepts(&sent(&of_other));
    assert_eq!(sent(&of_other)["client_metadata"], body["client_metadata"]);
    // A chat body is not the CLI's, whatever its headers say.
    let chat = json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]});
    for dialect in Dialect::ALL {
        let request = dialect.read_of(Sender::CodexCli, chat.to_string().as_bytes()).unwrap();
        backend::accepts(&sent(&request.translate(&profile(), &Options::default()).unwrap()));
    }
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
        "tools": [{"type": "function", "name": "a.b", "parameters": {}}], "tool_choice": "auto", "store": true, "metadata": {"a": "b"},
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
    assert_eq!(dropped, ["temperature", "tool_choice", "text.verbosity", "include", "store", "metadata"]);

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
        // A call without an output gets one, as in any other turn.
        (json!([user, call]), vec!["message", "function_call", "function_call_output"]),
        (json!([user, reasoning]), vec!["message", "reasoning"]),
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
    assert_eq!(compacted(&json!([trigger]), &profile()).unwrap_err().param(), Some("input"));
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
    let plan = |storage, body: Value| {
        let request = responses::ResponsesRequest::from_json(body.to_string().as_bytes()).unwrap();
        let Translated { plan, request, .. } =
            normalise(request, &profile(), &Options { storage, ..Options::default() }).unwrap();
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
        let stored = plan(Storage::UpTo(7), body.clone());
        assert_eq!((stored.store, stored.store_bytes == 7), (store, store), "{body}");
        for none in [Storage::Never, Storage::Refused("too large".to_owned())] {
            assert!(!plan(none, body.clone()).store, "the embedder stores nothing");
        }
    }
}

#[test]
fn a_request_whose_response_is_not_stored_although_it_could_be_has_a_notice() {
    let notices = |storage, strict, store: Value| {
        let body = json!({"model": "m", "input": "x", "store": store}).to_string();
        let request = responses::ResponsesRequest::from_json(body.as_bytes()).unwrap();
        normalise(request, &profile(), &Options { storage, strict, ..Options::default() }).map(|it| notices(&it))
    };
    let refused = || Storage::Refused("too large".to_owned());
    for store in [Value::Null, json!(true)] {
        assert_eq!(notices(refused(), false, store).unwrap(), ["store dropped"]);
    }
    assert!(notices(refused(), false, json!(false)).unwrap().is_empty());
    assert!(notices(Storage::Never, false, Value::Null).unwrap().is_empty());
    assert_eq!(notices(refused(), true, json!(true)).unwrap_err().param(), Some("store"));
    assert!(notices(refused(), true, Value::Null).is_ok(), "a strict request need not turn off a default");
}
